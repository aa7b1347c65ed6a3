"""What the documents print is what the program prints, and their examples run."""

import re
import shlex
from functools import cache
from itertools import count as count_from
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from conveyor.cells.cell_registry import CELLS, FAMILIES, Family
from conveyor.cli.app import app
from conveyor.compiler import page as pages
from tests.kinds import LONG
from tests.warm_python import run

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "README.vi.md", "ARCHITECTURE.md")
# Pages of jobs: their blocks go on from each other.
GUIDES = tuple(
    sorted(
        path.relative_to(ROOT).as_posix()
        for folder in ("docs", "docs/course", "docs/course/vi")
        for path in (ROOT / folder).glob("*.md")
    )
)

# What is printed between the blocks of a guide: the record separator of ASCII.
_BETWEEN = "\x1e"


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
def test_console_blocks_are_what_the_commands_print(page: str, tmp_path: Path) -> None:
    blocks = _blocks(page, "console")
    assert blocks or page != "ARCHITECTURE.md"
    for block in blocks:
        command, _, shown = block.removeprefix("$ conveyor ").partition("\n")
        ended = run("-m", "conveyor.cli.start", *command.split(), folder=tmp_path)
        assert ended.code == 0, ended.err
        _shown_in_order(shown, ended.out)


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
        ended = run(str(script), folder=tmp_path)
        assert ended.code == 0, ended.err
        if shown:
            _shown_in_order(shown, ended.out)


# How a guide's script runs a command.
_COMMAND = """
def _conveyor(*words):
    import sys
    from conveyor.cli import app

    sys.argv = ["conveyor", *words]
    try:
        app.run()
    except SystemExit as end:
        if end.code:
            raise
"""

# In the short run forecasters are the mean of one network instead of several: what is printed of
# them is the same.
_ONE_MEMBER = """
import conveyor
_fit_as_written = conveyor.fit

def _fit(task, source=None, **settings):
    if task == "forecast":
        settings.setdefault("members", 1)
    return _fit_as_written(task, source, **settings)

conveyor.fit = _fit
"""


def _script_of(blocks: list[tuple[str, str]], folder: Path) -> str:
    """Return all code of a guide as one script. Its console blocks become calls of the command; a
    block that begins with the name of a file is that file, too."""
    lines = [_COMMAND] if LONG else [_COMMAND, _ONE_MEMBER]
    for language, block in blocks:
        lines.append(f"print({_BETWEEN!r})")
        if language == "python":
            name = re.match(r"# (\w+\.py)\n", block)
            if name:
                (folder / name[1]).write_text(block, encoding="utf-8")
            lines.append(block)
        elif language == "console":
            words = shlex.split(block.partition("\n")[0].removeprefix("$ conveyor "))
            if words[:2] == ["fit", "forecast"] and not LONG:
                words += ["--members", "1"]
            lines.append(f"_conveyor(*{words!r})")
    return "\n".join(lines)


# Vietnamese pages of the course hold the blocks of the English ones, see test_course.py.
RUN = tuple(page for page in GUIDES if not page.startswith("docs/course/vi/"))


