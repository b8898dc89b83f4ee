import asyncio

import shoal

shoal.init()


@shoal.remote
def squares(n):
    for i in range(n):
        yield i * i


@shoal.remote
class Words:
    async def spell(self, word):
        for letter in word:
            await asyncio.sleep(0.001)
            yield letter


for ref in squares.remote(4):
    print(shoal.get(ref))


async def main():
    words = Words.remote()
    return "-".join([await ref async for ref in words.spell.remote("shoal")])


print(asyncio.run(main()))
