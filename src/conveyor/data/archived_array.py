"""Reads an array of an archive of numpy without holding it in memory."""

import shutil
import tempfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


def mapped_array(stream: IO[bytes]) -> NDArray[Any]:
    """Return an array of an archive, copied into a file of its own that is mapped: an archive's
    parts may be packed.

    Args:
        stream: of the array's part of the archive.

    Raises:
        ValueError: it holds objects of Python.
    """
    with tempfile.TemporaryFile() as file:  # whose map stays when it is closed
        shutil.copyfileobj(stream, file)
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
