"""Reads what others' networks made of pictures: a file of numbers for each, which is not held in
memory."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.data.archived_array import MOST_UNPACKED, mapped_array
from conveyor.data.broken_arrays import BROKEN_ARRAYS, reason_of
from conveyor.data.files import read_bytes
from conveyor.errors import DataError

# The names of the arrays of a file: the numbers, and the files of the pictures that they are of.
_NUMBERS, _FILES = "features", "files"
# Numbers of a picture, at most.
_MOST = 10_000_000


@dataclass(frozen=True, eq=False)
class StoredFeatures:
    """Numbers of pictures.

    Attributes:
        name: of the file.
        values: of each picture and place, [N, L, D], mapped from a file.
        files: the names of the pictures' files; None where the file has none.
    """

    name: str
    values: NDArray[Any]
    files: list[str] | None = None


def read_features(path: Path) -> StoredFeatures:
    """Read the head of a file of numbers; the numbers themselves are read as needed.

    Args:
        path: a ``.npz`` file with ``features`` [N, L, D], or [N, D] for one place, and perhaps
            ``files``, the name of the picture of each row; or a ``.npy`` file of the first alone.

    Raises:
        DataError: it is no such file.
    """
    if not path.exists():
        read_bytes(path)  # raises what says which files there are
    try:
        if path.suffix.lower() == ".npy":
            return StoredFeatures(str(path), _shaped(np.load(path, mmap_mode="r"), path))
        with zipfile.ZipFile(path) as archive:
            names = {Path(each).stem: each for each in archive.namelist()}
            numbers = names.get(_NUMBERS) or (archive.namelist()[0] if len(names) == 1 else None)
            if numbers is None:
                there = ", ".join(names) or "none"
                raise DataError(
                    f"{path}: there is no array {_NUMBERS}; there are: {there}. Save it by "
                    f"numpy.savez(file, {_NUMBERS}=…, {_FILES}=…)."
                )
            values = _unpacked(archive, numbers)
            files = None
            if _FILES in names:
                files = [str(name) for name in _unpacked(archive, names[_FILES])]
    except BROKEN_ARRAYS as error:
        raise DataError(
            f"{path}: this is no file of numbers (.npz, .npy): {reason_of(error)}."
        ) from error
    values = _shaped(values, path)
    if files is not None and len(files) != len(values):
        raise DataError(
            f"{path}: there are {len(values):,} rows of {_NUMBERS} and {len(files):,} {_FILES}; "
            "expected as many."
        )
    return StoredFeatures(str(path), values, files)


def _unpacked(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Return an array of an archive, mapped.

    Raises:
        DataError: it is packed, and larger than what is unpacked.
    """
    # What is not packed takes as much of the archive as it has.
    packed = archive.getinfo(name).compress_type != zipfile.ZIP_STORED
    return mapped_array(archive, name, MOST_UNPACKED if packed else None)


def _shaped(values: NDArray[Any], path: Path) -> NDArray[Any]:
    """Return numbers [N, L, D].

    Raises:
        DataError: they are something else.
    """
    if values.ndim == 2:
        values = values[:, None]
    if values.ndim != 3 or values.dtype.kind not in "fiu" or 0 in values.shape:
        raise DataError(
            f"{path}: features are {list(values.shape)} of {values.dtype}; expected numbers "
            "[pictures, places, features], or [pictures, features]."
        )
    if values[0].size > _MOST:
        raise DataError(
            f"{path}: a picture has {values[0].size:,} numbers; expected {_MOST:,} at most."
        )
    return values
