"""The classic tasks are drawn as their papers say."""

import math
import re
from collections import Counter
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from conveyor.data import synthetic
from conveyor.data.synthetic import grammar, order
from conveyor.errors import SettingError

MANY = 2000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Adding ------------------------------------------------------------------------------------------


def markers_of(batch: synthetic.Batch) -> list[list[int]]:
    """Where each sequence is marked by 1."""
    return [
        (batch.inputs[:, n, 1] == 1).nonzero().flatten().tolist() for n in range(len(batch.lengths))
    ]


def test_adding_as_arjovsky() -> None:
    batch = synthetic.adding(50, MANY, seeded())
    assert batch.inputs.shape == (50, MANY, 2)
    assert set(batch.lengths.tolist()) == {50}
    numbers = batch.inputs[..., 0]
    assert 0 <= float(numbers.min()) < 0.001
    assert 0.999 < float(numbers.max()) <= 1
    for n, (first, second) in enumerate(markers_of(batch)):
        assert 0 <= first < 25 <= second < 50
        assert float(batch.targets[n]) == pytest.approx(
            float(numbers[first, n] + numbers[second, n])
        )
    firsts = Counter(first for first, _ in markers_of(batch))
    assert set(firsts) == set(range(25))
    # The variance of a sum of two: standard error of 1/6 · √(1.4/2000), some 0.005.
    error = ((batch.targets - 1) ** 2).mean()
    assert float(error) == pytest.approx(synthetic.ADDING_BASELINE, abs=0.02)


def test_adding_as_in_the_paper_on_convolutions() -> None:
    places = markers_of(synthetic.adding(10, MANY, seeded(), form="tcn"))
    assert all(len(each) == 2 for each in places)
    assert {tuple(each) for each in places} == {(a, b) for b in range(10) for a in range(b)}


def test_adding_as_hochreiter() -> None:
    T = 100
    batch = synthetic.adding(T, MANY, seeded(), form="hochreiter")
    assert set(batch.lengths.tolist()) == set(range(100, 111))
    marks_at_first = 0
    for n, places in enumerate(markers_of(batch)):
        length = int(batch.lengths[n])
        numbers, marks = batch.inputs[:, n].unbind(-1)
        assert len(places) == 2
        assert min(places) < 10
        assert max(places) < T // 2 - 1
        assert marks[length - 1] == -1
        assert not batch.inputs[length:, n].any()
        assert float(numbers.abs().max()) <= 1
        if 0 not in places:
            assert marks[0] == -1
        # A first number that is marked counts nothing.
        want = 0.5 + sum(float(numbers[place]) for place in places if place) / 4
        assert float(batch.targets[n]) == pytest.approx(want, abs=1e-6)
        marks_at_first += 0 in places
    assert 0.05 * MANY < marks_at_first < 0.2 * MANY


def test_adding_as_pascanu() -> None:
    batch = synthetic.adding(100, MANY, seeded(), form="pascanu")
    for n, (first, second) in enumerate(markers_of(batch)):
        length = int(batch.lengths[n])
        tenth = int(length * 0.1)
        assert first < tenth <= second < length // 2
        numbers = batch.inputs[:, n, 0]
        want = float(numbers[first] + numbers[second]) / 2
        assert float(batch.targets[n]) == pytest.approx(want, abs=1e-6)


def test_multiplication() -> None:
    batch = synthetic.multiplication(20, MANY, seeded())
    for n, (first, second) in enumerate(markers_of(batch)):
        numbers = batch.inputs[:, n, 0]
        want = float(numbers[first] * numbers[second])
        assert float(batch.targets[n]) == pytest.approx(want, abs=1e-6)
    error = ((batch.targets - 0.25) ** 2).mean()
    assert float(error) == pytest.approx(synthetic.MULTIPLICATION_BASELINE, abs=0.006)
    assert pytest.approx(0.0486, abs=1e-4) == synthetic.MULTIPLICATION_BASELINE


# Copying -----------------------------------------------------------------------------------------


def test_copying_as_arjovsky() -> None:
    T = 30
    batch = synthetic.copying(T, 40, seeded())
    symbols = batch.inputs.argmax(-1)
    assert batch.inputs.shape == (T + 20, 40, 10)
    assert torch.equal(batch.inputs.sum(-1), torch.ones(T + 20, 40))
    assert set(symbols[:10].flatten().tolist()) == set(range(8))
    assert (symbols[10 : T + 9] == 8).all()
    assert len(symbols[10 : T + 9]) == T - 1
    assert (symbols[T + 9] == 9).all()
    assert (symbols[T + 10 :] == 8).all()
    assert (batch.targets[: T + 10] == 8).all()
    assert torch.equal(batch.targets[T + 10 :], symbols[:10])


