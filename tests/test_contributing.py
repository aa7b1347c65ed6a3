"""The task that CONTRIBUTING.md adds works as the page says.

The page's blocks are added to a copy of the program. There its commands run, and the tests that it
names pass.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
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
        shutil.copytree(ROOT / name, folder / name)  # with what Python has compiled of it
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


# Commands, one after the other, and then tests, in one process: a start of Python takes seconds.
BETWEEN = "\x1e"
SCRIPT = f"""
import json, sys
import pytest
from conveyor.cli import app

commands, tests = json.loads(sys.argv[1])
for words in commands:
    sys.argv = ["conveyor", *words]
    try:
        app.run()
    except SystemExit as end:
        if end.code:
            raise
    print({BETWEEN!r}, end="")
code = pytest.main(tests)
print({BETWEEN!r}, int(code), sep="")
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


@dataclass(frozen=True)
class Printed:
    """What the page's commands and its tests print, and how the tests end."""

    fit: str
    evaluate: str
    compare: str
    tests: str
    code: int


@pytest.fixture(scope="module")
def files() -> list[str]:
    """The files of tests that the page names."""
    (line,) = re.findall(r"^scripts/test (tests/tasks/.*)$", section("Adding a task"), re.MULTILINE)
    named: list[str] = line.split()
    return named


@pytest.fixture(scope="module")
def printed(copy: Path, files: list[str]) -> Printed:
    """Do in the copy what the page says."""
    shell = re.findall(r"```sh\n(.*?)```", section("Adding a task"), re.DOTALL)
    lines = re.findall(r"^\.venv/bin/conveyor (.*)$", "".join(shell), re.MULTILINE)
    commands = [line.split() for line in lines]
    assert [words[0] for words in commands] == ["fit", "evaluate", "compare"]
    commands[2] += ["--epochs", "1"]  # a minute less
    # Of all tasks' tests those of the page's; of a whole page's, those that look at every task.
    chosen = "majority or every_metric or what_compare_says"
    asked = json.dumps([commands, [*files, "-k", chosen, "-v"]])
    (copy / "the_page.py").write_text(SCRIPT, encoding="utf-8")
    fit, evaluate, compare, tests, code = run(copy, "the_page", asked).split(BETWEEN)
    return Printed(fit, evaluate, compare, tests, int(code))


def test_the_commands_of_the_page_work_and_the_network_wins(printed: Printed) -> None:
    assert "lstm beats the commoner answer" in printed.fit
    scores = printed.fit.partition("On the test set")[2].splitlines()[1:4]
    assert scores == printed.evaluate.splitlines()[1:4]
    assert "the commoner answer" in printed.compare


def test_the_blocks_of_the_page_have_the_style_that_is_checked(copy: Path) -> None:
    run(copy, "ruff", "check", "src/conveyor")
    run(copy, "ruff", "format", "--check", "src/conveyor")


def test_the_tests_that_the_page_names_pass_for_its_task(
    printed: Printed, files: list[str]
) -> None:
    assert printed.code == 0, printed.tests
    ran = re.findall(r"^(tests/\S+\.py) \.", printed.tests, re.MULTILINE)
    assert sorted(ran) == sorted(files)
