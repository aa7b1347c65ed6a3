"""A PackedSequence whose parts do not fit together raises; it is a tuple that anyone can make."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import conveyor
from conveyor.errors import ShapeError
from tests.kinds import before_any_target

pytestmark = pytest.mark.usefixtures("each_target")

LAYERS = {
    "LSTM": lambda: conveyor.LSTM(6, 5, 2, bidirectional=True),
    "GRU": lambda: conveyor.GRU(6, 5),
    "Recurrent": lambda: conveyor.Recurrent("lstm_peephole", 6, 5),
}
# Rows, batch sizes, what the error says.
SIZES: dict[str, tuple[int, Any, str]] = {
    "too few rows": (4, [3, 2], "has 4 rows; its batch_sizes add up to 5"),
    "too many rows": (6, [3, 2], "has 6 rows; its batch_sizes add up to 5"),
    "no rows": (0, [3, 2], "has 0 rows; its batch_sizes add up to 5"),
    "rising": (5, [2, 3], r"are \[2, 3\]; expected whole numbers"),
    "falling and rising": (9, [4, 2, 3], r"are \[4, 2, 3\]; expected whole numbers"),
    "negative": (5, [6, -1], r"are \[6, -1\]; expected whole numbers"),
    "negative alone": (5, [-5], r"are \[-5\]; expected whole numbers"),
    "zero": (5, [5, 0], r"are \[5, 0\]; expected whole numbers"),
    "a zero in between": (5, [3, 0, 2], r"are \[3, 0, 2\]; expected whole numbers"),
    "none": (5, [], r"are \[\]; expected whole numbers"),
    "huge": (5, [2**62, 2**62], "add up to"),
    "many": (5, list(range(40)), r"are \[0, 1, 2, 3, 4, 5, 6, 7, …\]"),
    "of two dimensions": (5, [[3, 2]], r"must be a tensor \[T\] of int64"),
}


@before_any_target
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("case", SIZES.values(), ids=SIZES)
def test_sizes_that_do_not_fit(case: tuple[int, Any, str], layer: Any) -> None:
    rows, sizes, what = case
    counts = torch.tensor(sizes, dtype=torch.int64)
    # torch's class looks at some of it where it is made.
    packed = tuple.__new__(PackedSequence, (torch.randn(rows, 6), counts, None, None))
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients), pytest.raises(ShapeError, match=what):
            layer()(packed)


@pytest.mark.parametrize("sizes", [torch.tensor([3.0, 2.0]), torch.tensor([3, 2]).int(), [3, 2]])
def test_sizes_that_are_no_whole_numbers(sizes: Any) -> None:
    packed = tuple.__new__(PackedSequence, (torch.randn(5, 6), sizes, None, None))
    with pytest.raises(ShapeError, match=r"must be a tensor \[T\] of int64"):
        conveyor.LSTM(6, 5)(packed)


def test_sizes_and_orders_without_numbers() -> None:
    nothing = torch.empty(2, dtype=torch.int64, device="meta")
    packed = tuple.__new__(PackedSequence, (torch.randn(4, 6), nothing, None, None))
    with pytest.raises(ShapeError, match=r"must be a tensor \[T\] of int64"):
        conveyor.LSTM(6, 5)(packed)
    packed = tuple.__new__(
        PackedSequence, (torch.randn(4, 6), torch.tensor([2, 2]), nothing, nothing)
    )
    with pytest.raises(ShapeError, match="sorted_indices of the packed input"):
        conveyor.LSTM(6, 5)(packed)


ORDERS: dict[str, Tensor] = {
    "twice the same": torch.tensor([0, 0, 1]),
    "beyond": torch.tensor([0, 1, 3]),
    "negative": torch.tensor([0, 1, -1]),
    "too few": torch.tensor([1, 0]),
    "too many": torch.tensor([2, 1, 0, 3]),
    "no whole numbers": torch.tensor([0.0, 1.0, 2.0]),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_orders_that_are_none(order: Tensor) -> None:
    right = torch.tensor([2, 0, 1])
    for indices in ((order, right), (right, order)):
        packed = tuple.__new__(PackedSequence, (torch.randn(5, 6), torch.tensor([3, 2]), *indices))
        with pytest.raises(ShapeError, match=r"expected each of the numbers 0 to 2 once"):
            conveyor.LSTM(6, 5)(packed)


def test_what_fits_runs_as_in_torch() -> None:
    layer, theirs = conveyor.LSTM(6, 5), nn.LSTM(6, 5)
    layer.load_state_dict(theirs.state_dict())
    packed = nn.utils.rnn.pack_sequence(
        [torch.randn(length, 6) for length in (2, 4, 1)], enforce_sorted=False
    )
    torch.testing.assert_close(layer(packed)[0].data, theirs(packed)[0].data)
