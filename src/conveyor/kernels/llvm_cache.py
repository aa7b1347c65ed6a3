"""Object code, kept: in memory as long as the process lives, on disk for the next one.

A file is named by a hash of all that the code depends on. It is written beside its place and
moved there, so several processes may compile the same at once; it carries a checksum, and a file
that does not match it is compiled anew. The folder is ``$CONVEYOR_CACHE_DIR``, else
``$XDG_CACHE_HOME/conveyor`` or ``~/.cache/conveyor``; an empty ``CONVEYOR_CACHE_DIR`` keeps nothing
on disk.
"""

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from llvmlite import binding

from conveyor.kernels.llvm_machine import COMPILING, Loaded, Machine
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
    """A hash of this code generator and of the compiler that plans for it, so that code of older
    ones is never taken: it would read its arguments wrongly."""
    found = hashlib.sha256()
    kernels = Path(__file__).parent
    for path in sorted((*kernels.glob("llvm_*.py"), *kernels.parent.glob("compiler/*.py"))):
        found.update(path.read_bytes())
    return found.hexdigest()


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
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # nobody's home is known
        return None
    return Path(base) / "conveyor"


def _safe(place: Path) -> bool:
    """Only a folder that nobody else can write into: what lies there is executed."""
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = place.stat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def _checksum(path: Path, code: bytes) -> bytes:
    """Of the name too: code under another's name would read its arguments wrongly."""
    return hashlib.sha256(path.name.encode() + code).digest()


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    code = data[_CHECKSUM:]
    if _checksum(path, code) != data[:_CHECKSUM]:
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
            if time.time() - path.stat().st_mtime > LEFT_BEHIND:
                path.unlink()
    found = []
    for path in place.glob(f"*{ENDING}"):
        with contextlib.suppress(OSError):
            status = path.stat()
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