def test_copying_as_in_the_paper_on_convolutions() -> None:
    T = 30
    batch = synthetic.copying(T, 40, seeded(), form="tcn")
    symbols = batch.inputs.argmax(-1)
    assert set(symbols[:10].flatten().tolist()) == set(range(1, 9))
    assert (symbols[10 : T + 9] == 0).all()
    assert (symbols[T + 9 :] == 9).all()
    assert len(symbols[T + 9 :]) == 11
    assert torch.equal(batch.targets[T + 10 :], symbols[:10])


def test_copying_baseline() -> None:
    """The published figures: 0.1733 at T = 100 and 0.0400 at T = 500."""
    assert synthetic.copying_baseline(100) == pytest.approx(0.1733, abs=1e-4)
    assert synthetic.copying_baseline(500) == pytest.approx(0.0400, abs=1e-4)
    # Of an answer that knows blanks for certain and of symbols nothing.
    batch = synthetic.copying(100, 8, seeded())
    answer = torch.full((120, 8, 10), -100.0)
    answer[:110, :, 8] = 100.0
    answer[110:, :, :8] = 0.0
    error = torch.nn.functional.cross_entropy(answer.flatten(0, 1), batch.targets.flatten())
    assert float(error) == pytest.approx(synthetic.copying_baseline(100), rel=1e-5)


# Order -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marks", "places"), [(2, ((10, 20), (50, 60))), (3, ((10, 20), (33, 43), (66, 76)))]
)
def test_temporal_order(marks: int, places: tuple[tuple[int, int], ...]) -> None:
    batch = synthetic.temporal_order(500, seeded(), marks=marks)
    assert set(batch.lengths.tolist()) == set(range(100, 111))
    for n, length in enumerate(batch.lengths.tolist()):
        text = "".join(order.SYMBOLS[k] for k in batch.inputs[:length, n].argmax(-1).tolist())
        assert text[0] == "B"
        assert text[-1] == "E"
        found = [(m.start(), m.group()) for m in re.finditer("[XY]", text)]
        assert all(low <= at <= high for (at, _), (low, high) in zip(found, places, strict=True))
        assert set(text[1:-1]) <= set("abcdXY")
        digits = "".join("01"["XY".index(kind)] for _, kind in found)
        assert int(batch.targets[n]) == int(digits, 2)
        assert not batch.inputs[length:, n].any()
    assert set(batch.targets.tolist()) == set(range(2**marks))


def test_two_sequence() -> None:
    batch = synthetic.two_sequence(100, 500, seeded())
    first = batch.inputs[:3, :, 0]
    assert torch.equal(first, (2 * batch.targets[:, 0] - 1).expand(3, -1))
    noise = batch.inputs[3:100]
    assert float(noise.var()) == pytest.approx(0.2, rel=0.05)


# Grammars ----------------------------------------------------------------------------------------


def follows(text: str) -> bool:
    """Whether a string is of the plain grammar, by walking through it."""
    state = 0
    if text[0] != "B":
        return False
    for symbol in text[1:]:
        if state == grammar.END or symbol not in grammar.MOVES[state]:
            return False
        state = grammar.MOVES[state][symbol]
    return state == grammar.END


@pytest.mark.parametrize("text", ["BTXSE", "BTSXSE", "BPVVE", "BPTVPSE", "BTXXVVE", "BPVPXVVE"])
def test_published_strings_are_of_the_grammar(text: str) -> None:
    assert follows(text)


@pytest.mark.parametrize("text", ["BTSE", "BPSE", "BTXVE", "TXSE", "BTXS", "BPVE"])
def test_other_strings_are_not(text: str) -> None:
    assert not follows(text)


def test_embedded_reber() -> None:
    draw = seeded()
    strings = [synthetic.reber_string(draw) for _ in range(500)]
    assert min(len(text) for text, _ in strings) == 9
    for text, legal in strings:
        assert text[0] + text[-1] == "BE"
        assert text[1] == text[-2]
        assert text[1] in "TP"
        assert follows(text[2:-2])
        assert len(legal) == len(text) - 1
        assert all(after in allowed for after, allowed in zip(text[1:], legal, strict=True))
        assert legal[-2] == text[1]
    assert {text[1] for text, _ in strings} == {"T", "P"}


