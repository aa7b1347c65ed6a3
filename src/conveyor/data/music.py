"""Polyphonic music: which of the 88 keys of a piano sound at each step, foretold from the steps
before (Boulanger-Lewandowski, Bengio & Vincent 2012)."""

import json
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from conveyor.data.files import decoded, read_unpacked
from conveyor.data.synthetic.batch import Batch
from conveyor.errors import DataError

KEYS = 88
# The number that MIDI gives to a piano's lowest key.
LOWEST = 21

PARTS = ("train", "valid", "test")


class Music(NamedTuple):
    """Pieces of music by part, each [T, 88] of 0 and 1."""

    train: tuple[Tensor, ...]
    validation: tuple[Tensor, ...]
    test: tuple[Tensor, ...]


def _piece(where: str, steps: Any) -> Tensor:
    if not isinstance(steps, list) or len(steps) < 2:
        raise DataError(f"{where}: expected a list of two steps or more, each a list of notes.")
    roll = torch.zeros(len(steps), KEYS)
    for number, notes in enumerate(steps):
        fine = isinstance(notes, list) and all(
            isinstance(note, int) and LOWEST <= note < LOWEST + KEYS for note in notes
        )
        if not fine:
            raise DataError(
                f"{where}, step {number}: {notes!r}; expected a list of MIDI numbers from {LOWEST} "
                f"to {LOWEST + KEYS - 1}, empty where nothing sounds."
            )
        roll[number, [note - LOWEST for note in notes]] = 1.0
    return roll


def read_music(path: Path | str) -> Music:
    """Music from JSON (also ``.gz``): ``{"train": [piece, ...], "valid": [...], "test": [...]}``,
    a piece being its steps, and a step the MIDI numbers of the notes that sound, 21 to 108.

    Raises:
        DataError: the file cannot be read or is not so; the place is named.
    """
    path = Path(path)
    try:
        read = json.loads(decoded(path, read_unpacked(path)))
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise DataError(f"{path} is no JSON: {error}.") from error
    if not isinstance(read, dict) or not all(isinstance(read.get(part), list) for part in PARTS):
        raise DataError(f"{path}: expected lists of pieces under {', '.join(PARTS)}.")
    parts = []
    for part in PARTS:
        pieces = tuple(
            _piece(f"{path}, {part}, piece {number}", steps)
            for number, steps in enumerate(read[part])
        )
        if not pieces:
            raise DataError(f"{path}: there is no piece under {part}.")
        parts.append(pieces)
    return Music(*parts)


def next_notes(pieces: Sequence[Tensor]) -> Batch:
    """What is read at each step of some pieces, and what sounds at the next, both [T - 1, B, 88]
    with zeros behind the end of shorter pieces."""
    lengths = torch.tensor([len(piece) - 1 for piece in pieces])
    read = pad_sequence([piece[:-1] for piece in pieces])
    return Batch(read, pad_sequence([piece[1:] for piece in pieces]), lengths)


def key_by_key_nats(known: Sequence[Tensor], pieces: Sequence[Tensor]) -> float:
    """Nats per step of ``pieces`` by the baseline: how often a key sounds after a step in which it
    did, and in which it did not, counted in ``known`` (each case once more than seen)."""
    read, wanted = (torch.cat(parts).double() for parts in _pairs(known))
    chances = []
    for was in (read, 1 - read):
        chances.append(((was * wanted).sum(0) + 1) / (was.sum(0) + 2))
    read, wanted = (torch.cat(parts).double() for parts in _pairs(pieces))
    chance = torch.where(read == 1, chances[0], chances[1])
    likely = torch.where(wanted == 1, chance, 1 - chance)
    return float(-likely.log().sum(-1).mean())


def _pairs(pieces: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    return [piece[:-1] for piece in pieces], [piece[1:] for piece in pieces]


# What knowing nothing costs: every key as likely to sound as not.
COIN_NATS = KEYS * log(2)
