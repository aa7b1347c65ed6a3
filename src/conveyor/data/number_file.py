"""Whole numbers in a file, for more of them than memory holds."""

import tempfile
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor import cache_folder
from conveyor.errors import SaveError


class NumberFile:
    """Whole numbers in a file without a name, of which stretches are read.

    The file is in the folder of kept files, else in the system's for temporary ones. It is gone
    when this process ends, however it ends.

    Args:
        blocks: the numbers, one stretch after the other, each from 0 and below ``below``.
        below: decides how many bytes a number takes.

    Raises:
        SaveError: the disk is full, or does not allow it.
    """

    def __init__(self, blocks: Iterable[Tensor], below: int) -> None:
        self._type: Any = np.min_scalar_type(max(below - 1, 0))
        self._length = 0
        folder = cache_folder.path_of("")
        try:
            # Not buffered: what is read is as long as a chunk, and where it is differs each time.
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
            weakref.finalize(self, self._file.close)
            for block in blocks:
                self._write(block.numpy().astype(self._type))
                self._length += len(block)
        except OSError as error:
            raise SaveError(
                f"a long text is kept as numbers in {folder or tempfile.gettempdir()}, which could "
                f"not be written: {error.strerror or error}. Make room, or choose another folder "
                "with CONVEYOR_CACHE_DIR."
            ) from error

    def _write(self, numbers: NDArray[Any]) -> None:
        rest = memoryview(numbers.tobytes())
        while rest:
            rest = rest[self._file.write(rest) :]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> Tensor:
        """Return a stretch of the numbers, int64.

        Args:
            part: without a step.
        """
        first, last, _ = part.indices(self._length)
        size = self._type.itemsize
        self._file.seek(first * size)
        data = bytearray(max(last - first, 0) * size)
        room = memoryview(data)
        while room:
            count = self._file.readinto(room)
            if not count:
                raise SaveError("a long text that is kept as numbers was cut short on the disk.")
            room = room[count:]
        return torch.from_numpy(np.frombuffer(data, self._type).astype(np.int64))
