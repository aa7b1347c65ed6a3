"""Files that save work to later processes, in the folder ``$CONVEYOR_CACHE_DIR``, else
``$XDG_CACHE_HOME/conveyor`` or ``~/.cache/conveyor``; an empty ``CONVEYOR_CACHE_DIR`` keeps nothing
on disk.

A file is named by a hash of all that its content depends on. It is written under another name and
then renamed, so several processes may write the same at once. Contents are executed, as machine
code or as a page's script: only a plain file is read, in a folder and of a mode that let nobody but
its owner, this user, write into it, whose checksum is right. Whoever gets None makes the content
anew. A folder that cannot be written is no error.
"""

import contextlib
import hashlib
import os
import stat
import tempfile
import time
from pathlib import Path

# The ending of a file while it is written. One that is older than so many seconds was left behind
# by a process that was ended.
UNFINISHED = ".conveyor-unfinished"
LEFT_BEHIND = 3600

_CHECKSUM = hashlib.sha256().digest_size

# What opening a file may not do: follow a link to elsewhere, or wait for the other end of a pipe.
_CAREFULLY = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


def folder() -> Path | None:
    """Return the folder of kept files; None if nothing is kept."""
    chosen = os.environ.get("CONVEYOR_CACHE_DIR")
    if chosen is not None:
        return Path(chosen) if chosen else None
    # The XDG base directory specification: a path that is not absolute is to be ignored.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        try:
            base = Path.home() / ".cache"
        except RuntimeError:  # nobody's home is known
            return None
    return base / "conveyor" if base.is_absolute() else None


def path_of(name: str) -> Path | None:
    """Return the path of a kept file, whose folder is made if it is missing; None where the folder
    cannot be made or others may write into it."""
    directory = folder()
    return directory / name if directory is not None and _is_safe(directory) else None


def _others_write(status: os.stat_result) -> bool:
    """Return whether somebody else owns a file or may write into it."""
    if not hasattr(os, "getuid"):
        return False
    return status.st_uid != os.getuid() or bool(status.st_mode & 0o022)


def _is_safe(directory: Path) -> bool:
    """Return whether a folder is there, or could be made, that nobody else can write into."""
    try:
        # Of parents that are missing too: mkdir gives them the mode of the umask alone.
        for missing in reversed([p for p in (directory, *directory.parents) if not p.exists()]):
            missing.mkdir(exist_ok=True, mode=0o700)
        status = directory.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and not _others_write(status)


def sealed(name: str, content: bytes) -> bytes:
    """Return what a file of that name holds: a checksum and the content. The name is part of the
    sum, because a file under the name of another would hold what depends on other things."""
    return hashlib.sha256(name.encode() + content).digest() + content


def read(path: Path, most: int) -> bytes | None:
    """Return the content of a kept file; None if there is none, it is damaged, larger than
    ``most`` bytes, or may be somebody else's."""
    try:
        opened = os.open(path, os.O_RDONLY | _CAREFULLY)
    except OSError:
        return None
    try:
        status = os.fstat(opened)
        plain = stat.S_ISREG(status.st_mode) and status.st_size <= most
        if not plain or _others_write(status):
            return None
        with os.fdopen(opened, "rb", closefd=False) as file:
            data = file.read(most)
    except OSError:
        return None
    finally:
        os.close(opened)
    content = data[_CHECKSUM:]
    if sealed(path.name, content) != data:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the least recently used are removed first
    return content


def write(path: Path, content: bytes, most: int) -> None:
    """Keep a content, and remove the least recently used files of the same ending until they have
    ``most`` bytes or fewer. A full or read-only disk is no error: then nothing is kept."""
    data = sealed(path.name, content)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=UNFINISHED, delete=False) as file:
            file.write(data)
        Path(file.name).replace(path)
        kind = (path.parent, path.suffix, most)
        _ROOM[kind] = _ROOM.get(kind, 0) - len(data)
        if _ROOM[kind] < 0:
            _ROOM[kind] = (most - _trim(*kind)) // _SHARES
    except OSError:
        with contextlib.suppress(OSError, UnboundLocalError):
            Path(file.name).unlink(missing_ok=True)


# How many bytes this process may write, by folder, ending and ``most``, before it looks at all
# files there again, which takes a tenth of a second for ten thousand: a share of what was left when
# it looked last. So many processes that write side by side leave ``most`` bytes or fewer.
_ROOM: dict[tuple[Path, str, int], int] = {}
_SHARES = 8


def _trim(directory: Path, ending: str, most: int) -> int:
    """Remove what was left behind and the least recently used files; return the bytes that stay."""
    files = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.name.endswith((UNFINISHED, ending)):
                continue
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if entry.name.endswith(ending):
                    files.append((status.st_mtime, status.st_size, entry.path))
                elif time.time() - status.st_mtime > LEFT_BEHIND:
                    Path(entry.path).unlink()
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= most:
            break
        with contextlib.suppress(OSError):
            Path(path).unlink()
        total -= size
    return total
