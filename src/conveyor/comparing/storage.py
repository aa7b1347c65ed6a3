"""The trials of a study in a database, shared by several machines: an Optuna study.

A trial's key is the name of a cell and the number of a draw. A worker claims a trial by writing it
down as RUNNING; of two that claim the same at once, the one written first wins. While it runs, the
worker sends a heartbeat every 10 seconds; after 30 seconds without one, the trial can be claimed
again.
"""

import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

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

# Seconds between two heartbeats, and seconds without one after which a trial can be claimed again:
# two heartbeats may be late or lost.
HEARTBEAT_INTERVAL, GRACE_PERIOD = 10, 30

# Raised where a database cannot be read or written.
DATABASE_ERRORS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)

# Raised on reading a whole database whose content no Optuna has written, or a newer one.
CONTENT_ERRORS = (RuntimeError, ValueError, LookupError, AssertionError, TypeError)

# The text of the bare KeyError that Optuna raises for a study or a trial that another process has
# deleted.
_DELETED = "Record does not exist."

# Seconds between two looks at what other processes do, and how often to try to open a database in
# which another process creates the tables at this moment.
POLL_INTERVAL, OPEN_ATTEMPTS = 1, 10

# How to install the driver that SQLAlchemy lacks.
DRIVERS = {
    "psycopg": "pip install 'psycopg[binary]'.",
    "psycopg2": "pip install psycopg2-binary.",
    "pymysql": "pip install pymysql.",
    "mysqldb": "pip install pymysql, and write mysql+pymysql://...",
}

# Trials with a score, and trials without one.
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class TrialKey(NamedTuple):
    """Which trial of a study: the name of a cell, and the number of a draw from 0."""

    cell: str
    number: int


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file as SQLAlchemy reads it."""
    return URL.create("sqlite", database=str(path)).render_as_string()


class TrialStorage:
    """The trials of one study.

    ``description`` names the study in messages, without the database's password.

    Args:
        url: of the database, as SQLAlchemy reads it.
        name: of the study in it.
        overwrite: delete what is stored under this name.

    Raises:
        SettingError: ``url`` is no database's.
        RunError: the database cannot be used.
    """

    def __init__(self, url: str, name: str, *, overwrite: bool = False) -> None:
        self.description = f"study {name!r} in {without_password(url)}"
        self._storage, self._study = _open(url, name, overwrite)

    @contextmanager
    def reachable(self, hint: str = "") -> Iterator[None]:
        """Turn a database's errors inside the block into ours, which end with ``hint``.

        Raises:
            RunError: the database cannot be used.
        """
        try:
            yield
        except DATABASE_ERRORS as error:
            raise RunError(
                f"the {self.description} cannot be used: {first_line(error)}{hint}"
            ) from error
        except KeyError as error:
            if _DELETED not in error.args:
                raise
            raise RunError(f"the {self.description} was deleted by another process.") from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn an error over the content that is read inside the block into a ``RunError``."""
        try:
            yield
        except CONTENT_ERRORS as error:
            if _DELETED in error.args:
                raise
            raise RunError(
                f"the {self.description} holds what cannot be read: {_content_error(error)}"
            ) from error

    def attributes(self) -> dict[str, Any]:
        """Return what is stored for the study as a whole.

        Raises:
            RunError: it cannot be read.
        """
        with self._reading():
            return self._study.user_attrs

    def set_attribute(self, key: str, value: Any) -> None:
        """Store a value for the study as a whole."""
        self._study.set_user_attr(key, value)

    def finished(self) -> dict[TrialKey, FrozenTrial]:
        """Return the finished trials; of two with the same key, the one that was written first."""
        return self._by_key(*FINISHED)

    def running(self) -> dict[TrialKey, FrozenTrial]:
        """Return the running trials, after setting free those whose heartbeat has stopped."""
        with _quiet(), self._reading():
            optuna.storages.fail_stale_trials(self._study)
        return self._by_key(TrialState.RUNNING)

    def watch_running(self) -> None:
        """Write a heartbeat for each running trial.

        Optuna never takes a trial without any heartbeat for stale. If its worker was cut off before
        the first one, the grace period begins now.
        """
        for trial in self.running().values():
            self._storage.record_heartbeat(trial._trial_id)

    def claim(
        self, key: TrialKey, drawn: Mapping[str, Any], space: Mapping[str, BaseDistribution]
    ) -> int | None:
        """Claim a trial for this process.

        Args:
            key: of the trial.
            drawn: its hyperparameters by name.
            space: what they were drawn from.

        Returns:
            The trial's id in the database; None if another process was faster.
        """
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=dict(drawn),
            distributions=dict(space),
            user_attrs={"cell": key.cell, "number": key.number},
        )
        study_id = self._storage.get_study_id_from_name(self._study.study_name)
        trial_id: int = self._storage.create_new_trial(study_id, trial)
        self._storage.record_heartbeat(trial_id)
        first = self._by_key(*FINISHED, TrialState.RUNNING).get(key)
        if first is None or first._trial_id != trial_id:
            self.release(trial_id)
            return None
        return trial_id

    @contextmanager
    def heartbeat(self, trial_id: int) -> Iterator[None]:
        """Send heartbeats for a trial while the block runs."""
        ended = threading.Event()

        def send() -> None:
            # Ignore failures: the next write reports them, and a later heartbeat may succeed.
            while not ended.wait(HEARTBEAT_INTERVAL):
                with suppress(*DATABASE_ERRORS, KeyError):
                    self._storage.record_heartbeat(trial_id)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def finish(
        self,
        key: TrialKey,
        trial_id: int,
        outcome: Mapping[str, Any],
        loss: float | None = None,
    ) -> bool:
        """Store how a trial went.

        Args:
            key: of the trial.
            trial_id: what ``claim`` returned.
            outcome: stored by name.
            loss: what trials are told apart by, see ``Outcome.validation``; None for a trial
                without a score.

        Returns:
            Whether the trial was still this process's. The machine may have slept so long that
            another finished the trial, or began the study anew, where a database may give the id to
            another trial.
        """
        if _key_of(self._storage.get_trial(trial_id)) != key:
            return False
        try:
            for name, value in outcome.items():
                self._storage.set_trial_user_attr(trial_id, name, value)
            if loss is None:
                return self._storage.set_trial_state_values(trial_id, TrialState.PRUNED)
            return self._storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [loss])
        except optuna.exceptions.UpdateFinishedTrialError:
            return False

    def release(self, trial_id: int) -> None:
        """Give up a claimed trial, so that it can be claimed again."""
        with suppress(optuna.exceptions.UpdateFinishedTrialError, KeyError, *DATABASE_ERRORS):
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)

    def _by_key(self, *states: TrialState) -> dict[TrialKey, FrozenTrial]:
        """Return the trials in these states; of two with the same key, the first written."""
        by_key: dict[TrialKey, FrozenTrial] = {}
        with self._reading():
            trials = self._study.get_trials(deepcopy=False, states=states)
        for trial in trials:
            key = _key_of(trial)
            if key is not None:
                by_key.setdefault(key, trial)
        return by_key