def test_reber_batches_and_their_judge() -> None:
    batch = synthetic.reber(20, seeded())
    perfect = batch.targets + 0.0
    assert synthetic.all_legal_above(perfect, batch).all()
    # A network that takes the other of T and P at the second last step is wrong.
    wrong = perfect.clone()
    for n, length in enumerate(batch.lengths.tolist()):
        at = length - 2
        symbols = [grammar.SYMBOLS.index(symbol) for symbol in "TP"]
        wrong[at, n, symbols] = perfect[at, n, symbols].flip(0)
        assert perfect[at, n].sum() == 1
    assert not synthetic.all_legal_above(wrong, batch).any()
    # What stands behind the end does not count.
    perfect[batch.lengths.min() :] += torch.rand(7) * 0
    assert synthetic.all_legal_above(perfect, batch).all()


# Counting ----------------------------------------------------------------------------------------


def spelled(batch: synthetic.Batch, number: int, letters: str) -> tuple[str, list[str]]:
    """A sequence and what may follow, as letters."""
    length = int(batch.lengths[number])
    inputs, ends = f"{letters}S", f"{letters}T"
    text = "".join(inputs[k] for k in batch.inputs[:length, number].argmax(-1).tolist())
    legal = [
        "".join(ends[k] for k in row.nonzero().flatten().tolist())
        for row in batch.targets[:length, number]
    ]
    return text, legal


def test_counting() -> None:
    batch = synthetic.counting([1, 3])
    assert spelled(batch, 0, "ab") == ("Sab", ["a", "ab", "T"])
    assert spelled(batch, 1, "ab") == ("Saaabbb", ["a", "ab", "ab", "ab", "b", "b", "T"])
    three = synthetic.counting([2], letters="abc")
    assert spelled(three, 0, "abc") == ("Saabbcc", ["a", "ab", "ab", "b", "c", "c", "T"])


def test_counting_is_accepted_only_if_every_step_is_right() -> None:
    batch = synthetic.counting([2, 5])
    outputs = batch.targets * 0.9
    assert synthetic.accepted(outputs, batch).tolist() == [True, True]
    outputs[9, 1, 2] = 0.6  # an end too early, in the longer sequence
    assert synthetic.accepted(outputs, batch).tolist() == [True, False]
    outputs[9, 0] = 1.0  # behind the end of the shorter
    assert synthetic.accepted(outputs, batch).tolist() == [True, False]


# Timing ------------------------------------------------------------------------------------------


def test_measured_spikes() -> None:
    batch = synthetic.measure_spikes(200, 30, seeded(), least=10, kinds=3)
    for n in range(30):
        times = batch.inputs[:, n, 0].nonzero().flatten().tolist()
        assert times[0] == 0
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert set(gaps) <= {10, 11, 12}
        assert batch.targets[times[1:], n, 0].tolist() == [gap - 10 for gap in gaps]
        assert batch.targets[:, n].count_nonzero() == sum(gap > 10 for gap in gaps)


def test_generated_spikes() -> None:
    measured = synthetic.measure_spikes(200, 30, seeded(), least=10, kinds=3)
    batch = synthetic.generate_spikes(200, 30, seeded(), least=10, kinds=3)
    assert torch.equal(batch.targets, measured.inputs)
    for n in range(30):
        times = batch.targets[:, n, 0].nonzero().flatten().tolist()
        told = batch.inputs[:, n, 0]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert told[times[:-1]].tolist() == [gap - 10 for gap in gaps]
        assert batch.inputs[:, n, 1].nonzero().flatten().tolist() == [0]
    # What is told last says when the next spike would be: sequences that are told the same are
    # the same.
    known: dict[tuple[float, ...], list[float]] = {}
    short = synthetic.generate_spikes(11, 200, seeded(), least=10, kinds=2)
    for n in range(200):
        heard = tuple(short.inputs[:, n, 0].tolist())
        spikes = short.targets[:, n, 0].tolist()
        assert known.setdefault(heard, spikes) == spikes
    assert len(known) > 1


