"""What the documents print is what the program prints, and their examples run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conveyor.cells.registry import CELLS, FAMILIES, Family
from conveyor.compiler import page as pages

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "README.vi.md", "ARCHITECTURE.md")


def _blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _shown_in_order(shown: str, printed: str) -> None:
    """Every shown line is a printed line, in order; ``...`` stands for lines left out, and
    without it lines follow each other."""
    lines, place, skipping = printed.splitlines(), 0, False
    for line in shown.strip("\n").splitlines():
        if line.strip() == "...":
            skipping = True
            continue
        assert line in lines[place:], f"not printed, or not here: {line!r}"
        found = lines.index(line, place)
        assert skipping or found == place, f"lines are left out before {line!r}"
        place, skipping = found + 1, False
    assert skipping or place == len(lines), "lines are left out at the end"


@pytest.mark.parametrize("page", PAGES)
def test_console_blocks_are_what_the_commands_print(page: str) -> None:
    blocks = _blocks(page, "console")
    assert blocks or page != "ARCHITECTURE.md"
    for block in blocks:
        command, _, shown = block.removeprefix("$ conveyor ").partition("\n")
        ran = subprocess.run(
            [sys.executable, "-m", "conveyor.cli.start", *command.split()],
            capture_output=True,
            text=True,
            check=True,
        )
        _shown_in_order(shown, ran.stdout)


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_run(page: str, tmp_path: Path) -> None:
    blocks = _blocks(page, "python")
    assert blocks
    for number, block in enumerate(blocks):
        if block.startswith(">>>"):
            code = "\n".join(
                line[4:] for line in block.splitlines() if line.startswith((">>> ", "... "))
            )
            shown = "\n".join(
                line for line in block.splitlines() if not line.startswith((">>> ", "... "))
            )
        else:
            code, shown = block, ""
        script = tmp_path / f"block{number}.py"  # a file, so that errors could show its lines
        script.write_text(code, encoding="utf-8")
        ran = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        if shown:
            _shown_in_order(shown, ran.stdout)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_pages_of_cells_are_what_the_cells_say(family: Family) -> None:
    written = ROOT / "docs" / "cells" / f"{family.name}.md"
    fresh = written.exists() and written.read_text(encoding="utf-8") == pages.page(family)
    assert fresh, f"{written} is not what the cells say now. Run scripts/docs."
    assert len(list(written.parent.iterdir())) == len(FAMILIES) + 1


def test_the_page_beside_the_cells_is_what_they_say() -> None:
    written = ROOT / "docs" / "cells" / "beside.md"
    fresh = written.exists() and written.read_text(encoding="utf-8") == pages.page_beside()
    assert fresh, f"{written} is not what the code says now. Run scripts/docs."


@pytest.mark.parametrize("page", ["README.md", "README.vi.md", "CHANGELOG.md"])
def test_pages_count_the_cells_right(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    counted = re.findall(r"\b(\d+) (?:cell )?\(\[|\b(\d+) are built in", text)
    assert {int(first or second) for first, second in counted} == {len(CELLS)}


@pytest.mark.parametrize("page", ["README.md", "README.vi.md", "CONTRIBUTING.md"])
def test_files_that_the_pages_name_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
