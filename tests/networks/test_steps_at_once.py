"""All steps of a decoder in one call of machine code, beside the same steps one by one in torch."""

from typing import Annotated, Any

import pytest
import torch
from torch import Tensor, nn

import conveyor
from conveyor.cells import Bias, Input, Matrix, State, Value, cell, mean, sigmoid, tanh
from conveyor.compiler.attending import attending
from conveyor.compiler.show import program_of
from conveyor.layers import stack
from conveyor.layers.sequence import SequenceLayer
from conveyor.networks import (
    Attention,
    BahdanauDecoder,
    Embedding,
    LuongDecoder,
    PictureDecoder,
    steps_at_once,
)
from conveyor.networks.attention import AttendedMemory
from conveyor.networks.attention_decoder import DecoderState

S, B, T, SYMBOLS, VECTOR, UNITS, MEMORY, FEATURES = 5, 3, 4, 7, 3, 4, 6, 5
LENGTHS = [5, 1, 3]
# A rounding error of float64 is 1e-16; sums are of some dozens of numbers near 1.
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def decoder_of(
    style: str,
    layer_cell: Any = "lstm",
    scoring: Any = "general",
    layers: int = 1,
    make: Any = None,
    **options: Any,
) -> Any:
    """Return a decoder in float64 whose every parameter is a random number."""
    memory = UNITS if scoring == "dot" else MEMORY
    width = None if scoring != "concat" else 2
    reads = VECTOR + (FEATURES if style == "fed" else memory)
    if make is None:
        layer = conveyor.Recurrent(layer_cell, reads, UNITS, layers, **options)
    else:
        layer = make(reads, UNITS, layers)
    attention = Attention(layer.output_size, memory, scoring, width=width)
    embedding = Embedding(SYMBOLS, VECTOR)
    decoder: nn.Module
    if style == "picture":
        decoder = PictureDecoder(layer, embedding, attention)
    elif style == "bahdanau":
        decoder = BahdanauDecoder(layer, embedding, attention, features=FEATURES)
    else:
        decoder = LuongDecoder(layer, embedding, attention, features=FEATURES, input_feeding=True)
    decoder.double()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return decoder


def begun(decoder: Any) -> tuple[DecoderState, list[Tensor]]:
    """Return a state in the middle of a sequence, and the tensors that it is made of."""
    memory = torch.randn(S, B, decoder.attention.memory_size, dtype=torch.float64)
    values = {
        name: torch.randn_like(each)
        for name, each in decoder.layer._values_of(decoder.layer.start(B)).items()
    }
    sources = [each.requires_grad_() for each in (memory, *values.values())]
    state = decoder.begin(memory, decoder.layer._state_of(values), lengths=LENGTHS)
    if isinstance(decoder, LuongDecoder):
        fed = torch.randn_like(state.fed).requires_grad_()
        return state._replace(fed=fed), [*sources, fed]
    return state, sources


