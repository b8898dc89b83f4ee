import shoal

shoal.init()


@shoal.remote(num_returns="dynamic")
def split(text):
    yield from text.split()


words = shoal.get(split.remote("as many as there are"))
print(len(words), shoal.get(list(words)))
