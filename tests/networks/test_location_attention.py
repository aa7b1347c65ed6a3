"""Attention that knows where it has looked, beside loops in NumPy that are written from the
equations of Chorowski et al. 2015 (section 2.1): one sequence, one step, one place and one number
at a time."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from math import exp, tanh
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

import conveyor
from conveyor.errors import SettingError, ShapeError
from conveyor.networks import (
    Attention,
    BahdanauDecoder,
    Embedding,
    LuongDecoder,
    PictureDecoder,
    beam_search,
)
from tests.networks.padded_memory import check_padding_changes_no_bit

S, B, T, SYMBOLS, VECTOR, UNITS, MEMORY = 6, 3, 4, 7, 3, 4, 5
LENGTHS = [6, 1, 4]
FILTERS, REACH = 2, 2

Rows = list[list[float]]


@pytest.fixture(autouse=True)
def seeded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Most of the time would be that of compiling; one test runs the machine code."""
    torch.manual_seed(0)
    compiled = "machine_code" in request.node.name
    with nullcontext() if compiled else conveyor.use_target("reference"):
        yield


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def attention_of(scoring: Any = "location", **options: Any) -> Attention:
    """Return attention whose convolution counts: the usual start of its numbers is small."""
    if scoring == "location":
        options = {"filters": FILTERS, "reach": REACH, **options}
    attention = Attention(UNITS, MEMORY, scoring, **options).double()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.mul_(2).add_(0.3 * torch.randn_like(parameter))
    return attention


def walked(attention: Attention, queries: Rows, places: Rows, before: list[float]) -> Rows:
    """Return the weights of the places of one memory for each query of one sequence, after the
    weights that stand before the first."""
    p: Any = {name: each.tolist() for name, each in attention.named_parameters()}
    count, width = len(places), len(p["v"])
    steps = []
    for s in queries:
        scores = []
        for j, h in enumerate(places):
            features = []
            for (filter_,) in p["around.weight"]:
                total = 0.0
                for offset, share in zip(range(-REACH, REACH + 1), filter_, strict=True):
                    if 0 <= j + offset < count:
                        total += share * before[j + offset]
                features.append(total)
            score = 0.0
            for n in range(width):
                inner = p["of_around.bias"][n]
                inner += sum(w * x for w, x in zip(p["of_query.weight"][n], s, strict=True))
                inner += sum(w * x for w, x in zip(p["of_memory.weight"][n], h, strict=True))
                inner += sum(w * x for w, x in zip(p["of_around.weight"][n], features, strict=True))
                score += p["v"][n] * tanh(inner)
            scores.append(1 / (1 + exp(-score)) if attention.smooth else exp(score))
        before = [score / sum(scores) for score in scores]
        steps.append(before)
    return steps


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("lengths", [LENGTHS, None])
@pytest.mark.parametrize("first", [True, False])
def test_weights_and_means(smooth: bool, lengths: Any, first: bool) -> None:
    """Before the first step all true places count the same."""
    attention = attention_of(width=3, smooth=smooth)
    queries, places = numbers(T, B, UNITS), numbers(S, B, MEMORY)
    memory = attention.prepare(places, lengths=lengths)
    before = attention.before_first(memory)
    if not first:
        before = before * numbers(1, B, S).square()
        before = before / before.sum(-1, keepdim=True)
    means, weights = attention(queries, memory, None if first else before)
    for row in range(B):
        length = S if lengths is None else lengths[row]
        begun = [1 / length] * length if first else before[0, row, :length].tolist()
        true = places[:length, row]
        expected = walked(attention, queries[:, row].tolist(), true.tolist(), begun)
        answer = torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(weights[:, row, :length].detach(), answer)
        assert not weights[:, row, length:].any()
        torch.testing.assert_close(means[:, row].detach(), answer @ true)


def test_where_places_stand_counts() -> None:
    """Of Bahdanau's score permuted places have permuted weights; here their neighbours count."""
    order = torch.tensor([3, 0, 4, 1, 5, 2])
    queries, places = numbers(T, B, UNITS), numbers(S, B, MEMORY)
    for scoring, is_permuted in (("concat", True), ("location", False)):
        attention = attention_of(scoring)
        _, weights = attention(queries, attention.prepare(places))
        _, permuted = attention(queries, attention.prepare(places[order]))
        difference = float((permuted - weights[..., order]).detach().abs().max())
        assert (difference < 1e-12) is is_permuted
        assert (difference > 1e-4) is not is_permuted


def test_equal_places_are_told_apart() -> None:
    """What a score of contents alone cannot do."""
    queries, places = numbers(T, B, UNITS), numbers(1, B, MEMORY).expand(S, B, MEMORY)
    for scoring, apart in (("concat", False), ("location", True)):
        attention = attention_of(scoring)
        _, weights = attention(queries, attention.prepare(places))
        spread = (weights.amax(-1) - weights.amin(-1)).detach()
        assert (float(spread.min()) > 1e-3) is apart


