import shoal


@shoal.remote(num_returns=2)
def divide(a, b):
    return a // b, a % b


quotient, rest = divide.remote(17, 5)
print(shoal.get([quotient, rest]))


@shoal.remote
def where():
    return shoal.get_runtime_context().get_assigned_resources()["CPU"]


print(shoal.get(where.options(num_cpus=2, name="wide").remote()))
