import re
import time

import shoal

shoal.init(num_cpus=2)


@shoal.remote(num_cpus=2)
def train(data):
    return data


@shoal.remote(num_cpus=1)
class Model:
    def name(self):
        return "a model"


model = Model.remote()
shoal.get(model.name.remote())
result = train.remote([1, 2, 3])
report = train.remote(result)
time.sleep(0.1)

text = shoal.util.why(report)
print(re.sub(r"since [\d.]+ s", "since … s", re.sub(r"pid \d+", "pid …", text)))
