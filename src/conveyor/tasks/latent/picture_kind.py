"""Pictures, a row of pixels a step, of pixels that are dark or bright."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conveyor.data.picture_file import PICTURES, read_picture
from conveyor.data.pixels import PARTS, read_mnist
from conveyor.errors import DataError, RunError, counted, named
from conveyor.networks.density_heads import BernoulliHead
from conveyor.pages.pixel_image import colour_image, colour_png
from conveyor.pages.words import Words
from conveyor.tasks.latent.kind import Kind, LatentData
from conveyor.tasks.latent.latent_settings import LatentDataSettings

# Rows and columns of pictures of a folder, and the most that a network reads.
USUAL_SIZE, MOST_SIZE = 28, 512
# How the light of a pixel becomes dark or bright: the seed of the one draw that is made.
_SEED = 20151125
# Pictures of MNIST that validate: the last of its training part.
_MNIST_VALIDATION = 10_000
# Pictures beside each other in a file, and pixels between them.
_ACROSS, _GAP = 8, 2


class PictureKind(Kind):
    """Steps of a row of pixels, each 0 or 1.

    Args:
        rows, columns: of a picture.
        channels: 1 of grey, 3 of colours.
    """

    name = "pictures"
    per_sequence = True
    noun, noun_vi = "picture", "ảnh"
    endings = (".png", ".csv")

    def __init__(self, rows: int, columns: int, channels: int) -> None:
        self.rows, self.columns, self.channels = rows, columns, channels
        self.width = columns * channels

    def head(self, features: int, *, components: int, dropout: float) -> nn.Module:
        """Return a head of a probability for each pixel of a row."""
        return BernoulliHead(features, self.width, dropout=dropout)

    def pixels(self, sequence: Tensor) -> Any:
        """Return a picture in red, green and blue, bytes [rows, columns, 3]."""
        light = sequence.reshape(len(sequence), self.columns, self.channels).expand(-1, -1, 3)
        return (255 * light).round().byte().numpy()

    def picture(self, sequence: Tensor, about: str) -> str:
        """Return the picture."""
        return colour_image(self.pixels(sequence), about, "drawn")

    def text(self, sequence: Tensor) -> str:
        """Return a line of characters for each row."""
        light = sequence.reshape(len(sequence), self.columns, self.channels).mean(-1)
        shades = " ░▒▓█"
        return "\n".join(
            "".join(2 * shades[round(float(each) * (len(shades) - 1))] for each in row).rstrip()
            for row in light
        )

    def file(self, sequences: Sequence[Tensor], ending: str) -> bytes:
        """Return the pictures beside each other, or a row for each row of each picture."""
        if ending == ".csv":
            return rows_file(sequences, "picture", "row", [f"x{n}" for n in range(self.width)])
        across = min(_ACROSS, len(sequences))
        down = -(-len(sequences) // across)
        steps = max(map(len, sequences))
        high, wide = steps + _GAP, self.columns + _GAP
        whole = np.full((down * high - _GAP, across * wide - _GAP, 3), 128, np.uint8)
        for number, each in enumerate(sequences):
            top, left = number // across * high, number % across * wide
            whole[top : top + len(each), left : left + self.columns] = self.pixels(each)
        return colour_png(np.ascontiguousarray(np.kron(whole, np.ones((4, 4, 1), np.uint8))))

    def description(self) -> dict[str, Any]:
        """Return the size of the pictures."""
        return {"rows": self.rows, "columns": self.columns, "channels": self.channels}

    @classmethod
    def described(cls, description: Mapping[str, Any], where: str) -> "PictureKind":
        """Return the kind of a description; see ``Kind.described``."""
        sizes = [description.get(name) for name in ("rows", "columns", "channels")]
        if not all(isinstance(size, int) and 0 < size <= 1 << 16 for size in sizes):
            raise RunError(f"{where} is corrupt: pictures of {sizes}.")
        return cls(*sizes)  # type: ignore[arg-type]


def rows_file(sequences: Sequence[Tensor], noun: str, step: str, columns: Sequence[str]) -> bytes:
    """Return sequences as CSV, a row for each step.

    Args:
        sequences: [T, columns] each.
        noun, step: the heads of the columns that number sequences and steps.
        columns: the heads of the others.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([noun, step, *columns])
    for number, each in enumerate(sequences, 1):
        for place, values in enumerate(each.tolist(), 1):
            rows.writerow([number, place, *(f"{value:.9g}" for value in values)])
    return text.getvalue().encode()


