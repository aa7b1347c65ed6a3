"""Heads beside one cell whose recurrent matrices are block-diagonal."""

from typing import Any

import pytest
import torch

import conveyor
from conveyor.errors import SettingError, ShapeError
from tests.layers.named import draw

T, B, INPUTS, UNITS, HEADS = 6, 3, 4, 6, 3


def pair(cell: str) -> tuple[conveyor.Heads, conveyor.Recurrent]:
    """Heads, and the whole cell with the same numbers in blocks."""
    heads = conveyor.Heads(cell, INPUTS, UNITS, HEADS, dtype=torch.float64)
    whole = conveyor.Recurrent(cell, INPUTS, UNITS, dtype=torch.float64)
    with torch.no_grad():
        for seed, each in enumerate(heads.parameters()):
            each.copy_(draw(*each.shape, seed=seed))
        for name, each in whole.named_parameters():
            parts: list[torch.Tensor] = [dict(head.named_parameters())[name] for head in heads.each]
            if name.split(".")[1] == "U":
                each.copy_(torch.block_diag(*parts))  # type: ignore[no-untyped-call]
            else:
                each.copy_(torch.cat(parts))
    return heads, whole


@pytest.mark.parametrize("cell", ["slstm", "lstm", "gru"])
def test_heads_are_blocks(cell: str) -> None:
    heads, whole = pair(cell)
    x = draw(T, B, INPUTS, seed=50)
    anew = torch.arange(T * B).view(T, B) % 5 == 2
    given: dict[str, Any]
    for given in ({}, {"lengths": [2, 6, 0]}, {"reset": anew}):
        got, states = heads(x, **given)
        want, state = whole(x, **given)
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
        together = torch.cat([each.h for each in states], -1)
        torch.testing.assert_close(together, state.h, rtol=1e-12, atol=1e-12)
    first, states = heads(x[:2])
    second, _ = heads(x[2:], states)
    torch.testing.assert_close(torch.cat([first, second]), whole(x)[0], rtol=1e-12, atol=1e-12)
    assert len(heads.start(B)) == HEADS


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_parameters_of_slstm(heads: int) -> None:
    """4H(D + 1) + 4H²/n (Beck et al. 2024)."""
    D, H = 3, 8
    layer = conveyor.Heads("slstm", D, H, heads)
    total = sum(each.numel() for each in layer.parameters())
    assert total == 4 * H * (D + 1) + 4 * H * H // heads


def test_what_is_refused() -> None:
    for wrong in (0, 4, 1.5):
        with pytest.raises(SettingError, match="cannot share 6 units"):
            conveyor.Heads("slstm", 3, 6, wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="cannot share '8' units"):
        conveyor.Heads("rnn", 3, "8", 2)  # type: ignore[arg-type]
    heads, _ = pair("gru")
    with pytest.raises(ShapeError, match="the state is 3; there are 3"):
        heads(torch.zeros(2, 1, INPUTS).double(), 3)
    with pytest.raises(ShapeError, match="of 2 heads; there are 3"):
        heads(torch.zeros(2, 1, INPUTS).double(), heads.start(1)[:2])