@pytest.mark.parametrize("page", RUN)
def test_guides_run_from_top_to_bottom(page: str, tmp_path: Path) -> None:
    """A text block is what the block before it prints."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```(python|console|text)\n(.*?)```", text, re.DOTALL)
    script = tmp_path / "guide.py"  # a file, so that errors could show its lines
    script.write_text(_script_of(blocks, tmp_path), encoding="utf-8")
    ended = run(str(script), folder=tmp_path)
    assert ended.code == 0, ended.out + ended.err
    printed = ended.out.split(f"{_BETWEEN}\n")[1:]
    for number, (language, block) in enumerate(blocks):
        if language == "console":
            _shown_in_order(block.partition("\n")[2], printed[number])
        elif language == "text":
            _shown_in_order(block, printed[number - 1])


@cache
def _command(*path: str) -> tuple[Any, Any]:
    """Return the command of that name, or of these names one below the other, and its context."""
    if not path:
        command: Any = get_command(app)
        return command, command.context_class(command)
    above, context = _command(*path[:-1])
    command = above.get_command(context, path[-1])
    return command, command.context_class(command, parent=context)


def _command_of(words: list[str]) -> tuple[Any, Any, list[str]]:
    """Return the command that a line calls, its context, and the words that follow its name."""
    count = next(n for n in count_from(1) if not hasattr(_command(*words[:n])[0], "get_command"))
    return *_command(*words[:count]), words[count:]


def _options_of(command: Any) -> set[str]:
    """Return the options that the help of a command lists."""
    listed = (each for each in command.params if not getattr(each, "hidden", False))
    return {name for each in listed for name in (*each.opts, *each.secondary_opts)}


@pytest.mark.parametrize("page", [*PAGES, *GUIDES])
def test_commands_have_the_options_that_pages_give_them(page: str) -> None:
    for block in _blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["conveyor"]:
                ends = [place for place, word in enumerate(words) if word in ("|", "<", ">")]
                asked = words[1 : min(ends, default=len(words))]
                command, context, rest = _command_of(asked)
                options = {word for word in rest if word.startswith("--")}
                assert options <= _options_of(command), line
                left_over = command.make_parser(context).parse_args(rest)[1]
                assert not left_over, line


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_pages_of_cells_are_what_the_cells_say(family: Family) -> None:
    written = ROOT / "docs" / "cells" / f"{family.name}.md"
    fresh = written.exists() and written.read_text(encoding="utf-8") == pages.page(family)
    assert fresh, f"{written} is not what the cells say now. Run scripts/docs."
    assert len(list(written.parent.iterdir())) == len(FAMILIES) + 1


def test_the_page_of_structures_the_cells_is_what_they_say() -> None:
    written = ROOT / "docs" / "cells" / "structures.md"
    fresh = written.exists() and written.read_text(encoding="utf-8") == pages.page_of_structures()
    assert fresh, f"{written} is not what the code says now. Run scripts/docs."


@pytest.mark.parametrize("page", ["README.md", "README.vi.md", "CHANGELOG.md"])
def test_pages_count_the_cells_right(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    counted = re.findall(r"\b(\d+) (?:cell )?\(\[|\b(\d+) are built in", text)
    assert {int(first or second) for first, second in counted} == {len(CELLS)}


def _numbers_of(page: str, first: str, last: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return sorted(re.findall(r"\d[\d.,]*\d|\d", text[text.index(first) : text.index(last)]))


def test_summaries_give_figures_of_their_pages() -> None:
    pages_of = {"## How fast it is": "speed.md", "## How well it learns": "evidence.md"}
    ends = ("## How well it learns", "## More")
    for (first, page), last in zip(pages_of.items(), ends, strict=True):
        whole = (ROOT / "docs" / page).read_text(encoding="utf-8")
        known = set(re.findall(r"\d+\.\d+", whole))
        given = {each for each in _numbers_of("README.md", first, last) if "." in each}
        assert given
        assert given <= known


def test_both_readmes_give_the_same_figures() -> None:
    english = _numbers_of("README.md", "## How fast it is", "## More")
    vietnamese = _numbers_of("README.vi.md", "## Nhanh đến đâu", "## Đọc thêm")
    comma_for_point = str.maketrans(".,", ",.")
    assert vietnamese == sorted(each.translate(comma_for_point) for each in english)


@pytest.mark.parametrize("page", ["README.md", "README.vi.md", "CONTRIBUTING.md", *GUIDES])
def test_files_that_the_pages_name_exist(page: str) -> None:
    path = ROOT / page
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (path.parent / target).exists(), target


def test_every_guide_is_in_the_index() -> None:
    """Vietnamese pages have an index of their own, which is in the English one."""
    for page in GUIDES:
        folder = "docs/course/vi" if page.startswith("docs/course/vi/") else "docs"
        index = (ROOT / folder / "README.md").read_text(encoding="utf-8")
        name = page.removeprefix(f"{folder}/")
        assert name == "README.md" or f"]({name})" in index, name
    assert "](course/vi/README.md)" in (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
