"""Pictures as they are read, in a file that is mapped: each is decoded once, before training
begins, and few are in memory at a time."""

import hashlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.data.captioned_pictures import CaptionedPictures
from conveyor.data.picture_file import read_picture
from conveyor.data.stored_features import StoredFeatures
from conveyor.errors import DataError, counted, named
from conveyor.tasks.task import Say

# Reading that takes longer than so many seconds is told, every so often.
_TOLD = 10.0
# Pictures that are named in a message.
_NAMED = 3
# What the file of pictures takes at most, in bytes.
_MOST_BYTES = 8 << 30


@dataclass(frozen=True, eq=False)
class PictureStore:
    """What is seen of pictures.

    Attributes:
        numbers: which of the source's pictures these are.
        values: pixels [rows, size, size, 3] or numbers [rows, L, D].
        rows: which one is of each picture.
        keys: the same for the same picture.
    """

    numbers: list[int]
    values: NDArray[Any]
    rows: list[int]
    keys: list[str]


def _key(values: NDArray[Any]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).hexdigest()


def stored_pictures(
    pictures: CaptionedPictures,
    size: int,
    say: Say,
    *,
    skip_broken: bool = False,
    advise: bool = True,
) -> PictureStore:
    """Read pictures.

    Args:
        pictures: which there are.
        size: rows and columns that each is read in.
        say: called with each line for the user.
        skip_broken: whether what cannot be read is left out.
        advise: whether an error says that it may be.

    Raises:
        DataError: a picture cannot be read, or there are too many.
    """
    count = len(pictures.files)
    shape = (count, size, size, 3)
    if np.prod(shape, dtype=np.float64) > _MOST_BYTES:
        raise DataError(
            f"{pictures.name}: {counted(count, 'picture')} of {size} × {size} pixels take more "
            f"than {_MOST_BYTES >> 30} GB. Give fewer, or a smaller {named('size')}."
        )
    with tempfile.TemporaryFile() as file:  # whose map stays when it is closed
        values = np.memmap(file, np.uint8, "w+", shape=shape)
    numbers: list[int] = []
    keys: list[str] = []
    broken: list[str] = []
    several = 0
    begun = told = time.monotonic()
    for number, path in enumerate(pictures.files):
        try:
            picture = read_picture(path, size)
        except DataError as error:
            if not skip_broken:
                if not advise:
                    raise
                raise DataError(
                    f"{str(error).removesuffix('.')}. {named('skip_broken', True)} leaves such "
                    "pictures out."
                ) from error
            broken.append(str(error))
            continue
        several += picture.frames > 1
        values[len(numbers)] = picture.pixels
        keys.append(_key(picture.pixels))
        numbers.append(number)
        now = time.monotonic()
        if now - told > _TOLD:
            told = now
            left = (now - begun) / (number + 1) * (count - number - 1)
            say(f"{number + 1:,} of {count:,} pictures read, {left:.0f} s left")
    for reason in broken[:_NAMED]:
        say(f"left out: {reason}")
    if len(broken) > _NAMED:
        say(f"left out: {counted(len(broken) - _NAMED, 'further picture')} that cannot be read")
    if several:
        say(f"{counted(several, 'file holds', 'files hold')} several pictures: the first is read")
    return PictureStore(numbers, values, list(range(len(numbers))), keys)


def stored_numbers(pictures: CaptionedPictures, features: StoredFeatures) -> PictureStore:
    """Return the numbers of pictures that a file holds: by the names of their files where it has
    these, else one row for each picture in the order in which the source first names them.

    Raises:
        DataError: a picture has none, or there are not as many rows as pictures.
    """
    count = len(pictures.files)
    if features.files is None:
        if len(features.values) != count:
            raise DataError(
                f"{features.name}: there are {counted(len(features.values), 'row')} of numbers, "
                f"and {counted(count, 'picture')} in {pictures.name}. Give a row for each picture, "
                "in the order in which they are first named, or their names as the array files."
            )
        order = list(range(count))
    else:
        rows: dict[str, int] = {}
        for row, name in enumerate(features.files):
            if name in rows:
                raise DataError(f"{features.name}: {name} is named twice in files.")
            rows[name] = row
        order = []
        for path, place in zip(pictures.files, pictures.places, strict=True):
            known = _row_of(path, rows)
            if known is None:
                raise DataError(f"{features.name}: there are no numbers of {place}.")
            order.append(known)
    keys = []
    for number, row in enumerate(order):
        numbers = features.values[row]
        if features.values.dtype.kind == "f" and not np.isfinite(numbers).all():
            raise DataError(
                f"{features.name}: the numbers of {pictures.places[number]} hold NaN or infinity."
            )
        keys.append(_key(numbers))
    return PictureStore(list(range(count)), features.values, order, keys)


def _row_of(path: Path, rows: dict[str, int]) -> int | None:
    """Return the row of a file: by its whole path or by its name."""
    for name in (str(path), path.as_posix(), path.name):
        if name in rows:
            return rows[name]
    return None
