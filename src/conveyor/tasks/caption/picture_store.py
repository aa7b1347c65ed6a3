"""Pictures and videos as they are read, in a file that is mapped: each is decoded once, before
training begins, and few are in memory at a time."""

import contextlib
import hashlib
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.data.captioned_pictures import CaptionedPictures
from conveyor.data.picture_file import read_picture
from conveyor.data.stored_features import StoredFeatures
from conveyor.data.video_file import VIDEOS, films_are_named, is_video, read_video
from conveyor.errors import DataError, counted, named
from conveyor.tasks.caption.caption_examples import StoredSights
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
        values: what is seen.
        rows: which one is of each picture.
        keys: the same for the same picture.
    """

    numbers: list[int]
    values: StoredSights
    rows: list[int]
    keys: list[str]


def _key(values: NDArray[Any]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).hexdigest()


def count_videos(pictures: CaptionedPictures) -> int:
    """Return how many of a source's files hold videos; a broken one, which is named when it is
    read, holds none."""
    count = 0
    for path in pictures.files:
        with contextlib.suppress(DataError):
            count += is_video(path)
    return count


def stored_pictures(
    pictures: CaptionedPictures,
    size: int,
    frames: int,
    say: Say,
    *,
    skip_broken: bool = False,
    advise: bool = True,
) -> PictureStore:
    """Read pictures or videos.

    Args:
        pictures: which there are.
        size: rows and columns that each is read in.
        frames: of a video that are read, at most; 0 where all are read as pictures.
        say: called with each line for the user.
        skip_broken: whether what cannot be read is left out.
        advise: whether an error says that it may be.

    Raises:
        DataError: a picture cannot be read, or there are too many.
    """
    count = len(pictures.files)
    shape = (count, frames, size, size, 3) if frames else (count, size, size, 3)
    if np.prod(shape, dtype=np.float64) > _MOST_BYTES:
        noun, fewer = ("video", f", fewer {named('frames')}") if frames else ("picture", "")
        raise DataError(
            f"{pictures.name}: {counted(count, noun)} of {size} × {size} pixels take more "
            f"than {_MOST_BYTES >> 30} GB. Give less{fewer}, or a smaller {named('size')}."
        )
    with tempfile.TemporaryFile() as file:  # whose map stays when it is closed
        values = np.memmap(file, np.uint8, "w+", shape=shape)
    lengths = np.ones(count, dtype=np.int64)
    numbers: list[int] = []
    keys: list[str] = []
    broken: list[str] = []
    several = 0
    whites: Counter[int | None] = Counter()
    begun = told = time.monotonic()
    for number, path in enumerate(pictures.files):
        try:
            pixels, held, white = _read(path, size, frames)
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
        several += held > 1
        whites[white] += 1
        if frames:
            lengths[len(numbers)] = len(pixels)
            values[len(numbers), : len(pixels)] = pixels
        else:
            values[len(numbers)] = pixels
        keys.append(_key(pixels))
        numbers.append(number)
        now = time.monotonic()
        if now - told > _TOLD:
            told = now
            left = (now - begun) / (number + 1) * (count - number - 1)
            noun = "videos" if frames else "pictures"
            say(f"{number + 1:,} of {count:,} {noun} read, {left:.0f} s left")
    for reason in broken[:_NAMED]:
        say(f"left out: {reason}")
    if len(broken) > _NAMED:
        say(f"left out: {counted(len(broken) - _NAMED, 'further picture')} that cannot be read")
    if several and not frames:
        say(f"{counted(several, 'file holds', 'files hold')} several pictures: the first is read")
    _tell_white(whites, say)
    sights = StoredSights(values, lengths if frames else None)
    return PictureStore(numbers, sights, list(range(len(numbers))), keys)


def _tell_white(whites: Counter[int | None], say: Say) -> None:
    """Tell of arrays whose numbers end at 1: another scale than that of the others may be a mistake
    of who wrote them."""
    if whites[1]:
        rest = f"; of {counted(whites[255], 'other')}, 255 is" if whites[255] else ""
        many = counted(whites[1], "array")
        say(f"{many} without a number above 1: there 1 is white, and not 255{rest}")


def _read(path: Path, size: int, frames: int) -> tuple[NDArray[np.uint8], int, int | None]:
    """Return the pixels of a picture or of frames of a video, how many frames the file has, and
    which number is white in it, see ``Video``."""
    if frames:
        video = read_video(path, size, frames)
        return video.pixels, video.count, video.white
    if path.is_dir() or path.suffix.lower() in VIDEOS:
        video = read_video(path, size, 1)
        return video.pixels[0], video.count, video.white
    with films_are_named():
        picture = read_picture(path, size)
    return picture.pixels, picture.frames, None


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
    return PictureStore(list(range(count)), StoredSights(features.values), order, keys)


def _row_of(path: Path, rows: dict[str, int]) -> int | None:
    """Return the row of a file: by its whole path or by its name."""
    for name in (str(path), path.as_posix(), path.name):
        if name in rows:
            return rows[name]
    return None
