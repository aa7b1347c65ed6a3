"""Pictures are read as they are shown, and what cannot be read is told in a sentence."""

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conveyor.data import picture_file, stored_features
from conveyor.data.captioned_pictures import read_captioned
from conveyor.data.picture_file import read_picture
from conveyor.data.stored_features import read_features
from conveyor.errors import DataError


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return the bytes of a picture's file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def middle(data: bytes, size: int = 8) -> tuple[int, ...]:
    """Return the colour in the middle of a picture that is read."""
    return tuple(int(each) for each in read_picture(data, size).pixels[size // 2, size // 2])


RED = Image.new("RGB", (20, 10), (200, 20, 20))


def test_forms_of_colour() -> None:
    grey = Image.new("L", (9, 9), 77)
    assert middle(saved(grey)) == (77, 77, 77)
    assert middle(saved(Image.new("1", (9, 9), 1))) == (255, 255, 255)
    assert middle(saved(RED.convert("P"), "GIF"))[0] > 150
    cyan = Image.new("CMYK", (9, 9), (255, 0, 0, 0))
    red, green, blue = middle(saved(cyan, "JPEG"))
    assert red < 90 < min(green, blue)


def test_what_is_transparent_is_white() -> None:
    assert middle(saved(Image.new("RGBA", (9, 9), (0, 0, 0, 0)))) == (255, 255, 255)
    assert middle(saved(Image.new("LA", (9, 9), (0, 0)))) == (255, 255, 255)
    assert middle(saved(Image.new("RGBA", (9, 9), (0, 0, 0, 128))))[0] == pytest.approx(127, abs=2)
    palette = Image.new("P", (9, 9), 3)
    palette.putpalette([10, 20, 30] * 256)
    assert middle(saved(palette, transparency=3)) == (255, 255, 255)
    assert middle(saved(palette, transparency=4)) == (10, 20, 30)


def test_sixteen_bits_become_eight() -> None:
    values = np.full((9, 9), 40_000, dtype=np.uint16)
    assert middle(saved(Image.fromarray(values))) == (156, 156, 156)
    assert middle(saved(Image.fromarray(values), "TIFF")) == (156, 156, 156)
    floats = Image.fromarray(np.full((9, 9), 0.5, dtype=np.float32))
    assert middle(saved(floats, "TIFF"))[0] == pytest.approx(128, abs=1)


def test_a_picture_is_turned_as_its_exif_says() -> None:
    pixels = np.zeros((10, 20, 3), dtype=np.uint8)
    pixels[:, :10] = 255  # white at the left
    turned = Image.Exif()
    turned[0x0112] = 6  # shown after a turn to the right: white at the top
    read = read_picture(saved(Image.fromarray(pixels), "JPEG", exif=turned), 8)
    assert read.size == (10, 20)
    assert read.pixels[0].min() > 200
    assert read.pixels[-1].max() < 50


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (8, 8), (500, 2)])
def test_any_size_becomes_one(shape: tuple[int, int]) -> None:
    read = read_picture(saved(Image.new("RGB", shape, (5, 6, 7))), 8)
    assert read.pixels.shape == (8, 8, 3)
    assert (read.pixels == (5, 6, 7)).all()
    assert read.size == shape


def test_of_several_pictures_the_first_is_read() -> None:
    blue = Image.new("RGB", (20, 10), (0, 0, 250))
    read = read_picture(saved(RED, "GIF", save_all=True, append_images=[blue]), 8)
    assert read.frames == 2
    assert read.pixels[0, 0, 0] > 150


def zero_wide() -> bytes:
    """Return a PNG of no column."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b"this is a text", "no picture that can be read"),
        (saved(NOISE)[:2000], "broken and cannot be read"),
        (saved(NOISE, "JPEG")[:700], "broken and cannot be read"),
        (zero_wide(), "picture"),
    ],
    ids=["empty", "text", "half a PNG", "half a JPEG", "no column"],
)
def test_what_is_broken_is_told(data: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as raised:
        read_picture(data, 8, "cat.png")
    assert str(raised.value).startswith("cat.png: ")


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_file, "MOST_PIXELS", 150)
    with pytest.raises(DataError, match="20 × 10 pixels, more than the 150"):
        read_picture(saved(RED), 8, "cat.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with warnings.catch_warnings(), pytest.raises(DataError, match="too many pixels"):
        read_picture(saved(RED), 8, "cat.png")


# Tables and folders ----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with pictures."""
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(saved(RED))
    return tmp_path