def test_padding_changes_no_bit() -> None:
    attention = attention_of().float()
    queries, memory = numbers(T, 2, UNITS).float(), numbers(S, 2, MEMORY).float()
    check_padding_changes_no_bit(attention, queries, memory)


@pytest.mark.parametrize("smooth", [False, True])
def test_gradients(smooth: bool) -> None:
    attention = attention_of(smooth=smooth)

    def means(queries: Tensor, memory: Tensor) -> Any:
        return attention(queries, attention.prepare(memory, lengths=[3, 2]))

    inputs = numbers(2, 2, UNITS), numbers(3, 2, MEMORY)
    assert gradcheck(means, tuple(each.requires_grad_() for each in inputs))


def test_smoothing_of_scores_far_below_zero_is_finite() -> None:
    """The σ of each is 0 in float32, and 0 / 0 no weight."""
    attention = attention_of(smooth=True).float()
    with torch.no_grad():
        attention.v.fill_(-100)
        attention.of_around.bias.fill_(30)
    _, weights = attention(numbers(T, B, UNITS).float(), attention.prepare(torch.ones(S, B, 5)))
    torch.testing.assert_close(weights, torch.full((T, B, S), 1 / S))


# In decoders ----------------------------------------------------------------------------------


def bahdanau(cell: str = "gru") -> BahdanauDecoder:
    layer = conveyor.Recurrent(cell, VECTOR + MEMORY, UNITS)
    return BahdanauDecoder(layer, Embedding(SYMBOLS, VECTOR), attention_of(), features=3).double()


def luong(feeding: bool) -> LuongDecoder:
    return LuongDecoder(
        conveyor.LSTM(VECTOR + 5 * feeding, UNITS),
        Embedding(SYMBOLS, VECTOR),
        attention_of(),
        features=5,
        input_feeding=feeding,
    ).double()


DECODERS: dict[str, Callable[[], Any]] = {
    "bahdanau": bahdanau,
    "bahdanau of sru": lambda: bahdanau("sru"),
    "luong": lambda: luong(False),
    "luong, fed": lambda: luong(True),
    "picture": lambda: PictureDecoder(
        conveyor.GRU(VECTOR + MEMORY, UNITS), Embedding(SYMBOLS, VECTOR), attention_of()
    ).double(),
}


@pytest.mark.parametrize("name", DECODERS)
def test_steps_are_those_of_the_whole(name: str) -> None:
    """Each step reads where the step before has looked, over calls, too."""
    decoder = DECODERS[name]()
    memory, symbols = numbers(S, B, MEMORY), torch.randint(0, SYMBOLS, (T, B))
    begun = decoder.begin(memory, lengths=LENGTHS)
    logits, _, weights = decoder(symbols, begun)
    state = begun
    for step, read in enumerate(symbols):
        log_probabilities, state = decoder.step(state, read)
        torch.testing.assert_close(log_probabilities, logits[step].log_softmax(-1))
        torch.testing.assert_close(state.attention, weights[step])
    first, middle, _ = decoder(symbols[:2], begun)
    torch.testing.assert_close(torch.cat([first, decoder(symbols[2:], middle)[0]]), logits)
    # Without what it knows of the step before, it looks elsewhere.
    lost = middle._replace(weights=decoder.attention.before_first(middle.memory))
    elsewhere = decoder(symbols[2:], lost)[2] - weights[2:]
    assert float(elsewhere.detach().abs().max()) > 1e-4


@pytest.mark.parametrize("scoring", ["location", "concat", "general"])
@pytest.mark.parametrize("smooth", [False, True])
def test_machine_code_does_as_steps_do(scoring: Any, smooth: bool) -> None:
    """It knows no weights before and no smoothing, and leaves such steps to torch."""
    layer = conveyor.GRU(VECTOR + MEMORY, UNITS)
    attention = attention_of(scoring, smooth=smooth)
    decoder = BahdanauDecoder(layer, Embedding(SYMBOLS, VECTOR), attention).double()
    symbols = torch.randint(0, SYMBOLS, (T, B))
    state = decoder.begin(numbers(S, B, MEMORY), lengths=LENGTHS)
    logits, _, weights = decoder(symbols, state)
    for step, read in enumerate(symbols):
        log_probabilities, state = decoder.step(state, read)
        torch.testing.assert_close(log_probabilities, logits[step].log_softmax(-1))
        torch.testing.assert_close(state.attention, weights[step])


