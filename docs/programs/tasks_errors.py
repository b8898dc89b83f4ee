import shoal


@shoal.remote
def divide(a, b):
    return a / b


@shoal.remote
def double(x):
    return 2 * x


try:
    shoal.get(double.remote(divide.remote(1, 0)))
except ZeroDivisionError as error:
    print(isinstance(error, shoal.exceptions.RayTaskError))
    print("return a / b" in str(error))
