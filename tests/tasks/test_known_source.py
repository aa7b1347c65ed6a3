"""Data are those of a run if their files hold the same, not if they are called alike and are as
large."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conveyor.data.captioned_pictures import CaptionedPictures
from conveyor.data.file_contents import contents_hash
from conveyor.data.recordings import Recordings
from conveyor.tasks import framed_recordings
from conveyor.tasks.caption import prepared_captions
from conveyor.tasks.known_source import is_source_of
from tests.heard import Heard


def written(path: Path, level: int) -> Path:
    """Write an array, whose bytes are as many for each level."""
    np.save(path, np.full((3, 4, 4), level, dtype=np.uint8))
    return path


def test_files_of_one_size_that_hold_something_else(tmp_path: Path) -> None:
    first = contents_hash(written(tmp_path / "a.npy", 1))
    assert contents_hash(written(tmp_path / "b.npy", 1)) == first
    assert contents_hash(written(tmp_path / "a.npy", 2)) != first
    assert contents_hash(tmp_path / "none.npy") == ""


def test_folders_of_frames(tmp_path: Path) -> None:
    hashes = []
    for number, levels in enumerate([(1, 2), (1, 2), (2, 1), (1, 1)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        for frame, level in enumerate(levels):
            Image.new("L", (4, 4), level).save(folder / f"{frame}.bmp")
        hashes.append(contents_hash(folder))
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def hashes_of(kind: str, file: Path, features: str | None = None) -> tuple[str, str]:
    """Return the hash of what a file holds, and the one that older runs keep."""
    if kind == "recordings":
        read = Recordings("t.csv", [file], ["do"], ["a"])
        return framed_recordings.hash_of(read), framed_recordings.hash_by_size(read)
    pictures = CaptionedPictures("t.csv", [file], [["a square"]], ["a"])
    return (
        prepared_captions.hash_of(pictures, features),
        prepared_captions.hash_by_size(pictures),
    )


@pytest.mark.parametrize("kind", ["captions", "recordings"])
def test_a_source_is_known_by_what_it_holds(kind: str, tmp_path: Path) -> None:
    then, by_size_then = hashes_of(kind, written(tmp_path / "a.npy", 1))
    heard = Heard()
    assert is_source_of({"source": then}, *hashes_of(kind, tmp_path / "a.npy"), heard)
    assert "this is the data of the run" in heard.text
    now, by_size = hashes_of(kind, written(tmp_path / "a.npy", 2))
    heard = Heard()
    assert not is_source_of({"source": then}, now, by_size, heard)
    assert not is_source_of({}, now, by_size, heard)
    assert not heard.text
    # An older run knows no more than that.
    assert is_source_of({"source": by_size_then}, now, by_size, heard)
    assert "by the names and sizes of the files" in heard.text


def test_other_numbers_of_the_same_pictures_are_other_data(tmp_path: Path) -> None:
    there: Any = tmp_path / "a.png"
    first, _ = hashes_of("captions", there, str(written(tmp_path / "a.npy", 1)))
    other, _ = hashes_of("captions", there, str(written(tmp_path / "b.npy", 2)))
    assert len({first, other, hashes_of("captions", there)[0]}) == 3
