import os

import shoal


@shoal.remote(max_restarts=1, max_task_retries=1)
class Cache:
    def __init__(self, size):
        self.size = size  # runs again, with the same arguments, after a crash
        self.pid = os.getpid()

    def info(self):
        return self.size, self.pid

    @shoal.method(max_task_retries=0)
    def crash(self):
        os._exit(1)


cache = Cache.remote(64)
size, first = shoal.get(cache.info.remote())
try:
    shoal.get(cache.crash.remote())
except shoal.exceptions.RayActorError:
    print("this call is lost")
size, second = shoal.get(cache.info.remote())
print(size, first != second)
