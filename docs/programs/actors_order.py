import shoal


@shoal.remote
class Log:
    def __init__(self):
        self.lines = []

    def write(self, line):
        self.lines.append(line)

    def read(self):
        return self.lines


@shoal.remote
def report(log, name):
    shoal.get(log.write.remote(name))  # a handle passes anywhere


log = Log.remote()
shoal.get([log.write.remote("first"), log.write.remote("second")])
shoal.get(report.remote(log, "from a task"))
print(shoal.get(log.read.remote()))
