"""A layer on a device that is not the CPU is looked into as on the CPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from conveyor import inspect
from tests.inspecting.test_carried import B, I, T, a_layer
from tests.layers.named import draw
from tests.other_device import on_cpu, on_other_device, other_device

Look = Callable[[Any, Tensor], Any]


def answers(layer: Any) -> Callable[[Tensor], Tensor]:
    """Return what a layer answers, [B]."""
    return lambda x: layer(x)[0][-1].sum(-1)


# Gradients over time are not among them: torch does not record them where a device is pretended.
LOOKS: dict[str, Look] = {
    "integrated gradients": lambda layer, x: inspect.contributions(answers(layer), x),
    "occlusion": lambda layer, x: inspect.contributions(answers(layer), x, method="occlusion"),
    "carried": inspect.carried,
    "time constants": inspect.time_constants,
    "spectra": lambda layer, x: [list(each)[3:] for each in inspect.spectra(layer)],
    "not finite": lambda layer, x: str(inspect.first_not_finite(layer, x / 0)),
    "saturation": inspect.saturation,
    "dead units": inspect.dead_units,
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_look_from_another_device(look: Look) -> None:
    layer, x = a_layer(), draw(T, B, I, seed=1)
    expected = look(layer, x)
    with other_device():
        there = on_cpu(look(on_other_device(a_layer()), on_other_device(x)))
    if isinstance(expected, str):
        assert there == expected
        return
    torch.testing.assert_close(there, expected, rtol=1e-9, atol=1e-12, equal_nan=True)
