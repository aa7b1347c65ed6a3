"""Writing files: whole or not at all, where the name leads to, with what the umask allows."""

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conveyor.data.files import is_temporary, temporary_name, write_output, write_whole
from conveyor.errors import SaveError


@pytest.fixture
def private() -> Iterator[None]:
    """A umask that leaves files to their owner alone."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("private")
def test_a_new_file_has_what_the_umask_leaves(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "file", "text")
    assert _mode(tmp_path / "new" / "file") == 0o600
    os.umask(0o027)
    write_whole(tmp_path / "second", "text")
    assert _mode(tmp_path / "second") == 0o640


@pytest.mark.usefixtures("private")
def test_a_replaced_file_gets_no_permission_that_it_had_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(0o600)
    os.umask(0o022)
    write_whole(path, "text")
    assert _mode(path) == 0o600
    path.chmod(0o666)
    write_whole(path, "text")
    assert _mode(path) == 0o644


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target", tmp_path / "link"
    link.symlink_to(target)
    for text in ("new", "replaced"):
        write_whole(link, text)
        assert link.is_symlink()
        assert target.read_text() == text


def test_an_output_goes_into_a_pipe_that_stays_one(tmp_path: Path) -> None:
    """/dev/null, /dev/stdout and the like are no files to put others in the place of."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()), daemon=True)
    reader.start()
    write_output(path, b"text")
    reader.join(timeout=20)
    assert read == ["text"]
    assert stat.S_ISFIFO(path.stat().st_mode)
    write_output(tmp_path / "file", b"text")
    assert (tmp_path / "file").read_text() == "text"


def test_a_file_of_ours_takes_the_place_of_a_pipe_or_a_link_to_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    for name in ("pipe", "device"):
        write_whole(tmp_path / name, "text")
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_text() == "text"
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("error", [OSError(28, "full"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises((SaveError, KeyboardInterrupt)):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208


def test_a_file_gets_its_name_after_its_bytes_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        done.append("synced")
        sync(handle)

    def replaced(old: Path, new: Path) -> None:
        assert old.parent == new.parent  # whatever file system temporary files are on
        assert old.read_text() == "text"
        done.append("replaced")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_whole(tmp_path / "file", "text")
    assert done == ["synced", "replaced"]


def test_only_our_temporary_names_are_known() -> None:
    name = temporary_name("model.json")
    assert is_temporary(name, ["model.json"])
    assert not is_temporary(name, ["report.html"])
    for other in ("model.json", ".model.json", ".model.json.1", f"x{name}", f"{name}.bak"):
        assert not is_temporary(other, ["model.json"])
