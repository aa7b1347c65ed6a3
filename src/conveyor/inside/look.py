"""Looks inside a network on one sequence: all numbers and words of the page."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from conveyor.compiler.show import show
from conveyor.inside.compared import Compared, check_same_steps, spoken
from conveyor.inside.measures import MOST_STEPS, check_finite, contributions_of, gradients_of
from conveyor.inside.method import method_notes
from conveyor.inside.roles import how_open, roles
from conveyor.inside.sentences import StepTexts, verdict
from conveyor.inspect.one_sequence import main_input, step_count, with_batch
from conveyor.inspect.overview import Overview, overview, thinned
from conveyor.inspect.traced import steps_first
from conveyor.layers.recurrent import Recurrent
from conveyor.pages.inside_data import Inside, LayerInside, Map, Numbers, Remembering
from conveyor.pages.words import Words, same
from conveyor.tasks.read_sequence import ReadSequence

# The page shows at most so many units, and all maps together have at most so many numbers: it stays
# below 1.5 MB.
MOST_UNITS, MOST_NUMBERS = 128, 360_000
# So many units that remember, and steps at which each opens and closes, are named.
REMEMBERING, NAMED_STEPS = 10, 3


@dataclass(frozen=True)
class Look:
    """What was seen inside a network.

    Args:
        page: all that the page shows.
        overviews: what every layer computed at the steps that are shown.
        contributions: of each step to the answer, [T]; None of a sequence that is too long.
        gradients: by the name of a network, what is left of the gradient of each output step.
    """

    page: Inside
    overviews: Sequence[Overview]
    contributions: Tensor | None
    gradients: Mapping[str, Tensor]


def look(
    read: ReadSequence,
    network: Compared,
    others: Sequence[Compared],
    *,
    settings: str,
    say: Callable[[str], None],
) -> Look:
    """Look inside a network on a sequence, beside others.

    Args:
        read: the sequence.
        network: the network that is looked into.
        others: the networks beside which it is shown.
        settings: as text.
        say: called with each line for the user.

    Raises:
        DataError: a number inside is NaN or infinite.
        SettingError: the network has no trace.
        ShapeError: the others read other sequences.
    """
    for other in others:
        check_same_steps(network, other)
    layer = network.layer
    total = step_count(layer, with_batch(layer, network.inputs))
    chosen = thinned(total, MOST_STEPS)
    if total > len(chosen):
        say(f"the sequence has {total:,} steps: {len(chosen)} of them are shown, evenly apart")
    overviews = overview(layer, network.inputs, steps=chosen)
    check_finite(layer, network.inputs, overviews)
    outputs, gradients = gradients_of([network, *others], total, chosen)
    contributed = contributions_of(read, network, total)
    labels = [read.labels[step] for step in chosen]
    texts = StepTexts(chosen, read.labels, symbols=read.symbols)
    layers = [_layer(one, layer, texts) for one in overviews]
    name = spoken(layer.program)
    # Steps that are not shown count with the one before.
    shown = None
    if contributed is not None:
        shown = np.add.reduceat(contributed.numpy(), list(chosen)).tolist()
    page = Inside(
        heading=Words(f"Inside {_article(name)} {name}", f"Bên trong mạng {name}"),
        title=read.title,
        verdict=verdict(
            overviews,
            texts,
            gradients=gradients,
            contributed=contributed,
            read=read,
        ),
        steps=chosen,
        labels=labels,
        named=texts.named,
        symbols=read.symbols,
        features={key: [values[step] for step in chosen] for key, values in read.features.items()},
        inputs=_inputs(read, network, chosen),
        answers=[read.answers[step] for step in chosen] if read.answers else [],
        contributions=shown,
        asked=None if contributed is None else read.asked,
        layers=layers,
        outputs=outputs,
        gradients=gradients,
        equations=_equations(layer, overviews[0]),
        notes=method_notes(total, len(chosen)),
        settings=settings,
    )
    by_network = {one.name.en: torch.from_numpy(one.shares) for one in gradients}
    return Look(page, overviews, contributed, by_network)


def _article(name: str) -> str:
    return "an" if name[:1] in "aeiou" or name.startswith(("LSTM", "SRU")) else "a"


def _inputs(read: ReadSequence, network: Compared, chosen: Sequence[int]) -> Map | None:
    """Return what is read as a map, where it is neither symbols nor a few numbers."""
    if read.symbols or read.features:
        return None
    x = main_input(network.layer, network.inputs)
    values = _numbers(steps_first(network.layer, x)[:, 0])
    low, high = float(values.min()), float(values.max())
    return Map(
        name="x",
        title=Words("x: what it reads", "x: đầu vào"),
        about=same(""),
        values=values[list(chosen), :MOST_UNITS],
        ends=(0.0, max(high, 1e-9)) if low >= 0 else None,
        ordered=False,
    )


def _layer(one: Overview, layer: Recurrent, texts: StepTexts) -> LayerInside:
    memory = one.values[one.memory]
    steps, count = memory.shape
    # Of each layer there are its maps, and what is put on and taken off.
    numbers = layer.num_layers * layer._directions * (len(one.values) + 2) * steps
    most = max(8, min(MOST_UNITS, MOST_NUMBERS // max(1, numbers)))
    order, note = one.order, None
    if count > most:
        spread = memory.double().std(0, correction=0)
        moving = set(spread.argsort(descending=True)[:most].tolist())
        order = [unit for unit in order if unit in moving]
        note = Words(
            f"Of {count} units the {most} are shown that vary most.",
            f"Hiển thị {most} trong số {count} đơn vị, là những đơn vị biến đổi nhiều nhất.",
        )
    maps = []
    for name, role in roles(one).items():
        values = one.values[name]
        ordered = values.shape[1] == count
        units = order if ordered else list(range(min(most, values.shape[1])))
        open_or_shut = how_open(one, name)
        about = role.about
        if open_or_shut is not None:
            about = Words(f"{about.en}; {open_or_shut.en}", f"{about.vi}; {open_or_shut.vi}")
        maps.append(
            Map(
                name=name,
                title=Words(f"{name}: {role.title.en}", f"{name}: {role.title.vi}"),
                about=about,
                values=_numbers(values[:, units]),
                ends=one.ranges.get(name),
                ordered=ordered,
            )
        )
    kind = (
        Words("the conveyor belt of a unit's memory", "băng truyền: bộ nhớ của một đơn vị")
        if one.memory != "h"
        else Words("the memory of a unit", "bộ nhớ của một đơn vị")
    )
    return LayerInside(
        name=_layer_name(one),
        memory=one.memory,
        units=tuple(order),
        maps=tuple(maps),
        put_on=_numbers(one.put_on[:, order]),
        taken_off=_numbers(one.taken_off[:, order]),
        belt=(
            Words(f"{one.memory}: {kind.en}", f"{one.memory}: {kind.vi}"),
            Words(
                "above, what each step puts on (i·g of an LSTM); on the belt, what the unit holds; "
                "below, what each step takes off ((1-f)·c')",
                "phía trên: phần mỗi bước nạp vào (i·g của LSTM); trên băng truyền: giá trị đơn vị "
                "đang giữ; phía dưới: phần mỗi bước lấy đi ((1-f)·c')",
            ),
        ),
        remembering=_remembering(one, order, texts),
        note=note,
    )


def _layer_name(one: Overview) -> Words:
    number = one.layer + 1
    if one.reverse:
        return Words(f"{number}, backwards", f"{number}, chiều ngược")
    return same(str(number))


def _numbers(tensor: Tensor) -> Numbers:
    return tensor.double().cpu().numpy()


def _remembering(one: Overview, order: Sequence[int], texts: StepTexts) -> tuple[Remembering, ...]:
    constants, dead = one.time_constants, one.dead
    alive = [unit for unit in order if not dead[unit]]
    longest = sorted(alive, key=lambda unit: -float(constants[unit]))[:REMEMBERING]
    put_on, taken_off = one.put_on.abs(), one.taken_off.abs()
    rows = {unit: row for row, unit in enumerate(order)}
    units = []
    for unit in longest:
        opens = _apart(put_on[:, unit].argsort(descending=True).tolist())
        closes = _apart(taken_off[:, unit].argsort(descending=True).tolist())
        units.append(
            Remembering(
                row=rows[unit],
                unit=unit,
                steps=float(constants[unit]),
                opens=texts.steps_in(opens),
                closes=texts.steps_in(closes),
            )
        )
    return tuple(units)


def _apart(places: Sequence[int]) -> list[int]:
    """Return the first places that are not neighbours, in order of time: where a series moves
    slowly, the highest values stand side by side."""
    distance = len(places) // 20
    chosen: list[int] = []
    for place in places:
        if all(abs(place - other) > distance for other in chosen):
            chosen.append(place)
        if len(chosen) == NAMED_STEPS:
            break
    return sorted(chosen)


def _equations(layer: Recurrent, one: Overview) -> list[list[tuple[str, str | None]]]:
    """Return the equations as parts, where local names that have a map link to it."""
    lines = []
    for line in show(layer.program).splitlines():
        parts: list[tuple[str, str | None]] = []
        for token in re.findall(r"[^\W\d][\w.]*'?|\s+|[^\w\s]|\d[\d.]*", line):
            name = token.removesuffix("'")
            parts.append((token, name if name in one.values else None))
        lines.append(parts)
    return lines
