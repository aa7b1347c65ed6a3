"""Drawn shapes with captions in English and Vietnamese, of which it is known where each thing is:
what ``caption`` is shown on."""

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
COLOURS = {
    "red": ((220, 40, 40), "đỏ"),
    "green": ((40, 160, 60), "xanh lá"),
    "blue": ((50, 80, 220), "xanh dương"),
    "yellow": ((235, 200, 40), "vàng"),
    "purple": ((150, 60, 180), "tím"),
    "black": ((30, 30, 30), "đen"),
}
SHAPES = {
    "circle": "hình tròn",
    "square": "hình vuông",
    "triangle": "hình tam giác",
    "cross": "hình chữ thập",
}
# Half of the rows and columns that a shape has.
SIZES = {"small": (3, "nhỏ"), "large": (6, "lớn")}
# What stands between two things, and what stands there if the second is named first.
RELATIONS = {
    "left of": ("right of", "ở bên trái"),
    "right of": ("left of", "ở bên phải"),
    "above": ("below", "ở trên"),
    "below": ("above", "ở dưới"),
}
# Pairs of a colour and a shape that are left out of training where they are to be new.
NEW_PAIRS = frozenset(
    [
        ("red", "cross"),
        ("green", "circle"),
        ("blue", "triangle"),
        ("yellow", "square"),
        ("purple", "circle"),
        ("black", "triangle"),
    ]
)


@dataclass(frozen=True)
class Thing:
    """A shape: what it is, and the row and column of its middle."""

    size: str
    colour: str
    shape: str
    row: int
    column: int

    @property
    def half(self) -> int:
        """Half of its rows and columns."""
        return SIZES[self.size][0]

    @property
    def english(self) -> str:
        """What it is, in English."""
        return f"{self.size} {self.colour} {self.shape}"

    @property
    def vietnamese(self) -> str:
        """What it is, in Vietnamese."""
        return f"{SHAPES[self.shape]} {COLOURS[self.colour][1]} {SIZES[self.size][1]}"

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Its first and last row and column."""
        half = self.half
        return self.row - half, self.row + half, self.column - half, self.column + half


def inside(thing: Thing) -> NDArray[np.bool_]:
    """Return which pixels a thing covers, [rows, columns]."""
    down, right = np.mgrid[:SIDE, :SIDE]
    down, right, half = down - thing.row, right - thing.column, thing.half
    covered: NDArray[np.bool_] = (abs(down) <= half) & (abs(right) <= half)
    if thing.shape == "circle":
        covered = down**2 + right**2 <= (half + 0.3) ** 2
    elif thing.shape == "cross":
        arm = max(half // 3, 1)
        covered = covered & ((abs(down) <= arm) | (abs(right) <= arm))
    elif thing.shape == "triangle":
        covered = covered & (abs(right) <= (down + half) / 2 + 0.3)
    return covered


def picture(things: Sequence[Thing], draw: np.random.Generator) -> NDArray[np.uint8]:
    """Return things on a light ground with a little noise, [rows, columns, 3]."""
    ground = draw.integers(215, 250, 3)
    pixels = np.broadcast_to(ground, (SIDE, SIDE, 3)).astype(float)
    for thing in things:
        pixels = np.where(inside(thing)[..., None], COLOURS[thing.colour][0], pixels)
    noisy = pixels + 8 * draw.standard_normal(pixels.shape)
    return noisy.round().clip(0, 255).astype(np.uint8)


def drawn_things(count: int, draw: np.random.Generator) -> list[Thing]:
    """Return things that do not touch, of which no two are the same."""
    while True:
        things: list[Thing] = []
        for _ in range(count):
            size = str(draw.choice(list(SIZES)))
            edge = SIZES[size][0] + 1
            row, column = draw.integers(edge, SIDE - edge, 2)
            colour, shape = str(draw.choice(list(COLOURS))), str(draw.choice(list(SHAPES)))
            things.append(Thing(size, colour, shape, int(row), int(column)))
        pairs = [(a, b) for n, a in enumerate(things) for b in things[:n]]
        apart = all(
            max(abs(a.row - b.row), abs(a.column - b.column)) > a.half + b.half + 1
            for a, b in pairs
        )
        if apart and len({each.english for each in things}) == count:
            return things


def relation(one: Thing, other: Thing) -> str:
    """Return where one thing is, as seen from another."""
    down, right = one.row - other.row, one.column - other.column
    if abs(down) > abs(right):
        return "above" if down < 0 else "below"
    return "left of" if right < 0 else "right of"


def captions(things: Sequence[Thing]) -> list[tuple[str, str]]:
    """Return all captions of one or two things, in English and Vietnamese."""
    if len(things) == 1:
        (one,) = things
        return [
            (f"a {one.english}", f"một {one.vietnamese}"),
            (f"there is a {one.english}", f"có một {one.vietnamese}"),
        ]
    one, other = things
    where = relation(one, other)
    back = RELATIONS[where][0]
    return [
        (
            f"a {one.english} {where} a {other.english}",
            f"một {one.vietnamese} {RELATIONS[where][1]} một {other.vietnamese}",
        ),
        (
            f"a {other.english} {back} a {one.english}",
            f"một {other.vietnamese} {RELATIONS[back][1]} một {one.vietnamese}",
        ),
    ]


def is_new(things: Sequence[Thing]) -> bool:
    """Return whether a thing is of a pair that may be left out of training."""
    return any((each.colour, each.shape) in NEW_PAIRS for each in things)


def write(folder: Path, train: int, test: int, seed: int = 0) -> None:
    """Write pictures and tables of their captions: ``shapes.csv`` (train, validation, test), and
    ``new_pairs.csv``, whose test set has pairs of a colour and a shape that its training set has
    not. Both have columns ``en`` and ``vi``, and ``things``, which says what is where.

    Args:
        folder: the folder that is written.
        train: pictures to learn from; a tenth as many to validate on.
        test: pictures to test on.
        seed: of what is drawn.
    """
    draw = np.random.default_rng(seed)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    shapes: list[tuple[str, ...]] = []
    pairs: list[tuple[str, ...]] = []
    counts = {"shapes": {"train": train, "validation": train // 10, "test": test}}
    counts["pairs"] = dict(counts["shapes"])
    number = 0
    while any(any(each.values()) for each in counts.values()):
        things = drawn_things(int(draw.integers(1, 3)), draw)
        name = f"pictures/{number:05d}.png"
        number += 1
        pixels = picture(things, draw)
        where = json.dumps(
            [{"en": each.english, "vi": each.vietnamese, "box": each.box} for each in things],
            ensure_ascii=False,
        )
        used = False
        for key, rows in (("shapes", shapes), ("pairs", pairs)):
            parts = ["train", "validation", "test"]
            if key == "pairs":
                parts = ["test"] if is_new(things) else ["train", "validation"]
            part = next((each for each in parts if counts[key][each]), None)
            if part is None:
                continue
            counts[key][part] -= 1
            used = True
            rows += [(name, part, *texts, where) for texts in captions(things)]
        if used:
            Image.fromarray(pixels).save(folder / name)
    for name, rows in (("shapes.csv", shapes), ("new_pairs.csv", pairs)):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(("image", "part", "en", "vi", "things"))
            table.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, default=4000)
    parser.add_argument("--test", type=int, default=500)
    arguments = parser.parse_args()
    write(arguments.out, arguments.train, arguments.test)
