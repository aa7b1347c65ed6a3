"""Stops training early after Ctrl-C or SIGTERM, or when the time is over."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from conveyor.signals import Terminated
from conveyor.training.processes import largest_of_all

# The reasons why a fit was stopped: Ctrl-C, SIGTERM, or the clock.
INTERRUPTED, TERMINATED, OUT_OF_TIME = "interrupted", "terminated", "time is over"

# Processes compare the indices of reasons and take the largest: signals come before the clock.
_REASONS = ("", OUT_OF_TIME, INTERRUPTED, TERMINATED)

_STOPPED = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class StopTraining(Exception):  # noqa: N818  (it reports no error)
    """Raised by a callback to end training after the current batch. Its text is the reason."""


class StopRequest:
    """A request to stop: the first Ctrl-C or SIGTERM while ``listening``.

    The handler only stores the signal, because it may run in the middle of any call, even of a
    print.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._torn: KeyboardInterrupt | None = None
        self._listening = False

    @property
    def stopped(self) -> str:
        """The reason why the fit is stopped; empty without a request."""
        return _STOPPED[self.signal] if self.signal else ""

    @property
    def name(self) -> str:
        """The usual name of the signal; empty without a request."""
        return _NAMES[self.signal] if self.signal else ""

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: store the first, interrupt at the second."""
        if self.signal is not None:
            self._torn = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
            raise self._torn
        self.signal = signal.Signals(number)

    def listen(self) -> None:
        """Handle both signals from now on, except one that is ignored: shells have jobs in the
        background ignore Ctrl-C."""
        for number in _STOPPED:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self.note)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the first signal while the block runs as a request; a second signal interrupts.

        Raises:
            KeyboardInterrupt: a second signal came.
        """
        main = threading.current_thread() is threading.main_thread()
        if self._listening or not main:
            yield
            return
        handlers = {number: signal.getsignal(number) for number in _STOPPED}
        self._listening = True
        self.listen()
        try:
            yield
        except BaseException as error:
            # Lightning turns the interrupt of the second signal into a SystemExit.
            if self._torn is not None and error is not self._torn:
                raise self._torn from error
            raise
        finally:
            self._listening = False
            for number, handler in handlers.items():
                signal.signal(number, handler)


class StopWhenAsked(Callback):
    """Ends training at the end of a batch if there is a request or the time is over.

    The checkpoints stay those of the last finished epoch, so that a resumed run is exact.

    Args:
        request: the request, which is checked after every batch.
        minutes: how long training may take; None for no limit.
        say: called with the line for the user.
        fate: what becomes of the model, in that line.
    """

    def __init__(
        self, request: StopRequest, minutes: float | None, say: Callable[[str], None], fate: str
    ) -> None:
        self.request, self.minutes, self.say, self.fate = request, minutes, say, fate
        self.began = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # Lightning has just installed a handler that ends the process: install ours once more.
        if self.request._listening:
            self.request.listen()

    def _check(self, trainer: pl.Trainer) -> None:
        over = self.minutes is not None and time.monotonic() - self.began > self.minutes * 60
        reason = self.request.stopped or (OUT_OF_TIME if over else "")
        # All processes must stop at the same batch and for the same reason: otherwise one would
        # wait for another for ever.
        index = largest_of_all(
            _REASONS.index(reason), trainer.strategy.root_device, trainer.world_size
        )
        if index:
            self._show()
            raise StopTraining(_REASONS[index])

    def _show(self) -> None:
        if self.request.signal is not None:
            self.say(f"{self.request.name}: stopping after this batch; {self.fate}.")

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._show()  # the request came after the last batch

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        self._check(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *arguments: Any, **more: Any) -> None:
        if trainer.world_size == 1 and self.request.signal is not None:
            self._check(trainer)
