"""Shapes that move, on which captions of videos are tried: what is said of them is what is seen."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.caption_data import COLOURS
from benchmarks.moving_shapes import DIRECTIONS, HALF, SIDE, Scene, drawn_scene, video, write

SCENES = 120


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    draw = np.random.default_rng(0)
    return [drawn_scene(draw) for _ in range(SCENES)]


def middle(frame: NDArray[np.uint8], colour: str) -> NDArray[np.float64]:
    """Return the mean row and column of the pixels that are nearest to a colour."""
    apart = np.abs(frame.astype(int) - COLOURS[colour][0]).sum(-1)
    place: NDArray[np.float64] = np.argwhere(apart < 60).mean(0)
    return place


def test_what_is_said_to_move_moves(scenes: list[Scene]) -> None:
    """A colour's middle goes where the caption says while it says so, and rests before and
    after."""
    draw = np.random.default_rng(1)
    seen = 0
    for scene in scenes:
        if len({thing.colour for thing in scene.things}) < len(scene.things):
            continue
        frames = video(scene, draw)
        assert frames.shape == (scene.frames, SIDE, SIDE, 3)
        for move in scene.moves:
            colour = scene.things[move.shape].colour
            first, last = (middle(frames[at], colour) for at in (move.first, move.last))
            down, right, _ = DIRECTIONS[move.direction]
            np.testing.assert_allclose(last - first, (down * move.way, right * move.way), atol=0.7)
            seen += 1
    assert seen > SCENES / 2


def test_shapes_stay_inside_and_apart(scenes: list[Scene]) -> None:
    for scene in scenes:
        for frame in range(scene.frames):
            things = scene.at(frame)
            for thing in things:
                assert HALF <= thing.row < SIDE - HALF
                assert HALF <= thing.column < SIDE - HALF
            if len(things) == 2:
                one, other = things
                far = max(abs(one.row - other.row), abs(one.column - other.column))
                assert far > 2 * HALF


def test_the_first_and_the_last_frame_do_not_suffice(scenes: list[Scene]) -> None:
    """Many scenes end where they began, and one with its moves the other way round looks the same
    at both ends."""
    alike: dict[tuple[object, ...], set[str]] = {}
    draw = np.random.default_rng(2)
    for scene in (*scenes, *(drawn_scene(draw) for _ in range(600))):
        back = len(scene.moves) == 2 and scene.at(0) == scene.at(scene.frames - 1)
        if back:
            kinds = tuple(sorted((thing.colour, thing.shape) for thing in scene.things))
            alike.setdefault(kinds, set()).add(scene.english)
    assert sum(len(said) > 1 for said in alike.values()) > 5


def test_captions_in_both_languages() -> None:
    from benchmarks.caption_data import Thing  # noqa: PLC0415
    from benchmarks.moving_shapes import Move  # noqa: PLC0415

    one, other = Thing("small", "red", "circle", 12, 18), Thing("small", "blue", "square", 4, 4)
    there, back = Move(0, "left", 0, 5, 8), Move(0, "right", 6, 11, 8)
    scene = Scene((one, other), (there, back), 12)
    assert scene.english == "the red circle moves left, then right"
    assert scene.vietnamese == "hình tròn đỏ đi sang trái, rồi đi sang phải"
    scene = Scene((one, other), (there, Move(1, "down", 6, 11, 8)), 12)
    assert scene.english == "the red circle moves left, then the blue square moves down"
    assert scene.vietnamese == "hình tròn đỏ đi sang trái, rồi hình vuông xanh dương đi xuống"


def test_the_same_seed_writes_the_same(tmp_path: Path) -> None:
    tables = [write(tmp_path / name, train=10, test=5, seed=3) for name in "ab"]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    with tables[0].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["part"] for row in rows] == ["train"] * 10 + ["validation"] + ["test"] * 5
    for row in rows:
        one, other = (np.load(table.parent / row["video"]) for table in tables)
        np.testing.assert_array_equal(one, other)
        for move in json.loads(row["moves"]):
            assert move["en"] in row["en"]
            assert move["vi"] in row["vi"]
            assert 0 <= move["first"] < move["last"] < len(one)
    assert write(tmp_path / "c", train=10, test=5, seed=4).read_bytes() != tables[0].read_bytes()