def test_captions_of_one_picture_belong_together(folder: Path) -> None:
    table = folder / "t.csv"
    table.write_bytes(
        "\ufeffFile,Text,split\r\na.png, A cat. ,train\r\nb.png,x,test\r\na.png,Cat!,train\r\n"
        "c.png,,dev\r\n".encode()
    )
    read = read_captioned(table)
    assert [file.name for file in read.files] == ["a.png", "b.png", "c.png"]
    assert read.captions == [["A cat.", "Cat!"], ["x"], []]
    assert read.parts == [0, 2, 1]
    assert read.rows == [0, 1, 0, 2]
    assert read.notes[-1] == "pictures: column File, captions: column Text, parts: column split"


def test_a_folder_has_texts_beside_its_pictures(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.txt").write_text(f"one {name}\n\ntwo {name}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"c\.png: there is no c\.txt"):
        read_captioned(folder)
    (folder / "test").mkdir()
    for name in ("c.png", "c.txt"):
        (folder / "test" / name).write_bytes(b"three")
    (folder / "c.png").unlink()
    read = read_captioned(folder)
    assert read.captions == [["one a", "two a"], ["one b", "two b"], ["three"]]
    assert read.parts == [0, 0, 2]
    assert read_captioned(folder, captioned=False).captions is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,words\na.png,x\n", "which column holds the captions"),
        ("a,b\nx,y\n", "which column holds the pictures"),
        ("image,caption\nnone.png,x\n", r"line 2: there is no file .*none\.png"),
        ("image,caption\n,x\n", "line 2: no picture is named"),
        ("image,caption,part\na.png,x,train\na.png,y,test\n", "line 3: this picture is of the"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(folder: Path, text: str, said: str) -> None:
    table = folder / "t.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_captioned(table)


def test_single_pictures_and_lists(folder: Path) -> None:
    assert read_captioned(folder / "a.png", captioned=False).files == [folder / "a.png"]
    both = read_captioned([folder / "a.png", str(folder / "b.png")], captioned=False)
    assert [file.name for file in both.files] == ["a.png", "b.png"]
    with pytest.raises(DataError, match="this is one picture; expected a table"):
        read_captioned(folder / "a.png")
    with pytest.raises(DataError, match="there is no such file"):
        read_captioned(folder / "z.png", captioned=False)


# Numbers of others' networks -------------------------------------------------------------------


@pytest.mark.parametrize("packed", [True, False])
def test_numbers_are_mapped(tmp_path: Path, packed: bool) -> None:
    values = np.random.default_rng(0).standard_normal((4, 3, 2)).astype(np.float32)
    save: Any = np.savez_compressed if packed else np.savez
    save(tmp_path / "f.npz", features=values, files=np.array(["a", "b", "c", "d"]))
    read = read_features(tmp_path / "f.npz")
    assert isinstance(read.values, np.memmap)
    np.testing.assert_array_equal(read.values, values)
    assert read.files == ["a", "b", "c", "d"]
    np.save(tmp_path / "f.npy", values[:, 0])
    assert read_features(tmp_path / "f.npy").values.shape == (4, 1, 2)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"features": np.array([object()])}, "objects of Python"),
        ({"features": np.zeros(3)}, "expected numbers"),
        ({"features": np.zeros((2, 0, 3))}, "expected numbers"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(2)}, "there is no array features; there are: x, y"),
        (
            {"features": np.zeros((2, 3)), "files": np.array(["a"])},
            "2 rows of features and 1 files",
        ),
    ],
)
def test_what_are_no_numbers_is_told(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    np.savez(tmp_path / "f.npz", **arrays)
    with pytest.raises(DataError, match=said):
        read_features(tmp_path / "f.npz")
    (tmp_path / "g.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="no file of numbers"):
        read_features(tmp_path / "g.npz")


def test_packed_numbers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_features, "MOST_UNPACKED", 10_000)
    large, names = np.zeros((100, 4, 10), np.float32), np.array(["a" * 50] * 100)
    for arrays in ({"features": large}, {"features": large[:, :1, :1], "files": names}):
        np.savez_compressed(tmp_path / "f.npz", **arrays)
        with pytest.raises(DataError, match="more than 10,000 bytes when it is unpacked"):
            read_features(tmp_path / "f.npz")
    # What is not packed is as large as it looks.
    np.savez(tmp_path / "f.npz", features=large, files=names)
    assert read_features(tmp_path / "f.npz").values.shape == large.shape
