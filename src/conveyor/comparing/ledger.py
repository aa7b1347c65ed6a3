"""Who tries what, written down in a database: an Optuna study in which each trial is one attempt.

An attempt has a place: a cell's name and the number of a draw. Whoever begins one writes it down as
running and then looks: of two that began the same at the same moment, the one written first goes
on. While it runs, it gives signs of life; what gave none for long is thought dead and is free
again.
"""

import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from conveyor.errors import RunError, SettingError, named

# A working machine gives a sign of life so often; one that gave none for so long is thought dead,
# and what it was at is tried again. In seconds.
SIGN_OF_LIFE, DEAD = 10, 30

# What is raised where a database cannot be read or written.
LOST = (SQLAlchemyError, optuna.exceptions.StorageInternalError)

# What reading a database raises that is whole and holds what no Optuna has written, or a newer one.
NOT_OURS = (RuntimeError, ValueError, LookupError, AssertionError, TypeError)

# What Optuna says of a study or a trial that another process has deleted: a bare KeyError.
_GONE = "Record does not exist."

# Seconds until what another process is at is looked at again; and how often, where it makes the
# tables at this moment.
PAUSE, TRIES = 1, 10

# How to get what SQLAlchemy speaks to a database with.
DRIVERS = {
    "psycopg": "pip install 'psycopg[binary]'.",
    "psycopg2": "pip install psycopg2-binary.",
    "pymysql": "pip install pymysql.",
    "mysqldb": "pip install pymysql, and write mysql+pymysql://...",
}

Place = tuple[str, int]

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def in_file(path: Path) -> str:
    """The storage that a file is, as SQLAlchemy names it."""
    return URL.create("sqlite", database=str(path)).render_as_string()


