"""Files that are written without waiting for the disk, which takes milliseconds each: no test cuts
the power, and what a killed process has written stays. That files are synchronised, and when, is
asked of the calls (tests/data/test_files.py)."""

import os
from typing import Any


def _at_once(fd: Any) -> None:
    """Do nothing."""


def files() -> None:
    """Let this process write its files so."""
    os.fsync = _at_once


def databases() -> None:
    """Let this process write its SQLite databases so."""
    from sqlalchemy import event  # noqa: PLC0415  (only some tests need it)
    from sqlalchemy.engine import Engine  # noqa: PLC0415

    def connected(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", connected)
