"""What a search stores: each cell once, and each piece of work for one machine at a time."""

import time
from pathlib import Path

import pytest

from conveyor.cells.cell_registry import find
from conveyor.comparing.storage import sqlite_url
from conveyor.compiler.trace import trace
from conveyor.errors import RunError, SettingError
from conveyor.searching.screen import Screened
from conveyor.searching.search_database import SearchDatabase

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
    assert database.claim("m1", 100)
    assert not database.claim("m1", 100)
    now += 101
    assert database.claim("m1", 100)
    database.release("m1")
    assert database.claim("m1", 100)
    database.store("m1", RESULT)
    now += 1000
    assert not database.claim("m1", 100)
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
    assert database.claim_fit("xml", "gru", 0, 100)
    assert not database.claim_fit("xml", "gru", 0, 100)
    assert database.claim_fit("xml", "gru", 1, 100)
    database.store_fit("xml", "gru", 1, None)
    assert database.claim_fit("xml", "gru", 1, 100)
    now += 101
    assert database.claim_fit("xml", "gru", 0, 100)
    database.store_fit("xml", "gru", 0, {"test": 1.5})
    now += 1000
    assert not database.claim_fit("xml", "gru", 0, 100)
    assert database.fits() == {("xml", "gru", 0): {"test": 1.5}}


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
    database.begin({"seed": 1, "cells": ["gru"]})
    database.add("m1", "gru", (), trace(find("mut1")))
    database.begin({"cells": ["gru"], "seed": 1})
    with pytest.raises(SettingError, match=r"seed: 1 there, 2 now\. Give the same"):
        database.begin({"seed": 2, "cells": ["gru"]})
    other = SearchDatabase(url, "two")
    other.add("m2", "gru", (), trace(find("mut3")))
    anew = SearchDatabase(url, "one", overwrite=True)
    anew.begin({"seed": 2, "cells": ["gru"]})
    assert anew.mutants() == []
    assert [mutant.name for mutant in other.mutants()] == ["m2"]


def test_a_database_that_is_none_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_text("this is no database, but a text that is long enough to be taken for one" * 20)
    with pytest.raises(RunError, match=r"'one' in sqlite.*cannot be used: file is not a database"):
        SearchDatabase(sqlite_url(path), "one")
