"""Object code, kept: in memory as long as the process lives, on disk for the next one.

A file is named by a hash of all that the code depends on. It is written beside its place and
moved there, so several processes may compile the same at once. What is read is executed: only a
plain file is, in a folder and of a mode that let nobody but its owner, this user, write into it,
whose checksum is right. Everything else is compiled anew. The folder is ``$CONVEYOR_CACHE_DIR``,
else ``$XDG_CACHE_HOME/conveyor`` or ``~/.cache/conveyor``; an empty ``CONVEYOR_CACHE_DIR`` keeps
nothing on disk.
"""

import contextlib
import hashlib
import os
import stat
import struct
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from llvmlite import binding

from conveyor.kernels.llvm.machine import COMPILING, Loaded, Machine
from conveyor.version import VERSION

# A cell takes about 100 kB; so some thousand of them stay.
MOST_BYTES = 256 * 1024 * 1024
ENDING = ".conveyor-code"
# Being written. One so many seconds old was left behind by a process that was ended.
UNFINISHED = ".conveyor-unfinished"
LEFT_BEHIND = 3600
_CHECKSUM = hashlib.sha256().digest_size

_LOADED: dict[str, Loaded] = {}


@cache
def _generator() -> str:
    """Return a hash of this code generator, the layouts and the compiler that plans, so that code
    of older ones is never used: it would read its arguments wrongly."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[2]
    for part in ("kernels/llvm", "kernels/layout", "compiler"):
        for path in sorted((package / part).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def key(machine: Machine, *parts: str) -> str:
    """The name of the code of these parts, for a machine."""
    llvm = ".".join(map(str, binding.llvm_version_info))
    text = "\0".join([VERSION, llvm, _generator(), repr(machine), *parts])
    return hashlib.sha256(text.encode()).hexdigest()


def folder() -> Path | None:
    """Where code is kept; None if nowhere."""
    own = os.environ.get("CONVEYOR_CACHE_DIR")
    if own is not None:
        return Path(own) if own else None
    # The XDG base directory specification: a path that is not absolute is to be ignored.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        try:
            base = Path.home() / ".cache"
        except RuntimeError:  # nobody's home is known
            return None
    return base / "conveyor" if base.is_absolute() else None


def _others_write(status: os.stat_result) -> bool:
    """Whether somebody else owns it or may write into it."""
    if not hasattr(os, "getuid"):
        return False
    return status.st_uid != os.getuid() or bool(status.st_mode & 0o022)


def _safe(place: Path) -> bool:
    """Only a folder that nobody else can write into: what lies there is executed."""
    try:
        # Of parents that are missing too: mkdir gives them the mode of the umask alone.
        for missing in reversed([p for p in (place, *place.parents) if not p.exists()]):
            missing.mkdir(exist_ok=True, mode=0o700)
        status = place.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and not _others_write(status)


def _checksum(path: Path, code: bytes) -> bytes:
    """Of the name too: code under another's name would read its arguments wrongly."""
    return hashlib.sha256(path.name.encode() + code).digest()


def _is_object(code: bytes) -> bool:
    """Whether the code begins as an object file and, where that can be seen, ends as one: LLVM
    ends the process on what is none."""
    if code[:5] == b"\x7fELF\x02":
        try:
            (sections,) = struct.unpack_from("<Q", code, 40)
            size, count = struct.unpack_from("<HH", code, 58)
        except struct.error:
            return False
        return bool(sections + size * count == len(code))  # LLVM writes their table last
    return code[:4] == b"\xcf\xfa\xed\xfe" or code[:2] in (b"\x64\x86", b"\x64\xaa")


# What opening a file may not do: follow a link to elsewhere, or wait for the other end of a pipe.
_CAREFULLY = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


def _read(path: Path) -> bytes | None:
    try:
        opened = os.open(path, os.O_RDONLY | _CAREFULLY)
    except OSError:
        return None
    try:
        status = os.fstat(opened)
        plain = stat.S_ISREG(status.st_mode) and status.st_size <= MOST_BYTES
        if not plain or _others_write(status):
            return None
        with os.fdopen(opened, "rb", closefd=False) as file:
            data = file.read(MOST_BYTES)
    except OSError:
        return None
    finally:
        os.close(opened)
    code = data[_CHECKSUM:]
    if _checksum(path, code) != data[:_CHECKSUM] or not _is_object(code):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the least recently used go first
    return code


def _write(path: Path, code: bytes) -> None:
    """Keep code. A full or read-only disk is no reason to fail: it will be compiled again."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=UNFINISHED, delete=False) as file:
            file.write(_checksum(path, code) + code)
        Path(file.name).replace(path)
        _trim(path.parent)
    except OSError:
        with contextlib.suppress(OSError, UnboundLocalError):
            Path(file.name).unlink(missing_ok=True)


def _trim(place: Path) -> None:
    """Remove the least recently used until what is left is small enough."""
    for path in place.glob(f"*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > LEFT_BEHIND:
                path.unlink()
    found = []
    for path in place.glob(f"*{ENDING}"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= MOST_BYTES:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size


def loaded(name: str, names: list[str], make: Callable[[], bytes]) -> Loaded:
    """The functions ``names`` of the code called ``name``, from memory, disk or ``make``."""
    found = _LOADED.get(name)
    if found is not None:
        return found
    with COMPILING:  # of two threads that want the same, one compiles
        if name in _LOADED:
            return _LOADED[name]
        place = folder()
        path = place / f"{name}{ENDING}" if place is not None and _safe(place) else None
        code = None if path is None else _read(path)
        made = None
        if code is not None:
            with contextlib.suppress(ValueError, RuntimeError):
                made = Loaded(code, names)
        if made is None:
            code = make()
            made = Loaded(code, names)
            if path is not None:
                _write(path, code)
        _LOADED[name] = made
        return made
