"""The course: its pages in both languages, their notebooks, pictures and links. That the code runs
and prints what the pages say is tested in test_docs.py."""

import ast
import json
import re
from pathlib import Path

import pytest

COURSE = Path(__file__).parent.parent / "docs" / "course"
PAGES = sorted(COURSE.glob("[1-9]-*.md"))
TWINS = sorted((COURSE / "vi").glob("[1-9]-*.md"))


def named(path: Path) -> str:
    """The path inside the course."""
    return path.relative_to(COURSE).as_posix()


def code_of(page: Path) -> list[str]:
    """The blocks of Python of a page."""
    return re.findall(
        r"^```python\n(.*?)\n?^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def running(code: str) -> str:
    """Code as it runs, without comments, docstrings and layout."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return ast.unparse(tree)


def printed_in(page: Path) -> list[str]:
    """The blocks of a page that say what is printed."""
    text = page.read_text("utf-8")
    return re.findall(r"^```(?:text|console)\n.*?^```", text, re.DOTALL | re.MULTILINE)


def test_there_are_nine_pages_in_both_languages() -> None:
    assert [page.name[0] for page in PAGES] == list("123456789")
    assert [page.name for page in TWINS] == [page.name for page in PAGES]


@pytest.mark.parametrize("page", TWINS, ids=named)
def test_both_languages_run_the_same_code(page: Path) -> None:
    """So what test_docs.py finds of an English page holds of both."""
    original = COURSE / page.name
    assert list(map(running, code_of(page))) == list(map(running, code_of(original)))
    assert printed_in(page) == printed_in(original)


@pytest.mark.parametrize("page", [*PAGES, *TWINS], ids=named)
def test_a_notebook_is_its_page(page: Path) -> None:
    """``scripts/course`` writes it again."""
    notebook = json.loads(page.with_suffix(".ipynb").read_text("utf-8"))
    code = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    assert code == [block.strip("\n") for block in code_of(page)]
    told = "\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] != "code")
    prose = re.sub(r"```python\n.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    assert told.split() == prose.replace("```sh\n", "```text\n").split()


@pytest.mark.parametrize("page", [*PAGES, *TWINS, COURSE / "README.md"], ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert links
    for link in links:
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_every_picture_is_drawn_by_a_script_and_shown() -> None:
    shown = set()
    for page in [*PAGES, *TWINS]:
        shown |= set(re.findall(r"pictures/([\w-]+\.svg)", page.read_text("utf-8")))
    drawn = {picture.name for picture in (COURSE / "pictures").glob("*.svg")}
    assert shown == drawn
    scripts = "".join(
        script.read_text("utf-8") for script in (COURSE / "pictures").glob("draw_*.py")
    )
    for picture in drawn:
        assert picture.removesuffix(".svg") in scripts, picture


@pytest.mark.parametrize("page", [*PAGES, *TWINS], ids=named)
def test_pages_lead_to_the_next(page: Path) -> None:
    text, number = page.read_text("utf-8"), int(page.name[0])
    assert text.startswith(f"# {number}. ")
    if number < 9:
        (following,) = page.parent.glob(f"{number + 1}-*.md")
        assert f"]({following.name})" in text
