"""What the page that looks inside a network shows, and as what its script reads it: numbers of two
bytes."""

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conveyor.pages.words import Words

Numbers = NDArray[np.float64]

# The decimal logarithm of a gradient's share that is still told from none, and how many decades
# above it are: a byte is a 25th of a decade.
FLOOR, DECADES = -8.0, 10.0


@dataclass(frozen=True)
class Map:
    """A map of units over time.

    Args:
        name: the local name of the cell.
        title: the heading, which says what it is.
        about: a line below it.
        values: [steps, units].
        ends: between what they lie; None for from the least to the largest, 0 in the middle.
        ordered: whether its rows are the units of the memory, in their order.
    """

    name: str
    title: Words
    about: Words
    values: Numbers
    ends: tuple[float, float] | None
    ordered: bool


@dataclass(frozen=True)
class Remembering:
    """A unit that remembers for long.

    Args:
        row: its place among the units of the maps.
        unit: its number.
        steps: after so many 1/e of it is left.
        opens: the steps that put the most on it, in words.
        closes: the steps that keep the least of it, in words.
    """

    row: int
    unit: int
    steps: float
    opens: Words
    closes: Words


@dataclass(frozen=True)
class LayerInside:
    """A layer of the page, in one direction.

    Args:
        name: what it is called.
        memory: the local name of its memory.
        units: the numbers of the units that are shown, in order.
        maps: of every local name.
        put_on, taken_off: of the memory, [steps, units].
        belt: what stands above the belt: a heading and a line.
        remembering: the units with the longest time constants.
        note: what is left out; None for nothing.
    """

    name: Words
    memory: str
    units: tuple[int, ...]
    maps: tuple[Map, ...]
    put_on: Numbers
    taken_off: Numbers
    belt: tuple[Words, Words]
    remembering: tuple[Remembering, ...]
    note: Words | None = None


class Reach(NamedTuple):
    """How far back a share of a gradient is left.

    Args:
        steps: so many steps.
        farther: whether the sequence begins there, or the gradient was followed no farther.
    """

    steps: int
    farther: bool


@dataclass(frozen=True)
class NetworkGradients:
    """Where gradients go in a network.

    Args:
        name: what the network is called.
        about: a line about it.
        shares: of the gradient of each output step, what is left at each step, [outputs, steps];
            NaN where it was not worked out.
        reach: of each output step, how far back a tenth and a hundredth of its gradient is left.
        shade: the role of its colour: ours, third, baseline.
        dashed: whether its line is dashed.
        main: whether it is the network that the page is about.
    """

    name: Words
    about: Words
    shares: Numbers
    reach: Sequence[tuple[Reach, Reach]]
    shade: str
    dashed: bool = False
    main: bool = False


@dataclass(frozen=True)
class Inside:
    """All that the page shows.

    Args:
        heading: of the page.
        title: what is read.
        verdict: the answers first: a sentence each.
        steps: the numbers of the steps that are shown, from 0.
        labels: what stands at each of them.
        named: whether the labels say more than the number of the step.
        symbols: whether the labels are what is read.
        features: the numbers that are read, by name; empty for symbols, and where there are many.
        inputs: the numbers that are read, as a map, where there are many; None otherwise.
        answers: what the network answers at each step; empty for none.
        contributions: of each step to ``asked``; None where there is no answer.
        asked: what is answered.
        layers: see ``LayerInside``.
        outputs: the places of the output steps whose gradients are shown.
        gradients: the network's and others'; empty for none.
        equations: each as parts, a text and the local name that it links to, or None.
        notes: what a reader should know besides: what was left out, how it was measured.
        settings: as text.
    """

    heading: Words
    title: Words
    verdict: Sequence[Words]
    steps: Sequence[int]
    labels: Sequence[str]
    named: bool
    symbols: bool
    features: Mapping[Words, Sequence[float]]
    inputs: Map | None
    answers: Sequence[str]
    contributions: Sequence[float] | None
    asked: Words | None
    layers: Sequence[LayerInside]
    outputs: Sequence[int]
    gradients: Sequence[NetworkGradients]
    equations: Sequence[Sequence[tuple[str, str | None]]]
    notes: Sequence[Words]
    settings: str


# Numbers beyond it, and NaN, do not stretch a scale.
INFINITE = 1e12

# A number stands in the page as one of so many between two ends: of one byte, a memory of ±20 would
# move in stairs of 0.2, which are not its own.
LEVELS = 65_535


