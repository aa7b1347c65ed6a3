"""The task that CONTRIBUTING.md adds works as the page says.

The page's blocks are added to a copy of the program. There its commands run, and the tests that it
names pass.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def section(heading: str) -> str:
    """Return the section of the page below a heading."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.split(r"^## ", text[text.index(f"## {heading}\n") + 3 :], flags=re.MULTILINE)[0]


def insert(path: Path, after: str, lines: str) -> None:
    """Write lines into a file, below the only line that begins so."""
    text = path.read_text(encoding="utf-8")
    (line,) = re.findall(rf"^{re.escape(after)}.*\n", text, flags=re.MULTILINE)
    path.write_text(text.replace(line, line + lines), encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program and its tests to which the page's steps are done."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    page = section("Adding a task")
    blocks = re.findall(r"```(?:python|text)\n(.*?)```", page, re.DOTALL)
    paths = re.findall(r"`(tasks/majority/\w+\.py)`", page)
    package = folder / "src" / "conveyor"
    (package / "tasks" / "majority").mkdir()
    (package / "tasks" / "majority" / "__init__.py").touch()
    settings, task, entry, explanation, names = blocks
    for path, block in zip(paths, (settings, task), strict=True):
        (package / path).write_text(block, encoding="utf-8")
    insert(package / "tasks" / "task_registry.py", "TASKS = (", entry)
    insert(package / "pages" / "glossary.py", "EXPLAINED: ", explanation)
    insert(package / "pages" / "vietnamese_names.py", "VIETNAMESE = {", names)
    source, quick = re.findall(r"`(\"majority\": .*?)` in `(?:SOURCES|QUICK)`", page)
    insert(folder / "tests" / "tasks" / "test_run.py", "SOURCES: ", f"    {source},\n")
    insert(folder / "tests" / "tasks" / "test_run.py", "QUICK: ", f"    {quick},\n")
    return folder


# Commands, one after the other in one process: a start of Python takes seconds.
BETWEEN = "\x1e"
COMMANDS = f"""
import sys
from conveyor.cli import app

for command in sys.argv[1:]:
    print({BETWEEN!r}, end="")
    sys.argv = ["conveyor", *command.split()]
    try:
        app.run()
    except SystemExit as end:
        if end.code:
            raise
"""


def run(folder: Path, *words: str) -> str:
    """Run a module of Python in the copy, and return what it prints."""
    ran = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_commands_of_the_page_work_and_the_network_wins(copy: Path) -> None:
    shell = re.findall(r"```sh\n(.*?)```", section("Adding a task"), re.DOTALL)
    commands = re.findall(r"^\.venv/bin/conveyor (.*)$", "".join(shell), re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["fit", "evaluate", "compare"]
    commands[2] += " --epochs 1"  # a minute less
    (copy / "commands.py").write_text(COMMANDS, encoding="utf-8")
    fit, evaluate, compare = run(copy, "commands", *commands).split(BETWEEN)[1:]
    assert "lstm beats the commoner answer" in fit
    assert fit.partition("On the test part")[2].splitlines()[1:4] == evaluate.splitlines()[1:4]
    assert "the commoner answer" in compare


def test_the_blocks_of_the_page_have_the_style_that_is_checked(copy: Path) -> None:
    run(copy, "ruff", "check", "src/conveyor")
    run(copy, "ruff", "format", "--check", "src/conveyor")


def test_the_tests_that_the_page_names_pass_for_its_task(copy: Path) -> None:
    (line,) = re.findall(r"^scripts/test (tests/tasks/.*)$", section("Adding a task"), re.MULTILINE)
    # Of all tasks' tests those of the page's; of a whole page's, those that look at every task.
    chosen = "majority or every_metric or what_compare_says"
    printed = run(copy, "pytest", *line.split(), "-k", chosen, "-v")
    ran = re.findall(r"^(tests/\S+\.py) \.", printed, re.MULTILINE)
    assert sorted(ran) == sorted(line.split())
