import shoal

shoal.init(namespace="docs")


@shoal.remote
class Settings:
    def __init__(self):
        self.values = {}

    def set(self, key, value):
        self.values[key] = value

    def get(self, key):
        return self.values.get(key)


settings = Settings.options(name="settings").remote()
shoal.get(settings.set.remote("color", "blue"))


@shoal.remote
def read(key):
    return shoal.get(shoal.get_actor("settings").get.remote(key))


print(shoal.get(read.remote("color")))
try:
    Settings.options(name="settings").remote()
except ValueError:
    print("the name is taken")
again = Settings.options(name="settings", get_if_exists=True).remote()
print(shoal.get(again.get.remote("color")))
