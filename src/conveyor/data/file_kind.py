"""Recognises files that are no tables of separated values by their first bytes."""

import json
from pathlib import Path

from conveyor.errors import DataError

_SAVE_AS_CSV = "Save the table as CSV"

# The first bytes of a file, the kind of file they mark, and what its user can do.
_BEGINNINGS = (
    (
        b"PK\x03\x04",
        "a workbook or a zip archive",
        "Give a workbook a name that ends in .xlsx or .ods, and unpack an archive",
    ),
    (b"\xd0\xcf\x11\xe0", "a workbook of an old Excel", "Give it a name that ends in .xls"),
    (b"\x1f\x8b", "packed with gzip", "Give it a name that ends in .csv.gz"),
    (b"BZh", "packed with bzip2", "Unpack it"),
    (b"\xfd7zXZ\0", "packed with xz", "Unpack it"),
    (b"(\xb5/\xfd", "packed with zstd", "Unpack it"),
    (b"PAR1", "a Parquet file", "Give it a name that ends in .parquet"),
    (b"ARROW1", "a Feather (Arrow) file", f"{_SAVE_AS_CSV} or Parquet"),
    (b"FEA1", "a Feather file", f"{_SAVE_AS_CSV} or Parquet"),
    (b"\x89HDF", "an HDF5 file", f"{_SAVE_AS_CSV} or Parquet"),
    (b"SQLite format 3", "a database of SQLite", f"{_SAVE_AS_CSV} or Parquet"),
    (b"\x93NUMPY", "an array of NumPy", _SAVE_AS_CSV),
    (b"%PDF", "a PDF", _SAVE_AS_CSV),
    (b"<!doctype html", "a web page (HTML)", "Fetch the table itself, as CSV"),
    (b"<html", "a web page (HTML)", "Fetch the table itself, as CSV"),
    (b"<?xml", "XML", _SAVE_AS_CSV),
)

# The first bytes are looked for in this part of a file, after blanks and a byte order mark.
_HEAD = 4096


def check_kind(path: Path, data: bytes) -> None:
    """Check that a file can be a table of separated values.

    Raises:
        DataError: the file is of another kind; the text says which, and what to do.
    """
    head = data[:_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")
    for begins, what, how in _BEGINNINGS:
        if head.lower().startswith(begins) or (head.startswith(begins) and not _is_text(data)):
            raise DataError(f"{path}: this file is {what}, not a CSV file. {how}.")
    if head.startswith((b"{", b"[")) and _is_json(data):
        raise DataError(f"{path}: this file is JSON, not a CSV file. {_SAVE_AS_CSV}.")


def _is_text(data: bytes) -> bool:
    """Return whether a file with such a beginning is text: a column may be called PAR1."""
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def _is_json(data: bytes) -> bool:
    """Return whether a file, or its first line, is JSON."""
    for part in (data, data.strip().partition(b"\n")[0]):
        try:
            return isinstance(json.loads(part), dict | list)
        except (ValueError, RecursionError):
            continue
    return False
