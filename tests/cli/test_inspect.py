"""``conveyor inspect`` and ``conveyor units``: what they write, and bad input."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from conveyor.inside import inspect_cell
from tests.cli.conftest import Cli, quick_task
from tests.cli.test_bad_input import refused

LSTM = ["f", "i", "g", "o", "c", "h"]


def test_a_page_is_written_beside_the_report(cli: Cli, text_run: Path) -> None:
    ran = cli("inspect", text_run, "--text", "Trăm năm", "--language", "vi")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert ran.out.splitlines()[0].startswith("Mạng nhìn lại được ")
    assert ran.out.splitlines()[-1] == f"wrote {text_run / 'inspect.html'}"
    page = (text_run / "inspect.html").read_text(encoding="utf-8")
    assert '<html lang="vi">' in page
    assert "Trăm năm" in page


def test_the_report_links_to_the_page_and_a_fit_names_the_command(cli: Cli, text_run: Path) -> None:
    report = (text_run / "report.html").read_text(encoding="utf-8")
    assert '<a href="inspect.html">' in report
    assert "conveyor inspect run" in report


def test_a_fit_names_the_command_and_removes_an_older_page(cli: Cli, tmp_path: Path) -> None:
    options = ("--steps", "6", "--examples", "8", "--hidden", "3", "--epochs", "1")
    cli("fit", "classic", "adding", *options, "--out", "r")
    (tmp_path / "r" / "inspect.html").write_text("older")
    ran = cli("fit", "classic", "adding", *options, "--out", "r", "--overwrite")
    assert ran.code == 0, ran.err
    assert "Next:   conveyor inspect r" in ran.out
    assert "conveyor serve" not in ran.out  # nobody asks a run of adding
    assert not (tmp_path / "r" / "inspect.html").exists()
    ran = cli("inspect", "r", "--row", "5")
    assert ran.code == 0, ran.err
    assert (tmp_path / "r" / "inspect.html").exists()


def test_a_fit_names_the_page_on_which_a_run_can_be_tried(cli: Cli, tmp_path: Path) -> None:
    source, options = quick_task("text", tmp_path)
    ran = cli("fit", "text", source, *options, "--epochs", "1", "--out", "r")
    assert ran.code == 0, ran.err
    last = [line.strip() for line in ran.out.splitlines() if line.strip()][-1]
    assert last == "conveyor serve r  # a page to try it on"


def test_a_run_is_shown_beside_another(cli: Cli, text_run: Path) -> None:
    ran = cli("inspect", text_run, "--text", "Trăm", "--beside", text_run)
    assert ran.code == 0, ran.err
    name = f"LSTM after training ({text_run})"
    assert f"For comparison, in steps: {name} " in ran.out


def test_what_was_seen_is_given_as_data(cli: Cli, text_run: Path, tmp_path: Path) -> None:
    ran = cli("inspect", text_run, "--text", "Trăm", "--as", "npz", "--out", "a.npz")
    assert ran.code == 0, ran.err
    arrays = np.load(tmp_path / "a.npz")
    assert list(arrays["labels"]) == list("Trăm")
    assert arrays["layer0.c"].shape == (4, 8)
    np.testing.assert_allclose(
        arrays["layer0.put_on"], arrays["layer0.i"] * arrays["layer0.g"], atol=1e-6
    )
    assert arrays["gradient[LSTM after training]"].shape == (4, 4)
    ran = cli("inspect", text_run, "--text", "Trăm", "--as", "parquet", "--out", "a.parquet")
    assert ran.code == 0, ran.err
    table = pl.read_parquet(tmp_path / "a.parquet")
    assert table["name"].unique(maintain_order=True).to_list() == [
        *LSTM, "put_on", "taken_off", "carried"
    ]  # fmt: skip
    row = table.filter(name="c", step=2, unit=5)
    assert row["label"].item() == "ă"
    assert row["value"].item() == pytest.approx(arrays["layer0.c"][2, 5])


def test_a_history_is_looked_at(cli: Cli, forecast_run: Path, series: Path) -> None:
    ran = cli("inspect", forecast_run)
    assert ran.code == 0, ran.err
    ran = cli("inspect", forecast_run, "--data", series, "--row", "20")
    assert ran.code == 0, ran.err
    page = (forecast_run / "inspect.html").read_text(encoding="utf-8")
    assert "2020-01-20" in page


def test_a_cell_is_trained_and_shown(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect_cell, "EXAMPLES", 20)
    monkeypatch.setattr(inspect_cell, "EPOCHS", 1)
    monkeypatch.setattr(inspect_cell, "HIDDEN", 4)
    ran = cli("inspect", "--cell", "gru", "--steps", "8")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[:3] == [
        f"training {cell} on the adding problem of 8 steps" for cell in ("gru", "lstm", "rnn")
    ]
    page = (tmp_path / "inspect-gru.html").read_text(encoding="utf-8")
    for name in ("GRU after training", "GRU before training", "LSTM after training"):
        assert name in page
    assert "mean squared error " in page


def test_a_cell_before_training_is_what_its_fit_begins_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"EXAMPLES": 9, "EPOCHS": 1, "HIDDEN": 4, "RATE": 1e-30}.items():
        monkeypatch.setattr(inspect_cell, name, value)
    seen = inspect_cell.inspect_cell("lstm", 6, say=lambda line: None)
    after, before = (seen.gradients[f"LSTM {when} training"] for when in ("after", "before"))
    np.testing.assert_array_equal(after.numpy(), before.numpy())


def test_a_cell_of_ones_own_may_be_gone(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run holds its cell's program, and needs its file no more."""
    (tmp_path / "mine.py").write_text(
        "from conveyor.cells import cell, Input, Matrix, State, Vector, sigmoid\n\n\n"
        "@cell\n"
        "def leaky(x: Input, h: State, W: Matrix, a: Vector):\n"
        "    k = sigmoid(a)\n"
        "    h = k * h + (1 - k) * (W @ x)\n"
        "    return h\n"
    )
    options = ("--steps", "6", "--examples", "8", "--hidden", "3", "--epochs", "1")
    ran = cli("fit", "classic", "adding", "--cell", "mine.py:leaky", *options, "--out", "r")
    assert ran.code == 0, ran.err
    (tmp_path / "mine.py").unlink()
    ran = cli("inspect", "r")
    assert ran.code == 0, ran.err
    assert "leaky before training" in ran.out


