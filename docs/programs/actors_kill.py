import shoal


@shoal.remote
class Worker:
    def ping(self):
        return "pong"


worker = Worker.remote()
print(shoal.get(worker.ping.remote()))
shoal.kill(worker)
try:
    shoal.get(worker.ping.remote())
except shoal.exceptions.ActorDiedError:
    print("dead")
