"""Videos are read frame by frame, evenly apart, and what cannot be read is told in a sentence."""

import copy
import struct
import sys
import wave
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from conveyor.data import picture_file, video_file
from conveyor.data.captioned_pictures import read_captioned
from conveyor.data.video_file import frame_numbers, is_video, read_video
from conveyor.errors import DataError, SettingError

av = pytest.importorskip("av")

Pixels = NDArray[np.uint8]
COUNT, SIZE = 7, 16


def frames(count: int = COUNT) -> Pixels:
    """Grey frames, each brighter than the one before: 20, 50, 80 and so on."""
    levels = 20 + 30 * np.arange(count)
    return np.broadcast_to(levels[:, None, None, None], (count, SIZE, SIZE, 3)).astype(np.uint8)


def levels(path: Path, most: int = 100) -> list[int]:
    """How bright the frames of a video are that are read."""
    return [int(frame.mean().round()) for frame in read_video(path, 8, most).pixels]


def write_gif(path: Path, pixels: Pixels, **options: Any) -> Path:
    images = [Image.fromarray(frame) for frame in pixels]
    images[0].save(path, save_all=True, append_images=images[1:], duration=40, **options)
    return path


def write_folder(path: Path, pixels: Pixels) -> Path:
    """Frame 10 comes after frame 9, and is no neighbour of frame 1."""
    path.mkdir()
    for number, frame in enumerate(pixels, 5):
        Image.fromarray(frame).save(path / f"frame{number}.png")
    (path / ".hidden.png").write_bytes(b"no picture")
    (path / "notes.txt").write_text("no frame")
    return path


def write_film(
    path: Path, pixels: Pixels, codec: str = "mpeg4", turned: int = 0, options: Any = None
) -> Path:
    with av.open(str(path), "w", options=options or {}) as out:
        rate = 25 if codec == "mpeg1video" else 10  # that coder knows few
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *pixels.shape[2:0:-1], "yuv420p"
        stream.time_base = Fraction(1, rate)
        if turned:
            stream.set_display_rotation(turned)
        for frame in pixels:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def write_npy(path: Path, pixels: Any) -> Path:
    np.save(path, pixels)
    return path


