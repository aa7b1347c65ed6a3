"""A search from its beginning to its report, on a task of a second."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from conveyor.cells.cell_registry import find
from conveyor.cli.user_cell import find_cell
from conveyor.comparing.storage import sqlite_url
from conveyor.comparing.study import Space, Trial, width_of
from conveyor.comparing.trial import Draw, Outcome, build_network
from conveyor.compiler.show import program_of
from conveyor.compiler.trace import trace
from conveyor.errors import RunError, SettingError
from conveyor.networks.network import LOSS
from conveyor.searching import cell_search, screen
from conveyor.searching.cell_graph import graph_of
from conveyor.searching.cell_search import CellSearch, SearchSettings, in_nats, ratio
from conveyor.searching.screen import ScreenSettings
from conveyor.searching.search_report import (
    FreshScores,
    SearchOutcome,
    described_counts,
    write_search,
)
from conveyor.tasks.classic.classic_settings import ClassicData, ClassicSettings
from conveyor.tasks.classic.classic_task import ClassicTask
from conveyor.tasks.results import Metric
from conveyor.tasks.settings import Training
from conveyor.training.launch import silence

# Twenty steps of four units tell nothing: who "passes" is who is not given up for another reason.
QUICK = ScreenSettings(hidden=4, steps=50)
SETTINGS = SearchSettings(mutants=5, screen=4, draws=2, finalists=2, fresh=3, test=QUICK)


def task(name: str = "temporal_order") -> ClassicTask:
    data = ClassicData(name=name, examples=60, steps=0 if name == "temporal_order" else 10)
    training = Training(epochs=1, batch=30)
    return ClassicTask(ClassicSettings(data=data, training=training), silence)


def begun(folder: Path, settings: SearchSettings = SETTINGS, **options: bool) -> CellSearch:
    return CellSearch(
        sqlite_url(folder / "study.db"),
        "one",
        {"temporal_order": task()},
        cells={"lstm": trace(find("lstm"))},
        space=Space((1, 1), (1e-3, 1e-2), 600),
        settings=settings,
        **options,
    )


@pytest.fixture(autouse=True)
def easy_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that every cell passes whose numbers stay finite."""
    monkeypatch.setattr(screen, "PASSED", 0.0)
    monkeypatch.setattr(cell_search, "PASSED", 0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search and its report."""
    path = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screen, "PASSED", 0.0)
        patch.setattr(cell_search, "PASSED", 0.0)
        search = begun(path)
        search.run(silence)
        write_search(path, search, title="it", repeat="conveyor search", language="en")
    return path


def test_what_was_drawn_is_told_apart_and_counted(folder: Path) -> None:
    search = begun(folder)
    counts = described_counts(search)
    assert counts["new"] == 5
    assert counts["took the memory test"] == 4
    known = {"new", "took the memory test", "passed it", "in the list", "drawn"}
    given_up = sum(number for what, number in counts.items() if what not in known)
    assert counts["drawn"] == counts["new"] + given_up
    assert next(iter(counts)) == "drawn"
    assert counts["passed it"] >= counts["in the list"] >= 1


def test_a_finished_search_has_nothing_to_do(folder: Path) -> None:
    said: list[str] = []
    search = begun(folder)
    before = search.counts()
    search.run(said.append)
    assert said == []
    assert search.counts() == before


def test_more_mutants_go_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes((folder / "study.db").read_bytes())
    before = {mutant.name for mutant in begun(tmp_path).database.mutants()}
    search = begun(tmp_path, replace(SETTINGS, mutants=7, survivors=0))
    search.run(silence)
    after = {mutant.name for mutant in search.database.mutants()}
    assert before < after
    assert len(after) == 7
    with pytest.raises(SettingError, match="seed: 0 there, 1 now"):
        begun(tmp_path, replace(SETTINGS, seed=1))


def test_a_search_that_cannot_begin_leaves_the_old_one(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes((folder / "study.db").read_bytes())
    with pytest.raises(SettingError, match="a network of one unit has"):
        CellSearch(
            sqlite_url(tmp_path / "study.db"),
            "one",
            {"temporal_order": task()},
            cells={"lstm": trace(find("lstm"))},
            space=Space((1, 1), (1e-3, 1e-2), 3),
            settings=SETTINGS,
            overwrite=True,
        )
    assert begun(tmp_path).listed() == begun(folder).listed()


def test_fits_of_a_draw_that_is_no_longer_the_best_are_not_shown(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.db").write_bytes((folder / "study.db").read_bytes())
    before = begun(tmp_path).fresh_fits()["temporal_order", "gru"]
    best_of = CellSearch.best

    def other(search: CellSearch, name: str, cell: str) -> Trial | None:
        """For gru, the draw that did worse."""
        best = best_of(search, name, cell)
        trials = search.studies[name].trials()
        return next(t for t in trials if t.cell == cell and t != best) if cell == "gru" else best

    monkeypatch.setattr(CellSearch, "best", other)
    search = begun(tmp_path, replace(SETTINGS, survivors=0, finalists=0))
    assert ("temporal_order", "gru") not in search.fresh_fits()
    search.run(silence)
    after = search.fresh_fits()["temporal_order", "gru"]
    assert len(after) == len(before) == 3
    assert {fit.validation for fit in after}.isdisjoint(fit.validation for fit in before)


def test_a_fit_that_another_was_at_is_waited_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.db").write_bytes((folder / "study.db").read_bytes())
    monkeypatch.setattr(cell_search, "POLL_INTERVAL", 0.01)
    monkeypatch.setattr(cell_search, "GRACE_PERIOD", 0.05)
    monkeypatch.setattr(cell_search, "HEARTBEAT_INTERVAL", 0.01)
    search = begun(tmp_path, replace(SETTINGS, fresh=4))
    fit = next(fit for fit in search._fresh_fits() if fit.number == 3)
    said: list[str] = []
    with begun(tmp_path).database.claimed_fit(fit) as theirs:
        assert theirs
        search.run(said.append)
    assert any("1 fit with a fresh seed of other processes" in line for line in said)
    assert said[-1] == (
        "1 fit with a fresh seed still runs elsewhere: the same command shows more later"
    )
    begun(tmp_path, replace(SETTINGS, fresh=4)).run(said.append)
    assert "with fresh seed 4" in said[-1]


def test_a_reference_without_a_score_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conveyor.comparing.study.run_trial", lambda *_: Outcome(lost="diverged"))
    with pytest.raises(RunError, match=r"no draw of gru has a score on temporal_order \(diverged"):
        begun(tmp_path).run(silence)


def test_all_networks_have_the_same_number_of_parameters_at_most(folder: Path) -> None:
    search = begun(folder)
    trials = search.studies["temporal_order"].trials()
    assert {trial.cell for trial in trials} >= {"gru", "lstm"}
    for trial in trials:
        program = search.program(trial.cell)
        assert trial.hidden == width_of(task(), program, 600)
        if not trial.lost:
            assert trial.parameters <= 600
            wider = build_network(task(), program, Draw(trial.hidden + 1, 1.0, 0))
            assert wider.parameter_count > 600


def test_the_width_uses_up_all_parameters() -> None:
    program = trace(find("gru"))
    for hidden in (1, 2, 7, 16):
        count = build_network(task(), program, Draw(hidden, 1.0, 0)).parameter_count
        assert width_of(task(), program, count) == hidden
        if hidden > 1:
            assert width_of(task(), program, count - 1) == hidden - 1


def test_too_few_parameters_for_any_network_is_an_error() -> None:
    with pytest.raises(SettingError, match="a network of one unit has"):
        width_of(task(), trace(find("lstm")), 10)


def test_the_best_cells_are_files_that_commands_read(folder: Path) -> None:
    search = begun(folder)
    written = sorted((folder / "cells").glob("*.py"))
    assert len(written) == len(search.listed())
    for path in written:
        read = program_of(find_cell(f"{path}:{path.stem}"))
        assert graph_of(read).new == graph_of(search.program(path.stem)).new
        family = search.family(path.stem)
        assert family[0][0] == path.stem
        assert family[-1] in (("gru", ()), ("lstm", ()))


def test_the_report_has_each_cell_with_its_family_equations_and_scores(folder: Path) -> None:
    content = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    page = (folder / "report.html").read_text(encoding="utf-8")
    search = begun(folder)
    finalists = search.finalists()
    assert finalists[-2:] == ["gru", "lstm"]
    assert {row["cell"] for row in content["fresh"]} == set(finalists)
    assert all(len(row["scores"]) == 3 for row in content["fresh"])
    for name in content["equations"]:
        assert f"cells/{name}.py:{name}" in page
    assert content["verdict"] in page
    assert content["counts"] == search.counts()
    assert 'lang="vi"' in page


def test_a_cell_is_no_better_for_being_on_the_list_of_two_machines(folder: Path) -> None:
    """Two objects on one database see the same list."""
    one, other = begun(folder), begun(folder)
    assert one.listed() == other.listed()
    assert one.listed() == sorted(one.listed(), key=lambda standing: -standing.fitness)


def trial(validation: float, decided_by: str = LOSS, lost: str = "") -> Trial:
    return Trial(
        cell="c",
        number=0,
        hidden=1,
        learning_rate=0.1,
        validation=validation,
        decided_by=decided_by,
        lost=lost,
    )


def test_fitness_says_how_many_times_as_good_a_trial_is() -> None:
    assert ratio(trial(0.5), trial(1.0), nats=False) == 2.0
    assert ratio(trial(0.2, "accuracy"), trial(0.6, "accuracy"), nats=True) == pytest.approx(2.0)
    assert ratio(trial(math.inf, lost="diverged"), trial(1.0), nats=False) == 0.0
    # Twice the probability of the right answer is ln 2 nats less, of densities as well.
    assert ratio(trial(1 - math.log(2)), trial(1.0), nats=True) == pytest.approx(2.0)
    assert ratio(trial(-math.log(2)), trial(0.0), nats=True) == pytest.approx(2.0)
    assert in_nats(task())
    assert not in_nats(task("adding"))


def scores(cell: str, *numbers: float, lost: int = 0) -> FreshScores:
    return FreshScores(cell, "t", numbers, lost, 100, 8)


def outcome(mutant: tuple[float, ...], known: tuple[float, ...], better: str) -> SearchOutcome:
    metric = Metric("m", "m", better="more" if better == "more" else "less")
    return SearchOutcome(
        {"t": metric},
        {("t", "m1"): scores("m1", *mutant), ("t", "gru"): scores("gru", *known)},
        {"m1": 1.1, "gru": 1.0},
        ("gru",),
    )


LOW, HIGH = (0.10, 0.11, 0.12), (0.20, 0.21, 0.22)


@pytest.mark.parametrize(
    ("mutant", "known", "better", "ahead"),
    [
        (LOW, HIGH, "less", True),
        (HIGH, LOW, "less", False),
        (HIGH, LOW, "more", True),
        (LOW, HIGH, "more", False),
        ((0.10, 0.2, 0.24), HIGH, "less", False),  # the intervals overlap
    ],
)
def test_a_mutant_wins_where_intervals_do_not_overlap(
    mutant: tuple[float, ...], known: tuple[float, ...], better: str, ahead: bool
) -> None:
    verdict = outcome(mutant, known, better).verdict.en
    assert verdict.startswith("m1 is ahead of gru" if ahead else "No mutant is ahead of gru")


def test_a_mutant_with_a_fit_that_diverged_is_ahead_of_none() -> None:
    ahead = outcome(LOW, HIGH, "less")
    lost = replace(ahead, scores={**ahead.scores, ("t", "m1"): scores("m1", *LOW, lost=1)})
    assert lost.verdict.en.startswith("No mutant is ahead of gru")
    (row,) = (row for row in lost.rows if row[0] == "m1")
    assert row[2] == "0.11 (3 of 4)"


def test_two_seeds_say_nothing() -> None:
    assert "give fresh=3 or more" in outcome(LOW[:2], HIGH[:2], "less").verdict.en


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("mutants", -1),
        ("draws", 0),
        ("finalists", -1),
        ("fresh", 0),
        ("screen", -1),
        ("survivors", -1),
    ],
)
def test_numbers_out_of_range_are_errors(setting: str, value: int) -> None:
    with pytest.raises(SettingError, match=f"{setting} is {value}; expected"):
        replace(SETTINGS, **{setting: value})  # type: ignore[arg-type]


def test_a_cell_that_cannot_be_changed_is_an_error_before_anything_is_stored(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingError, match="gru_layer_norm uses normalise"):
        CellSearch(
            sqlite_url(tmp_path / "study.db"),
            "one",
            {"temporal_order": task()},
            cells={"gru_layer_norm": trace(find("gru_layer_norm"))},
            space=Space((1, 1), (1e-3, 1e-2), 600),
            settings=SETTINGS,
        )
    assert not (tmp_path / "study.db").exists()
