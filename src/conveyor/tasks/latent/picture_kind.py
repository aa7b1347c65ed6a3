"""Pictures, a row of pixels a step, of pixels that are dark or bright."""

import csv
import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from conveyor.data.picture_file import PICTURES, read_picture
from conveyor.data.pixels import PARTS, read_mnist
from conveyor.errors import DataError, RunError, counted, named
from conveyor.networks.density_heads import BernoulliHead
from conveyor.pages.pixel_image import colour_image, colour_png
from conveyor.pages.words import Words
from conveyor.tasks.latent.kind import Kind, LatentData, keys_of
from conveyor.tasks.latent.latent_settings import SampledData

# Rows and columns of pictures of a folder, and the most that a network reads.
USUAL_SIZE, MOST_SIZE = 28, 512
# By which pictures of a folder are split into parts.
_SEED = 20151125
# Pictures of MNIST that validate: the last of its training set.
_MNIST_VALIDATION = 10_000
# Pictures beside each other in a file, and pixels between them.
_ACROSS, _GAP = 8, 2
# How many times as large pictures are in a file as they are.
_ENLARGED = 4
# What a pixel has, by how many channels.
_LIGHT = {1: "grey", 3: "colours"}


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

    @property
    def size(self) -> str:
        """How large a picture is, in words."""
        return f"{_by((self.rows, self.columns))} pixels in {_LIGHT[self.channels]}"

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
        return colour_png(self.sheet(sequences, _ENLARGED))

    def sheet(self, sequences: Sequence[Tensor], enlarged: int = 1) -> NDArray[np.uint8]:
        """Return pictures beside each other in red, green and blue, bytes [rows, columns, 3].

        Args:
            sequences: the pictures.
            enlarged: so many times.
        """
        steps = max(map(len, sequences))
        high, wide = steps + _GAP, self.columns + _GAP
        whole = np.full((*self.sheet_size(len(sequences), steps), 3), 128, np.uint8)
        for number, each in enumerate(sequences):
            top, left = number // _ACROSS * high, number % _ACROSS * wide
            whole[top : top + len(each), left : left + self.columns] = self.pixels(each)
        larger = np.kron(whole, np.ones((enlarged, enlarged, 1), np.uint8))
        return np.ascontiguousarray(larger)

    def sheet_size(self, count: int, steps: int, enlarged: int = 1) -> tuple[int, int]:
        """Return the rows and columns of pixels of pictures beside each other; see ``sheet``.

        Args:
            count: how many pictures.
            steps: rows of the highest one.
            enlarged: so many times.
        """
        across = min(_ACROSS, count)
        down = -(-count // across)
        rows, columns = down * (steps + _GAP) - _GAP, across * (self.columns + _GAP) - _GAP
        return enlarged * rows, enlarged * columns

    def description(self) -> dict[str, Any]:
        """Return the size of the pictures."""
        return {"rows": self.rows, "columns": self.columns, "channels": self.channels}

    @classmethod
    def described(cls, description: Mapping[str, Any], where: str) -> "PictureKind":
        """Return the kind of a description; see ``Kind.described``."""
        sizes = [description.get(name) for name in ("rows", "columns", "channels")]
        if not all(isinstance(size, int) and 0 < size <= 1 << 16 for size in sizes) or (
            sizes[2] not in _LIGHT
        ):
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


def read_pictures(
    folder: Path, settings: SampledData, fitted: Kind | None = None, *, colours: bool | None
) -> LatentData:
    """Return the pictures of a folder: MNIST's files, or pictures in the order of their names.

    Args:
        folder: the folder.
        settings: how they are read.
        fitted: see ``read_sequences``; pictures are resized to its size.
        colours: whether colours are learned; None where they cannot be.

    Raises:
        DataError: there are too few, or one cannot be read.
    """
    name = Path(f"{folder.resolve().name}")
    begins = tuple(PARTS.values())
    if any(each.name.startswith(begins) and "idx3" in each.name for each in folder.iterdir()):
        return _of_mnist(folder, str(name))
    files = sorted(
        each
        for each in folder.rglob("*")
        if each.suffix.lower() in PICTURES and each.is_file() and not each.name.startswith(".")
    )
    known = fitted if isinstance(fitted, PictureKind) else None
    if len(files) < 3 and not (known and files):
        raise DataError(
            f"{folder} has {counted(len(files), 'picture')} ({', '.join(PICTURES)}); expected 3 or "
            "more, to learn from, to validate and to test, or MNIST's files."
        )
    # Pictures are square, but MNIST's need not be.
    size = known.rows if known is not None else settings.side or USUAL_SIZE
    channels = known.channels if known is not None else 3 if colours else 1
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
        another = "" if known else f" (another: {named('side', 32)})"
        notes.append(f"pictures {several} are resized to {size} × {size}{another}")
    if coloured and channels == 1:
        learns = "" if colours is None else f" ({named('colours', True)} learns them)"
        notes.append(
            f"{counted(coloured, 'picture')} of {len(files):,} {_have(coloured)} colours, and are "
            f"read in grey{learns}"
        )
    if frames:
        notes.append(f"of {counted(frames, 'file')} with several pictures the first is read")
    pictures = torch.stack(light)
    alike = _same_pictures(pictures)
    counts = settings.parts_of(len(alike))
    if not sum(counts) and known is None:
        raise DataError(
            f"{folder}: its {len(files):,} pictures are only {len(alike)} different ones as they "
            "are read; expected 3 or more, to learn from, to validate and to test."
        )
    if len(alike) < len(files):
        notes.append(
            f"{counted(len(files), 'picture')} are {len(alike):,} different ones as they are read; "
            "those that are the same are in one part"
        )
    # Where no picture is there twice, parts are those that runs of earlier builds were fitted on.
    order = torch.randperm(len(alike), generator=torch.Generator().manual_seed(_SEED))
    parts = [
        pictures[[number for group in part.tolist() for number in alike[group]]]
        for part in torch.split(order[: sum(counts)], [*counts])
    ]
    whole = None if known is None else pictures
    kind = PictureKind(size, size, channels)
    return _drawn_once(str(folder), str(name), kind, parts, notes, whole=whole)


def _same_pictures(pictures: Tensor) -> list[list[int]]:
    """Return the numbers of pictures that are the same, together."""
    groups: dict[str, list[int]] = {}
    for number, key in enumerate(keys_of([*pictures])):
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]:,} × {size[1]:,}"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _of_mnist(folder: Path, name: str) -> LatentData:
    known, test = (read_mnist(folder, part).images for part in ("train", "test"))
    validation = min(_MNIST_VALIDATION, len(known) // 6)
    if not validation or not len(test):
        raise DataError(f"{folder}: there are too few pictures to learn from and to test.")
    rows, columns = known.shape[1:]
    light = [part.float() / 255 for part in (known, test)]
    parts = [light[0][:-validation], light[0][-validation:], light[1]]
    return _drawn_once(str(folder), name, PictureKind(rows, columns, 1), parts, [])


def _binary(light: Tensor, key: str) -> Tensor:
    """Return pixels that are 1 with the probability of their light, drawn by a seed that is the
    picture's own, so that it is drawn alike wherever it is."""
    seed = torch.Generator().manual_seed(int(key[:15], 16))
    return (torch.rand(light.shape, generator=seed) < light).float()


def _drawn_once(
    source: str,
    name: str,
    kind: PictureKind,
    parts: Sequence[Tensor],
    notes: list[str],
    *,
    whole: Tensor | None = None,
) -> LatentData:
    """Return pictures whose pixels are dark or bright.

    Args:
        source, name: of the pictures.
        kind: their size.
        parts: the light of the pixels of each part, [pictures, rows, width] of 0 to 1.
        notes: for the user.
        whole: the light of all pictures; None where only the parts are asked for.
    """
    groups = [*parts] if whole is None else [*parts, whole]
    keys = [keys_of([*group]) for group in groups]
    drawn = [
        [_binary(light, key) for light, key in zip(group, names, strict=True)]
        for group, names in zip(groups, keys, strict=True)
    ]
    notes = [*notes, "a pixel is bright with the probability of its light, drawn once for all runs"]
    known = drawn[0]
    return LatentData(
        source,
        kind,
        (drawn[0], drawn[1], drawn[2]),
        Words(f"Pictures of {name}", f"Ảnh trong {name}"),
        whole=None if whole is None else drawn[3],
        baselines={"mean of each pixel": partial(_nats_at, light_of(known))} if known else {},
        keys=keys,
        notes=notes,
    )


def light_of(known: Sequence[Tensor]) -> Tensor:
    """Return how often each pixel of pictures is bright, counted once more than seen, so that none
    is never or always, [rows, width]."""
    return (torch.stack([*known]).sum(0) + 1) / (len(known) + 2)


def _nats_at(light: Tensor, test: Sequence[Tensor]) -> float:
    """Return the nats of a picture where each pixel is as often bright as ``light`` says."""
    lit = torch.where(torch.stack([*test]) > 0, light, 1 - light)
    nats = -lit.double().log().flatten(1).sum(1)
    return float(nats.mean())