def write_npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {
    "folder": lambda at: write_folder(at / "clip", frames()),
    "npy": lambda at: write_npy(at / "a.npy", frames()),
    "npz": lambda at: write_npz(at / "a.npz", frames=frames()),
    "npz of one": lambda at: write_npz(at / "b.npz", x=frames()),
    "gif": lambda at: write_gif(at / "a.gif", frames()),
    "webp": lambda at: write_gif(at / "a.webp", frames(), lossless=True),
    "mp4": lambda at: write_film(at / "a.mp4", frames()),
    # A file of this kind says not how many frames it has.
    "mkv": lambda at: write_film(at / "a.mkv", frames()),
    "webm": lambda at: write_film(at / "a.webm", frames(), "libvpx-vp9"),
    "grey": lambda at: write_npy(at / "g.npy", frames()[..., 0]),
    "fractions": lambda at: write_npy(at / "f.npy", frames() / 255),
    "numbers": lambda at: write_npy(at / "n.npy", frames().astype(np.int64)),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_frames_come_in_order(kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path)
    assert is_video(path)
    expected = [int(frame.mean()) for frame in frames()]
    # Films are coded with loss.
    assert levels(path) == pytest.approx(expected, abs=3)
    assert levels(path, 3) == pytest.approx([20, 110, 200], abs=3)
    assert levels(path, 1) == pytest.approx([20], abs=3)
    video = read_video(path, 8, 3)
    assert (video.numbers, video.count) == ((0, 3, 6), COUNT)
    assert video.pixels.shape == (3, 8, 8, 3)


def test_frames_are_evenly_apart() -> None:
    for count in (1, 2, 5, 26, 27, 100, 1001):
        for most in (1, 2, 3, 16, 26):
            numbers = frame_numbers(count, most)
            assert len(numbers) == min(count, most)
            assert sorted(set(numbers)) == list(numbers)
            assert numbers[0] == 0
            if most > 1:
                assert numbers[-1] == count - 1
                gaps = np.diff(numbers) if len(numbers) > 1 else np.ones(1)
                assert gaps.max() - gaps.min() <= 1


def test_a_film_that_says_it_has_more_frames_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_film(tmp_path / "a.mp4", frames())
    monkeypatch.setattr(video_file, "_frames_of_film", lambda *_: 70)
    video = read_video(path, 8, 3)
    assert (video.numbers, video.count) == ((0, 3, 6), COUNT)


@pytest.mark.parametrize(("turned", "edge"), [(0, 0), (90, 1), (180, 2), (-90, 3)])
def test_a_film_is_turned_as_a_telephone_held_it(turned: int, edge: int, tmp_path: Path) -> None:
    """Each number of degrees against the clock moves what is bright from the top to the left, the
    bottom and the right."""
    pixels = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    pixels[:, :8] = 255
    (frame, _) = read_video(write_film(tmp_path / "a.mp4", pixels, turned=turned), 8, 2).pixels
    edges = [frame[0].mean(), frame[:, 0].mean(), frame[-1].mean(), frame[:, -1].mean()]
    assert int(np.argmax(edges)) == edge


# The matrix of a film (a, b, c, d), and where its corners are shown: red, green, blue and white
# stand at the top left, the top right, the bottom left and the bottom right of what is stored.
SHOWN = {
    "plain": ((1, 0, 0, 1), "RGBW"),
    "a quarter with the clock": ((0, 1, -1, 0), "BRWG"),
    "a quarter against the clock": ((0, -1, 1, 0), "GWRB"),
    "half": ((-1, 0, 0, -1), "WBGR"),
    "mirrored": ((-1, 0, 0, 1), "GRWB"),
    "upside down": ((1, 0, 0, -1), "BWRG"),
    "over the diagonal": ((0, 1, 1, 0), "RBGW"),
    "over the other diagonal": ((0, -1, -1, 0), "WGBR"),
}


def with_matrix(path: Path, numbers: tuple[float, ...]) -> Path:
    """Write a film of four corners, and put a, b, c and d of its matrix into the head of its track
    (ISO/IEC 14496-12, 8.3.2)."""
    pixels = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    pixels[:, :16, :16, 0] = pixels[:, :16, 16:, 1] = pixels[:, 16:, :16, 2] = 255
    pixels[:, 16:, 16:] = 255
    data = bytearray(write_film(path, pixels).read_bytes())
    begin = data.index(b"tkhd") + 44
    a, b, c, d = (round(number * 65_536) for number in numbers)
    data[begin : begin + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", SHOWN)
def test_a_film_is_mirrored_as_its_matrix_says(kind: str, tmp_path: Path) -> None:
    numbers, expected = SHOWN[kind]
    pixels = read_video(with_matrix(tmp_path / "a.mp4", numbers), 8, 1).pixels[0]
    names = {(1, 0, 0): "R", (0, 1, 0): "G", (0, 0, 1): "B", (1, 1, 1): "W"}
    corners = (pixels[[1, 1, 6, 6], [1, 6, 1, 6]] > 128).astype(int).tolist()
    assert "".join(names[tuple(corner)] for corner in corners) == expected


def test_a_film_at_an_angle_is_named(tmp_path: Path) -> None:
    path = with_matrix(tmp_path / "a.mp4", (0.8, 0.6, -0.6, 0.8))
    with pytest.raises(DataError, match=r"shown at an angle .*expected quarters"):
        read_video(path, 8, 1)


# Endings of films, and their coders.
CUT = {
    "mp4": "mpeg4",
    "mov": "mpeg4",
    "mkv": "mpeg4",
    "webm": "libvpx-vp9",
    "avi": "mpeg4",
    "mpg": "mpeg1video",
}


@pytest.mark.parametrize("kind", CUT)
def test_a_film_that_is_cut_off_is_named(kind: str, tmp_path: Path) -> None:
    """With the head first, as films are written that are seen while they arrive."""
    path, draw = tmp_path / f"a.{kind}", np.random.default_rng(0)
    pixels = draw.integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)
    options = {"movflags": "faststart"} if kind in ("mp4", "mov") else {}
    write_film(path, pixels, CUT[kind], options=options)
    assert read_video(path, 8, 100).count == 12
    whole = path.read_bytes()
    for share in (0.3, 0.55, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DataError, match=r"cut off: its head says [\d,]+ bytes"):
            read_video(path, 8, 100)
    # Of what follows the film nobody says that it is missing.
    path.write_bytes(whole + b"\0" * 40)
    assert read_video(path, 8, 100).count == 12


def test_what_does_not_move_is_a_picture(tmp_path: Path) -> None:
    Image.fromarray(frames()[0]).save(tmp_path / "a.png")
    write_gif(tmp_path / "one.gif", frames(1))
    for name in ("a.png", "one.gif"):
        assert not is_video(tmp_path / name)
        assert levels(tmp_path / name) == [20]


def test_few_frames_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long video no more are decoded into colours than are read."""
    seen: list[int] = []
    plain = picture_file.resized

    def counted(shown: Any, size: int) -> Any:
        seen.append(1)
        return plain(shown, size)

    monkeypatch.setattr(video_file, "resized", counted)
    long = np.broadcast_to(np.uint8(9), (5_000, 8, 8, 3))
    read_video(write_npy(tmp_path / "a.npy", long), 8, 4)
    read_video(write_film(tmp_path / "a.mp4", np.tile(frames(), (20, 1, 1, 1))), 8, 4)
    assert len(seen) == 8


def test_transparent_frames_are_over_white(tmp_path: Path) -> None:
    clear = [Image.new("RGBA", (9, 9), (0, 0, 0, 0)), Image.new("RGBA", (9, 9), (0, 0, 0, 255))]
    clear[0].save(
        tmp_path / "a.webp", save_all=True, append_images=clear[1:], lossless=True, duration=40
    )
    assert levels(tmp_path / "a.webp") == [255, 0]


def write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def sound_only(path: Path) -> Path:
    """A film without pictures."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=8000, layout="mono")
        samples = np.zeros((1, 8000), dtype=np.float32)
        sound = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        sound.sample_rate = 8000
        out.mux(stream.encode(sound))
        out.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def of_two_sizes(path: Path) -> Path:
    write_folder(path, frames(2))
    Image.new("RGB", (9, 12)).save(path / "frame8.png")
    return path


BROKEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no frames": (lambda at: write_npy(at / "a.npy", frames()[:0]), "the video has no frames"),
    "empty folder": (lambda at: (at / "c").mkdir() or at / "c", "there is no frame in this folder"),  # type: ignore[func-returns-value]
    "two sizes": (
        lambda at: of_two_sizes(at / "c"),
        "frame8.png has 9 × 12 pixels, and frame5.png 16 × 16; expected frames of one size",
    ),
    "shape": (lambda at: write_npy(at / "a.npy", np.zeros((3, 4))), r"the array is \[3, 4\]"),
    "colours": (
        lambda at: write_npy(at / "a.npy", np.zeros((3, 4, 4, 2))),
        r"the array is \[3, 4, 4, 2\]; expected \[frames, rows, columns\]",
    ),
    "a picture": (
        lambda at: write_npy(at / "a.npy", frames()[0]),
        r"the array is \[16, 16, 3\], which looks like one picture",
    ),
    "no rows": (lambda at: write_npy(at / "a.npy", np.zeros((3, 0, 4, 3))), "0 × 4 pixels"),
    "words": (lambda at: write_npy(at / "a.npy", np.full((3, 5, 5), "a")), "expected numbers"),
    "negative": (
        lambda at: write_npy(at / "a.npy", np.full((3, 5, 5), -1.0)),
        "frame 1 has numbers from -1 to -1; expected 0 to 255",
    ),
    "nan": (
        lambda at: write_npy(at / "a.npy", np.full((3, 5, 5), np.nan)),
        "frame 1 has numbers from nan",
    ),
    "objects": (
        lambda at: write_npy(at / "a.npy", np.array([{}, 1], dtype=object)),
        "this is no file of numbers",
    ),
    "no array": (lambda at: write_bytes(at / "a.npy", b"no array"), "this is no file of numbers"),
    "no archive": (lambda at: write_bytes(at / "a.npz", b"none"), "this is no file of numbers"),
    "several": (
        lambda at: write_npz(at / "a.npz", a=frames(), b=frames()),
        "there is no array frames; there are: a, b",
    ),
    "no film": (lambda at: write_bytes(at / "a.mp4", b"none" * 99), "broken and cannot be read"),
    "empty film": (lambda at: write_bytes(at / "a.mp4", b""), "the file is empty"),
    "cut film": (
        lambda at: cut(write_film(at / "a.mp4", frames()), 0.5),
        "it is cut off: its head says",
    ),
    "sound": (lambda at: sound_only(at / "a.mp4"), "no pictures in this file; it holds: audio"),
    "no gif": (lambda at: write_bytes(at / "a.gif", b"GIF89a"), "a.gif: "),
    "cut webp": (
        lambda at: cut(write_gif(at / "a.webp", frames(), lossless=True), 0.5),
        "a.webp: ",
    ),
    "nothing": (lambda at: at / "none.mp4", "there is no such file"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_read_is_told(kind: str, tmp_path: Path) -> None:
    make, said = BROKEN[kind]
    path = make(tmp_path)
    with pytest.raises(DataError, match=said):
        read_video(path, 8, 4)


def test_a_wave_that_is_called_a_film(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(1600))
    with pytest.raises(DataError, match="the video is broken and cannot be read"):
        read_video(path, 8, 4)


def test_too_many_pixels_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_file, "MOST_PIXELS", 99)
    monkeypatch.setattr(picture_file, "MOST_PIXELS", 99)
    for make in ("mp4", "npy", "gif"):
        with pytest.raises(DataError, match="16 × 16 pixels"):
            read_video(WRITERS[make](tmp_path), 8, 4)


def test_long_videos_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("MOST_FRAMES", COUNT - 1), ("MOST_DECODED", COUNT * SIZE * SIZE - 1)):
        with monkeypatch.context() as patch:
            patch.setattr(video_file, name, most)
            for make in ("mp4", "mkv", "gif", "webp"):
                (tmp_path / f"a.{make}").unlink(missing_ok=True)
                with pytest.raises(DataError, match="7 frames of 16 × 16 pixels; expected"):
                    read_video(WRITERS[make](tmp_path), 8, 4)
    read_video(WRITERS["mp4"](tmp_path), 8, 4)