@pytest.mark.parametrize("name", DECODERS)
def test_a_batch_answers_as_each_alone(name: str) -> None:
    decoder = DECODERS[name]()
    memory, symbols = numbers(S, B, MEMORY), torch.randint(0, SYMBOLS, (T, B))
    logits, _, weights = decoder(symbols, decoder.begin(memory, lengths=LENGTHS))
    for row, length in enumerate(LENGTHS):
        alone = decoder.begin(memory[:length, row : row + 1])
        one, _, looked = decoder(symbols[:, row : row + 1], alone)
        torch.testing.assert_close(one[:, 0], logits[:, row])
        torch.testing.assert_close(looked[:, 0], weights[:, row, :length])


def test_a_beam_remembers_where_each_hypothesis_has_looked() -> None:
    decoder = bahdanau().eval()
    memory = numbers(S, B, MEMORY)
    begun = decoder.begin(memory, lengths=LENGTHS)
    first = torch.zeros(B, dtype=torch.long)
    found = beam_search(
        decoder.step, begun, first, end=1, longest=5, beam=4, n_best=4,
        attention=lambda state: state.attention, source_lengths=torch.tensor(LENGTHS),
    )  # fmt: skip
    for row, hypotheses in enumerate(found):
        for each in hypotheses:
            written = [0, *each.tokens, *([1] if each.finished else [])]
            read = torch.tensor(written[:-1]).unsqueeze(1)
            alone = decoder.begin(memory[: LENGTHS[row], row : row + 1])
            _, _, weights = decoder(read, alone)
            assert each.attention is not None
            torch.testing.assert_close(each.attention, weights[:, 0].detach())


@pytest.mark.parametrize("name", ["bahdanau", "luong", "picture"])
def test_it_is_saved(name: str, tmp_path: Path) -> None:
    decoder = DECODERS[name]()
    decoder.attention = attention_of(width=3, smooth=name == "luong")
    conveyor.save(decoder, tmp_path)
    loaded: Any = conveyor.load(tmp_path)
    assert repr(loaded) == repr(decoder)
    symbols = torch.randint(0, SYMBOLS, (T, B))
    results = []
    for each in (decoder, loaded):
        begun = each.begin(numbers(S, B, MEMORY), lengths=LENGTHS)
        results.append(each(symbols, begun)[0])
    assert torch.equal(*results)


def test_the_number_of_parameters() -> None:
    """v, W, V and U of the paper, b, and the filters F."""
    attention = Attention(4, 6, "location", width=5, filters=2, reach=3)
    count = sum(each.numel() for each in attention.parameters())
    assert count == 5 + 5 * 4 + 5 * 6 + 5 * 2 + 5 + 2 * 7


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Attention(3, 4, "concat", filters=4), "filters is 4; only 'location' has it"),
        (lambda: Attention(3, 4, "general", reach=0), "reach is 0; only 'location' has it"),
        (lambda: Attention(3, 4, "location", filters=0), "filters is 0"),
        (lambda: Attention(3, 4, "location", reach=-1), "reach is -1"),
        (lambda: Attention(3, 4, smooth="no"), "smooth is 'no'; expected True or False"),  # type: ignore[arg-type]
    ],
)
def test_arguments_that_do_not_fit(make: Callable[[], nn.Module], text: str) -> None:
    with pytest.raises(SettingError, match=text):
        make()


def test_the_weights_before_the_first_step_are_as_exact_as_the_memory() -> None:
    attention = attention_of()
    memory = attention.prepare(numbers(S, B, MEMORY), lengths=[6, 3, 4])
    before = attention.before_first(memory)
    assert before.dtype == torch.float64
    for row, length in enumerate((6, 3, 4)):
        assert before[0, row].tolist() == [1 / length] * length + [0.0] * (S - length)


def test_what_stands_before_at_padding_does_not_count() -> None:
    attention = attention_of()
    memory, queries = (
        attention.prepare(numbers(S, B, MEMORY), lengths=LENGTHS),
        numbers(T, B, UNITS),
    )
    before = attention.before_first(memory)
    padding = torch.arange(S) >= torch.tensor(LENGTHS)[:, None]
    for anything in (9.0, torch.nan):
        filled = before.masked_fill(padding, anything)
        for one, other in zip(
            attention(queries, memory, before), attention(queries, memory, filled), strict=True
        ):
            assert torch.equal(one, other)


@pytest.mark.parametrize("scoring", ["dot", "general", "concat", "location"])
def test_every_score_checks_the_weights_before(scoring: Any) -> None:
    attention = Attention(4, 4, scoring)
    memory = attention.prepare(torch.randn(6, 3, 4))
    with pytest.raises(ShapeError, match=r"before is \[2, 3, 6\]; expected \[1, 3, 6\]"):
        attention(torch.randn(2, 3, 4), memory, torch.zeros(2, 3, 6))


def test_weights_that_do_not_fit() -> None:
    attention = attention_of()
    memory = attention.prepare(numbers(S, B, MEMORY))
    with pytest.raises(ShapeError, match=r"before is \[3, 6\]; expected \[1, 3, 6\]"):
        attention(numbers(T, B, UNITS), memory, torch.zeros(B, S))
