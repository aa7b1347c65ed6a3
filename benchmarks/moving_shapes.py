"""Videos of shapes that move, with captions in English and Vietnamese, of which it is known who
moves where and when: what ``caption`` is shown on. The first and the last frame do not suffice:
shapes come back to where they were, and of two moves either may come first."""

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.caption_data import COLOURS, SHAPES, Thing, inside

SIDE, HALF = 24, 3
FRAMES = (12, 20)
# Rows and columns that a move goes by, at least and at most.
WAY = (7, 11)
# Rows and columns of a step, and what it is called.
DIRECTIONS = {
    "left": (0, -1, "sang trái"),
    "right": (0, 1, "sang phải"),
    "up": (-1, 0, "lên"),
    "down": (1, 0, "xuống"),
}
BACK = {"left": "right", "right": "left", "up": "down", "down": "up"}


@dataclass(frozen=True)
class Move:
    """A shape's number moves in a direction, from a frame to a later one, by so many pixels."""

    shape: int
    direction: str
    first: int
    last: int
    way: int


@dataclass(frozen=True)
class Scene:
    """Shapes where they are at first, what they do, and how many frames that takes."""

    things: tuple[Thing, ...]
    moves: tuple[Move, ...]
    frames: int

    def at(self, frame: int) -> list[Thing]:
        """Return the shapes where they are at a frame."""
        there = []
        for number, thing in enumerate(self.things):
            row, column = float(thing.row), float(thing.column)
            for move in self.moves:
                if move.shape == number:
                    done = (frame - move.first) / (move.last - move.first)
                    way = move.way * min(max(done, 0.0), 1.0)
                    row += DIRECTIONS[move.direction][0] * way
                    column += DIRECTIONS[move.direction][1] * way
            there.append(Thing("small", thing.colour, thing.shape, round(row), round(column)))
        return there

    @property
    def possible(self) -> bool:
        """Whether all shapes are seen whole, and none touches another, at every frame."""
        for frame in range(self.frames):
            things = self.at(frame)
            edges = [edge for each in things for edge in (each.row, each.column)]
            if min(edges) < HALF or max(edges) >= SIDE - HALF:
                return False
            for number, one in enumerate(things):
                for other in things[:number]:
                    far = max(abs(one.row - other.row), abs(one.column - other.column))
                    if far <= 2 * HALF:
                        return False
        return True

    @property
    def english(self) -> str:
        """What happens, in English."""
        parts = []
        for number, move in enumerate(self.moves):
            thing = self.things[move.shape]
            same = number > 0 and self.moves[number - 1].shape == move.shape
            said = move.direction if same else f"the {_name(thing)} moves {move.direction}"
            parts.append(said)
        return ", then ".join(parts)

    @property
    def vietnamese(self) -> str:
        """What happens, in Vietnamese."""
        parts = []
        for number, move in enumerate(self.moves):
            thing = self.things[move.shape]
            where = DIRECTIONS[move.direction][2]
            same = number > 0 and self.moves[number - 1].shape == move.shape
            name = f"{SHAPES[thing.shape]} {COLOURS[thing.colour][1]}"
            parts.append(f"đi {where}" if same else f"{name} đi {where}")
        return ", rồi ".join(parts)


def _name(thing: Thing) -> str:
    return f"{thing.colour} {thing.shape}"


def drawn_scene(draw: np.random.Generator) -> Scene:
    """Return a scene: one or two shapes, of which no two are the same, and one or two moves. Half
    of those that move twice come back."""
    while True:
        frames = int(draw.integers(FRAMES[0], FRAMES[1] + 1))
        things = []
        for _ in range(int(draw.integers(1, 3))):
            row, column = draw.integers(HALF, SIDE - HALF, 2)
            colour, shape = str(draw.choice(list(COLOURS))), str(draw.choice(list(SHAPES)))
            things.append(Thing("small", colour, shape, int(row), int(column)))
        moves: list[Move] = []
        count = 2 if draw.random() < 2 / 3 else 1
        # A shape rests before, between and after its moves for a frame or two.
        begin = int(draw.integers(0, 3))
        for number in range(count):
            end = (frames - 1) * (number + 1) // count - int(draw.integers(0, 2))
            mover = int(draw.integers(len(things)))
            direction = str(draw.choice(list(DIRECTIONS)))
            way = int(draw.integers(WAY[0], WAY[1] + 1))
            if moves and moves[-1].shape == mover:
                if draw.random() < 0.5:
                    direction, way = BACK[moves[-1].direction], moves[-1].way
                elif direction == moves[-1].direction:
                    break
            moves.append(Move(mover, direction, begin, end, way))
            begin = end + int(draw.integers(0, 2))
        scene = Scene(tuple(things), tuple(moves), frames)
        names = {_name(each) for each in things}
        if len(moves) == count and len(names) == len(things) and scene.possible:
            return scene


def video(scene: Scene, draw: np.random.Generator) -> NDArray[np.uint8]:
    """Return a scene on a light ground with a little noise, [frames, rows, columns, 3]."""
    ground = draw.integers(215, 250, 3)
    frames = []
    for number in range(scene.frames):
        pixels = np.broadcast_to(ground, (SIDE, SIDE, 3)).astype(float)
        for thing in scene.at(number):
            covered = inside(thing)[:SIDE, :SIDE]
            pixels = np.where(covered[..., None], COLOURS[thing.colour][0], pixels)
        noisy = pixels + 8 * draw.standard_normal(pixels.shape)
        frames.append(noisy.round().clip(0, 255).astype(np.uint8))
    return np.stack(frames)


def write(folder: Path, train: int, test: int, seed: int = 0) -> Path:
    """Write videos as arrays, and ``moving.csv``, a table of their captions with the columns ``en``
    and ``vi``, and ``moves``, which says who moves where and when. Return the table.

    Args:
        folder: the folder that is written.
        train: videos to learn from; a tenth as many to validate on.
        test: videos to test on.
        seed: of what is drawn.
    """
    draw = np.random.default_rng(seed)
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    rows: list[Sequence[str]] = []
    for part, count in (("train", train), ("validation", train // 10), ("test", test)):
        for _ in range(count):
            scene = drawn_scene(draw)
            name = f"videos/{len(rows):05d}.npy"
            np.save(folder / name, video(scene, draw))
            moves = [
                {
                    "en": move.direction,
                    "vi": DIRECTIONS[move.direction][2],
                    "first": move.first,
                    "last": move.last,
                }
                for move in scene.moves
            ]
            said = json.dumps(moves, ensure_ascii=False)
            rows.append((name, part, scene.english, scene.vietnamese, said))
    path = folder / "moving.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("video", "part", "en", "vi", "moves"))
        table.writerows(rows)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--test", type=int, default=500)
    arguments = parser.parse_args()
    write(arguments.out, arguments.train, arguments.test)
