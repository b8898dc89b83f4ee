import asyncio

import shoal


@shoal.remote
def square(x):
    return x * x


async def main():
    print(await square.remote(3))
    print(await asyncio.gather(*[square.remote(i) for i in range(4)]))


asyncio.run(main())