def _key_of(trial: FrozenTrial) -> TrialKey | None:
    """Return a stored trial's key; None for a trial that another program has stored."""
    cell, number = trial.user_attrs.get("cell"), trial.user_attrs.get("number")
    if isinstance(cell, str) and isinstance(number, int):
        return TrialKey(cell, number)
    return None


def _open(url: str, name: str, overwrite: bool) -> tuple[optuna.storages.RDBStorage, optuna.Study]:
    """Return a database and the study of that name in it, created if it is not there.

    Raises:
        SettingError: ``url`` is no database's, or its driver is missing.
        RunError: the database cannot be used.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SettingError(
            f"{named('storage', url)}: expected a database, as sqlite:///study.db or "
            "postgresql://user:password@host/name."
        ) from error
    try:
        with _quiet():
            for _ in range(OPEN_ATTEMPTS):
                try:
                    return _create(url, name, overwrite)
                except (IntegrityError, ProgrammingError):
                    # Another process creates the same tables at this moment.
                    time.sleep(POLL_INTERVAL)
                except OperationalError as error:  # SQLite raises it for that, and for all else
                    if "already exists" not in str(error):
                        raise
                    time.sleep(POLL_INTERVAL)
            return _create(url, name, overwrite)
    except ImportError as error:
        driver = parsed.get_driver_name()
        raise SettingError(
            f"{without_password(url)}: Python cannot speak to such a database: {driver} is "
            f"missing. {DRIVERS.get(driver, f'Install {driver}.')}"
        ) from error
    except ArgumentError as error:
        raise SettingError(
            f"{without_password(url)}: no such kind of database is known. Use sqlite, "
            "postgresql or mysql."
        ) from error
    except DATABASE_ERRORS as error:
        raise RunError(f"{without_password(url)} cannot be used: {first_line(error)}") from error
    except CONTENT_ERRORS as error:
        raise RunError(
            f"{without_password(url)} holds what cannot be read: {_content_error(error)}"
        ) from error


def _create(
    url: str, name: str, overwrite: bool
) -> tuple[optuna.storages.RDBStorage, optuna.Study]:
    storage = optuna.storages.RDBStorage(
        url, heartbeat_interval=HEARTBEAT_INTERVAL, grace_period=GRACE_PERIOD
    )
    if overwrite and name in optuna.get_all_study_names(storage):
        optuna.delete_study(study_name=name, storage=storage)
    return storage, optuna.create_study(study_name=name, storage=storage, load_if_exists=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna inside the block: it warns that its heartbeats are experimental."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)


def without_password(url: str) -> str:
    """Return a database's address without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _content_error(error: Exception) -> str:
    """Return what a library says of content that it cannot read, in one line, and what to do."""
    text = (str(error).splitlines() or [""])[0][:300].rstrip(".")
    return f"{type(error).__name__}: {text}. Restore the database, or begin anew with another."


def first_line(error: Exception) -> str:
    """Return the first line of what the database's driver says.

    SQLAlchemy's error holds the driver's as ``orig``; Optuna's error is raised from SQLAlchemy's.
    """
    for level in (error, error.__cause__):
        if original := getattr(level, "orig", None):
            error = original
    return str(error).strip().splitlines()[0].rstrip(".") + "."
