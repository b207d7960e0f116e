"""Calls wait for a process of their function where the emulator has enough of them."""

from __future__ import annotations

import threading
import time

from local_cloud.emulator_process import BoundedWorkers
from tests.patience import PATIENCE


class Emulated:
    """The pool of the emulator, as `acquire_worker` gives processes out; these are numbers."""

    def __init__(self) -> None:
        self.started = 0
        self.free: list[int] = []
        self.lock = threading.Lock()

    def acquire_worker(
        self,
        name: str,
        config: object,
        code: bytes,
        qualifier: str = "$LATEST",
        max_concurrency: int | None = None,
    ) -> tuple[int | None, str]:
        with self.lock:
            if self.free:
                return self.free.pop(), "reused"
            if max_concurrency is not None and self.started >= max_concurrency:
                return None, "func_cap"
            self.started += 1
            return self.started, "spawn"

    def release(self, worker: int) -> None:
        with self.lock:
            self.free.append(worker)


def test_calls_wait_for_those_that_are_there() -> None:
    emulated = Emulated()
    bounded = BoundedWorkers(emulated, 3, PATIENCE)
    served: list[int] = []

    def call() -> None:
        worker, _ = bounded.acquire("intake", {}, b"", qualifier="1")
        time.sleep(0.02)
        served.append(worker)
        emulated.release(worker)

    calls = [threading.Thread(target=call) for _ in range(20)]
    for one in calls:
        one.start()
    for one in calls:
        one.join(PATIENCE)
    assert len(served) == 20
    assert emulated.started == 3


def test_one_that_waits_for_itself_gets_its_own_in_the_end() -> None:
    emulated = Emulated()
    bounded = BoundedWorkers(emulated, 1, 0.05)
    assert bounded.acquire("recursive", {}, b"") == (1, "spawn")
    assert bounded.acquire("recursive", {}, b"") == (2, "spawn")
