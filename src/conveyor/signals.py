"""Ctrl-C and SIGTERM: what they raise, and what they do before the command has begun.

Imports take seconds. Until they are done no work can be lost, and an exception raised in the middle
of a library's import may be swallowed or turned into another one. So a signal ends the process at
once, with one sentence.
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

_SENTENCES = {signal.SIGINT: b"error: interrupted.\n", signal.SIGTERM: b"error: terminated.\n"}

# Python's default handlers. Only these are replaced: the shell may have a signal ignored.
_DEFAULT_HANDLERS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. It is handled as Ctrl-C is, except for the exit code."""


def is_command() -> bool:
    """Return whether this process is the command line, not a program that uses the library."""
    return "conveyor.cli.start" in sys.orig_argv or Path(sys.argv[0]).stem == "conveyor"


def leave_at_once() -> None:
    """End the process at the first signal from now on."""
    if threading.current_thread() is threading.main_thread():
        for number, default in _DEFAULT_HANDLERS.items():
            if signal.getsignal(number) == default:
                signal.signal(number, _leave)


def restore_handlers() -> None:
    """Undo ``leave_at_once``: restore Python's default handlers."""
    if threading.current_thread() is threading.main_thread():
        for number, default in _DEFAULT_HANDLERS.items():
            if signal.getsignal(number) == _leave:
                signal.signal(number, default)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """End the command at the first signal while the block runs, which imports what the command
    needs. A program that uses the library keeps its handlers."""
    if threading.current_thread() is not threading.main_thread() or not is_command():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in _DEFAULT_HANDLERS}
    for number, handler in handlers.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _leave)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, _SENTENCES[signal.Signals(number)])
    os._exit(128 + number)