def steps_of(decoder: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each step that the layer does by itself."""
    steps: list[int] = []
    by_itself = SequenceLayer.step

    def step(layer: Any, *arguments: Any) -> Any:
        if layer is decoder.layer:
            steps.append(1)
        return by_itself(layer, *arguments)

    monkeypatch.setattr(SequenceLayer, "step", step)  # of one object it would be noticed
    return steps


def results(decoder: Any, symbols: Tensor, state: DecoderState) -> list[Tensor]:
    logits, after, weights = decoder(symbols, state)
    return [logits, weights, after.fed, after.weights, *after.recurrent]


def same_both_ways(
    decoder: Any,
    monkeypatch: pytest.MonkeyPatch,
    start: tuple[DecoderState, list[Tensor]] | None = None,
) -> None:
    """Values and all gradients, and that one way is a single call and the other is steps."""
    state, sources = begun(decoder) if start is None else start
    symbols = torch.randint(0, SYMBOLS, (T, B))
    steps = steps_of(decoder, monkeypatch)
    at_once = results(decoder, symbols, state)
    assert not steps
    with conveyor.use_target("reference"):
        one_by_one = results(decoder, symbols, state)
    assert len(steps) == T
    torch.testing.assert_close(at_once, one_by_one, **CLOSE)
    factors = [torch.randn_like(each) for each in at_once]
    # Some start states are read by nobody.
    learned = [*sources, *decoder.parameters()]
    of_both = [
        torch.autograd.grad(
            [(each * factor).sum() for each, factor in zip(values, factors, strict=True)],
            learned,
            allow_unused=True,
            retain_graph=True,
        )
        for values in (at_once, one_by_one)
    ]
    for one, other in zip(*of_both, strict=True):
        # What nothing depends on has no gradient, or zeros.
        torch.testing.assert_close(
            torch.zeros(()) if one is None or not one.any() else one,
            torch.zeros(()) if other is None or not other.any() else other,
            **CLOSE,
        )


@pytest.mark.parametrize("scoring", ["dot", "general", "concat"])
@pytest.mark.parametrize("style", ["fed", "bahdanau"])
def test_scores(style: str, scoring: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same_both_ways(decoder_of(style, "gru", scoring), monkeypatch)


@pytest.mark.parametrize(
    ("style", "layer_cell"),
    [
        ("fed", "lstm"),
        ("bahdanau", "lstm"),
        ("bahdanau", "sru"),  # its output is no state
        ("fed", "qrnn_fo"),  # its input is read a step late
        ("bahdanau", "qrnn_fo"),
        ("bahdanau", "slstm"),
        ("fed", "lstm_peephole"),
    ],
)
def test_cells(style: str, layer_cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same_both_ways(decoder_of(style, layer_cell), monkeypatch)


@pytest.mark.parametrize(
    ("style", "layer_cell"), [("fed", "gru"), ("bahdanau", "gru"), ("bahdanau", "grid_lstm")]
)
def test_layers(style: str, layer_cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same_both_ways(decoder_of(style, layer_cell, layers=2), monkeypatch)


@pytest.mark.parametrize("make", [conveyor.LSTM, conveyor.GRU])
def test_layers_that_store_all_gates_in_one_tensor(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    same_both_ways(decoder_of("fed", make=make, layers=2), monkeypatch)


def test_a_projected_output(monkeypatch: pytest.MonkeyPatch) -> None:
    same_both_ways(decoder_of("bahdanau", "lstm_projected", sizes={"P": 3}), monkeypatch)


@pytest.mark.parametrize("style", ["fed", "bahdanau"])
def test_what_is_dropped_between_layers(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = torch.tensor([0.0, 2.0, 0.0, 2.0], dtype=torch.float64)

    def dropped(values: Tensor, rate: float, training: bool = True) -> Tensor:
        assert rate == 0.5
        assert training
        return values * mask

    monkeypatch.setattr(stack, "dropout", dropped)
    monkeypatch.setattr(steps_at_once, "dropped", dropped)
    same_both_ways(decoder_of(style, "gru", layers=2, dropout=0.5), monkeypatch)


@pytest.mark.parametrize("style", ["fed", "bahdanau"])
def test_a_mask_is_drawn_for_each_step(style: str) -> None:
    decoder = decoder_of(style, "gru", layers=2, dropout=0.5)
    state, _ = begun(decoder)
    symbols = torch.randint(0, SYMBOLS, (T, B))
    one, two = (results(decoder, symbols, state)[0] for _ in range(2))
    assert (one != two).any()
    decoder.eval()
    assert torch.equal(*(results(decoder, symbols, state)[0] for _ in range(2)))


@pytest.mark.parametrize("style", ["fed", "bahdanau"])
def test_parts_of_a_target_and_single_steps(style: str) -> None:
    decoder = decoder_of(style)
    state, _ = begun(decoder)
    symbols = torch.randint(0, SYMBOLS, (T, B))
    logits, final, _ = decoder(symbols, state)
    first, middle, _ = decoder(symbols[:2], state)
    second, end, _ = decoder(symbols[2:], middle)
    torch.testing.assert_close(torch.cat([first, second]), logits, **CLOSE)
    torch.testing.assert_close(end.recurrent, final.recurrent, **CLOSE)
    for step, read in enumerate(symbols):
        known, state = decoder.step(state, read)
        torch.testing.assert_close(known, logits[step].log_softmax(-1), **CLOSE)


@pytest.mark.parametrize(
    ("scoring", "gradients", "at_once"),
    [("general", False, 4), ("dot", False, 4), ("concat", False, 2), ("general", True, 2)],
)
def test_few_steps_are_quicker_one_by_one(
    scoring: str, gradients: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = decoder_of("fed", scoring=scoring)
    state, _ = begun(decoder)
    steps = steps_of(decoder, monkeypatch)
    with torch.set_grad_enabled(gradients):
        for number in (1, 2, 3, 4):
            steps.clear()
            decoder(torch.zeros(number, B, dtype=torch.long), state)
            assert len(steps) == (0 if number >= at_once else number)


@pytest.mark.parametrize("style", ["fed", "bahdanau"])
def test_what_stands_at_padding_of_the_memory_changes_no_bit(style: str) -> None:
    decoder = decoder_of(style)
    memory = torch.randn(S, B, MEMORY, dtype=torch.float64)
    symbols = torch.randint(0, SYMBOLS, (T, B))
    found = []
    for more in (0, 9):
        longer = torch.full((S + more, B, MEMORY), torch.nan, dtype=torch.float64)
        for row, length in enumerate(LENGTHS):
            longer[:length, row] = memory[:length, row]
        longer.requires_grad_()
        logits, _, weights = decoder(symbols, decoder.begin(longer, lengths=LENGTHS))
        (gradient,) = torch.autograd.grad(logits.square().sum(), longer)
        assert not gradient[1:, 1].any()
        found.append([logits, weights, gradient[:S]])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_gradients_of_gradients() -> None:
    decoder = decoder_of("bahdanau", "gru")
    symbols = torch.randint(0, SYMBOLS, (2, B))

    def logits(memory: Tensor) -> Tensor:
        answers: Tensor = decoder(symbols, decoder.begin(memory, lengths=[2, 1, 2]))[0]
        return answers.tanh()

    memory = torch.randn(2, B, MEMORY, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(logits, memory, atol=1e-6)


def test_no_sequence() -> None:
    decoder = decoder_of("fed")
    memory = torch.zeros(S, 0, MEMORY, dtype=torch.float64)
    logits, _, weights = decoder(torch.zeros(T, 0, dtype=torch.long), decoder.begin(memory))
    assert logits.shape == (T, 0, SYMBOLS)
    assert weights.shape == (T, 0, S)


@pytest.mark.parametrize("layer_cell", ["lstm", "sru"])
@pytest.mark.parametrize("gate", [True, False])
def test_what_looks_at_pictures(
    layer_cell: str, gate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = PictureDecoder(
        conveyor.Recurrent(layer_cell, VECTOR + MEMORY, UNITS),
        Embedding(SYMBOLS, VECTOR),
        Attention(UNITS, MEMORY, "concat", width=2),
        gate=gate,
    ).double()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.copy_(torch.randn_like(parameter))
    same_both_ways(decoder, monkeypatch)
    state, (memory, *_) = begun(decoder)
    symbols = torch.randint(0, SYMBOLS, (T, B))
    at_once = decoder.look(symbols, state)
    with conveyor.use_target("reference"):
        one_by_one = decoder.look(symbols, state)
    assert ((at_once.gates == 1).all()) == (not gate)
    for name in ("logits", "weights", "gates", "log_drawn", "drawn", "contexts"):
        one, other = getattr(at_once, name), getattr(one_by_one, name)
        torch.testing.assert_close(one, other, **CLOSE)
        if one.requires_grad:  # each by itself: some have a term of the loss
            of_both = [
                torch.autograd.grad(v.sin().sum(), memory, retain_graph=True) for v in (one, other)
            ]
            torch.testing.assert_close(*of_both, **CLOSE)


@pytest.mark.parametrize("looking", ["hard", "mean"])
def test_other_ways_to_look_at_pictures_go_step_by_step(
    looking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = PictureDecoder(
        conveyor.GRU(VECTOR + MEMORY, UNITS),
        Embedding(SYMBOLS, VECTOR),
        Attention(UNITS, MEMORY),
        looking=looking,
    )
    steps = steps_of(decoder, monkeypatch)
    decoder.look(torch.zeros(T, B, dtype=torch.long), decoder.begin(torch.randn(S, B, MEMORY)))
    assert len(steps) == T


@cell
def by_units(x: Annotated[Input, "H"], h: State, U: Matrix, b: Bias) -> Value:
    """Reads its input unit by unit."""
    return tanh(x + U @ h + b)


def test_a_cell_that_reads_its_input_unit_by_unit() -> None:
    program = program_of(by_units)
    assert attending([program], "general", feeds=True) is None
    assert attending([program_of("gru")], "general", feeds=True) is not None


@cell
def imagines(  # noqa: PLR0917  (the letters of its equations)
    x: Input,
    h: State,
    W: Matrix,
    P: Annotated[Matrix, "I", "H"],
    Q: Annotated[Matrix, "H", "I"],
    U: Matrix,
) -> Value:
    """Has a guess of its input, as wide as that."""
    return tanh(W @ x + Q @ sigmoid(P @ h) + U @ h)


@cell
def shifted(  # noqa: PLR0917  (the letters of its equations)
    x: Input,
    h: State,
    W: Matrix,
    c: Annotated[Bias, "I"],
    Q: Annotated[Matrix, "H", "I"],
    U: Matrix,
) -> Value:
    """Has a bias as wide as its input."""
    return tanh(W @ x + Q @ c + U @ h)


@cell
def gauge(x: Input, h: State, W: Matrix, U: Matrix) -> tuple[Value, Value]:
    """Its main output is one number, its state is none."""
    h = tanh(W @ x + U @ h)
    level = mean(h)
    return h, level


@pytest.mark.parametrize("style", ["fed", "bahdanau"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("layer_cell", [imagines, shifted])
def test_cells_with_more_as_wide_as_their_input(
    style: str, layers: int, layer_cell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = decoder_of(style, layer_cell, layers=layers)
    steps = steps_of(decoder, monkeypatch)
    state, _ = begun(decoder)
    symbols = torch.randint(0, SYMBOLS, (T, B))
    known = results(decoder, symbols, state)
    assert len(steps) == T
    with conveyor.use_target("reference"):
        torch.testing.assert_close(known, results(decoder, symbols, state), **CLOSE)


@pytest.mark.parametrize("style", ["fed", "bahdanau"])
def test_a_cell_whose_output_is_one_number(style: str) -> None:
    decoder = decoder_of(style, gauge)
    assert decoder.layer.output_size == 1
    state, _ = begun(decoder)
    symbols = torch.randint(0, SYMBOLS, (T, B))
    known = results(decoder, symbols, state)
    with conveyor.use_target("reference"):
        torch.testing.assert_close(known, results(decoder, symbols, state), **CLOSE)


def test_layers_that_become_fewer() -> None:
    decoder = decoder_of("bahdanau", make=conveyor.GRU, layers=2)
    symbols = torch.randint(0, SYMBOLS, (T, B))
    memory = torch.randn(S, B, MEMORY, dtype=torch.float64)
    decoder(symbols, decoder.begin(memory))
    decoder.layer.num_layers = 1
    known = decoder(symbols, decoder.begin(memory))[0]
    with conveyor.use_target("reference"):
        torch.testing.assert_close(known, decoder(symbols, decoder.begin(memory))[0], **CLOSE)


@pytest.mark.parametrize("style", ["bahdanau", "picture"])
def test_an_old_output_that_is_not_the_old_state(
    style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = decoder_of(style)
    state, sources = begun(decoder)
    fed = torch.randn_like(state.fed).requires_grad_()
    same_both_ways(decoder, monkeypatch, (state._replace(fed=fed), [*sources, fed]))


@pytest.mark.parametrize(
    "options",
    [
        {"zoneout": 0.5},
        {"recurrent_dropout": {"g": 0.5}},
        {"variational_dropout": 0.5},
        {"weight_dropout": 0.5},
    ],
)
def test_what_a_step_draws_anew_is_drawn_at_each_step(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = decoder_of("fed", **options)
    steps = steps_of(decoder, monkeypatch)
    state, _ = begun(decoder)
    symbols = torch.zeros(T, B, dtype=torch.long)
    decoder(symbols, state)
    assert len(steps) == T
    same_both_ways(decoder.eval(), monkeypatch)


def test_autocast_goes_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = decoder_of("bahdanau").float()
    steps = steps_of(decoder, monkeypatch)
    with torch.autocast("cpu", torch.bfloat16):
        state = decoder.begin(torch.randn(S, B, MEMORY))
        logits, _, _ = decoder(torch.zeros(T, B, dtype=torch.long), state)
    assert len(steps) == T
    assert logits.isfinite().all()


def _of_int32(memory: AttendedMemory) -> AttendedMemory:
    return memory._replace(lengths=memory.lengths.int())


def _of_fractions(memory: AttendedMemory) -> AttendedMemory:
    return memory._replace(lengths=memory.lengths.double())


def _of_many_places(memory: AttendedMemory) -> AttendedMemory:
    return memory._replace(lengths=torch.full((B,), 2**20))


def _of_one_length(memory: AttendedMemory) -> AttendedMemory:
    return memory._replace(lengths=torch.tensor([2]))


def _of_no_place(memory: AttendedMemory) -> AttendedMemory:
    return memory._replace(lengths=torch.tensor([0, 2, 3]))


def _of_more_keys(memory: AttendedMemory) -> AttendedMemory:
    return memory._replace(keys=torch.cat([memory.keys, memory.keys]))


def _of_wide_keys(memory: AttendedMemory) -> AttendedMemory:
    return memory._replace(keys=torch.cat([memory.keys, memory.keys], 2))


@pytest.mark.parametrize("style", ["fed", "bahdanau"])
@pytest.mark.parametrize(
    "change",
    [
        _of_int32,
        _of_fractions,
        _of_many_places,
        _of_one_length,
        _of_no_place,
        _of_more_keys,
        _of_wide_keys,
    ],
)
@torch.no_grad()
def test_a_memory_by_hand_gives_what_steps_give(style: str, change: Any) -> None:
    decoder = decoder_of(style)
    state, _ = begun(decoder)
    state = state._replace(memory=change(state.memory))
    symbols = torch.randint(0, SYMBOLS, (T, B))

    def result() -> Any:
        try:
            return results(decoder, symbols, state)
        except (RuntimeError, ValueError) as error:  # of torch, or a ShapeError
            return str(error)

    at_once = result()
    with conveyor.use_target("reference"):
        one_by_one = result()
    if isinstance(one_by_one, str):
        assert at_once == one_by_one
    else:
        torch.testing.assert_close(at_once, one_by_one, equal_nan=True, **CLOSE)


@pytest.mark.parametrize("style", ["fed", "bahdanau"])
def test_lengths_that_change_before_the_backward_pass(style: str) -> None:
    decoder = decoder_of(style)
    state, sources = begun(decoder)
    symbols = torch.randint(0, SYMBOLS, (T, B))
    gradients = []
    for change in (False, True):
        loss = sum((each.sum() for each in results(decoder, symbols, state)), torch.zeros(()))
        if change:
            state.memory.lengths.fill_(1)
        gradients.append(torch.autograd.grad(loss, sources[0], retain_graph=True)[0])
    assert torch.equal(*gradients)
