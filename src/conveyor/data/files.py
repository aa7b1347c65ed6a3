"""Reading files with clear refusals; writing them so that a failure leaves the old ones whole."""

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

from conveyor.errors import DataError, SaveError, did_you_mean

# Files of a folder that are all named where the one that is asked for is not there.
MOST_NAMED = 20

# What ``temporary_name`` gives.
_TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}")


def read_bytes(path: Path) -> bytes:
    """What a user's file holds.

    Raises:
        DataError: there is no such file (the nearest names are given), or it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        near = [each.name for each in path.parent.glob("*")] if path.parent.is_dir() else []
        said = did_you_mean(path.name, near)
        # A folder of hundreds of files is no help.
        said = f" {said}" if len(near) <= MOST_NAMED or said.startswith("Did") else ""
        raise DataError(f"{path}: there is no such file.{said}") from error
    except OSError as error:
        raise DataError(f"{path}: it cannot be read: {error}.") from error


def read_unpacked(path: Path) -> bytes:
    """What a user's file holds, unpacked if its name ends in ``.gz``.

    Raises:
        DataError: it cannot be read, or is no whole gzip file.
    """
    data = read_bytes(path)
    if path.suffix.lower() != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file: {error}. Fetch it again.") from error


def _encoding(data: bytes) -> str:
    """UTF-8, or what the first bytes tell: a byte order mark, or a NUL beside an ASCII letter."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if data[1:2] == b"\0" or data[:1] == b"\0":
        return "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    return "utf-8-sig"


def decoded(path: Path, data: bytes) -> str:
    """The text that the bytes of a file are, in UTF-8 or UTF-16, without a byte order mark.

    Raises:
        DataError: they are neither; the first wrong byte is named.
    """
    encoding = _encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        if encoding == "utf-8-sig" and b"\0" in data:
            raise DataError(f"{path}: this file is binary, not text.") from error
        raise DataError(
            f"{path}: byte {error.start} (0x{data[error.start]:02x}) is not {name}. Save the file "
            "as UTF-8."
        ) from error


def check_regular(path: Path, most: int | None = None) -> None:
    """See that a file is one that ends: no pipe, no device, no folder, and not beyond ``most``
    bytes.

    Raises:
        OSError: it is none, or there is none.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError("it is a folder, a pipe or a device, not a file")
    if most is not None and found.st_size > most:
        raise OSError(f"it has {found.st_size:,} bytes, more than the {most:,} that it may have")


def read_limited(path: Path, most: int) -> bytes:
    """What a small file of ours holds.

    Raises:
        OSError: there is no such file, it does not end, or it has more than ``most`` bytes.
    """
    check_regular(path, most)
    return path.read_bytes()


def read_json(path: Path, most: int) -> Any:
    """What a JSON file of ours holds.

    Raises:
        OSError: see ``read_limited``.
        ValueError, RecursionError: it is not JSON, or a text in it cannot be written.
    """
    data = json.loads(read_limited(path, most).decode())
    json.dumps(data, ensure_ascii=False).encode()  # half a surrogate pair is no character
    return data


def json_text(data: Any) -> str:
    """JSON that every reader reads: what is not a finite number becomes null."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [clean(each) for each in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(clean(data), indent=1, ensure_ascii=False, allow_nan=False)


def temporary_name(name: str) -> str:
    """A new name for what is written beside a file of that name, before it takes its place."""
    return f".{name}.{secrets.token_hex(4)}"


def is_temporary(name: str, of: Container[str]) -> bool:
    """Whether a file is what a killed ``write_whole`` left behind of a file named in ``of``."""
    match = _TEMPORARY.fullmatch(name)
    return match is not None and match[1] in of


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name beside it, then give it its name in one step.

    A new file has the permissions that the umask leaves; one that takes another's place has none
    that the other had not. What a link leads to is replaced, not the link.

    Raises:
        SaveError: the disk is full or does not allow it; the file that had the name is as it was.
    """
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes | str]) -> None:
    """Write files that belong together, each as ``write_whole`` does: all of them under temporary
    names before the first is given its own, so that a full disk leaves what belonged together.

    Raises:
        SaveError: one could not be written; those that had the names are as they were, unless the
            disk would write but not rename.
    """
    written: list[tuple[Path, Path]] = []
    path = Path()
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            leads_to_device = path.exists() and not path.is_file()  # such a link is replaced itself
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
    finally:  # Ctrl-C too: nothing stays of what was given no name
        for temporary, _ in written:
            with contextlib.suppress(OSError):
                temporary.unlink()


def write_output(path: Path, content: bytes) -> None:
    """Write what a user has asked for where they want it: whole, but into a pipe or a device, as
    /dev/stdout, as it is.

    Raises:
        SaveError: it cannot be written.
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
    """Write a new file that may be seen by no more people than the one whose place it takes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(temporary, flags, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if target.is_file():
        temporary.chmod(temporary.stat().st_mode & target.stat().st_mode)
