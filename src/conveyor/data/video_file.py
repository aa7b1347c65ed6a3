"""Reads videos: folders of pictures, arrays, moving pictures (GIF, WebP) and files that FFmpeg
knows, some frames of each, evenly apart, as colours of one size."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conveyor.data.archived_array import MOST_UNPACKED, mapped_array
from conveyor.data.broken_arrays import BROKEN_ARRAYS, reason_of
from conveyor.data.cut_film import stated_bytes
from conveyor.data.files import read_bytes
from conveyor.data.picture_file import (
    MOST_PIXELS,
    PICTURES,
    NoPictureError,
    frame_of,
    opened_picture,
    read_picture,
    resized,
)
from conveyor.errors import DataError, SettingError

# The endings of arrays.
ARRAYS = (".npy", ".npz")
# The endings of films that PyAV reads, and what FFmpeg calls their forms.
# Their forms are not guessed by what they hold: a list of files on this machine or elsewhere, which
# FFmpeg knows too, must not be followed because somebody called it a film.
_FORMS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "matroska",
    ".avi": "avi",
    ".mpg": "mpeg",
    ".mpeg": "mpeg",
    ".ogv": "ogg",
}
FILMS = tuple(_FORMS)
# Endings of films that are not read, and are no tables either.
OTHER_FILMS = (".wmv", ".asf", ".flv", ".ts", ".mts", ".m2ts", ".3gp", ".3g2", ".vob")
# The endings of pictures that may move.
MOVING = (".gif", ".webp")
VIDEOS = (*ARRAYS, *FILMS)

# A video has so many frames at most, more than an hour of 25 a second, and so many pixels in all,
# more than an hour of 1,920 × 1,080: a small file may hold days of one colour, which take days to
# decode. Arrays are not decoded.
MOST_FRAMES, MOST_DECODED = 100_000, 200_000_000_000

# The array of an archive that holds the frames.
_FRAMES = "frames"


@dataclass(frozen=True, eq=False)
class Video:
    """Frames of a video.

    Attributes:
        pixels: red, green and blue, 0 to 255, [frames, rows, columns, 3].
        numbers: which frames of the file these are, from 0.
        count: frames of the file.
        white: of an array the number that is white, 1 or 255; None of another file.
    """

    pixels: NDArray[np.uint8]
    numbers: tuple[int, ...]
    count: int
    white: int | None = None


def frame_numbers(count: int, most: int) -> tuple[int, ...]:
    """Return which frames of a video are read: all of them, or so many evenly apart, the first and
    the last among them.

    >>> frame_numbers(9, 3)
    (0, 4, 8)

    Args:
        count: frames of the video.
        most: that are read, 1 or more; a single one is the first.
    """
    if count <= most:
        return tuple(range(count))
    return tuple(np.linspace(0, count - 1, most).round().astype(int).tolist()) if most > 1 else (0,)


def is_video(path: Path) -> bool:
    """Return whether a file or a folder holds a video, and not a picture: a moving picture is one
    if it has two frames or more.

    Raises:
        DataError: a picture that may move is broken.
    """
    ending = path.suffix.lower()
    if path.is_dir() or ending in VIDEOS:
        return True
    if ending not in MOVING:
        return False
    with opened_picture(path) as opened:
        return int(getattr(opened, "n_frames", 1)) > 1


def in_order(files: Iterator[Path]) -> list[Path]:
    """Return files by their names, in which numbers count as numbers: frame 2 before frame 10."""

    def key(path: Path) -> list[tuple[bool, int, str]]:
        parts = re.split(r"(\d+)", path.name)
        return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]

    return sorted(files, key=key)


def frame_files(folder: Path) -> list[Path]:
    """Return the pictures that a folder holds itself, in order."""
    return in_order(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file()
    )


def read_video(path: Path, size: int, most: int) -> Video:
    """Read frames of a video as rows and columns of one size, see ``read_picture``. A picture is a
    video of one frame.

    Args:
        path: a folder of pictures, an array [frames, rows, columns] or [frames, rows, columns, 3]
            (.npy, .npz), a moving picture (GIF, WebP), a video file, or a picture. Numbers of an
            array are 0 to 255, or 0 to 1 where none that is read is above 1.
        size: rows and columns.
        most: frames that are read, evenly apart. No more than these are in memory.

    Raises:
        DataError: there is no such file, or it is no whole video.
        SettingError: it needs a library that is not installed.
    """
    ending = path.suffix.lower()
    if path.is_dir():
        video = _of_folder(path, size, most)
    elif not path.exists():
        read_bytes(path)  # raises what says which files there are
        raise DataError(f"{path}: there is no such file.")
    elif ending in ARRAYS:
        video = _of_array(path, size, most)
    elif ending in FILMS:
        video = _of_film(path, size, most)
    else:
        with films_are_named():
            video = _of_pictures(path, size, most)
    if not video.count:
        raise DataError(f"{path}: the video has no frames.")
    return video


@contextmanager
def films_are_named() -> Iterator[None]:
    """Add to an error that a file is no picture which files are videos.

    Raises:
        DataError: it is none.
    """
    try:
        yield
    except NoPictureError as error:
        raise DataError(
            f"{error} Videos are read of {', '.join((*FILMS, *ARRAYS, *MOVING))}."
        ) from error


def _of_folder(folder: Path, size: int, most: int) -> Video:
    files = frame_files(folder)
    if not files:
        raise DataError(
            f"{folder}: there is no frame in this folder; expected {', '.join(PICTURES[:3])} and "
            "so on, in the order of their names."
        )
    numbers = frame_numbers(len(files), most)
    frames = [read_picture(files[number], size) for number in numbers]
    for number, frame in zip(numbers, frames, strict=True):
        if frame.size != frames[0].size:
            first, other = (" × ".join(map(str, each.size)) for each in (frames[0], frame))
            raise DataError(
                f"{folder}: {files[number].name} has {other} pixels, and {files[0].name} {first}; "
                "expected frames of one size."
            )
    return Video(np.stack([frame.pixels for frame in frames]), numbers, len(files))


def _of_pictures(path: Path, size: int, most: int) -> Video:
    with opened_picture(path) as opened:
        count = int(getattr(opened, "n_frames", 1)) if path.suffix.lower() in MOVING else 1
        if path.suffix.lower() in MOVING:
            _check_length(path, count, *opened.size)
        numbers = frame_numbers(count, most)
        frames = []
        for number in numbers:
            if number:
                opened.seek(number)
            frames.append(frame_of(opened, size)[0])
    return Video(np.stack(frames), numbers, count)


def _check_length(path: Path, count: int, columns: int, rows: int) -> None:
    """Check that a video may be decoded.

    Raises:
        DataError: it is too long.
    """
    if count > MOST_FRAMES or count * columns * rows > MOST_DECODED:
        raise DataError(
            f"{path}: the video has {count:,} frames of {columns:,} × {rows:,} pixels; expected "
            f"{MOST_FRAMES:,} frames and {MOST_DECODED:,} pixels in all, at most. Cut it into "
            "pieces, or make it smaller."
        )


def _of_array(path: Path, size: int, most: int) -> Video:
    try:
        values = _array(path)
    except BROKEN_ARRAYS as error:
        raise DataError(
            f"{path}: this is no file of numbers (.npz, .npy): {reason_of(error)}."
        ) from error
    shape = list(values.shape)
    if values.ndim not in (3, 4) or (values.ndim == 4 and shape[3] != 3):
        raise DataError(
            f"{path}: the array is {shape}; expected [frames, rows, columns], or [frames, rows, "
            "columns, 3] for red, green and blue."
        )
    if values.dtype.kind not in "fiub":
        raise DataError(f"{path}: the array is of {values.dtype}; expected numbers.")
    if 0 in shape[1:] or shape[1] * shape[2] > MOST_PIXELS:
        raise DataError(
            f"{path}: a frame has {shape[1]:,} × {shape[2]:,} pixels; expected 1 to "
            f"{MOST_PIXELS:,}."
        )
    if values.ndim == 3 and shape[2] <= 4:
        raise DataError(
            f"{path}: the array is {shape}, which looks like one picture with its colours last; "
            "expected [frames, rows, columns], or [frames, rows, columns, 3]. A single picture is "
            "array[None]."
        )
    numbers = frame_numbers(shape[0], most)
    if not numbers:
        raise DataError(f"{path}: the video has no frames.")
    white = _white(values, numbers, path)
    factor = 255 / white
    frames = []
    for number in numbers:
        frame = np.asarray(values[number], dtype=np.float64) * factor
        levels = frame.round().astype(np.uint8)
        colours = levels if levels.ndim == 3 else levels[..., None].repeat(3, -1)
        frames.append(resized(colours, size))
    return Video(np.stack(frames), numbers, shape[0], white)


def _array(path: Path) -> NDArray[Any]:
    """Return the array of a file, mapped.

    Raises:
        DataError: there are several, and none is called as the frames are.
    """
    if path.suffix.lower() == ".npy":
        array: NDArray[Any] = np.load(path, mmap_mode="r")
        return array
    with zipfile.ZipFile(path) as archive:
        names = {Path(each).stem: each for each in archive.namelist()}
        wanted = names.get(_FRAMES) or (archive.namelist()[0] if len(names) == 1 else None)
        if wanted is None:
            there = ", ".join(names) or "none"
            raise DataError(
                f"{path}: there is no array {_FRAMES}; there are: {there}. Save it by "
                f"numpy.savez(file, {_FRAMES}=…)."
            )
        return mapped_array(archive, wanted, MOST_UNPACKED)


def _white(values: NDArray[Any], numbers: tuple[int, ...], path: Path) -> int:
    """Return which number is white: 1 where no number of the frames that are read is above 1, 255
    otherwise. A video of 255 levels that has only the darkest two shows nothing.

    Raises:
        DataError: they are none that colours may be.
    """
    most = 0.0
    for number in numbers:
        frame = np.asarray(values[number], dtype=np.float64)
        low, high = float(frame.min()), float(frame.max())
        # NaN compares with nothing.
        if not 0 <= low <= high <= 255:
            raise DataError(
                f"{path}: frame {number + 1} has numbers from {low:g} to {high:g}; expected 0 to "
                "255, or 0 to 1."
            )
        most = max(most, high)
    return 1 if 0 < most <= 1 else 255


def _library() -> Any:
    """Return PyAV.

    Raises:
        SettingError: it is not installed.
    """
    try:
        import av  # noqa: PLC0415  # of an extra
    except (ImportError, OSError) as error:
        raise SettingError(
            f"video files are read by PyAV, which cannot be loaded ({error}). Install conveyor "
            "with the extra video: pip install 'conveyor[video]'. Folders of frames, arrays, GIF "
            "and WebP are read without it."
        ) from error
    return av


def _of_film(path: Path, size: int, most: int) -> Video:
    av = _library()
    size_in_bytes = path.stat().st_size
    if not size_in_bytes:
        raise DataError(f"{path}: the file is empty.")
    stated = stated_bytes(path, _FORMS[path.suffix.lower()])
    if stated is not None and stated > size_in_bytes:
        raise DataError(
            f"{path}: it is cut off: its head says {stated:,} bytes or more, it holds "
            f"{size_in_bytes:,}. Fetch it again."
        )
    try:
        count = _frames_of_film(av, path)
        read = dict(_decoded(av, path, size, set(frame_numbers(count, most))))
        if read and len(read) < len(frame_numbers(count, most)):
            # The file says that it has more frames than it has.
            count = _counted(av, path)
            read = dict(_decoded(av, path, size, set(frame_numbers(count, most))))
    except DataError:
        raise
    # A broken file makes PyAV stumble on whatever it lacks, such as the size of its pictures.
    except Exception as error:
        words = (getattr(error, "strerror", None) or str(error)).strip().removesuffix(".")
        raise DataError(
            f"{path}: the video is broken and cannot be read: {words}. Fetch it again."
        ) from error
    if not read:
        raise DataError(f"{path}: the video has no frames.")
    numbers = tuple(sorted(read))
    return Video(np.stack([read[number] for number in numbers]), numbers, count)


def _opened(av: Any, path: Path) -> Any:
    """Return an open film."""
    form = _FORMS[path.suffix.lower()]
    return av.open(str(path), format=form, options={"protocol_whitelist": "file"})


def _stream(path: Path, opened: Any) -> Any:
    """Return the first stream of pictures of an open file.

    Raises:
        DataError: there is none.
    """
    if not opened.streams.video:
        kinds = ", ".join(sorted({each.type for each in opened.streams})) or "nothing"
        raise DataError(f"{path}: there are no pictures in this file; it holds: {kinds}.")
    stream = opened.streams.video[0]
    if stream.width * stream.height > MOST_PIXELS:
        raise DataError(
            f"{path}: a frame has {stream.width:,} × {stream.height:,} pixels, more than the "
            f"{MOST_PIXELS:,} that are read. Make it smaller."
        )
    return stream


def _frames_of_film(av: Any, path: Path) -> int:
    """Return how many frames a file says that it has; of one that says nothing, its packets."""
    with _opened(av, path) as opened:
        stream = _stream(path, opened)
        count = int(stream.frames) or sum(packet.size > 0 for packet in opened.demux(stream))
        _check_length(path, count, stream.width, stream.height)
        return count


def _counted(av: Any, path: Path) -> int:
    """Return how many frames are decoded."""
    with _opened(av, path) as opened:
        return sum(1 for _ in opened.decode(_stream(path, opened)))


def _decoded(
    av: Any, path: Path, size: int, numbers: set[int]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield some frames with their numbers; the others are decoded and forgotten."""
    if not numbers:
        return
    last = max(numbers)
    with _opened(av, path) as opened:
        for number, frame in enumerate(opened.decode(_stream(path, opened))):
            if number in numbers:
                pixels = frame.to_ndarray(format="rgb24")
                yield number, resized(_as_shown(pixels, frame, path), size)
            if number >= last:
                return


def _as_shown(pixels: NDArray[np.uint8], frame: Any, path: Path) -> NDArray[np.uint8]:
    """Return a frame turned and mirrored as its film says: by a matrix that takes column x and row
    y to column a x + c y and row b x + d y (ISO/IEC 14496-12, 8.3.2; FFmpeg's display matrix).

    Raises:
        DataError: it is turned by something else than quarters of a circle.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return pixels
    (a, b), (c, d) = np.frombuffer(matrix, dtype=np.int32).reshape(3, 3)[:2, :2].tolist()
    if a and d and not b and not c:
        return pixels[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1]
    if b and c and not a and not d:
        return pixels.transpose(1, 0, 2)[:: 1 if b > 0 else -1, :: 1 if c > 0 else -1]
    raise DataError(
        f"{path}: its frames are shown at an angle ({frame.rotation}°); expected quarters of a "
        "circle. Write it anew as it is shown, by ffmpeg say."
    )
