"""Ctrl-C and SIGTERM while a fit is at work."""

import os
import signal
from pathlib import Path

import pytest

from conveyor.signals import Terminated
from conveyor.training.stopping import StopRequest
from tests.training.tiny_fits import Tiny, fit_tiny

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])


@BOTH
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_signal_ends_a_fit_after_its_batch_with_the_best_weights(
    tmp_path: Path, number: signal.Signals, epoch: int, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def press(now: int, batch: int) -> None:
        if (now, batch) == (epoch, 1):
            before = list(said)
            os.kill(os.getpid(), number)
            # The handler prints nothing: a line may be half written.
            assert said == before
            assert capfd.readouterr() == ("", "")

    model = Tiny()
    fitted, fitter = fit_tiny(tmp_path, model, before=press, said=said)
    assert len(fitter.steps) == 3 * epoch + 2
    assert fitted.best_epoch == epoch
    name, stopped = (
        ("Ctrl-C", "interrupted") if number == signal.SIGINT else ("SIGTERM", "terminated")
    )
    assert fitted.stopped == stopped
    assert said[-1] == f"{name}: stopping after this batch; the best model so far is kept."
    if epoch:
        assert float(model.recurrent.weight.detach()) == model.validated[-1]


@BOTH
def test_a_signal_after_the_last_batch_is_heard(tmp_path: Path, number: signal.Signals) -> None:
    class Pressed(Tiny):
        def train(self, mode: bool = True) -> "Pressed":
            if not mode and len(self.trained()) == 3:
                os.kill(os.getpid(), number)
            super().train(mode)
            return self

    said: list[str] = []
    fitted, _ = fit_tiny(tmp_path, Pressed(), epochs=1, said=said)
    assert fitted.stopped in ("interrupted", "terminated")
    assert sum("stopping after this batch" in line for line in said) == 1


@BOTH
def test_a_second_signal_interrupts(tmp_path: Path, number: signal.Signals) -> None:
    def press(epoch: int, batch: int) -> None:
        if (epoch, batch) == (1, 1):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt) as raised:
        fit_tiny(tmp_path, Tiny(), before=press)
    assert isinstance(raised.value, Terminated) == (number == signal.SIGTERM)


def test_handlers_are_as_they_were_after_a_fit(tmp_path: Path) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    fit_tiny(tmp_path, Tiny(), epochs=1)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_the_shell_has_ignored_stays_ignored() -> None:
    """A job in the background is not ended by Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequest().listening():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_wish_lasts_over_an_inner_block() -> None:
    request = StopRequest()
    with request.listening():
        with request.listening():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.signal == signal.SIGTERM
    assert request.stopped == "terminated"
