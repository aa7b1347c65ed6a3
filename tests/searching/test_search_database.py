"""What a search stores: each cell once, and each piece of work for one machine at a time."""

import time
from pathlib import Path

import pytest

from conveyor.cells.cell_registry import find
from conveyor.comparing.storage import GRACE_PERIOD, sqlite_url
from conveyor.compiler.trace import trace
from conveyor.errors import RunError, SettingError
from conveyor.searching import search_database
from conveyor.searching.screen import Screened
from conveyor.searching.search_database import FreshFit, SearchDatabase

RESULT = Screened(0.97, 400, 2.5)


@pytest.fixture
def database(tmp_path: Path) -> SearchDatabase:
    return SearchDatabase(sqlite_url(tmp_path / "study.db"), "one")


def test_a_cell_is_stored_once(database: SearchDatabase) -> None:
    program = trace(find("mut1"))
    assert database.add("m1", "gru", ("gate inserted",), program)
    assert not database.add("m1", "lstm", (), program)
    (mutant,) = database.mutants()
    assert (mutant.name, mutant.parent, mutant.changes) == ("m1", "gru", ("gate inserted",))
    assert mutant.program == program
    assert mutant.screened is None
    assert database.untried() == ["m1"]


def test_a_cell_is_claimed_by_one_until_its_time_is_over(
    database: SearchDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.add("m1", "gru", (), trace(find("mut1")))
    now = 1e9
    monkeypatch.setattr(time, "time", lambda: now)
    with database.claimed("m1") as ours, database.claimed("m1") as theirs:
        assert ours
        assert not theirs
        now += GRACE_PERIOD + 1
        with database.claimed("m1") as after_silence:
            assert after_silence
    with database.claimed("m1") as again:
        assert again
        database.store("m1", RESULT)
    with database.claimed("m1") as done:
        assert not done
    assert database.tried() == 1
    assert database.untried() == []
    assert [mutant.screened for mutant in database.mutants()] == [RESULT]
    assert database.passed(0.95) == ["m1"]
    assert database.passed(0.98) == []


def test_a_fit_is_claimed_by_one_until_its_time_is_over(
    database: SearchDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1e9
    monkeypatch.setattr(time, "time", lambda: now)
    fit, of_another_draw = FreshFit("xml", "gru", 3, 0), FreshFit("xml", "gru", 4, 0)
    with database.claimed_fit(fit) as ours, database.claimed_fit(fit) as theirs:
        assert ours
        assert not theirs
        with database.claimed_fit(of_another_draw) as other:
            assert other
        now += GRACE_PERIOD + 1
        with database.claimed_fit(fit) as after_silence:
            assert after_silence
            database.store_fit(fit, {"test": 1.5})
    with database.claimed_fit(fit) as done:
        assert not done
    assert database.fits() == {fit: {"test": 1.5}}


def test_what_is_worked_on_says_so(
    database: SearchDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who works longer than the grace period keeps what it claimed."""
    database.add("m1", "gru", (), trace(find("mut1")))
    monkeypatch.setattr(search_database, "HEARTBEAT_INTERVAL", 0.05)
    monkeypatch.setattr(search_database, "GRACE_PERIOD", 0.5)
    with database.claimed("m1") as ours:
        assert ours
        time.sleep(1.0)
        with database.claimed("m1") as theirs:
            assert not theirs


def test_work_that_raises_an_error_is_free_at_once(database: SearchDatabase) -> None:
    database.add("m1", "gru", (), trace(find("mut1")))
    with pytest.raises(ZeroDivisionError), database.claimed("m1"):
        raise ZeroDivisionError
    with database.claimed("m1") as ours:
        assert ours


def test_counts_add_up_over_machines(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "study.db")
    one, other, elsewhere = (SearchDatabase(url, name) for name in ("one", "one", "two"))
    for database in (one, other, one, elsewhere):
        database.count("drawn")
    assert one.counts() == other.counts() == {"drawn": 3}
    assert elsewhere.counts() == {"drawn": 1}


def test_a_search_goes_on_as_it_was_begun(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "study.db")
    database = SearchDatabase(url, "one")
    database.begin({"seed": 1, "equations of gru": "1a2b"})
    database.add("m1", "gru", (), trace(find("mut1")))
    database.begin({"equations of gru": "1a2b", "seed": 1})
    with pytest.raises(SettingError, match=r"else: seed: 1 there, 2 now\. Give the same"):
        database.begin({"seed": 2, "equations of gru": "1a2b"})
    said = "else: other equations of gru than now; equations of lstm now, not there"
    with pytest.raises(SettingError, match=said):
        database.begin({"seed": 1, "equations of gru": "3c", "equations of lstm": "4d"})
    with pytest.raises(SettingError, match="equations of gru there, not now"):
        database.begin({"seed": 1})
    other = SearchDatabase(url, "two")
    other.add("m2", "gru", (), trace(find("mut3")))
    anew = SearchDatabase(url, "one", overwrite=True)
    anew.begin({"seed": 2})
    assert anew.mutants() == []
    assert [mutant.name for mutant in other.mutants()] == ["m2"]


def test_a_database_that_is_none_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_text("this is no database, but a text that is long enough to be taken for one" * 20)
    with pytest.raises(RunError, match=r"'one' in sqlite.*cannot be used: file is not a database"):
        SearchDatabase(sqlite_url(path), "one")
