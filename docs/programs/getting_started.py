import shoal

shoal.init()


@shoal.remote
def square(x):
    return x * x


refs = [square.remote(i) for i in range(4)]
print(shoal.get(refs))
