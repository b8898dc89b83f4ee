"""What this machine can do at best, measured without shoal, each floor in a process of its own."""

import os
import pickle
import socket
import subprocess
import sys
import time

SIZE = 64 * 1024 * 1024
ROUND_TRIPS = 20_000
NAMES = ("P1", "P2", "C", "F")


def ping_pong(cores: list[int], trips: int) -> float:
    """Round trips a second of a small pickle, the asking process on the first core, the answering one on the last."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    child = os.fork()
    if child == 0:
        here.close()
        os.sched_setaffinity(0, {cores[-1]})
        while message := there.recv(65536):
            there.sendall(pickle.dumps(pickle.loads(message), 5))
        os._exit(0)
    there.close()
    os.sched_setaffinity(0, {cores[0]})
    request = (1, "task", None)
    for count in (trips // 10, trips):  # the first warms up
        begin = time.perf_counter()
        for _ in range(count):
            here.sendall(pickle.dumps(request, 5))
            pickle.loads(here.recv(65536))
        taken = time.perf_counter() - begin
    here.close()
    os.waitpid(child, 0)
    return trips / taken


def warm_copy() -> float:
    """Bytes a second of a copy into memory that was written before."""
    import numpy

    source = numpy.ones(SIZE, numpy.uint8)
    target = numpy.zeros(SIZE, numpy.uint8)
    best = 0.0
    for _ in range(5):
        begin = time.perf_counter()
        numpy.copyto(target, source)
        best = max(best, SIZE / (time.perf_counter() - begin))
    return best


def fresh_copy() -> float:
    """Bytes a second of a copy into a new memory file, with its making and mapping."""
    import mmap

    import numpy

    source = numpy.ones(SIZE, numpy.uint8)
    begin = time.perf_counter()
    file = os.memfd_create("floor")
    os.ftruncate(file, SIZE)
    mapped = mmap.mmap(file, SIZE)
    target = numpy.frombuffer(mapped, numpy.uint8)
    numpy.copyto(target, source)
    taken = time.perf_counter() - begin
    del target
    mapped.close()
    os.close(file)
    return SIZE / taken


def measure(name: str, trips: int) -> float:
    """One floor, here and now."""
    cores = sorted(os.sched_getaffinity(0))
    if name == "P1":
        return ping_pong(cores[:1], trips)
    if name == "P2":
        return ping_pong([cores[0], cores[-1]], trips)
    return warm_copy() if name == "C" else fresh_copy()


def measure_apart(names: list[str], trips: int = ROUND_TRIPS) -> dict[str, float]:
    """Each floor in a fresh process: no thread, pin or memory of a caller touches it."""
    command = [sys.executable, __file__]
    return {name: float(subprocess.check_output([*command, name, str(trips)], text=True)) for name in names}


def main() -> None:
    if len(sys.argv) == 3:
        print(measure(sys.argv[1], int(sys.argv[2])))
        return
    for name, value in measure_apart(list(NAMES)).items():
        print(f"{name}  {value:,.0f} round trips/s" if name[0] == "P" else f"{name}   {value / 1e9:.2f} GB/s")


if __name__ == "__main__":
    main()
