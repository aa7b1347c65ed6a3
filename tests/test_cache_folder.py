"""Where files are kept for later processes. What is read from there is tested with machine code in
tests/kernels/test_llvm_cache_files.py."""

import os
from pathlib import Path

import pytest

from conveyor import cache_folder


@pytest.mark.parametrize(
    ("chosen", "xdg", "expected"),
    [
        ("/one", "/two", "/one"),
        ("", "/two", None),
        (None, "/two", "/two/conveyor"),
        (None, "", "{home}/.cache/conveyor"),
        (None, "two", "{home}/.cache/conveyor"),
        (None, "./two", "{home}/.cache/conveyor"),
        (None, "~/two", "{home}/.cache/conveyor"),
        (None, None, "{home}/.cache/conveyor"),
    ],
)
def test_the_folder_is_the_one_that_the_environment_names(
    chosen: str | None,
    xdg: str | None,
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("CONVEYOR_CACHE_DIR", chosen), ("XDG_CACHE_HOME", xdg)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = None if expected is None else Path(expected.format(home=tmp_path))
    assert cache_folder.folder() == path


def test_files_of_another_ending_do_not_count_and_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", str(tmp_path / "kept"))
    for name in ("one.a", "two.b", "three.b"):
        path = cache_folder.path_of(name)
        assert path is not None
        cache_folder.write(path, b"content", most=50)  # one file: a checksum of 32 bytes and 7
    assert {path.suffix for path in (tmp_path / "kept").iterdir()} == {".a", ".b"}
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_what_is_kept_stays_below_its_bound_although_not_every_write_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking takes the longer the more files there are, so all writes together would take the
    square of it."""
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", str(tmp_path / "kept"))
    looks = 0
    right = os.scandir

    def counted(folder: Path) -> object:
        nonlocal looks
        looks += 1
        return right(folder)

    monkeypatch.setattr(os, "scandir", counted)
    for number in range(200):
        path = cache_folder.path_of(f"{number}.a")
        assert path is not None
        cache_folder.write(path, bytes(68), most=10_000)  # with its checksum of 32 bytes: 100
        os.utime(path, (number, number))
        kept = [int(file.stem) for file in (tmp_path / "kept").iterdir()]
        assert len(kept) == min(number + 1, 100)
        if number == 50:
            assert looks < 20
    assert sorted(kept) == list(range(100, 200))
