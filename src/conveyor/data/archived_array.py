"""Reads an array of an archive of numpy without holding it in memory."""

import tempfile
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.errors import DataError

# Bytes of an array that are unpacked, at most: a small archive may hold a thousand times its size.
MOST_UNPACKED = 1 << 30
# Bytes that are unpacked at once.
_PIECE = 1 << 20


def mapped_array(archive: zipfile.ZipFile, name: str, most: int | None = None) -> NDArray[Any]:
    """Return an array of an archive, copied into a file of its own that is mapped: an archive's
    parts may be packed.

    Args:
        archive: the archive.
        name: of the array's part.
        most: bytes that are unpacked; None for as many as there are.

    Raises:
        DataError: it is larger.
        ValueError: it holds objects of Python.
    """
    stated = archive.getinfo(name).file_size
    if most is not None and stated > most:
        raise _too_large(archive, most)
    # The file's map stays when it is closed.
    with archive.open(name) as stream, tempfile.TemporaryFile() as file:
        unpacked = 0
        while piece := stream.read(_PIECE):
            unpacked += len(piece)
            # An archive may hold more than it states.
            if most is not None and unpacked > most:
                raise _too_large(archive, most)
            file.write(piece)
        file.seek(0)
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, in_columns, kind = np.lib.format.read_array_header_1_0(file)
        else:
            shape, in_columns, kind = np.lib.format.read_array_header_2_0(file)
        if kind.hasobject:
            raise ValueError("it holds objects of Python, which are not read")
        if 0 in shape:
            return np.zeros(shape, kind)
        order: Any = "F" if in_columns else "C"
        return np.memmap(file, kind, "r", file.tell(), shape, order)


def _too_large(archive: zipfile.ZipFile, most: int) -> DataError:
    return DataError(
        f"{archive.filename}: the array has more than {most:,} bytes when it is unpacked, which is "
        "the most that is read. Save it by numpy.save as .npy, which is not packed."
    )