@pytest.mark.parametrize("honest", [True, False])
def test_an_archive_is_unpacked_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, honest: bool
) -> None:
    """By what it states, and while it is unpacked if it states less."""
    path = write_npz(tmp_path / "a.npz", frames=np.zeros((100, 64, 64), dtype=np.uint8))
    monkeypatch.setattr(video_file, "MOST_UNPACKED", 100_000)
    if not honest:
        plain = zipfile.ZipFile.getinfo

        def smaller(archive: zipfile.ZipFile, name: str) -> Any:
            info = copy.copy(plain(archive, name))
            info.file_size = 9
            return info

        monkeypatch.setattr(zipfile.ZipFile, "getinfo", smaller)
        opened = zipfile.ZipFile.open
        monkeypatch.setattr(
            zipfile.ZipFile,
            "open",
            lambda archive, name: opened(archive, archive.NameToInfo[name]),
        )
    with pytest.raises(DataError, match=r"a\.npz: the array has more than 100,000 bytes"):
        read_video(path, 8, 4)


def test_numbers_up_to_one_are_shares_of_white(tmp_path: Path) -> None:
    mask = (frames()[..., 0] > 100).astype(np.uint8)
    for pixels, white in (
        (mask, 1),
        (mask.astype(bool), 1),
        (mask / 2, 1),
        (2 * mask, 255),
        (0 * mask, 255),
    ):
        assert read_video(write_npy(tmp_path / "a.npy", pixels), 8, 9).white == white
    assert levels(write_npy(tmp_path / "a.npy", mask)) == [0, 0, 0, 255, 255, 255, 255]


