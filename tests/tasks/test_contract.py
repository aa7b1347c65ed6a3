"""The contract of tasks: nobody outside a task's folder names it."""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import conveyor
from conveyor.tasks.task import Task
from conveyor.tasks.task_registry import TASKS

PACKAGE = Path(conveyor.__file__).parent
# Folders of what several tasks are made of, each with these tasks.
SHARED = {
    "latent": ("draw", "storn", "vrnn"),
    "pairs": ("caption", "chat", "pronounce", "translate"),
}
FOLDERS = sorted(
    path.name
    for path in (PACKAGE / "tasks").iterdir()
    if (path / "__init__.py").exists() and path.name not in SHARED
)
FILES = [p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "tasks" / "task_registry.py"]


class Naming(NamedTuple):
    """Where a file names something: what, and how that is said."""

    names: frozenset[str]
    said: str


@cache
def namings(path: Path) -> list[Naming]:
    """The imports of a file, with the modules that each may mean, and its comparisons, with the
    texts that are compared."""
    of_file = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            modules = {node.module or "", *(f"{node.module}.{each.name}" for each in node.names)}
            of_file.append(Naming(frozenset(modules), f"an import: {ast.unparse(node)}"))
        elif isinstance(node, ast.Import):
            modules = {each.name for each in node.names}
            of_file.append(Naming(frozenset(modules), f"an import: {ast.unparse(node)}"))
        elif isinstance(node, ast.Compare):
            compared = [node.left, *node.comparators]
            values = [each.value for each in compared if isinstance(each, ast.Constant)]
            texts = frozenset(repr(each) for each in values if isinstance(each, str))
            of_file.append(Naming(texts, f"line {node.lineno}: compared"))
    return of_file


def named_in(path: Path, folder: str) -> list[str]:
    """What a file imports of a task's folder, and where it compares with the task's name."""
    package = f"conveyor.tasks.{folder}."
    return [
        naming.said
        for naming in namings(path)
        if any(name == repr(folder) or f"{name}.".startswith(package) for name in naming.names)
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_nobody_outside_its_folder_names_a_task(folder: str) -> None:
    outside = {
        str(path.relative_to(PACKAGE)): named_in(path, folder)
        for path in FILES
        if path.parent != PACKAGE / "tasks" / folder
    }
    assert {name: lines for name, lines in outside.items() if lines} == {}


def test_the_test_is_not_blind(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import conveyor.tasks.text.ngram\n"
        "from conveyor.tasks import text\n"
        "def f(task):\n"
        "    from conveyor.tasks.text.ngram import Ngram\n"
        "    return task == 'text'\n"
    )
    assert len(named_in(wrong, "text")) == 4


def test_every_folder_is_a_task_of_the_registry() -> None:
    assert sorted(entry.name for entry in TASKS) == FOLDERS


@pytest.mark.parametrize("folder", SHARED)
def test_a_shared_folder_is_named_by_its_tasks_alone(folder: str) -> None:
    outside = {path for path in FILES if path.parent != PACKAGE / "tasks" / folder}
    naming = {path.parent.name for path in outside if named_in(path, folder)}
    assert sorted(naming) == sorted(SHARED[folder])


@pytest.mark.parametrize("entry", TASKS, ids=lambda entry: entry.name)
def test_a_task_keeps_the_contract(entry: object) -> None:
    task = entry.task  # type: ignore[attr-defined]
    assert issubclass(task, Task)
    assert task.name == entry.name == entry.settings.task  # type: ignore[attr-defined]
    folder = f"conveyor.tasks.{task.name}."
    assert task.__module__.startswith(folder)
    assert entry.settings.__module__.startswith(folder)  # type: ignore[attr-defined]
