"""Strokes of a pen, a movement a step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conveyor.data.handwriting import read_handwriting
from conveyor.data.pen_movements import deviation_of, movements_of, points_of, thinned
from conveyor.errors import DataError, RunError, counted
from conveyor.networks.pen_head import PenHead
from conveyor.pages.stroke_picture import stroke_picture
from conveyor.pages.words import Words
from conveyor.tasks.latent.kind import Kind, LatentData
from conveyor.tasks.latent.latent_settings import LatentDataSettings
from conveyor.tasks.latent.picture_kind import rows_file

# Strokes below each other in a picture: the room between them, as a share of their height.
_ROOM = 0.3


class StrokeKind(Kind):
    """Steps of how far the pen goes in both directions, as a share of their deviation, and whether
    it is lifted.

    Args:
        deviation: of the movements in both directions.
    """

    name = "strokes"
    noun, noun_vi = "text", "dòng chữ"
    endings = (".svg", ".csv")
    width = 3

    def __init__(self, deviation: tuple[float, float]) -> None:
        self.deviation = deviation

    def head(self, features: int, *, components: int, dropout: float) -> nn.Module:
        """Return a mixture of Gaussians."""
        return PenHead(features, components, dropout=dropout)

    def points(self, sequence: Tensor) -> Any:
        """Return movements [T, 3] as points [T + 1, 3]."""
        return points_of(sequence, self.deviation)

    def picture(self, sequence: Tensor, about: str) -> str:
        """Return lines."""
        return stroke_picture(self.points(sequence), about, standalone=False)

    def text(self, sequence: Tensor) -> str:
        """Return an SVG."""
        return stroke_picture(self.points(sequence), "strokes")

    def file(self, sequences: Sequence[Tensor], ending: str) -> bytes:
        """Return an SVG of all strokes below each other, or a row for each point."""
        points = [self.points(each) for each in sequences]
        if ending == ".csv":
            rows = [torch.from_numpy(each) for each in points]
            return rows_file(rows, "text", "point", ["x", "y", "lifted"])
        below, parts = 0.0, []
        for each in points:
            low, high = each[:, :2].min(0), each[:, :2].max(0)
            parts.append(each + np.array([-low[0], below - low[1], 0]))
            below += (1 + _ROOM) * float(high[1] - low[1])
        return stroke_picture(np.concatenate(parts), "strokes").encode()

    def description(self) -> dict[str, Any]:
        """Return the units of the movements."""
        return {"deviation": list(self.deviation)}

    @classmethod
    def described(cls, description: Mapping[str, Any], where: str) -> "StrokeKind":
        """Return the kind of a description; see ``Kind.described``."""
        return cls(tuple(checked_numbers_of(description, "deviation", where, 2)))  # type: ignore[arg-type]


def checked_numbers_of(
    description: Mapping[str, Any], name: str, where: str, count: int | None = None
) -> list[float]:
    """Return numbers of a description, read from a file that may hold anything.

    Args:
        description: what holds them.
        name: of them.
        where: the file, for errors.
        count: how many there must be; None for any number of them.

    Raises:
        RunError: they are none.
    """
    numbers = description.get(name)
    are = isinstance(numbers, list) and all(isinstance(each, float) for each in numbers)
    if not isinstance(numbers, list) or not are or (count is not None and len(numbers) != count):
        raise RunError(f"{where} is corrupt: {name} is no list of numbers.")
    return numbers


def read_strokes(
    path: Path, settings: LatentDataSettings, fitted: Kind | None = None
) -> LatentData:
    """Return the strokes of a file of handwriting, see ``read_handwriting``.

    Args:
        path: the file.
        settings: how it is read.
        fitted: see ``read_sequences``.

    Raises:
        DataError: it cannot be read, or has too few texts.
    """
    known = read_handwriting(path)
    count = len(known.texts)
    units = fitted if isinstance(fitted, StrokeKind) else None
    if count < 3 and units is None:
        raise DataError(
            f"{path} has {counted(count, 'text')}; expected three or more: to learn from, to "
            "validate and to test."
        )
    train, validation, test = settings.parts_of(count)
    used = train + validation + test
    points = [thinned(each, settings.thin) for each in known.strokes]
    kind = units or StrokeKind(deviation_of(points[:train], settings.stretch))
    moved = [movements_of(each, kind.deviation, settings.stretch) for each in points]
    return LatentData(
        str(path),
        kind,
        (moved[:train], moved[train : train + validation], moved[train + validation : used]),
        Words(f"Strokes of {path.name}", f"Nét bút trong {path.name}"),
        whole=moved,
        notes=list(known.notes),
    )
