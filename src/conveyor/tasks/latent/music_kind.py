"""Music: which keys of a piano sound at each step."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conveyor.data.music import FEWEST, KEYS, LOWEST, PARTS, note_name, read_music
from conveyor.errors import DataError, named
from conveyor.networks.density_heads import BernoulliHead
from conveyor.pages.pixel_image import pixel_image, png
from conveyor.pages.words import Words
from conveyor.tasks.latent.kind import Baseline, Kind, LatentData

# Pixels of a step and of a key in a file.
_WIDE, _HIGH = 8, 4


class MusicKind(Kind):
    """Steps of 88 keys."""

    name = "music"
    noun, noun_vi = "piece", "bản nhạc"
    endings = (".json", ".csv", ".png")
    width = KEYS

    def head(self, features: int, *, components: int, dropout: float) -> nn.Module:
        """Return a head of 88 probabilities."""
        return BernoulliHead(features, KEYS, dropout=dropout)

    def picture(self, sequence: Tensor, about: str) -> str:
        """Return a piano roll: time from left to right, high notes at the top."""
        return pixel_image(_roll(sequence), about)

    def text(self, sequence: Tensor) -> str:
        """Return a line of notes for each step."""
        return "\n".join(
            " ".join(note_name(int(key) + LOWEST) for key in step.nonzero()) or "–"
            for step in sequence
        )

    def file(self, sequences: Sequence[Tensor], ending: str) -> bytes:
        """Return lists of MIDI numbers under ``test``, as ``evaluate`` reads them, a row for each
        note, or piano rolls below each other.

        Raises:
            DataError: a piece is shorter than those that ``read_music`` reads.
        """
        pieces = [
            [[int(key) + LOWEST for key in step.nonzero()] for step in each] for each in sequences
        ]
        if ending == ".json":
            shortest = min(map(len, pieces))
            if shortest < FEWEST:
                raise DataError(
                    f"{named('steps', shortest)}: a file of music holds pieces of {FEWEST} steps "
                    f"or more. Give {named('steps', FEWEST)}, or a file that ends with .csv."
                )
            return (json.dumps({"test": pieces}) + "\n").encode()
        if ending == ".csv":
            text = io.StringIO()
            rows = csv.writer(text, lineterminator="\n")
            rows.writerow(["piece", "step", "note", "name"])
            for number, piece in enumerate(pieces, 1):
                for step, notes in enumerate(piece, 1):
                    rows.writerows([number, step, note, note_name(note)] for note in notes)
            return text.getvalue().encode()
        rolls = [np.kron(_roll(each), np.ones((_HIGH, _WIDE))) for each in sequences]
        widest = max(roll.shape[1] for roll in rolls)
        room = np.full((_HIGH, widest), 0.5)
        parts: list[Any] = []
        for roll in rolls:
            parts += [np.pad(roll, ((0, 0), (0, widest - roll.shape[1]))), room]
        return png((255 * np.concatenate(parts[:-1])).astype(np.uint8))


def _roll(sequence: Tensor) -> Any:
    return sequence.T.flip(0).double().numpy()


def read_pieces(path: Path, fitted: Kind | None = None) -> LatentData:
    """Return the pieces of a file of music, see ``read_music``.

    Args:
        path: the file.
        fitted: see ``read_sequences``; where there is one, the file may hold a test set alone.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    music = read_music(path, needed=PARTS if fitted is None else ("test",))
    data = [list(part) for part in music]
    known = data[0]
    return LatentData(
        str(path),
        MusicKind(),
        (data[0], data[1], data[2]),
        Words(f"Music of {path.name}", f"Nhạc của {path.name}"),
        baselines={"key by key": _key_by_key(known)} if known else {},
    )


def _key_by_key(known: Sequence[Tensor]) -> Baseline:
    """Return the method that predicts each key by whether it sounded at the step before, as counted
    in known pieces, each case once more than seen."""
    before, after = _pairs(known)
    rates = [((held * after).sum(0) + 1) / (held.sum(0) + 2) for held in (before, 1 - before)]

    def nats(pieces: Sequence[Tensor]) -> float:
        before, after = _pairs(pieces)
        rate = torch.where(before == 1, rates[0], rates[1])
        return float(-torch.where(after == 1, rate, 1 - rate).log().sum(-1).mean())

    return nats


def _pairs(pieces: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the keys of the step before each step, and those of the step, [steps, keys]."""
    before = [torch.cat([torch.zeros(1, KEYS), piece[:-1]]) for piece in pieces]
    return torch.cat(before).double(), torch.cat([*pieces]).double()
