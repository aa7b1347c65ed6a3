"""Reads files with clear errors, and writes them so that a failure leaves old files unchanged."""

import codecs
import contextlib
import gzip
import json
import math
import os
import re
import secrets
import stat
import zlib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from conveyor.errors import DataError, SaveError, did_you_mean, near_names

# A missing file's error lists all files of its folder if there are no more than these.
MOST_LISTED = 20

# The pattern of the names that ``temporary_name`` returns.
_TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}")


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a user's file.

    Raises:
        DataError: there is no such file (the text gives the nearest names), or it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        names = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
        # A list of hundreds of files would not help.
        help_with = did_you_mean if len(names) <= MOST_LISTED else near_names
        raise DataError(
            f"{path}: there is no such file. {help_with(path.name, names)}".rstrip()
        ) from error
    except OSError as error:
        raise DataError(f"{path}: it cannot be read: {error}.") from error


def read_unpacked(path: Path) -> bytes:
    """Return the bytes of a user's file, unpacked if its name ends in ``.gz``.

    Raises:
        DataError: the file cannot be read, or is no complete gzip file.
    """
    data = read_bytes(path)
    if path.suffix.lower() != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file: {error}. Fetch it again.") from error


def encoding_of(data: bytes) -> str:
    """Return the encoding that the first bytes show by a byte order mark, or by a NUL beside an
    ASCII letter; without either it is UTF-8."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if data[1:2] == b"\0" or data[:1] == b"\0":
        return "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    return "utf-8-sig"


def decoded(path: Path, data: bytes) -> str:
    """Decode the bytes of a file as UTF-8, UTF-16 or UTF-32, without the byte order mark.

    Raises:
        DataError: the bytes are no such text; the error names the first wrong byte, by its place in
            its line, or in a file of UTF-16 or UTF-32.
    """
    encoding = encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        if encoding == "utf-8-sig" and b"\0" in data:
            raise DataError(f"{path}: this file is binary, not text.") from error
        if encoding == "utf-8-sig":
            line = data.count(b"\n", 0, error.start) + 1
            begin = data.rfind(b"\n", 0, error.start) + 1
            place = f"{path}, line {line:,}: byte {error.start - begin}"
        else:
            place = f"{path}: byte {error.start} of the file"
        raise DataError(
            f"{place} (0x{data[error.start]:02x}) is not {name}. Save the file as UTF-8."
        ) from error


def check_regular(path: Path, most: int | None = None) -> None:
    """Check that a path leads to a regular file of at most ``most`` bytes, not to a pipe or a
    device, which may have no end, or to a folder.

    Raises:
        OSError: it does not, or there is no such file.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is a folder, a pipe or a device, not a file")
    if most is not None and status.st_size > most:
        raise OSError(f"it has {status.st_size:,} bytes, more than the {most:,} that it may have")


def read_limited(path: Path, most: int) -> bytes:
    """Return the bytes of a small file that conveyor wrote.

    Raises:
        OSError: there is no such file, it is not a regular one, or it has more than ``most`` bytes.
    """
    check_regular(path, most)
    return path.read_bytes()


def read_json(path: Path, most: int) -> Any:
    """Return the content of a JSON file that conveyor wrote.

    Raises:
        OSError: see ``read_limited``.
        ValueError, RecursionError: the file is not JSON, or a text in it cannot be encoded.
    """
    data = json.loads(read_limited(path, most).decode())
    # JSON can hold half a surrogate pair, which no file can be written with: raise here, not later.
    json.dumps(data, ensure_ascii=False).encode()
    return data


def json_text(data: Any) -> str:
    """Return data as JSON that every reader accepts: NaN and infinity become null."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [clean(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(clean(data), indent=1, ensure_ascii=False, allow_nan=False)


def temporary_name(name: str) -> str:
    """Return a new name for a file that is written beside the file of that name, then replaces
    it."""
    return f".{name}.{secrets.token_hex(4)}"


def is_temporary(name: str, of: Container[str]) -> bool:
    """Return whether a file is one that a killed ``write_whole`` left beside a file named in
    ``of``."""
    match = _TEMPORARY.fullmatch(name)
    return match is not None and match[1] in of


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name beside it, then rename it in one step.

    A new file has the permissions that the umask leaves; a file that replaces another one has no
    permission that the other did not have. The target of a link is replaced, not the link.

    Raises:
        SaveError: the disk is full or does not allow it; a file of that name is unchanged.
    """
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes | str]) -> None:
    """Write files that belong together, each as ``write_whole`` does. All of them are written under
    temporary names before the first is renamed, so that a full disk leaves the old ones together.

    Raises:
        SaveError: a file could not be written. The old files are unchanged, unless the disk allowed
            the writing and not the renaming.
    """
    written: list[tuple[Path, Path]] = []
    path = Path()
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            # A link to a device or a folder is replaced itself, not what it leads to.
            leads_to_device = path.exists() and not path.is_file()
            target = path if leads_to_device else Path(os.path.realpath(path))
            temporary = target.with_name(temporary_name(target.name))
            written.append((temporary, target))
            _write_beside(
                temporary, target, content.encode() if isinstance(content, str) else content
            )
        for temporary, target in written:
            temporary.replace(target)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:  # also after Ctrl-C: no temporary file may stay
        for temporary, _ in written:
            with contextlib.suppress(OSError):
                temporary.unlink()


def write_output(path: Path, content: bytes) -> None:
    """Write output to the path that a user named: a file as ``write_whole`` does, a pipe or a
    device such as /dev/stdout directly.

    Raises:
        SaveError: the path cannot be written.
    """
    if not path.exists() or path.is_file() or path.is_dir():
        write_whole(path, content)
        return
    try:
        path.write_bytes(content)
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> SaveError:
    return SaveError(
        f"{path} could not be written: {error.strerror or error}. What was there before is "
        "whole. Make room or choose another folder."
    )


def _write_beside(temporary: Path, target: Path, data: bytes) -> None:
    """Write a new file that no more people may read than the file that it will replace."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(temporary, flags, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if target.is_file():
        temporary.chmod(temporary.stat().st_mode & target.stat().st_mode)
