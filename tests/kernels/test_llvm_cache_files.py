"""What stands in the place of kept code: only a plain file of this user's alone is read."""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conveyor.kernels.llvm import code_cache
from tests.kernels.test_llvm_cache import computed, files, forget
from tests.layers.named import assert_equal

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no owners and pipes of files here")
pytestmark = posix


def _mode(bits: int) -> Callable[[Path], None]:
    return lambda path: path.chmod(bits)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _large(path: Path) -> None:
    os.truncate(path, 2**40)  # no block of it is on the disk


def _link_to_the_right_code(path: Path) -> None:
    other = path.parent / f"beside-{path.name}"
    path.rename(other)
    path.symlink_to(other)


def _link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _full_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "photo.jpg").write_bytes(b"y")


STRANGE: dict[str, Callable[[Path], None]] = {
    "its group can write": _mode(0o620),
    "all can write": _mode(0o602),
    "all can write and nobody read": _mode(0o222),
    "a pipe": _pipe,
    "an endless file": _endless,
    "a large file": _large,
    "a link to the right code": _link_to_the_right_code,
    "a link to itself": _link_to_itself,
    "a folder with something in it": _full_folder,
}


@pytest.mark.parametrize("make", STRANGE.values(), ids=STRANGE)
def test_what_is_no_plain_file_of_ones_own_is_compiled_anew(
    make: Callable[[Path], None],
    place: Path,
    compiled: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    want = computed()
    for path in files(place):
        make(path)
    forget(monkeypatch)
    assert_equal(computed(), want)
    assert len(compiled) == 4


def test_a_file_of_another_user_is_compiled_anew(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of one's own, as after it was given away and back."""
    want = computed()
    right = os.fstat

    def of_another(opened: int) -> os.stat_result:
        fields = list(right(opened))
        fields[stat.ST_UID] += 1
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", of_another)
    forget(monkeypatch)
    assert_equal(computed(), want)
    assert len(compiled) == 4


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777], ids=oct)
def test_new_folders_are_their_owners_alone(
    umask: int, tmp_path: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those above the last one too: who can write into one of them can exchange what is below."""
    top = tmp_path / "home"
    monkeypatch.setenv("CONVEYOR_CACHE_DIR", str(top / ".cache" / "code"))
    before = os.umask(umask)
    try:
        computed()
        for folder in (top, top / ".cache", top / ".cache" / "code"):
            if os.access(folder.parent, os.X_OK) and folder.exists():
                assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0, folder
    finally:
        os.umask(before)
    assert len(compiled) == 2


def test_a_home_that_is_no_absolute_path_is_not_used(
    tmp_path: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code would lie in, and come from, whatever folder the program is started in."""
    monkeypatch.delenv("CONVEYOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", "home")
    monkeypatch.chdir(tmp_path)
    computed()
    assert len(compiled) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_while_a_file_is_written(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The half that was written goes."""
    right = tempfile.NamedTemporaryFile

    def nearly_full(*args: Any, **kwargs: Any) -> Any:
        file: Any = right(*args, **kwargs)
        write = file.write

        def some(data: bytes) -> int:
            write(data[:100])
            raise OSError(28, "No space left on device")

        file.write = some
        return file

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", nearly_full)
    computed()
    assert len(compiled) == 2
    assert files(place) == []


def test_a_read_only_disk_is_read(
    place: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there is used, though its time of use cannot be written down."""
    want = computed()

    def read_only(*args: Any, **kwargs: Any) -> Any:
        raise OSError(30, "Read-only file system")

    for where, name in ((os, "utime"), (Path, "mkdir"), (tempfile, "NamedTemporaryFile")):
        monkeypatch.setattr(where, name, read_only)
    forget(monkeypatch)
    assert_equal(computed(), want)
    assert len(compiled) == 2


def test_trimming_leaves_what_links_lead_to(
    place: Path, compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thesis = tmp_path / "thesis.tex"
    thesis.write_bytes(b"x" * 100_000)
    place.mkdir(mode=0o700)
    link = place / f"link{code_cache.ENDING}"
    link.symlink_to(thesis)
    monkeypatch.setattr(code_cache, "MOST_BYTES", 90_000)
    computed()
    assert thesis.stat().st_size == 100_000
    assert len(files(place)) == 3  # the link is some bytes, not those of what it leads to
