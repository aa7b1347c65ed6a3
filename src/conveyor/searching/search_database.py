"""What a search has drawn, in a database that several machines may share.

A mutant's digest is its key, so that no cell is stored twice, whichever machine draws it. A machine
claims what it works on, and says every 10 seconds that it is still there; what has not been heard
of for 30 seconds is free again.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from conveyor.comparing.storage import (
    GRACE_PERIOD,
    HEARTBEAT_INTERVAL,
    first_line,
    without_password,
)
from conveyor.compiler.check import check
from conveyor.compiler.program import Program
from conveyor.compiler.program_json import dumps, from_json
from conveyor.errors import RunError, SettingError, named
from conveyor.searching.screen import Screened

_NAME = 200  # characters of names and keys, which MySQL must know

_TABLES = MetaData()
_SEARCHES = Table(
    "conveyor_searches",
    _TABLES,
    Column("search", String(_NAME), primary_key=True),
    Column("begun_with", Text, nullable=False),
)
_COUNTS = Table(
    "conveyor_search_counts",
    _TABLES,
    Column("search", String(_NAME), primary_key=True),
    Column("what", String(_NAME), primary_key=True),
    Column("number", Integer, nullable=False),
)
_MUTANTS = Table(
    "conveyor_mutants",
    _TABLES,
    Column("search", String(_NAME), primary_key=True),
    Column("digest", String(_NAME), primary_key=True),
    Column("parent", String(_NAME), nullable=False),
    Column("changes", Text, nullable=False),
    Column("program", Text, nullable=False),
    Column("drawn", Float, nullable=False),
    Column("claimed", Float, nullable=False),
    Column("accuracy", Float),
    Column("steps", Integer),
    Column("seconds", Float),
    Column("failure", Text),
)
_FITS = Table(
    "conveyor_fresh_fits",
    _TABLES,
    Column("search", String(_NAME), primary_key=True),
    Column("task", String(_NAME), primary_key=True),
    Column("cell", String(_NAME), primary_key=True),
    Column("draw", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("claimed", Float, nullable=False),
    Column("outcome", Text),
)


@dataclass(frozen=True)
class Mutant:
    """A cell that was drawn.

    Args:
        name: of the cell.
        parent: the name of the cell that was changed.
        changes: which transformations made it.
        program: of the cell.
        screened: how it did on the memory test; None where it has not been tried.
    """

    name: str
    parent: str
    changes: tuple[str, ...]
    program: Program
    screened: Screened | None


class FreshFit(NamedTuple):
    """A fit of a cell at one of its draws, with a fresh seed of that number from 0."""

    task: str
    cell: str
    draw: int
    number: int


class SearchDatabase:
    """The mutants of one search.

    Args:
        url: of the database, as SQLAlchemy reads it.
        search: the name of the search in it.
        overwrite: delete what is stored under this name.

    Raises:
        SettingError: ``url`` is no database's.
        RunError: the database cannot be used.
    """

    def __init__(self, url: str, search: str, *, overwrite: bool = False) -> None:
        self.search = search
        self._where = f"search {search!r} in {without_password(url)}"
        with self._usable():
            self._engine: Engine = create_engine(url)
            _TABLES.create_all(self._engine)
            if overwrite:
                with self._engine.begin() as connection:
                    for table in _TABLES.sorted_tables:
                        connection.execute(table.delete().where(table.c.search == search))

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Turn a database's errors into ours."""
        try:
            yield
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise RunError(f"the {self._where} cannot be used: {first_line(error)}") from error

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with self._usable(), self._engine.begin() as connection:
            yield connection

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Store what a search was begun with, or check that it was begun with the same.

        Raises:
            SettingError: it was begun with something else.
        """
        text = json.dumps(identity, sort_keys=True)
        if self._inserted(_SEARCHES, begun_with=text):
            return
        query = select(_SEARCHES.c.begun_with).where(_SEARCHES.c.search == self.search)
        with self._changing() as connection:
            stored = json.loads(connection.execute(query).scalar_one())
        different = _differences(stored, json.loads(text))
        if different:
            raise SettingError(
                f"the {self._where} was begun with something else: {'; '.join(different)}. Give "
                f"the same, or another {named('out')} or {named('study')}, or begin anew: "
                f"{named('overwrite', True)}."
            )

    def _inserted(self, table: Table, **values: Any) -> bool:
        """Insert a row, and return whether there was none of its key."""
        try:
            with self._changing() as connection:
                connection.execute(insert(table).values(search=self.search, **values))
        except IntegrityError:
            return False
        return True

    def count(self, what: str) -> None:
        """Count one more of something."""
        if self._inserted(_COUNTS, what=what, number=1):
            return
        with self._changing() as connection:
            connection.execute(
                update(_COUNTS)
                .where(_COUNTS.c.search == self.search, _COUNTS.c.what == what)
                .values(number=_COUNTS.c.number + 1)
            )

    def counts(self) -> dict[str, int]:
        """Return how many of each were counted."""
        query = select(_COUNTS.c.what, _COUNTS.c.number).where(_COUNTS.c.search == self.search)
        with self._changing() as connection:
            return {row.what: row.number for row in connection.execute(query)}

    def add(self, name: str, parent: str, changes: tuple[str, ...], program: Program) -> bool:
        """Store a mutant; return whether it is new.

        Args:
            name: of the cell, made of its digest.
            parent: the name of the cell that was changed.
            changes: what was changed.
            program: of the mutant.
        """
        return self._inserted(
            _MUTANTS,
            digest=name,
            parent=parent,
            changes=json.dumps(changes),
            program=dumps(program),
            drawn=time.time(),
            claimed=0.0,
        )

    @contextmanager
    def claimed(self, name: str) -> Iterator[bool]:
        """Claim a mutant for the memory test while the block runs; whether it is ours: it is not if
        it was tried, or if another is at it."""
        mutant = (_MUTANTS.c.search == self.search, _MUTANTS.c.digest == name)
        with self._claimed(_MUTANTS, mutant, _MUTANTS.c.accuracy) as ours:
            yield ours

    @contextmanager
    def _claimed(self, table: Table, row: tuple[Any, ...], result: Column[Any]) -> Iterator[bool]:
        """Claim a row whose result is missing, and say that we are at it while the block runs."""

        def claim(*free: Any) -> bool:
            with self._changing() as connection:
                claimed = update(table).where(*row, *free).values(claimed=time.time())
                return bool(connection.execute(claimed).rowcount)

        def send() -> None:
            # Ignore failures: the next write reports them, and a later one may succeed.
            while not ended.wait(HEARTBEAT_INTERVAL):
                with suppress(RunError):
                    claim()

        if not claim(result.is_(None), table.c.claimed < time.time() - GRACE_PERIOD):
            yield False
            return
        ended = threading.Event()
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        try:
            yield True
        finally:
            ended.set()
            thread.join()
            with suppress(RunError), self._changing() as connection:
                connection.execute(update(table).where(*row).values(claimed=0.0))

    def store(self, name: str, screened: Screened) -> None:
        """Store how a mutant did on the memory test."""
        self._set(
            name,
            accuracy=screened.accuracy,
            steps=screened.steps,
            seconds=screened.seconds,
            failure=screened.failure,
        )

    def _set(self, name: str, **values: Any) -> None:
        with self._changing() as connection:
            connection.execute(
                update(_MUTANTS)
                .where(_MUTANTS.c.search == self.search, _MUTANTS.c.digest == name)
                .values(**values)
            )

    def mutants(self) -> list[Mutant]:
        """Return the mutants, in the order in which they were drawn."""
        query = select(_MUTANTS).where(_MUTANTS.c.search == self.search).order_by(_MUTANTS.c.drawn)
        with self._changing() as connection:
            rows = connection.execute(query).all()
        return [
            Mutant(
                row.digest,
                row.parent,
                tuple(json.loads(row.changes)),
                check(from_json(json.loads(row.program))),
                None
                if row.accuracy is None
                else Screened(row.accuracy, row.steps, row.seconds, row.failure),
            )
            for row in rows
        ]

    def tried(self) -> int:
        """Return how many mutants took the memory test."""
        query = select(_MUTANTS.c.digest).where(
            _MUTANTS.c.search == self.search, _MUTANTS.c.accuracy.is_not(None)
        )
        with self._changing() as connection:
            return len(connection.execute(query).all())

    def tests(self) -> list[Screened]:
        """Return how all memory tests went, without the programs, which take long to read."""
        columns = (_MUTANTS.c.accuracy, _MUTANTS.c.steps, _MUTANTS.c.seconds, _MUTANTS.c.failure)
        query = select(*columns).where(
            _MUTANTS.c.search == self.search, _MUTANTS.c.accuracy.is_not(None)
        )
        with self._changing() as connection:
            return [Screened(*row) for row in connection.execute(query)]

    def passed(self, share: float) -> list[str]:
        """Return the names of mutants that got at least this share of letters right, in the order
        in which they were drawn."""
        query = (
            select(_MUTANTS.c.digest)
            .where(_MUTANTS.c.search == self.search, _MUTANTS.c.accuracy >= share)
            .order_by(_MUTANTS.c.drawn)
        )
        with self._changing() as connection:
            return [row.digest for row in connection.execute(query)]

    def untried(self) -> list[str]:
        """Return the names of mutants that did not take the memory test yet."""
        query = (
            select(_MUTANTS.c.digest)
            .where(_MUTANTS.c.search == self.search, _MUTANTS.c.accuracy.is_(None))
            .order_by(_MUTANTS.c.drawn)
        )
        with self._changing() as connection:
            return [row.digest for row in connection.execute(query)]

    @contextmanager
    def claimed_fit(self, fit: "FreshFit") -> Iterator[bool]:
        """Claim a fit with a fresh seed while the block runs; whether it is ours: it is not if it
        is done, or if another is at it."""
        self._inserted(_FITS, **fit._asdict(), claimed=0.0)
        with self._claimed(_FITS, self._row_of(fit), _FITS.c.outcome) as ours:
            yield ours

    def _row_of(self, fit: "FreshFit") -> tuple[Any, ...]:
        columns = (_FITS.c[name] == value for name, value in fit._asdict().items())
        return (_FITS.c.search == self.search, *columns)

    def store_fit(self, fit: "FreshFit", outcome: Mapping[str, Any]) -> None:
        """Store how a fit with a fresh seed went."""
        values = {"outcome": json.dumps(dict(outcome))}
        with self._changing() as connection:
            connection.execute(update(_FITS).where(*self._row_of(fit)).values(**values))

    def fits(self) -> dict["FreshFit", dict[str, Any]]:
        """Return how fits with fresh seeds went."""
        query = select(_FITS).where(_FITS.c.search == self.search, _FITS.c.outcome.is_not(None))
        with self._changing() as connection:
            rows = connection.execute(query).all()
        return {
            FreshFit(row.task, row.cell, row.draw, row.number): json.loads(row.outcome)
            for row in rows
        }


def _differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words how what a search was begun with differs from what it is now. Digests are of
    what their keys name."""
    different = []
    for key in sorted({*stored, *now}):
        if key not in now:
            different.append(f"{key} there, not now")
        elif key not in stored:
            different.append(f"{key} now, not there")
        elif stored[key] != now[key]:
            digest = key.startswith(("data of ", "equations of "))
            different.append(
                f"other {key} than now" if digest else f"{key}: {stored[key]} there, {now[key]} now"
            )
    return different
