import shoal

shoal.init(num_cpus=1)


@shoal.remote
def leaves(depth):
    if depth == 0:
        return 1
    return sum(shoal.get([leaves.remote(depth - 1), leaves.remote(depth - 1)]))


print(shoal.get(leaves.remote(4)))
