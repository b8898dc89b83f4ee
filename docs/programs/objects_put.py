import shoal


@shoal.remote
def look_up(table, word):
    return table[word]


table = shoal.put({"fish": "shoal", "bird": "flock"})  # stored once
print(shoal.get([look_up.remote(table, word) for word in ("fish", "bird")]))
