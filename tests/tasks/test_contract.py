"""The contract of tasks: nobody outside a task's folder names it."""

import ast
from functools import cache
from pathlib import Path

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


@cache
def parsed(path: Path) -> ast.Module:
    """What stands in a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def named_in(path: Path, folder: str) -> list[str]:
    """What a file imports of a task's folder, and where it compares with the task's name."""
    lines = []
    for node in ast.walk(parsed(path)):
        modules = []
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or "", *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Import):
            modules = [each.name for each in node.names]
        if any(f"{module}.".startswith(f"conveyor.tasks.{folder}.") for module in modules):
            lines.append(f"an import: {ast.unparse(node)}")
        if isinstance(node, ast.Compare):
            compared = [node.left, *node.comparators]
            if any(isinstance(each, ast.Constant) and each.value == folder for each in compared):
                lines.append(f"line {node.lineno}: compared with {folder!r}")
    return lines


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
