"""A resumed fit draws the same numbers on every device that it draws on."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from conveyor.tasks.settings import Training
from conveyor.training.fitter import Fitter
from tests.training.tiny_fits import Tiny

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")


class _Module:
    """What ``torch.cuda`` is to its generator, of one that draws on the CPU."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(3)

    def get_rng_state(self) -> torch.Tensor:
        """Return the state of the generator."""
        return self.generator.get_state()

    def set_rng_state(self, state: torch.Tensor) -> None:
        """Set the state of the generator."""
        self.generator.set_state(state)

    def drawn(self) -> list[float]:
        """Return what dropout on the device would draw."""
        numbers: list[float] = torch.rand(3, generator=self.generator).tolist()
        return numbers


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> _Module:
    """A generator that is taken for that of a GPU."""
    module = _Module()
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    return module


def fitter_on(device: torch.device) -> Fitter:
    """Return a fitter whose trainer has that device."""
    fitter = Fitter(Tiny(), Training(), "data")  # type: ignore[arg-type]
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(root_device=device))
    fitter._trainer = trainer
    return fitter


def test_the_generator_of_the_device_goes_on(device: _Module) -> None:
    checkpoint: dict[str, Any] = {}
    fitter = fitter_on(GPU)
    fitter.on_save_checkpoint(checkpoint)
    expected = torch.rand(3).tolist(), device.drawn()
    device.generator.manual_seed(4)
    fitter.on_load_checkpoint(checkpoint)
    assert (torch.rand(3).tolist(), device.drawn()) == expected


def test_on_a_cpu_a_checkpoint_is_as_it_was(device: _Module) -> None:
    checkpoint: dict[str, Any] = {}
    fitter_on(CPU).on_save_checkpoint(checkpoint)
    assert checkpoint.keys() == {"random_state", "data_digest"}


@pytest.mark.parametrize(
    "checkpoint", [{}, {"device_random_state": {"xpu": torch.zeros(16, dtype=torch.uint8)}}]
)
def test_where_the_device_had_no_generator_its_own_stays(
    device: _Module, checkpoint: dict[str, Any]
) -> None:
    """In a checkpoint of an earlier version, or of another kind of device."""
    before = device.get_rng_state()
    fitter_on(GPU).on_load_checkpoint({"random_state": torch.get_rng_state(), **checkpoint})
    assert torch.equal(device.get_rng_state(), before)
