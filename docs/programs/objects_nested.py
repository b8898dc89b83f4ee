import shoal


@shoal.remote
def kinds(value, container):
    return type(value).__name__, type(container[0]).__name__


ref = shoal.put(7)
print(shoal.get(kinds.remote(ref, [ref])))