def _numbers(values: Numbers, low: float, high: float) -> str:
    """Return numbers between two as two bytes each, the lower one first, in base 64."""
    scaled = (values - low) / (high - low) * LEVELS
    scaled = np.nan_to_num(scaled, nan=0.0, posinf=LEVELS, neginf=0)
    return base64.b64encode(np.clip(np.rint(scaled), 0, LEVELS).astype("<u2").tobytes()).decode()


def _table(values: Numbers, ends: tuple[float, float] | None = None) -> dict[str, Any]:
    """Return numbers as the page's script reads them."""
    if ends is None:
        # A state may begin at a number that stands for an infinite one, as sLSTM's m does.
        finite = np.abs(values[np.abs(values) < INFINITE])
        most = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
        ends = (-most, most)
    low, high = ends
    return {
        "low": low,
        "high": high,
        "width": values.shape[1],
        "numbers": _numbers(values, low, high),
    }


def _logarithms(shares: Numbers) -> str:
    """Return shares of gradients as bytes: 0 for less than the floor, 255 where there is none."""
    with np.errstate(divide="ignore"):
        scaled = (np.log10(np.maximum(shares, 0)) - FLOOR) / DECADES * 254
    scaled = np.where(np.isnan(shares), 255, np.clip(np.rint(np.nan_to_num(scaled)), 0, 254))
    return base64.b64encode(scaled.astype(np.uint8).tobytes()).decode()


def _words(words: Words) -> dict[str, str]:
    """Return words as escaped HTML, by language."""
    return {language: html.escape(text) for language, text in words._asdict().items()}


def _layer(layer: LayerInside) -> dict[str, Any]:
    title, about = layer.belt
    most_kept = max(range(len(layer.units)), key=lambda row: -_rank(layer, row))
    return {
        "memory": layer.memory,
        "units": layer.units,
        "first": most_kept,
        "belt": {"title": _words(title), "about": _words(about)},
        "putOn": _table(layer.put_on),
        "takenOff": _table(layer.taken_off),
        "maps": list(map(_map, layer.maps)),
    }


def _map(one: Map) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": _words(one.title),
        "about": _words(one.about),
        "signed": one.ends is None or one.ends[0] < 0,
        "ordered": one.ordered,
        **_table(one.values, one.ends),
    }


def _rank(layer: LayerInside, row: int) -> int:
    """Return the place of a unit among those that remember for long; behind them for others."""
    rows = [unit.row for unit in layer.remembering]
    return rows.index(row) if row in rows else len(rows)


def page_data(inside: Inside) -> str:
    """Return all that the page's script reads, as JSON."""
    contents: dict[str, Any] = {
        "steps": list(inside.steps),
        "labels": list(inside.labels),
        "named": inside.named,
        "symbols": inside.symbols,
        # A list: a script's object would put names that are numbers first.
        "features": [
            [number if math.isfinite(number) else None for number in values]
            for values in inside.features.values()
        ],
        "answers": list(inside.answers),
        "layers": [_layer(layer) for layer in inside.layers],
        "inputTitle": _words(Words("What it reads", "Đầu vào")),
        "inputAbout": {
            "en": _key([name.en for name in inside.features]),
            "vi": _key([name.vi for name in inside.features]),
        },
    }
    if inside.inputs is not None:
        contents["inputs"] = _map(inside.inputs)
    if inside.contributions is not None and inside.asked is not None:
        contents |= {
            "contributions": [float(f"{number:.4g}") for number in inside.contributions],
            "contributionsTitle": _words(
                Words(
                    "What each step contributed to the answer at the last step",
                    "Mỗi bước đóng góp bao nhiêu vào câu trả lời ở bước cuối",
                )
            ),
            "asked": _words(
                Words(
                    f"upwards raises, downwards lowers {inside.asked.en}",
                    f"lên là làm tăng, xuống là làm giảm {inside.asked.vi}",
                )
            ),
        }
    if inside.gradients:
        contents["gradients"] = {
            "floor": FLOOR,
            "decades": DECADES,
            "outputs": list(inside.outputs),
            "networks": [
                {
                    "name": _words(network.name),
                    "about": _words(network.about),
                    "bytes": _logarithms(network.shares),
                    "reach": [[one._asdict() for one in pair] for pair in network.reach],
                    "shade": network.shade,
                    "dashed": network.dashed,
                    "main": network.main,
                }
                for network in inside.gradients
            ],
        }
    return json.dumps(contents, ensure_ascii=False, allow_nan=False)


def _key(names: Sequence[str]) -> str:
    """Return the names of the lines of the input, in their colours, as HTML."""
    shades = ("ours", "baseline", "third", "quiet")
    return " · ".join(
        f'<b style="color:var(--{shades[place % 4]})">{html.escape(name)}</b>'
        for place, name in enumerate(names)
    )
