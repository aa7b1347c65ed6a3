"""A database of a comparison that was cut off, damaged, edited or written by a newer Optuna."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.test_bad_input import refused
from tests.sequences import write_music


def _sql(command: str) -> Callable[[Path], None]:
    """Change the database by SQL."""

    def change(path: Path) -> None:
        connection = sqlite3.connect(path)
        connection.execute(command)
        connection.commit()
        connection.close()

    return change


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _instead(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def _attribute(key: str, value: str) -> Callable[[Path], None]:
    return _sql(f"update trial_user_attributes set value_json = '{value}' where key = '{key}'")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "half": (_half, "malformed"),
    "text": (lambda path: path.write_text("hello" * 1000), "file is not a database"),
    "a folder": (_instead(Path.mkdir), "unable to open"),
    "a pipe": (_instead(os.mkfifo), "cannot be used"),
    "endless": (_instead(lambda path: path.symlink_to("/dev/zero")), "cannot be used"),
    "a newer Optuna's": (
        _sql("update alembic_version set version_num = 'v9.9.9.z'"),
        "holds what cannot be read: RuntimeError: The runtime optuna version",
    ),
    "no JSON": (_attribute("cell", "{{"), "holds what cannot be read: JSONDecodeError"),
    "notes that are no JSON": (
        _sql("update study_user_attributes set value_json = '{{'"),
        "holds what cannot be read: JSONDecodeError",
    ),
    "a state that is none": (_sql("update trials set state = 'ODD'"), "LookupError: 'ODD'"),
    "a time that is none": (_sql("update trials set datetime_start = 'x'"), "'x'"),
    "no loss": (_sql("update trial_values set value = null"), "holds what cannot be read"),
    "no draw": (_sql("delete from trial_params"), "a trial: hidden is missing"),
    "a draw of text": (_sql("update trial_params set param_value = 'abc'"), "'abc'"),
    "a score of text": (_attribute("test", '"x"'), "a trial: test is 'x', expected float"),
    "no score": (_attribute("test", "null"), "a trial: test is None, expected float"),
    "a list for a reason": (_attribute("lost", "[[]]"), "a trial: lost is [[]], expected str"),
    "no studies": (_sql("drop table studies"), "holds what cannot be read"),
}


def test_a_database_that_is_not_as_it_was_written_is_refused(cli: Cli, tmp_path: Path) -> None:
    music = write_music(tmp_path / "music.json")
    begin = ("compare", music, "--cells", "rnn", "--hidden", "4", "--epochs", "1", "--trials", "1")
    assert cli(*begin, "--out", "whole").code == 0
    for name, (change, said) in CHANGES.items():
        shutil.copytree("whole", "out")
        change(Path("out/study.db"))
        ran = cli(*begin, "--out", "out")
        refused(ran, said)
        assert len(ran.err.splitlines()) == 1, name
        shutil.rmtree("out")


def test_widths_that_no_network_has_are_refused(cli: Cli, tmp_path: Path) -> None:
    music = write_music(tmp_path / "music.json")
    ran = cli("compare", music, "--cells", "rnn", "--hidden", f"4:{2**70}")
    refused(ran, "hidden is 1180591620717411303424; expected 9,007,199,254,740,992 or less")


@pytest.mark.parametrize("mask", [0o077, 0o027])
def test_what_compare_writes_has_what_the_umask_leaves(cli: Cli, tmp_path: Path, mask: int) -> None:
    music = write_music(tmp_path / "music.json")
    before = os.umask(mask)
    try:
        ran = cli(
            "compare",
            music,
            "--cells",
            "rnn",
            "--hidden",
            "4",
            "--epochs",
            "1",
            "--trials",
            "1",
            "--out",
            "out",
        )
    finally:
        os.umask(before)
    assert ran.code == 0
    modes = {each.name: each.stat().st_mode for each in (tmp_path / "out").rglob("*")}
    assert {"study.db", "report.html", "ranking.json"} <= modes.keys()
    assert not any(mode & mask for mode in modes.values())
