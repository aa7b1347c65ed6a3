"""``conveyor search``: a small search, gone on with, and given nonsense."""

import json
from pathlib import Path

import pytest

from conveyor.searching import cell_search, screen
from tests.cli.conftest import Cli

QUICK = (
    *("--mutants", "3", "--draws", "1", "--parameters", "600", "--epochs", "1"),
    *("--finalists", "1", "--fresh", "1"),
)
CLASSIC = ("--examples", "60", "--batch", "30")


@pytest.fixture(autouse=True)
def easy_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory test of a second, which every cell passes whose numbers stay finite."""
    settings = screen.ScreenSettings(hidden=4, steps=50)
    monkeypatch.setattr(screen, "PASSED", 0.0)
    monkeypatch.setattr(cell_search, "PASSED", 0.0)
    monkeypatch.setattr(cell_search, "ScreenSettings", lambda: settings)


def test_a_search_finds_cells_that_compare_takes(cli: Cli, tmp_path: Path) -> None:
    command = ("search", "temporal_order,counting", "--cells", "rnn", *QUICK, *CLASSIC)
    ran = cli(*command)
    assert ran.code == 0, ran.err
    folder = next(tmp_path.rglob("search.json")).parent
    assert folder.name == "search-temporal_order-counting"
    content = json.loads((folder / "search.json").read_text())
    assert content["tasks"] == ["temporal_order", "counting"]
    assert "3 new" in ran.out
    assert "With 1 fresh seed nothing can be said: give --fresh 3 or more." in ran.out
    for cell in ("gru", "rnn"):
        assert f"temporal_order: {cell} with fresh seed 1" in ran.out
    again = cli(*command)
    assert again.code == 0, again.err
    assert "with fresh seed" not in again.out
    line = next(line for line in again.out.splitlines() if line.startswith("Next:"))
    words = line.split()
    cells = words[words.index("--cells") + 1]
    compared = cli(
        "compare", "temporal_order", "--cells", cells, "--trials", "1", "--epochs", "1", *CLASSIC
    )
    assert compared.code == 0, compared.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("adding,adding",), "expected tasks or files, each once"),
        ((",",), "expected tasks or files, each once"),
        (("nothing",), "there is no such file"),
        (("adding", "--mutants", "-1"), "--mutants is -1; expected 0 or more"),
        (("adding", "--cells", "gru_layer_norm"), "gru_layer_norm uses normalise"),
        (("adding", "--cells", "grid_lstm"), "grid_lstm"),
        (("adding", "--unit", "word"), "--unit: only for --task"),
        (("adding", "--parameters", "3", *CLASSIC), "--parameters 3: a network of one unit has"),
        (("adding", "--storage", "nonsense"), "expected a database"),
    ],
)
def test_nonsense_is_one_sentence(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    ran = cli("search", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_options_of_each_task_may_be_given(cli: Cli) -> None:
    """--unit is of texts, --steps of classic tasks: in a search over both, both may be given."""
    ran = cli(
        "search", "adding,xml", "--steps", "10", "--unit", "char", "--mutants", "0",
        "--draws", "1", "--parameters", "3000", "--epochs", "1", "--fresh", "1", *CLASSIC,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "adding: gru with fresh seed 1" in ran.out
    assert "xml: gru with fresh seed 1" in ran.out
