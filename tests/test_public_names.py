"""What users may import: listed, sorted, documented."""

import ast
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import conveyor
from conveyor import cells, errors
from conveyor.cells import Cell

PACKAGE = Path(conveyor.__file__).parent
PUBLIC = {name: getattr(conveyor, name) for name in conveyor.__all__}
MODULES = {"conveyor": conveyor, "conveyor.cells": cells}

# ``__version__`` is the public name of the first; the second is the command's, not for users; the
# others are types of arguments.
UNLISTED = {"VERSION", "signals", "Cell", "Program"}


def rank(name: str) -> tuple[int, str]:
    """The order that ruff keeps: constants, then classes, then the rest."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_all_is_sorted_and_without_doubles(module: ModuleType) -> None:
    assert list(module.__all__) == sorted(set(module.__all__), key=rank)


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_all_is_complete(module: ModuleType) -> None:
    """What __init__.py imports of ours and defines is public, but for what it says it is not."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    bound = {node.name for node in functions if not node.name.startswith("_")}
    inside = {id(node) for function in functions for node in ast.walk(function)}
    bound |= {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and id(node) not in inside
        if (node.module or "").startswith("conveyor")
        for alias in node.names
    }
    assert set(module.__all__) == bound - (UNLISTED - set(module.__all__))
    for name in module.__all__:
        assert hasattr(module, name)


def test_a_star_import_gives_what_is_listed() -> None:
    names: dict[str, Any] = {}
    exec("from conveyor import *", names)
    assert names.keys() - {"__builtins__"} == set(conveyor.__all__)


def test_the_version_is_one() -> None:
    assert conveyor.__version__ == conveyor.version.VERSION
    assert all(part.isalnum() for part in conveyor.__version__.split("."))


def documented(thing: Any) -> bool:
    """A docstring of its own, not an inherited one, that says something."""
    text = thing.__dict__.get("__doc__") if isinstance(thing, type) else thing.__doc__
    return bool(text and text.strip())


@pytest.mark.parametrize("name", [n for n, thing in PUBLIC.items() if not isinstance(thing, dict)])
def test_public_thing_has_a_docstring(name: str) -> None:
    assert documented(PUBLIC[name])


@pytest.mark.parametrize("name", [n for n in cells.__all__ if n != "CELLS"])
def test_word_of_the_cell_language_has_a_docstring(name: str) -> None:
    assert documented(getattr(cells, name))


@pytest.mark.parametrize("name", conveyor.CELLS)
def test_built_in_cell_has_a_docstring_and_a_source(name: str) -> None:
    made = conveyor.CELLS[name]
    assert isinstance(made, Cell)
    assert made.doc
    assert made.source


@pytest.mark.parametrize("name", [n for n, thing in PUBLIC.items() if isinstance(thing, type)])
def test_public_method_has_a_docstring(name: str) -> None:
    """Of every method that is ours, inherited ones included."""
    for method_name, method in inspect.getmembers(PUBLIC[name], inspect.isfunction):
        ours = method.__module__.startswith("conveyor")
        if ours and not method_name.startswith("_"):
            assert documented(method), method_name


@pytest.mark.parametrize("name", [n for n, thing in PUBLIC.items() if isinstance(thing, type)])
def test_public_arguments_are_typed(name: str) -> None:
    for method_name, method in inspect.getmembers(PUBLIC[name], inspect.isfunction):
        if method.__module__.startswith("conveyor") and not method_name.startswith("_"):
            letters = [n for n in inspect.signature(method).parameters if n != "self"]
            assert {*letters, "return"} <= method.__annotations__.keys(), method_name


ERRORS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, BaseException)
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error.__name__))
def test_error_is_ours_and_listed_in_the_tree(error: type[Exception]) -> None:
    assert issubclass(error, errors.ConveyorError)
    assert documented(error)
    assert errors.__doc__ is not None
    assert error.__name__ in errors.__doc__


def test_errors_are_also_what_torch_raises() -> None:
    """Code that caught torch's error catches ours."""
    assert issubclass(errors.ShapeError, RuntimeError)
    assert issubclass(errors.ShapeError, ValueError)
    assert issubclass(errors.SettingError, ValueError)


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("lstn", ["gru", "lstm"], "Did you mean 'lstm'?"),
        ("LSTM", ["gru", "lstm"], "Did you mean 'lstm'?"),
        ("xyz", ["lstm", "gru"], "There are: gru, lstm."),
        ("xyz", [], "There are none."),
        ("b.g", ["b.f", "b.i"], "Did you mean 'b.i' or 'b.f'?"),
    ],
)
def test_did_you_mean(name: str, known: list[str], hint: str) -> None:
    assert errors.did_you_mean(name, known) == hint


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.name))
def test_file_and_its_public_things_have_docstrings(path: Path) -> None:
    """Every file but empty ones, and every public function and class at its top."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not tree.body:
        return
    assert ast.get_docstring(tree), path.name
    for node in tree.body:
        things = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(node, things) and not node.name.startswith("_"):
            overload = any(
                isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list
            )
            assert overload or ast.get_docstring(node), f"{path.name}: {node.name}"


def test_layers_are_modules_of_torch() -> None:
    for name in ("GRU", "LSTM", "RNN", "Recurrent"):
        assert issubclass(PUBLIC[name], torch.nn.Module)
