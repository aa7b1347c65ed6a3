"""Looks inside a network on one sequence: all numbers and words of the page."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from conveyor.compiler.show import show
from conveyor.errors import counted
from conveyor.inside.compared import Compared, check_same_steps, spoken
from conveyor.inside.roles import how_open, roles
from conveyor.inspect.between import gradients_between
from conveyor.inspect.contributions import contributions
from conveyor.inspect.one_sequence import step_count, with_batch
from conveyor.inspect.overview import Overview, overview, thinned
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.state import main_output
from conveyor.pages.inside import (
    Inside,
    LayerInside,
    Map,
    NetworkGradients,
    Numbers,
    Reach,
    Remembering,
)
from conveyor.pages.words import Words, number_text, same
from conveyor.tasks.read_sequence import ReadSequence

# The page shows at most so many steps, which a screen can tell apart, and units.
MOST_STEPS, MOST_UNITS = 400, 128
# All maps together have at most so many numbers: a page stays below 1.5 MB.
MOST_NUMBERS = 600_000
# The gradients of at most so many output steps are worked out, and of fewer in long sequences,
# in which they are followed so many steps back.
MOST_OUTPUTS, LEAST_OUTPUTS, BACK = 100, 16, 2000
# Random directions for each norm: its relative deviation is below a tenth with dozens of units.
DRAWS = 2
# Contributions are worked out of sequences of at most so many steps: each takes 32 passes.
MOST_CONTRIBUTING = 5000
# So many letters of what it looks back over are said.
MOST_SAID = 40
# So many units that remember, and steps at which each opens and closes, are named.
REMEMBERING, NAMED_STEPS = 10, 3


@dataclass(frozen=True)
class Look:
    """What was seen inside a network.

    Args:
        page: all that the page shows.
        overviews: what every layer computed at the steps that are shown.
        contributions: of each of them to the answer; None where there is none.
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
        SettingError: the network has no trace.
        ShapeError: the others read other sequences.
    """
    for other in others:
        check_same_steps(network, other)
    layer = network.layer
    total = step_count(layer, with_batch(layer, network.inputs))
    chosen = thinned(total, MOST_STEPS)
    notes = _notes(total, chosen)
    if total > len(chosen):
        say(f"the sequence has {total:,} steps: {len(chosen)} of them are shown, evenly apart")
    overviews = overview(layer, network.inputs, steps=chosen)
    outputs, gradients = _gradients([network, *others], total, chosen)
    contributed = _contributions(read, network, total, chosen)
    if contributed is None:
        notes.append(
            Words(
                f"Contributions are not worked out of more than {MOST_CONTRIBUTING:,} steps.",
                f"Không tính phần đóng góp khi dãy dài hơn {MOST_CONTRIBUTING:,} bước.".replace(
                    ",", "."
                ),
            )
        )
    labels = [read.labels[step] for step in chosen]
    named = labels != [str(step + 1) for step in chosen]
    texts = _Texts(chosen, labels, named=named, symbols=read.symbols)
    layers = [_layer(one, layer, texts) for one in overviews]
    name = spoken(layer.program)
    page = Inside(
        heading=Words(f"Inside {_article(name)} {name}", f"Bên trong mạng {name}"),
        title=read.title,
        verdict=_verdict(
            overviews,
            texts,
            gradients=gradients,
            contributed=contributed,
            read=read,
        ),
        steps=chosen,
        labels=labels,
        named=named,
        symbols=read.symbols,
        features={key: [values[step] for step in chosen] for key, values in read.features.items()},
        answers=[read.answers[step] for step in chosen] if read.answers else [],
        contributions=None if contributed is None else contributed.tolist(),
        asked=None if contributed is None else read.asked,
        layers=layers,
        outputs=outputs,
        gradients=gradients,
        equations=_equations(layer, overviews[0]),
        notes=notes,
        settings=settings,
    )
    by_network = {one.name.en: torch.from_numpy(one.shares) for one in gradients}
    return Look(page, overviews, contributed, by_network)


def _article(name: str) -> str:
    return "an" if name[:1] in "aeiou" or name.startswith(("LSTM", "SRU")) else "a"


class _Texts:
    """How steps are told in words."""

    def __init__(
        self, steps: Sequence[int], labels: Sequence[str], *, named: bool, symbols: bool
    ) -> None:
        self.steps, self.labels, self.named, self.symbols = steps, labels, named, symbols

    def step(self, place: int) -> Words:
        """Return a step in words, by its place among those that are shown."""
        number = self.steps[place] + 1
        if not self.named:
            return Words(f"step {number:,}", f"bước {number:,}".replace(",", "."))
        label = {" ": "␣", "\n": "⏎", "\t": "⇥"}.get(self.labels[place], self.labels[place])
        if self.symbols:
            return Words(f"‘{label}’ (step {number})", f"‘{label}’ (bước {number})")
        return Words(f"{label} (step {number})", f"{label} (bước {number})")

    def last(self, steps: int) -> Words:
        """Return the words of a text over which the last step looks back so many steps; nothing
        where no text is read, or not all of its letters are shown."""
        whole = self.steps[-1] - self.steps[0] == len(self.steps) - 1
        if not self.symbols or not whole or not steps:
            return same("")
        read = "".join(self.labels)[-steps - 1 :]
        shown = read if len(read) <= MOST_SAID else f"…{read[-MOST_SAID:]}"
        shown = shown.replace("\n", "⏎")
        count = len(read.split())
        return Words(
            f" over ‘{shown}’ ({counted(count, 'word')})", f" qua ‘{shown}’ ({count} tiếng)"
        )

    def steps_in(self, places: Sequence[int]) -> Words:
        """Return several steps in words."""
        words = [self.step(place) for place in places]
        if not words:
            return Words("no step", "không bước nào")
        return Words(", ".join(one.en for one in words), ", ".join(one.vi for one in words))


def _notes(total: int, chosen: Sequence[int]) -> list[Words]:
    notes = [
        Words(
            "What is left of a gradient is the norm of the derivative of the output of the chosen "
            "step by the memory of an earlier step, as a share of that by its own: the root of the "
            f"mean of squares over {DRAWS} random directions (Hutchinson 1990). The memory is the "
            "cell state where a cell has one, or else its state.",
            "Phần gradient còn lại là chuẩn của đạo hàm của đầu ra ở bước đã chọn theo bộ nhớ ở "
            "một bước trước đó, chia cho chuẩn theo bộ nhớ của chính bước ấy: căn bậc hai của "
            f"trung bình bình phương trên {DRAWS} hướng ngẫu nhiên (Hutchinson 1990). Bộ nhớ là "
            "trạng thái tế bào nếu có, nếu không thì là trạng thái của tế bào.",
        ),
        Words(
            "How much is carried over of a unit is the derivative of its new value by its old one, "
            "unit by unit: the forget gate of an LSTM. 1/e of it is left after -1 / log of the "
            "geometric mean (Tallec & Ollivier 2018).",
            "Phần được giữ lại của một đơn vị là đạo hàm của giá trị mới theo giá trị cũ của nó, "
            "tức là cổng quên của LSTM. Còn 1/e sau -1 / log của trung bình nhân (Tallec & "
            "Ollivier 2018).",
        ),
        Words(
            "Contributions are integrated gradients from an input of zeros (Sundararajan, Taly & "
            "Yan 2017): they add up to the answer less that of zeros.",
            "Phần đóng góp là gradient tích phân, tính từ đầu vào toàn số 0 (Sundararajan, Taly & "
            "Yan 2017): tổng của chúng bằng câu trả lời trừ đi câu trả lời khi đầu vào toàn 0.",
        ),
    ]
    if total > len(chosen):
        notes.append(
            Words(
                f"Of {total:,} steps {len(chosen)} are shown, evenly apart.",
                f"Hiển thị {len(chosen)} trong số {total:,} bước, cách đều nhau.".replace(",", "."),
            )
        )
    if total > BACK:
        notes.append(
            Words(
                f"Gradients are followed {BACK:,} steps back.",
                f"Gradient được theo dõi lùi lại {BACK:,} bước.".replace(",", "."),
            )
        )
    return notes


def _gradients(
    networks: Sequence[Compared], total: int, chosen: Sequence[int]
) -> tuple[list[int], list[NetworkGradients]]:
    """Return the places of output steps among the chosen ones, and what is left of their
    gradients."""
    main = networks[0].layer
    if main.bidirectional:
        return [], []
    most = max(LEAST_OUTPUTS, min(MOST_OUTPUTS, MOST_OUTPUTS * MOST_STEPS // total))
    outputs = thinned(len(chosen), most)
    rows = [chosen[place] for place in outputs]
    shades = ("ours", "ours", "third", "baseline")
    seen = []
    for number, network in enumerate(networks):
        norms = gradients_between(
            network.layer, network.inputs, outputs=rows, back=BACK, draws=DRAWS
        ).numpy()
        itself = norms[range(len(rows)), rows][:, None]
        shares = np.divide(norms, itself, out=np.zeros_like(norms), where=itself > 0)
        shares[np.isnan(norms)] = np.nan
        seen.append(
            NetworkGradients(
                name=network.name,
                about=network.about,
                shares=shares[:, list(chosen)],
                reach=[
                    (_reach(of_output, row, 0.1), _reach(of_output, row, 0.01))
                    for of_output, row in zip(shares, rows, strict=True)
                ],
                shade=shades[number] if number < len(shades) else "quiet",
                dashed=network.dashed,
                main=number == 0,
            )
        )
    return outputs, seen


def _reach(shares: Numbers, output: int, share: float) -> Reach:
    """Return how far back a share of the gradient of an output step is left."""
    left = np.flatnonzero(shares[: output + 1] >= share)  # NaN is not
    first = int(left[0]) if len(left) else output
    farther = first < output and (first == 0 or bool(np.isnan(shares[first - 1])))
    return Reach(output - first, farther)


def _contributions(
    read: ReadSequence, network: Compared, total: int, chosen: Sequence[int]
) -> Tensor | None:
    """Return what the chosen steps contributed; steps between count with the one before."""
    if total > MOST_CONTRIBUTING:
        return None
    layer = network.layer

    def answer(x: Tensor) -> Tensor:
        return read.answer(main_output(layer(x)[0]))

    axis = 1 if layer.batch_first else 0
    parts = contributions(answer, network.inputs, steps_axis=axis)
    by_step = parts.transpose(0, axis)[:, 0].sum(-1).double().cpu().numpy()
    return torch.from_numpy(np.add.reduceat(by_step, list(chosen)))


def _layer(one: Overview, layer: Recurrent, texts: _Texts) -> LayerInside:
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
                "phía trên: thứ mỗi bước nạp vào (i·g của LSTM); trên băng truyền: thứ đơn vị đang "
                "giữ; phía dưới: thứ mỗi bước lấy đi ((1-f)·c')",
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


def _remembering(one: Overview, order: Sequence[int], texts: _Texts) -> tuple[Remembering, ...]:
    constants, dead = one.time_constants, one.dead
    alive = [unit for unit in order if not dead[unit]]
    longest = sorted(alive, key=lambda unit: -float(constants[unit]))[:REMEMBERING]
    put_on, share = one.put_on.abs(), one.carried.abs()
    rows = {unit: row for row, unit in enumerate(order)}
    units = []
    for unit in longest:
        opens = _apart(put_on[:, unit].argsort(descending=True).tolist())
        closes = _apart(share[:, unit].argsort().tolist())
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


def _verdict(
    overviews: Sequence[Overview],
    texts: _Texts,
    *,
    gradients: Sequence[NetworkGradients],
    contributed: Tensor | None,
    read: ReadSequence,
) -> list[Words]:
    """Return the answers of the page, a sentence each."""
    sentences = []
    one = overviews[-1] if not overviews[-1].reverse else overviews[0]
    if gradients:
        sentences.append(_how_far(gradients, texts))
    share = one.carried.abs().mean(1)
    lets_go = int(share.argmin())
    what = "cell state" if one.memory != "h" else "state"
    what_vi = "trạng thái tế bào" if one.memory != "h" else "trạng thái"
    kept, mean = number_text(float(share[lets_go])), number_text(float(share.mean()))
    step = texts.step(lets_go)
    sentences.append(
        Words(
            f"It forgot most at {step.en}: {kept.en} of its {what} was carried over there, "
            f"{mean.en} on the mean of all steps.",
            f"Nó quên nhiều nhất ở {step.vi}: ở đó chỉ giữ lại {kept.vi} {what_vi}, trung bình mọi "
            f"bước là {mean.vi}.",
        )
    )
    takes_in = int(one.put_on.abs().mean(1).argmax())
    step = texts.step(takes_in)
    sentences.append(Words(f"It took in most at {step.en}.", f"Nó nạp vào nhiều nhất ở {step.vi}."))
    if contributed is not None and bool((contributed != 0).any()):
        step = texts.step(int(contributed.abs().argmax()))
        sentences.append(
            Words(
                f"What counted most for {read.asked.en}: {step.en}.",
                f"Đóng góp nhiều nhất cho {read.asked.vi}: {step.vi}.",
            )
        )
    dead = int(one.dead.sum())
    if dead:
        sentences.append(
            Words(
                f"{dead} of {len(one.dead)} units never change.",
                f"{dead} trong số {len(one.dead)} đơn vị không bao giờ thay đổi.",
            )
        )
    return sentences


def _how_far(gradients: Sequence[NetworkGradients], texts: _Texts) -> Words:
    """Return how far back the gradient of the last step reaches, of all networks."""

    def told(reach: Reach) -> Words:
        number = number_text(reach.steps, ",d")
        return Words(
            f"{'at least ' * reach.farther}{number.en}", f"{'ít nhất ' * reach.farther}{number.vi}"
        )

    (tenth, _), *_ = network_reaches = [network.reach[-1] for network in gradients]
    others = [
        (network.name, told(reach))
        for network, (reach, _) in zip(gradients[1:], network_reaches[1:], strict=True)
    ]
    en = ", ".join(f"{name.en} {words.en}" for name, words in others)
    vi = ", ".join(f"{name.vi} {words.vi}" for name, words in others)
    beside = (f" To compare: {en}.", f" So sánh: {vi}.") if others else ("", "")
    words, over = told(tenth), texts.last(tenth.steps)
    return Words(
        f"It looks back {words.en} step{'s' * (tenth.steps != 1)}{over.en}: so far back a tenth "
        f"of the gradient of the last step is left.{beside[0]}",
        f"Nó nhìn lại {words.vi} bước{over.vi}: lùi đến đó vẫn còn một phần mười gradient của "
        f"bước cuối.{beside[1]}",
    )