def test_a_kind_of_film_that_is_not_read(tmp_path: Path) -> None:
    for ending in (".wmv", ".flv", ".ts", ".3gp"):
        path = write_bytes(tmp_path / f"a{ending}", bytes(range(256)))
        with pytest.raises(DataError, match=r"no picture .* Videos are read of \.mp4, \.m4v"):
            read_video(path, 8, 4)
        with pytest.raises(DataError, match=r"this kind are not read\. Videos are read of \.npy"):
            read_captioned(path, captioned=False)


def test_a_broken_array_brings_no_advice_to_run_its_code(tmp_path: Path) -> None:
    for content in (b"none", np.array([{}, 1], dtype=object).dumps()):
        with pytest.raises(DataError) as error:
            read_video(write_bytes(tmp_path / "a.npy", content), 8, 4)
        assert "allow_pickle" not in str(error.value)
        assert not str(error.value).endswith("..")


def test_without_its_library_a_film_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_film(tmp_path / "a.mp4", frames())
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SettingError, match=r"pip install 'conveyor\[video\]'.*read without it"):
        read_video(path, 8, 4)
    assert levels(write_gif(tmp_path / "a.gif", frames()), 1) == [20]


# Which there are -------------------------------------------------------------------------------


def write_kinds(folder: Path) -> None:
    """A folder of frames, a moving picture, an array and a picture."""
    write_folder(folder / "walk", frames(2))
    write_gif(folder / "run.gif", frames(3))
    write_npy(folder / "jump.npy", frames(4))
    Image.fromarray(frames()[0]).save(folder / "stand.png")