class Ledger:
    """The attempts of one study. ``where`` names it for messages, without a password.

    Args:
        storage: a database as SQLAlchemy names it.
        name: of the study in it.
        overwrite: forget what was written under this name.

    Raises:
        SettingError: ``storage`` is none.
        RunError: the database cannot be used.
    """

    def __init__(self, storage: str, name: str, *, overwrite: bool = False) -> None:
        self.where = f"study {name!r} in {_without_password(storage)}"
        self._storage, self._study = _open(storage, name, overwrite)

    @contextmanager
    def reachable(self, more: str = "") -> Iterator[None]:
        """Inside the block a lost database becomes a sentence, and ``more`` its end.

        Raises:
            RunError: the database cannot be used.
        """
        try:
            yield
        except LOST as error:
            raise RunError(
                f"the {self.where} cannot be used: {_first_line(error)}{more}"
            ) from error
        except KeyError as error:
            if _GONE not in error.args:
                raise
            raise RunError(f"the {self.where} was deleted by another process.") from error

    @contextmanager
    def _read(self) -> Iterator[None]:
        try:
            yield
        except NOT_OURS as error:
            if _GONE in error.args:
                raise
            raise RunError(f"the {self.where} holds what cannot be read: {_said(error)}") from error

    def notes(self) -> dict[str, Any]:
        """What is written down for the whole study.

        Raises:
            RunError: it cannot be read.
        """
        with self._read():
            return self._study.user_attrs

    def note(self, key: str, value: Any) -> None:
        """Write something down for the whole study."""
        self._study.set_user_attr(key, value)

    def ended(self) -> dict[Place, FrozenTrial]:
        """What has ended, by place; where two tried the same, what was written first."""
        return self._by_place(*ENDED)

    def running(self) -> dict[Place, FrozenTrial]:
        """What somebody is at, less those thought dead."""
        with _quiet(), self._read():
            optuna.storages.fail_stale_trials(self._study)
        return self._by_place(TrialState.RUNNING)

    def look_after(self) -> None:
        """Give what runs a sign of life: an attempt that was cut off before it gave its first is
        then thought dead in time, not waited for without end."""
        for trial in self.running().values():
            self._storage.record_heartbeat(trial._trial_id)

    def begin(
        self, place: Place, drawn: Mapping[str, Any], space: Mapping[str, BaseDistribution]
    ) -> int | None:
        """Write down that ``place`` is tried now, with what was drawn for it.

        Returns:
            What ``alive`` and ``end`` know it by; None if another was faster.
        """
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=dict(drawn),
            distributions=dict(space),
            user_attrs={"cell": place[0], "number": place[1]},
        )
        study = self._storage.get_study_id_from_name(self._study.study_name)
        known: int = self._storage.create_new_trial(study, trial)
        self._storage.record_heartbeat(known)
        first = self._by_place(*ENDED, TrialState.RUNNING).get(place)
        if first is None or first._trial_id != known:
            self.free(known)
            return None
        return known

    @contextmanager
    def alive(self, known: int) -> Iterator[None]:
        """Give signs of life for an attempt while the block runs."""
        over = threading.Event()

        def give() -> None:
            # A lost database is told by whoever writes next; a later sign may come through.
            while not over.wait(SIGN_OF_LIFE):
                with suppress(*LOST, KeyError):
                    self._storage.record_heartbeat(known)

        thread = threading.Thread(target=give, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def end(
        self, place: Place, known: int, found: Mapping[str, Any], loss: float | None = None
    ) -> bool:
        """Write down how the attempt at a place went; without a ``loss`` it was lost.

        Returns:
            Whether it was still ours; this machine may have slept so long that another ended it, or
            begun the study anew, where a database may give its number to another attempt.
        """
        if _place(self._storage.get_trial(known)) != place:
            return False
        try:
            for key, value in found.items():
                self._storage.set_trial_user_attr(known, key, value)
            if loss is None:
                return self._storage.set_trial_state_values(known, TrialState.PRUNED)
            return self._storage.set_trial_state_values(known, TrialState.COMPLETE, [loss])
        except optuna.exceptions.UpdateFinishedTrialError:
            return False

    def free(self, known: int) -> None:
        """Write down that an attempt came to nothing and may be made again."""
        with suppress(optuna.exceptions.UpdateFinishedTrialError, KeyError, *LOST):
            self._storage.set_trial_state_values(known, TrialState.FAIL)

    def _by_place(self, *states: TrialState) -> dict[Place, FrozenTrial]:
        found: dict[Place, FrozenTrial] = {}
        with self._read():
            trials = self._study.get_trials(deepcopy=False, states=states)
        for trial in trials:
            place = _place(trial)
            if place is not None:
                found.setdefault(place, trial)
        return found


def _place(trial: FrozenTrial) -> Place | None:
    cell, number = trial.user_attrs.get("cell"), trial.user_attrs.get("number")
    return (cell, number) if isinstance(cell, str) and isinstance(number, int) else None


def _open(
    storage: str, name: str, overwrite: bool
) -> tuple[optuna.storages.RDBStorage, optuna.Study]:
    try:
        url = make_url(storage)
    except ArgumentError as error:
        raise SettingError(
            f"{named('storage', storage)}: expected a database, as sqlite:///study.db or "
            "postgresql://user:password@host/name."
        ) from error
    try:
        with _quiet():
            for _ in range(TRIES):
                try:
                    return _create(storage, name, overwrite)
                except (IntegrityError, ProgrammingError):
                    # Another process makes the same tables at this moment.
                    time.sleep(PAUSE)
                except OperationalError as error:  # SQLite's name for that, and for all else
                    if "already exists" not in str(error):
                        raise
                    time.sleep(PAUSE)
            return _create(storage, name, overwrite)
    except ImportError as error:
        driver = url.get_driver_name()
        raise SettingError(
            f"{_without_password(storage)}: Python cannot speak to such a database: {driver} is "
            f"missing. {DRIVERS.get(driver, f'Install {driver}.')}"
        ) from error
    except ArgumentError as error:
        raise SettingError(
            f"{_without_password(storage)}: no such kind of database is known. Use sqlite, "
            "postgresql or mysql."
        ) from error
    except LOST as error:
        raise RunError(
            f"{_without_password(storage)} cannot be used: {_first_line(error)}"
        ) from error
    except NOT_OURS as error:
        raise RunError(
            f"{_without_password(storage)} holds what cannot be read: {_said(error)}"
        ) from error


def _create(
    storage: str, name: str, overwrite: bool
) -> tuple[optuna.storages.RDBStorage, optuna.Study]:
    made = optuna.storages.RDBStorage(storage, heartbeat_interval=SIGN_OF_LIFE, grace_period=DEAD)
    if overwrite and name in optuna.get_all_study_names(made):
        optuna.delete_study(study_name=name, storage=made)
    return made, optuna.create_study(study_name=name, storage=made, load_if_exists=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's advice is for those who write studies: heartbeats count as experimental there."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)


def _without_password(storage: str) -> str:
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return storage


def _said(error: Exception) -> str:
    """What a library said of what it has read, in a line; a newer Optuna's tables among it."""
    text = (str(error).splitlines() or [""])[0][:300].rstrip(".")
    return f"{type(error).__name__}: {text}. Restore the database, or begin anew with another."


def _first_line(error: Exception) -> str:
    """What the database said: Optuna's error is from SQLAlchemy's, and that from the driver's."""
    for each in (error, error.__cause__):
        if said := getattr(each, "orig", None):
            error = said
    return str(error).strip().splitlines()[0].rstrip(".") + "."
