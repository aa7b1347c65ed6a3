"""Stopping early because somebody asks for it, or because the time is over."""

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

# Why a fit stopped that was stopped by Ctrl-C, by SIGTERM, or by the clock.
INTERRUPTED, TERMINATED, OUT_OF_TIME = "interrupted", "terminated", "time is over"

# As numbers that processes compare: what somebody wishes comes before what the clock says.
_REASONS = ("", OUT_OF_TIME, INTERRUPTED, TERMINATED)

_STOPPED = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class StopTraining(Exception):  # noqa: N818  (no error: a wish)
    """Training is to end now, at the end of a batch. Its text says why."""


class Wish:
    """The wish to stop: the first Ctrl-C or SIGTERM inside ``listening``. Its handler only notes
    the signal, for it may run in the middle of any call, a print included."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._torn: KeyboardInterrupt | None = None
        self._listening = False

    @property
    def stopped(self) -> str:
        """Why a fit stopped that fulfils the wish; empty if there is none."""
        return _STOPPED[self.signal] if self.signal else ""

    @property
    def name(self) -> str:
        """What people call the signal."""
        return _NAMES[self.signal] if self.signal else ""

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: note the first, interrupt at the second."""
        if self.signal is not None:
            self._torn = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
            raise self._torn
        self.signal = signal.Signals(number)

    def listen(self) -> None:
        """Handle both signals from now on, but for one that the shell has this process ignore, as
        it does with Ctrl-C for a job in the background."""
        for each in _STOPPED:
            if signal.getsignal(each) != signal.SIG_IGN:
                signal.signal(each, self.note)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the first signal inside the block as a wish; a second one interrupts.

        Raises:
            KeyboardInterrupt: there was a second one.
        """
        main = threading.current_thread() is threading.main_thread()
        if self._listening or not main:
            yield
            return
        before = {each: signal.getsignal(each) for each in _STOPPED}
        self._listening = True
        self.listen()
        try:
            yield
        except BaseException as error:
            # The second interrupts whatever was at work, and Lightning makes an exit of it.
            if self._torn is not None and error is not self._torn:
                raise self._torn from error
            raise
        finally:
            self._listening = False
            for each, handler in before.items():
                signal.signal(each, handler)


class StopWhenAsked(Callback):
    """Ends training at the end of a batch when there is a wish or the time is over. The checkpoints
    stay those of the last finished epoch, so that a resumed run is exact.

    Args:
        wish: looked at after every batch.
        minutes: how long training may take; None for as long as it likes.
        say: where the line for the user goes.
        fate: what becomes of the model, for that line.
    """

    def __init__(
        self, wish: Wish, minutes: float | None, say: Callable[[str], None], fate: str
    ) -> None:
        self.wish, self.minutes, self.say, self.fate = wish, minutes, say, fate
        self.began = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # Lightning has just put a handler of its own in place, which ends the process.
        if self.wish._listening:
            self.wish.listen()

    def _check(self, trainer: pl.Trainer) -> None:
        over = self.minutes is not None and time.monotonic() - self.began > self.minutes * 60
        own = self.wish.stopped or (OUT_OF_TIME if over else "")
        # All processes stop at the same batch and for the same reason, or some wait for ever.
        reason = largest_of_all(
            _REASONS.index(own), trainer.strategy.root_device, trainer.world_size
        )
        if reason:
            self._tell()
            raise StopTraining(_REASONS[reason])

    def _tell(self) -> None:
        if self.wish.signal is not None:
            self.say(f"{self.wish.name}: stopping after this batch; {self.fate}.")

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._tell()  # a wish after the last batch

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        self._check(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *arguments: Any, **more: Any) -> None:
        if trainer.world_size == 1 and self.wish.signal is not None:
            self._check(trainer)