def test_sines() -> None:
    batch = synthetic.sines(320)
    assert torch.equal(batch.inputs, torch.ones(320, 1, 1))
    t = 37
    want = sum(math.sin(2 * math.pi * t / period) for period in (8, 32, 80, 160))
    assert float(batch.targets[t]) == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("cosine", [0, 0.5, 1, 0.5]),
        ("triangle", [0, 0.5, 1, 0.5]),
        ("rectangle", [0, 0, 1, 1]),
    ],
)
def test_periodic_functions(form: str, values: list[float]) -> None:
    batch = synthetic.periodic(10, 4, form=form)
    assert torch.equal(batch.inputs, torch.ones(10, 1, 1))
    want = torch.tensor([values[step % 4] for step in range(10)])
    torch.testing.assert_close(batch.targets[:, 0, 0], want.float())
    quarter = synthetic.periodic(8, 8, form="cosine").targets[1].item()
    assert quarter == pytest.approx((1 - math.cos(math.pi / 4)) / 2)


# Texts -------------------------------------------------------------------------------------------


def test_arithmetic() -> None:
    draw = seeded()
    strewn = 0
    for _ in range(300):
        problem, answer = synthetic.arithmetic(draw)
        assert problem.endswith("=")
        assert answer.endswith(".")
        bare = re.sub("[a-z]", "", problem[:-1])
        left, sign, right = re.fullmatch(r"(-?\d{1,8})([+-])(-?\d{1,8})", bare).groups()  # type: ignore[union-attr]
        want = int(left) + int(right) * (1 if sign == "+" else -1)
        assert int(answer[:-1]) == want
        strewn += len(problem) - 1 - len(bare)
    assert strewn > 300


def test_xml() -> None:
    draw = seeded()
    texts = [synthetic.xml(draw) for _ in range(300)]
    for text in texts:
        opened: list[str] = []
        for closing, name in re.findall(r"<(/?)([a-z]{2,10})>", text):
            if closing:
                assert opened.pop() == name
            else:
                opened.append(name)
        assert not opened
        assert re.sub(r"</?[a-z]{2,10}>", "", text) == ""
    assert all(texts)
    # Half of all close their first tag at once.
    assert sum(text.count("<") == 2 for text in texts) == pytest.approx(75, abs=40)


# All ---------------------------------------------------------------------------------------------


def test_same_seed_same_sequences() -> None:
    def everything(seed: int) -> list[Tensor]:
        draw = seeded(seed)
        made = [
            synthetic.adding(30, 4, draw, form="pascanu"),
            synthetic.copying(5, 4, draw),
            synthetic.temporal_order(4, draw),
            synthetic.reber(4, draw),
            synthetic.generate_spikes(50, 4, draw),
        ]
        return [each for batch in made for each in batch]

    assert all(map(torch.equal, everything(1), everything(1)))
    assert not all(
        a.shape == b.shape and torch.equal(a, b)
        for a, b in zip(everything(1), everything(2), strict=True)
    )


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: synthetic.adding(5, 1, seeded(), form="sum"), "no form 'sum'"),
        (lambda: synthetic.adding(5, 1, seeded(), form="hochreiter"), "steps is 5"),
        (lambda: synthetic.adding(10, -1, seeded()), "batch is -1"),
        (lambda: synthetic.sines(0), "steps is 0"),
        (lambda: synthetic.arithmetic(seeded(), digits=19), "digits is 19"),
        (lambda: synthetic.copying(0, 1, seeded()), "blank is 0"),
        (lambda: synthetic.copying(5, 1, seeded(), form="copy"), "no form 'copy'"),
        (lambda: synthetic.temporal_order(1, seeded(), marks=4), "marks is 4"),
        (lambda: synthetic.two_sequence(2, 1, seeded()), "2 steps cannot begin with 3"),
        (lambda: synthetic.counting([0]), "counts are"),
        (lambda: synthetic.counting([1], letters="a"), "letters are 'a'"),
        (lambda: synthetic.measure_spikes(9, 1, seeded(), least=0), "expected numbers from 1"),
        (lambda: synthetic.arithmetic(seeded(), digits=0), "digits is 0"),
        (lambda: synthetic.sines(9, ()), "periods are"),
        (lambda: synthetic.periodic(9, 3, form="sine"), "no form 'sine'"),
        (lambda: synthetic.periodic(9, 0), "expected numbers from 1"),
    ],
)
def test_what_is_refused(call: object, says: str) -> None:
    assert callable(call)
    with pytest.raises(SettingError, match=says):
        call()
