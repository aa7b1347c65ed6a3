"""Work of a service, of which there is never more than a bounded amount."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")

# Requests that wait for their turn, at most. A network answers most in milliseconds.
MOST_WAITING = 32


class BusyError(Exception):
    """So much is waiting that nothing more is taken in."""


class LateError(Exception):
    """An answer took longer than it may."""


class BoundedWork:
    """Runs one function at a time, in a thread of its own, so that the service goes on listening.

    Args:
        seconds: that a caller waits for an answer, at most. What has begun by then cannot be
            stopped and keeps its place until it ends; what has not is never begun.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="conveyor serve")
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)

    async def run(self, function: Callable[[], Answer]) -> Answer:
        """Return what a function returns.

        Raises:
            BusyError: ``MOST_WAITING`` others wait.
            LateError: there was no answer in time.
        """
        if not self._waiting.acquire(blocking=False):
            raise BusyError
        future = self._thread.submit(function)
        future.add_done_callback(lambda _: self._waiting.release())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.seconds)
        except TimeoutError as error:
            raise LateError from error

    def close(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
