"""Small files of sequences: music and digits."""

import json
import random
import struct
from pathlib import Path


def write_music(path: Path) -> Path:
    """Chords that go up and down."""
    draw = random.Random(0)

    def piece() -> list[list[int]]:
        first = draw.randrange(40, 60)
        return [[first + step % 5, first + 7 + step % 5] for step in range(draw.randrange(5, 12))]

    parts = {part: [piece() for _ in range(6)] for part in ("train", "valid", "test")}
    path.write_text(json.dumps(parts))
    return path


def write_digits(folder: Path, *, train: int, test: int) -> None:
    """Images of 2 x 3 pixels whose first pixel says the class."""
    draw = random.Random(0)
    for part, count in (("train", train), ("t10k", test)):
        labels = bytes(draw.randrange(10) for _ in range(count))
        images = b"".join(bytes((25 * each, 0, 0, 0, 0, 0)) for each in labels)
        for name, sizes, content in (
            (f"{part}-images-idx3-ubyte", (count, 2, 3), images),
            (f"{part}-labels-idx1-ubyte", (count,), labels),
        ):
            head = struct.pack(f">{1 + len(sizes)}I", 0x0800 + len(sizes), *sizes)
            (folder / name).write_bytes(head + content)