def read_pictures(folder: Path, settings: LatentDataSettings) -> LatentData:
    """Return the pictures of a folder: MNIST's files, or pictures in the order of their names.

    Args:
        folder: the folder.
        settings: how they are read.

    Raises:
        DataError: there are too few, or one cannot be read.
    """
    name = Path(f"{folder.resolve().name}")
    begins = tuple(PARTS.values())
    if any(each.name.startswith(begins) and "idx3" in each.name for each in folder.iterdir()):
        return _of_mnist(folder, str(name), settings)
    files = sorted(
        each
        for each in folder.rglob("*")
        if each.suffix.lower() in PICTURES and each.is_file() and not each.name.startswith(".")
    )
    if len(files) < 3:
        raise DataError(
            f"{folder} has {counted(len(files), 'picture')} ({', '.join(PICTURES)}); expected 3 or "
            "more, to learn from, to validate and to test, or MNIST's files."
        )
    size = settings.side or USUAL_SIZE
    channels = 3 if settings.colours else 1
    light, sizes, coloured, frames = [], set(), 0, 0
    for file in files:
        read = read_picture(file, size)
        sizes.add(read.size)
        frames += read.frames > 1
        pixels = torch.from_numpy(read.pixels.copy()).float() / 255
        coloured += bool((pixels.amax(-1) - pixels.amin(-1)).max() > 0.02)
        if channels == 1:  # the light of BT.601, as Pillow's grey is
            pixels = (pixels * torch.tensor([0.299, 0.587, 0.114])).sum(-1, keepdim=True)
        light.append(pixels.flatten(1))
    notes = []
    if sizes != {(size, size)}:
        several = f"of {len(sizes)} sizes" if len(sizes) > 1 else f"of {_by(next(iter(sizes)))}"
        notes.append(f"pictures {several} are made {size} × {size} (another: {named('side', 32)})")
    if coloured and channels == 1:
        notes.append(
            f"{counted(coloured, 'picture')} of {len(files):,} {_have(coloured)} colours, and are "
            f"read in grey ({named('colours', True)} learns them)"
        )
    if frames:
        notes.append(f"of {counted(frames, 'file')} with several pictures the first is read")
    drawn = _binary(torch.stack(light))
    train, validation, _ = settings.parts_of(len(files))
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(_SEED))
    parts = torch.split(order, [train, validation, len(files) - train - validation])
    kind = PictureKind(size, size, channels)
    return _whole(str(folder), str(name), kind, [drawn[part] for part in parts], notes)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]:,} × {size[1]:,}"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _of_mnist(folder: Path, name: str, settings: LatentDataSettings) -> LatentData:
    known, test = (read_mnist(folder, part).images for part in ("train", "test"))
    validation = min(_MNIST_VALIDATION, len(known) // 6)
    if not validation or not len(test):
        raise DataError(f"{folder}: there are too few pictures to learn from and to test.")
    rows, columns = known.shape[1:]
    # All pixels are drawn before anything is chosen, so that a picture is the same in every run.
    drawn = [_binary(part.float() / 255) for part in (known, test)]
    parts = [drawn[0][:-validation], drawn[0][-validation:], drawn[1]]
    return _whole(str(folder), name, PictureKind(rows, columns, 1), parts, [])


def _binary(light: Tensor) -> Tensor:
    """Return pixels that are 1 with the probability of their light, drawn once."""
    return (torch.rand(light.shape, generator=torch.Generator().manual_seed(_SEED)) < light).float()


def _whole(
    source: str, name: str, kind: PictureKind, parts: list[Tensor], notes: list[str]
) -> LatentData:
    # Each pixel by how often it is bright, counted once more than seen.
    rate = (parts[0].sum(0) + 1) / (len(parts[0]) + 2)
    test = parts[2]
    nats = -torch.where(test > 0, rate, 1 - rate).double().log().flatten(1).sum(1)
    notes = [*notes, "a pixel is bright with the probability of its light, drawn once for all runs"]
    return LatentData(
        source,
        kind,
        (list(parts[0]), list(parts[1]), list(test)),
        Words(f"Pictures of {name}", f"Ảnh trong {name}"),
        {"mean of each pixel": float(nats.mean())},
        notes,
    )
