import shoal


@shoal.remote
def load(n):
    return list(range(n))


@shoal.remote
def total(numbers, scale=1):
    return scale * sum(numbers)


numbers = load.remote(5)  # runs at once
print(shoal.get(total.remote(numbers)))  # waits for it in the runtime, not here
print(shoal.get(total.remote(numbers, scale=10)))