def test_a_folder_of_videos(tmp_path: Path) -> None:
    write_kinds(tmp_path)
    for name in ("walk", "run", "jump", "stand"):
        (tmp_path / f"{name}.txt").write_text(f"they {name}\n")
    read = read_captioned(tmp_path)
    assert read.places == ["jump.npy", "run.gif", "stand.png", "walk"]
    assert read.captions == [["they jump"], ["they run"], ["they stand"], ["they walk"]]


def test_a_table_of_videos(tmp_path: Path) -> None:
    write_kinds(tmp_path)
    (tmp_path / "t.csv").write_text("video,caption\nwalk,a\njump.npy,b\nrun.gif,c\nwalk,d\n")
    read = read_captioned(tmp_path / "t.csv")
    assert [file.name for file in read.files] == ["walk", "jump.npy", "run.gif"]
    assert read.captions == [["a", "d"], ["b"], ["c"]]
    (tmp_path / "t.csv").write_text("clip,caption\nfly.mp4,a\n")
    with pytest.raises(DataError, match=r"line 2: there is no file .*fly\.mp4"):
        read_captioned(tmp_path / "t.csv")


def test_frames_where_nothing_is_captioned(tmp_path: Path) -> None:
    """Who captions videos takes a folder of pictures for a video; who captions pictures does
    not."""
    write_kinds(tmp_path)
    asked = {"captioned": False, "clips": True}
    assert len(read_captioned(tmp_path, captioned=False).files) == 5
    named = [file.name for file in read_captioned(tmp_path, **asked).files]  # type: ignore[arg-type]
    assert named == ["jump.npy", "run.gif", "stand.png", "walk"]
    alone = read_captioned(tmp_path / "walk", **asked)  # type: ignore[arg-type]
    assert alone.files == [tmp_path / "walk"]
    assert read_captioned(tmp_path / "jump.npy", captioned=False).files == [tmp_path / "jump.npy"]
    with pytest.raises(DataError, match="this is one video; expected a table of videos"):
        read_captioned(tmp_path / "jump.npy")
