"""A broken invariant of shoal's own (DESIGN §8): armed with `SHOAL_BREAK_AT`, which each process reads once."""

from __future__ import annotations

import pytest

DRIVER = """
    import time, shoal
    from pathlib import Path
    context = shoal.init(num_cpus=1)
    @shoal.remote
    def f():
        return 1
    kept = shoal.put(5)
    begun = time.monotonic()
    for call in (lambda: shoal.get(f.remote(), timeout=20), lambda: shoal.get(f.remote()), lambda: shoal.put(1),
                 lambda: shoal.wait([kept]), lambda: shoal.get(kept), lambda: shoal.nodes()):
        try:
            print("got", call())
        except shoal.exceptions.RaySystemError as error:
            text = str(error)
            assert "BREAK-0" in text, text
            log = text.rpartition("the log is ")[2].strip()
            assert "BREAK-0" in Path(log).read_text(), log
            print("told")
    print("quick", time.monotonic() - begun < 15)
    shoal.shutdown()
    context = shoal.init(num_cpus=1)
    print("again", context.address_info["address"].startswith("unix:"))
    shoal.shutdown()
"""


@pytest.mark.parametrize("place", ["driver.io", "driver.call"])
def test_in_a_driver_every_wait_and_later_call_raises_with_the_code_and_the_log(shoal_run, place):
    run = shoal_run(DRIVER, env={"SHOAL_BREAK_AT": place})
    assert run.stdout.splitlines() == ["told"] * 6 + ["quick True", "again True"]
    assert run.stderr == ""


def test_in_a_driver_a_thread_that_waits_is_told_too(shoal_run):
    run = shoal_run(
        """
        import threading, time, shoal
        shoal.init(num_cpus=1)
        @shoal.remote
        def f():
            pass
        @shoal.remote
        class A:
            def ready(self):
                pass
            def forever(self):
                time.sleep(60)
        a = A.remote()
        shoal.get(a.ready.remote())
        never = a.forever.remote()
        told = []
        def waits():
            try:
                shoal.get(never, timeout=30)
            except shoal.exceptions.RaySystemError as error:
                told.append("BREAK-0" in str(error))
        threads = [threading.Thread(target=waits) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert not shoal.wait([never], timeout=0.2)[0]
        begun = time.monotonic()
        try:
            f.remote()
        except shoal.exceptions.RaySystemError:
            told.append("raised")
        for thread in threads:
            thread.join()
        print(sorted(map(str, told)), time.monotonic() - begun < 15)
        """,
        env={"SHOAL_BREAK_AT": "driver.call"},
    )
    assert run.stdout == "['True', 'True', 'True', 'raised'] True\n"


def test_a_worker_logs_it_and_ends(shoal_run):
    run = shoal_run(
        """
        import shoal
        shoal.init(num_cpus=1)
        @shoal.remote(max_retries=0)
        def f():
            return 1
        for _ in range(2):
            try:
                shoal.get(f.remote(), timeout=20)
            except shoal.exceptions.WorkerCrashedError as error:
                print("101" in str(error), "BREAK-0" in str(error))
        """,
        env={"SHOAL_BREAK_AT": "worker.call"},
    )
    assert run.stdout.splitlines() == ["True True"] * 2


def test_a_workers_io_thread_that_breaks_ends_the_worker(shoal_run):
    run = shoal_run(
        """
        import shoal
        shoal.init(num_cpus=1)
        @shoal.remote
        class A:
            def f(self):
                pass
        try:
            shoal.get(A.remote().f.remote(), timeout=20)
        except shoal.exceptions.ActorDiedError as error:
            print("101" in str(error), "BREAK-0" in str(error))
        """,
        env={"SHOAL_BREAK_AT": "worker.io"},
    )
    assert run.stdout == "True True\n"


def test_the_daemon_logs_it_and_ends_and_its_driver_begins_anew(shoal_run):
    run = shoal_run(
        """
        import os, time, shoal
        from pathlib import Path
        context = shoal.init(num_cpus=1)
        @shoal.remote
        def f():
            return 1
        begun = time.monotonic()
        try:
            shoal.get(f.remote(), timeout=20)
        except shoal.exceptions.LocalRayletDiedError as error:
            log = str(error).rpartition("its log is ")[2].strip()
            print("told", "BREAK-0" in Path(log).read_text(), time.monotonic() - begun < 15)
        shoal.shutdown()
        shoal.init(num_cpus=1)
        print(shoal.is_initialized())
        shoal.shutdown()
        """,
        env={"SHOAL_BREAK_AT": "node"},
    )
    assert run.stdout.splitlines() == ["told True True", "True"]
