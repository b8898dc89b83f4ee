import shoal


@shoal.remote
def parse(line):
    return int(line)


results = parse.map(["1", "2", "three", "4"])
while True:
    try:
        print(next(results))
    except StopIteration:
        break
    except ValueError as error:
        print("error:", error.cause)

print(sum(parse.map(str(i) for i in range(100_000))))
