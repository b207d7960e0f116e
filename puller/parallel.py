"""Many small pieces of work at once, a bounded number of them under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(work: Callable[[T], R], items: Iterable[T], *, workers: int) -> Iterator[R]:
    """The results of `work` for each item, in the order in which they are ready.

    After a failure nothing more is begun; what was under way still gives its results, so that they
    can be recorded, and then the first failure is raised.

    Args:
        work: called in threads of its own.
        items: taken as they are needed, never all at once.
        workers: how many threads.
    """
    pool = ThreadPoolExecutor(workers)
    waiting = iter(items)
    under_way: set[Future[R]] = set()
    failure: BaseException | None = None
    try:
        while True:
            if failure is None:
                more = islice(waiting, 2 * workers - len(under_way))
                under_way.update(pool.submit(work, item) for item in more)
            else:
                under_way = {future for future in under_way if not future.cancel()}
            if not under_way:
                break
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                error = future.exception()
                if error is None:
                    yield future.result()
                failure = failure or error
    finally:
        pool.shutdown(cancel_futures=True)
    if failure is not None:
        raise failure