def test_a_path_of_a_page_that_cannot_be_written_is_an_error(cli: Cli, text_run: Path) -> None:
    path = text_run / "report.html" / "page.html"
    refused(cli("inspect", text_run, "--text", "a", "--out", path), "report.html")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), ["--cell lstm"]),
        (("--cell", "nope"), ["no cell is named 'nope'"]),
        (("RUN", "--cell", "lstm"), ["Give one of them"]),
        (("RUN", "--steps", "5"), ["--steps is for --cell"]),
        (("--cell", "lstm", "--text", "a"), ["--text is for a run"]),
        (("--cell", "lstm", "--data", "a"), ["--data is for a run"]),
        (("--cell", "lstm", "--row", "1001", "--steps", "2"), ["--row 1001"]),
        (("nothing",), ["there is no such folder"]),
        (("RUN", "--text", ""), ["--text is empty"]),
        (("RUN", "--row", "3"), ["takes no --row here", "There are: --text"]),
        (("RUN", "--as", "pdf"), ["--as pdf", "html, npz or parquet"]),
        (("RUN", "--language", "de"), ["--language is 'de'", "en, vi"]),
        (("RUN", "--data", "gone.txt"), ["gone.txt"]),
        (("RUN", "--beside", "gone"), ["gone is not a run"]),
    ],
)
def test_bad_input_of_inspect_is_a_sentence(
    arguments: tuple[str, ...],
    said: list[str],
    cli: Cli,
    text_run: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inspect_cell, "EXAMPLES", 4)
    monkeypatch.setattr(inspect_cell, "EPOCHS", 1)
    ran = cli("inspect", *(text_run if word == "RUN" else word for word in arguments))
    refused(ran, *said)
    assert not (text_run / "inspect.html").exists()


def test_runs_beside_each_other_read_the_same(cli: Cli, text_run: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("Trải qua một cuộc bể dâu,\n" * 60, encoding="utf-8")
    quick = ("--hidden", "4", "--embedding", "4", "--epochs", "1", "--batch", "4")
    assert cli("fit", "text", "other.txt", *quick, "--out", "other").code == 0
    ran = cli("inspect", text_run, "--beside", "other", "--as", "npz", "--out", "a.npz")
    assert ran.code == 0, ran.err  # it reads the first run's text, not its own
    arrays = np.load(tmp_path / "a.npz")
    assert arrays["gradient[LSTM after training (other)]"].shape[1] == len(arrays["labels"])
    options = ("--steps", "6", "--examples", "8", "--hidden", "3", "--epochs", "1")
    for name, more in (("a", ()), ("b", ("--data-seed", "5"))):
        assert cli("fit", "classic", "adding", *options, *more, "--out", name).code == 0
    refused_after = cli("inspect", "a", "--beside", "b")
    assert refused_after.code == 2
    assert "error: b reads another sequence than a" in refused_after.err


def test_text_that_is_no_utf8_is_a_sentence(cli: Cli, text_run: Path) -> None:
    refused(cli("inspect", text_run, "--text", "a\udcff"), "--text is no UTF-8")


def test_a_run_of_another_task_does_not_stand_beside(
    cli: Cli, text_run: Path, forecast_run: Path
) -> None:
    refused(cli("inspect", text_run, "--beside", forecast_run), "Give runs of one task")


def test_a_table_ends_somewhere(cli: Cli, forecast_run: Path, series: Path) -> None:
    ran = cli("inspect", forecast_run, "--data", series, "--row", "161")
    assert ran.code == 2
    assert "error: --row 161: there are 160 rows. Give a number from 1 to 160." in ran.err
    refused(cli("inspect", forecast_run, "--row", "3"), "--row is of a table. Give --data")


def test_units_are_listed_with_their_controls(cli: Cli, text_run: Path) -> None:
    ran = cli("units", text_run, text_run.parent / "kieu.txt", "--whole", "--language", "en")
    assert ran.code == 0, ran.err
    assert "correlation  best control" in ran.out
    assert "the end of a line" in ran.out
    assert ran.out.splitlines()[-1] == f"wrote {text_run / 'units.html'}"
    page = (text_run / "units.html").read_text(encoding="utf-8")
    assert "the end of a line" in page
    assert "cuối dòng" in page


def test_bad_input_of_units_is_a_sentence(
    cli: Cli, text_run: Path, forecast_run: Path, series: Path
) -> None:
    text = text_run.parent / "kieu.txt"
    refused(cli("units", text_run, text), "the test set has", "200 or more", "--whole")
    refused(cli("units", forecast_run, series), "reads no characters")
    refused(cli("units", text_run, "gone.txt"), "gone.txt")
    refused(cli("units", text_run, text, "--language", "de"), "--language is 'de'")
