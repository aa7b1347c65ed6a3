"""Polyphonic music: which of the 88 keys of a piano sound at each step, predicted from the steps
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
# The MIDI number of a piano's lowest key.
LOWEST = 21
# Steps of a piece, at least: one, and one that follows it.
FEWEST = 2

PARTS = ("train", "valid", "test")


class Music(NamedTuple):
    """The pieces of each part; a piece is [T, 88] of 0 and 1."""

    train: tuple[Tensor, ...]
    validation: tuple[Tensor, ...]
    test: tuple[Tensor, ...]


def note_name(number: int) -> str:
    """Return the name of a MIDI number, where C4 is 60.

    >>> note_name(60), note_name(70)
    ('C4', 'A♯4')
    """
    names = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
    return f"{names[number % 12]}{number // 12 - 1}"


def _piece(where: str, steps: Any) -> Tensor:
    if not isinstance(steps, list) or len(steps) < FEWEST:
        raise DataError(f"{where}: expected a list of two steps or more, each a list of notes.")
    roll = torch.zeros(len(steps), KEYS)
    for number, notes in enumerate(steps):
        are_notes = isinstance(notes, list) and all(
            isinstance(note, int) and LOWEST <= note < LOWEST + KEYS for note in notes
        )
        if not are_notes:
            raise DataError(
                f"{where}, step {number}: {notes!r}; expected a list of MIDI numbers from {LOWEST} "
                f"to {LOWEST + KEYS - 1}, empty where nothing sounds."
            )
        roll[number, [note - LOWEST for note in notes]] = 1.0
    return roll


def read_music(path: Path | str, *, needed: Sequence[str] = PARTS) -> Music:
    """Read music from JSON (also ``.gz``).

    The file holds ``{"train": [piece, ...], "valid": [...], "test": [...]}``. A piece is a list of
    its steps, and a step a list of the MIDI numbers of the notes that sound, 21 to 108.

    Args:
        path: the file.
        needed: the parts that it must hold; others may be missing, and are empty then.

    Raises:
        DataError: the file cannot be read, or holds something else; the text names the part, the
            piece and the step.
    """
    path = Path(path)
    try:
        content = json.loads(decoded(path, read_unpacked(path)))
    except (ValueError, RecursionError) as error:  # also for a number of thousands of digits
        raise DataError(f"{path} is no JSON: {error}.") from error
    lists = isinstance(content, dict) and all(
        isinstance(content.get(part), list) for part in PARTS if part in needed or part in content
    )
    if not lists:
        raise DataError(f"{path}: expected lists of pieces under {', '.join(needed)}.")
    parts: list[tuple[Tensor, ...]] = []
    for part in PARTS:
        if part not in content:
            parts.append(())
            continue
        pieces = tuple(
            _piece(f"{path}, {part}, piece {number}", steps)
            for number, steps in enumerate(content[part])
        )
        if not pieces:
            raise DataError(f"{path}: there is no piece under {part}.")
        parts.append(pieces)
    return Music(*parts)


def next_notes(pieces: Sequence[Tensor]) -> Batch:
    """Return a batch whose inputs are the steps of some pieces and whose targets are the steps that
    follow them, both [T - 1, B, 88] with zeros after the end of shorter pieces."""
    lengths = torch.tensor([len(piece) - 1 for piece in pieces])
    inputs = pad_sequence([piece[:-1] for piece in pieces])
    return Batch(inputs, pad_sequence([piece[1:] for piece in pieces]), lengths)


def key_by_key_nats(known: Sequence[Tensor], pieces: Sequence[Tensor]) -> Tensor:
    """Return the nats of the baseline on each of ``pieces``, the sum over the steps after its
    first, float64. For each key on its own it predicts how often the key sounds after a step in
    which it sounded, and after one in which it did not, as counted in ``known`` (each case counted
    once more than seen)."""
    before, after = (torch.cat(parts).double() for parts in _pairs(known))
    rates = []
    for condition in (before, 1 - before):
        rates.append(((condition * after).sum(0) + 1) / (condition.sum(0) + 2))
    before, after = (torch.cat(parts).double() for parts in _pairs(pieces))
    rate = torch.where(before == 1, rates[0], rates[1])
    probability = torch.where(after == 1, rate, 1 - rate)
    steps = [len(piece) - 1 for piece in pieces]
    return torch.stack([each.sum() for each in torch.split(-probability.log().sum(-1), steps)])


def _pairs(pieces: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    return [piece[:-1] for piece in pieces], [piece[1:] for piece in pieces]


# The nats per step of a predictor that knows nothing: every key sounds with probability 1/2.
COIN_NATS = KEYS * log(2)
