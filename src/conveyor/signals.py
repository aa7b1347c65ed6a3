"""Ctrl-C and SIGTERM: what they raise, and what they do before the command has begun.

While ``conveyor`` imports what it needs, which takes seconds, nothing is at work yet that could be
lost, and an exception in the middle of any library's import may be swallowed or become another one:
the process ends at once, with a sentence.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

_SAID = {signal.SIGINT: b"error: interrupted.\n", signal.SIGTERM: b"error: terminated.\n"}

# What handles a signal if nobody has asked for anything else; the shell may have it ignored.
_USUAL: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


class Terminated(KeyboardInterrupt):
    """SIGTERM came. It is handled as Ctrl-C is, but for the exit code."""


def is_command() -> bool:
    """Whether this process runs the command line, not a program that uses the library."""
    return "conveyor.cli.start" in sys.orig_argv or Path(sys.argv[0]).stem == "conveyor"


def leave_at_once() -> None:
    """Leave at the first signal from now on."""
    if threading.current_thread() is threading.main_thread():
        for each, usual in _USUAL.items():
            if signal.getsignal(each) == usual:
                signal.signal(each, _leave)


def as_usual() -> None:
    """Handle signals as usual from now on."""
    if threading.current_thread() is threading.main_thread():
        for each, usual in _USUAL.items():
            if signal.getsignal(each) == _leave:
                signal.signal(each, usual)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Inside the block the command leaves at the first signal: it imports what it needs there, and
    nothing is at work yet. In a program that uses the library nothing changes."""
    if threading.current_thread() is not threading.main_thread() or not is_command():
        yield
        return
    before = {each: signal.getsignal(each) for each in _USUAL}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, _leave)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, _SAID[signal.Signals(number)])
    os._exit(128 + number)
