import threading

import shoal


@shoal.remote(max_concurrency=2)
class Pair:
    def __init__(self):
        self.meeting = threading.Barrier(2)

    def meet(self):
        self.meeting.wait()  # passes only when both calls run at once
        return "met"


pair = Pair.remote()
print(shoal.get([pair.meet.remote(), pair.meet.remote()]))
