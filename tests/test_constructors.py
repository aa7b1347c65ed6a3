"""Signatures of everything public say what may be given."""

import inspect
from typing import Any, get_overloads

import pytest

import conveyor
from conveyor import networks

CLASSES = {
    f"{module.__name__}.{name}": member
    for module in (conveyor, networks)
    for name in module.__all__
    if inspect.isclass(member := getattr(module, name)) and member.__module__.startswith("conveyor")
}


def spelled_out(function: Any) -> list[str]:
    """Return what is wrong with a signature."""
    wrong = []
    parameters = list(inspect.signature(function).parameters.values())[1:]
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            wrong.append(f"{parameter} stands for arguments that are not named")
        elif parameter.annotation is parameter.empty:
            wrong.append(f"{parameter.name} has no type")
    return wrong


def test_constructors_and_calls_name_and_type_all_arguments() -> None:
    assert len(CLASSES) > 10
    wrong = {
        f"{name}.{method}": problems
        for name, kind in CLASSES.items()
        for method in ("__init__", "forward")
        if method in dir(kind) and (problems := spelled_out(getattr(kind, method)))
    }
    assert wrong == {}


def test_the_test_is_not_blind() -> None:
    class Planted:
        def __init__(self, *args, **kwargs: int) -> None:  # type: ignore[no-untyped-def]
            pass

    assert len(spelled_out(Planted.__init__)) == 2


@pytest.mark.parametrize("layer", [conveyor.LSTM, conveyor.GRU, conveyor.RNN, conveyor.Recurrent])
def test_a_trace_is_in_the_type_of_what_is_returned(layer: Any) -> None:
    returned = [str(inspect.signature(o).return_annotation) for o in get_overloads(layer.forward)]
    # Of a tensor and of a packed sequence; of Recurrent also of inputs by name.
    assert len(returned) == (6 if layer is conveyor.Recurrent else 4)
    assert sum("Trace" in text for text in returned) == len(returned) // 2


@pytest.mark.parametrize("layer", [conveyor.LSTM, conveyor.GRU, conveyor.RNN])
def test_drop_in_layers_take_all_that_recurrent_takes(layer: Any) -> None:
    """Besides what is another thing there: the cell, the sizes of its axes and its constants; and
    dropout is torch's."""
    ours = set(inspect.signature(layer).parameters)
    assert set(inspect.signature(conveyor.Recurrent).parameters) - ours == {
        *("cell", "sizes", "constants", "tied", "locked_dropout")
    }
