"""What users may import: listed, sorted, documented."""

import ast
import inspect
from pathlib import Path
from types import FunctionType, ModuleType
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


def test_public_things_have_docstrings() -> None:
    things = {name: thing for name, thing in PUBLIC.items() if not isinstance(thing, dict)}
    things |= {f"cells.{name}": getattr(cells, name) for name in cells.__all__ if name != "CELLS"}
    assert [name for name, thing in things.items() if not documented(thing)] == []


def test_built_in_cells_have_a_docstring_and_a_source() -> None:
    for name, built_in in conveyor.CELLS.items():
        assert isinstance(built_in, Cell), name
        assert built_in.doc, name
        assert built_in.source, name


def public_methods() -> list[tuple[str, FunctionType]]:
    """Every public method that is ours of every public class, inherited ones included."""
    classes = {name: thing for name, thing in PUBLIC.items() if isinstance(thing, type)}
    assert len(classes) > 4
    return [
        (f"{name}.{method_name}", method)
        for name, thing in classes.items()
        for method_name, method in inspect.getmembers(thing, inspect.isfunction)
        if method.__module__.startswith("conveyor") and not method_name.startswith("_")
    ]


def test_public_methods_have_docstrings() -> None:
    assert [name for name, method in public_methods() if not documented(method)] == []


def test_public_arguments_are_typed() -> None:
    for name, method in public_methods():
        letters = [n for n in inspect.signature(method).parameters if n != "self"]
        assert {*letters, "return"} <= method.__annotations__.keys(), name


def test_errors_are_ours_and_listed_in_the_tree() -> None:
    things = [each for each in vars(errors).values() if isinstance(each, type)]
    kinds = [each for each in things if issubclass(each, BaseException)]
    assert len(kinds) > 5
    assert errors.__doc__ is not None
    for error in kinds:
        assert issubclass(error, errors.ConveyorError), error
        assert documented(error), error
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


def without_docstring(path: Path) -> list[str]:
    """The public functions and classes at the top of a file that say nothing of themselves, and
    the file if it says nothing; an empty one need not."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = [] if not tree.body or ast.get_docstring(tree) else [path.name]
    for node in tree.body:
        things = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(node, things) and not node.name.startswith("_"):
            overload = any(
                isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list
            )
            if not (overload or ast.get_docstring(node)):
                silent.append(f"{path.name}: {node.name}")
    return silent


def test_files_and_their_public_things_have_docstrings() -> None:
    assert [each for path in PACKAGE.rglob("*.py") for each in without_docstring(path)] == []


def test_layers_are_modules_of_torch() -> None:
    for name in ("GRU", "LSTM", "RNN", "Recurrent"):
        assert issubclass(PUBLIC[name], torch.nn.Module)
