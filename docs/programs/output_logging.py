import logging

import shoal

shoal.init(num_cpus=1, logging_config=shoal.LoggingConfig(encoding="JSON"))


@shoal.remote
def load(path):
    logging.getLogger("loader").info("loaded %s", path, extra={"rows": 7})
    return 7


print(shoal.get(load.remote("a.csv")))
