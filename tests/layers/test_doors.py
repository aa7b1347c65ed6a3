"""What a layer is given by mistake raises an error that says what was expected."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import conveyor
from conveyor.errors import ConveyorError
from conveyor.layers.clockwork import ClockState

X = torch.randn(7, 2, 6)
H = torch.randn(1, 2, 5)
LSTM = conveyor.LSTM(6, 5)

WRONG: dict[str, tuple[Callable[[Any], object], list[Any], str]] = {
    "explain": (
        LSTM.explain,
        [[1.5], None, "abc", np.zeros((7, 2, 6)), X.to_sparse()],
        "input is a .*; expected|layout",
    ),
    "explain another type": (LSTM.explain, [X.long(), X.double()], "input is of torch"),
    "lengths": (
        lambda value: LSTM(X, lengths=value),
        [
            *([7], [7.0, 2.0], ["a", "b"], "ab", 7, [8, 2], [-1, 2], [True, False], [7, None], {}),
            *([[7], [2]], [2**70, 1], torch.tensor([7.0, 2.0]), np.array([7.0, 2.0])),
            *(torch.tensor([7, 2], device="meta"), torch.tensor([7, 2]).to_sparse()),
        ],
        "lengths .*expected",
    ),
    "reset": (
        lambda value: LSTM(X, reset=value),
        [
            *(np.zeros((7, 2), bool), [[False] * 2] * 7, torch.zeros(7, 2), True, "a"),
            *(torch.zeros(2, 7, dtype=torch.bool), torch.zeros(7, dtype=torch.bool)),
            torch.zeros(7, 2, dtype=torch.bool, device="meta"),
            torch.zeros(7, 2, dtype=torch.bool).to_sparse(),
        ],
        "reset is .*expected",
    ),
    "states": (
        lambda value: LSTM(X, value),
        [
            *(H, (H,), (H, H, H), (H.numpy(), H.numpy()), "ab", (H, None), {"h": H}, 3),
            *((H.to_sparse(), H), (H.long(), H.long()), (H[0], H[0]), (H.to("meta"), H)),
        ],
        "hx is|state h",
    ),
    "batch": (LSTM.start, ["a", -1, 1.5, None, True, 2**70, np.int64(2)], "batch is"),
    "batch of a stream": (LSTM.stream, ["a", 0, 1.5, None, True, 2**70], "batch is"),
    "no states": (lambda value: LSTM(X, value), [[], ()], r"hx is a \w+ of \(\)"),
    "a model to replace": (conveyor.replace, [5, None, torch.nn.LSTM], "the model is"),
    "a model to restore": (conveyor.restore, [5, None, conveyor.LSTM], "the model is"),
    "what to show": (lambda value: conveyor.show("lstm", value), [[], None, 3], "cannot be shown"),
    "target": (conveyor.use_target, [[], 3, "cuda"], "target"),
    "layer of a trace": (
        LSTM(X, trace=True)[2].at,
        [[], None, "a", 1],
        "no layer",
    ),
    "direction of a trace": (
        lambda value: LSTM(X, trace=True)[2].at(0, reverse=value),
        ["x", 10**30, None, True],
        "no layer",
    ),
    "zoneout": (
        lambda value: conveyor.Recurrent("lstm", 6, 5, zoneout=value),
        [{None: 0.1}, {"q": 0.1}, "a"],
        "has no state|zoneout of",
    ),
    "state of a stream": (
        lambda value: setattr(LSTM.stream(), "state", value),
        [None, [], {}, {"h": 1, "c": 2}],
        "the state is",
    ),
    "features of a clockwork": (
        lambda value: conveyor.Clockwork(value, 6, (1, 2)),
        ["x", 0, None],
        "input_size is",
    ),
    "state of a clockwork": (
        lambda value: conveyor.Clockwork(6, 5, (1, 2))(X, value),
        [3, ClockState((), None, ()), ClockState(([], []), 0, ())],
        "the state is none of this layer's",
    ),
    "dtype": (
        lambda value: conveyor.Recurrent("lstm", 6, 5, dtype=value),
        [torch.int64, torch.complex64, "float"],
        "dtype is .*expected a torch.dtype",
    ),
    "sizes": (
        lambda value: conveyor.Recurrent("lstm", 6, 5, sizes=value),
        [3, "P", [("P", 3)]],
        "sizes is .*expected numbers by axis",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_given_by_mistake(name: str) -> None:
    call, values, what = WRONG[name]
    for value in values:
        with pytest.raises(ConveyorError, match=what):
            call(value)


def test_no_steps_are_explained() -> None:
    assert "target: llvm" in LSTM.explain(torch.zeros(0, 2, 6))


def test_keywords_of_other_libraries() -> None:
    """The class that was called is named, no private one."""
    for make in (conveyor.LSTM, conveyor.GRU, conveyor.RNN):
        anyhow: Any = make
        with pytest.raises(TypeError, match=rf"^{make.__name__}\.__init__\(\) got an unexpected"):
            anyhow(50, input_shape=(10, 1))
        with pytest.raises(TypeError, match=rf"^{make.__name__}\.__init__\(\) missing 1 required"):
            anyhow(50)
