"""The parts of networks, beside loops over sequences and steps that are written for this test."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import conveyor
from conveyor.errors import SettingError
from conveyor.networks import (
    ClassHead,
    Embedding,
    Encoder,
    Head,
    LabelHead,
    NumberHead,
    QuantileHead,
    pooled,
)
from conveyor.networks.encoder import Layer

T, B, INPUTS, UNITS = 5, 4, 3, 6
LENGTHS = torch.tensor([5, 0, 1, 3])


def numbers(*shape: int) -> Tensor:
    """Return random numbers, the same at each call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


# Pooling -------------------------------------------------------------------------------------


def one_pooled(steps: Tensor, pooling: str, *, bidirectional: bool) -> Tensor:
    """Return what one sequence's outputs [length, features] are pooled to."""
    if len(steps) == 0:
        return torch.zeros(steps.shape[1])
    if pooling == "mean":
        return torch.stack([column.sum() / len(steps) for column in steps.T])
    if pooling == "max":
        return torch.stack([column.max() for column in steps.T])
    half = steps.shape[1] // 2
    return torch.cat([steps[-1][:half], steps[0 if bidirectional else -1][half:]])


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [LENGTHS, None])
def test_pooling_counts_no_padding(
    pooling: Any, bidirectional: bool, lengths: Tensor | None
) -> None:
    output = numbers(T, B, UNITS)
    counts = [T] * B if lengths is None else lengths.tolist()
    expected = torch.stack(
        [
            one_pooled(output[:count, row], pooling, bidirectional=bidirectional)
            for row, count in enumerate(counts)
        ]
    )
    for row, count in enumerate(counts):  # padding may hold anything
        output[count:, row] = math.nan
    result = pooled(output, lengths, pooling, bidirectional=bidirectional)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_the_gradient_of_padding_is_zero(pooling: Any) -> None:
    output = numbers(T, B, UNITS).requires_grad_()
    (gradient,) = torch.autograd.grad(pooled(output, LENGTHS, pooling).sum(), output)
    for row, count in enumerate(LENGTHS.tolist()):
        assert not gradient[count:, row].any()
        assert gradient[:count, row].any() == (count > 0)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_sequences_of_no_steps(pooling: Any) -> None:
    assert torch.equal(pooled(torch.zeros(0, 2, 3), None, pooling), torch.zeros(2, 3))


def test_a_pooling_must_be_known() -> None:
    wrong: Any = "maximum"
    with pytest.raises(SettingError, match="pooling is 'maximum'"):
        pooled(numbers(T, B, UNITS), None, wrong)


# Encoders ------------------------------------------------------------------------------------

LAYERS: dict[str, Callable[[bool], Layer]] = {
    "recurrent": lambda first: conveyor.Recurrent("mgu", INPUTS, UNITS, 2, batch_first=first),
    "both ways": lambda first: conveyor.Recurrent(
        "gru", INPUTS, UNITS, batch_first=first, bidirectional=True
    ),
    "summed": lambda first: conveyor.Recurrent(
        "gru", INPUTS, UNITS, batch_first=first, bidirectional=True, merge="sum"
    ),
    "projected": lambda first: conveyor.LSTM(
        INPUTS, UNITS, proj_size=2, batch_first=first, bidirectional=True
    ),
    "GRU": lambda first: conveyor.GRU(INPUTS, UNITS, batch_first=first),
    "RNN": lambda first: conveyor.RNN(INPUTS, UNITS, batch_first=first),
    "stacked": lambda first: conveyor.Stacked(
        "lstm", INPUTS, [4, 5], batch_first=first, bidirectional=[False, True]
    ),
    "heads": lambda first: conveyor.Heads("lstm", INPUTS, UNITS, 2, batch_first=first),
    "clockwork": lambda first: conveyor.Clockwork(INPUTS, UNITS, [1, 2], batch_first=first),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("pooling", [None, "mean", "max", "last"])
def test_an_encoder_embeds_runs_and_pools(name: str, first: bool, pooling: Any) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name](first)
    if name == "summed" and pooling == "last":
        with pytest.raises(SettingError, match="do not stand apart"):
            Encoder(layer, pooling="last")
        return
    encoder = Encoder(layer, Embedding(9, INPUTS), pooling=pooling)
    symbols = torch.randint(0, 9, (T, B))
    result, state = encoder(symbols.T if first else symbols, lengths=LENGTHS)
    vectors = encoder.embedding.weight[symbols]  # type: ignore[union-attr,index]
    output, expected_state = layer(vectors.transpose(0, 1) if first else vectors, lengths=LENGTHS)
    assert output.shape[-1] == encoder.output_size
    if pooling is not None:
        output = output.transpose(0, 1) if first else output
        both = name in ("both ways", "projected", "stacked")
        output = torch.stack(
            [
                one_pooled(output[:count, row], pooling, bidirectional=both)
                for row, count in enumerate(LENGTHS.tolist())
            ]
        )
    torch.testing.assert_close(result, output)
    torch.testing.assert_close(state, expected_state)


def test_steps_of_an_encoder_are_those_of_its_sequences() -> None:
    torch.manual_seed(0)
    encoder = Encoder(conveyor.LSTM(INPUTS, UNITS, 2), Embedding(9, INPUTS))
    symbols = torch.randint(0, 9, (T, B))
    whole, _ = encoder(symbols)
    state = None
    for step, read in enumerate(symbols):
        features, state = encoder.step(read, state)
        torch.testing.assert_close(features, whole[step])


def test_an_encoder_of_numbers() -> None:
    torch.manual_seed(0)
    layer = conveyor.GRU(INPUTS, UNITS)
    x = numbers(T, B, INPUTS)
    torch.testing.assert_close(Encoder(layer)(x)[0], layer(x)[0])
    projection = nn.Linear(2, INPUTS)
    y = numbers(T, B, 2)
    torch.testing.assert_close(Encoder(layer, projection)(y)[0], layer(projection(y))[0])


@pytest.mark.parametrize(
    ("layer", "embedding", "pooling", "text"),
    [
        (nn.LSTM(3, 4), None, None, r"layer is a LSTM; expected .*conveyor.replace\(layer\)"),
        (conveyor.GridLSTM(3, 4), None, None, "layer is a GridLSTM; expected a recurrent layer"),
        (conveyor.GRU(3, 4), 100, None, "embedding is a int; expected a torch.nn.Module"),
        (conveyor.GRU(3, 4), None, "lst", "pooling is 'lst'. Did you mean 'last'"),
        (
            conveyor.Heads("lstm", 3, 4, 2, bidirectional=True),
            None,
            "last",
            "do not stand apart",
        ),
    ],
)
def test_what_an_encoder_cannot_be_made_of(
    layer: Any, embedding: Any, pooling: Any, text: str
) -> None:
    with pytest.raises(SettingError, match=text):
        Encoder(layer, embedding, pooling=pooling)


def test_single_steps_of_what_has_none() -> None:
    with pytest.raises(SettingError, match="reads whole sequences"):
        Encoder(conveyor.GRU(3, 4), pooling="last").step(numbers(2, 3))
    with pytest.raises(SettingError, match="Clockwork takes no single steps"):
        Encoder(conveyor.Clockwork(3, 4, [1, 2])).step(numbers(2, 3))


# Embeddings and heads ------------------------------------------------------------------------


def test_dropout_is_for_training() -> None:
    torch.manual_seed(0)
    parts: list[tuple[nn.Module, Tensor]] = [
        (Embedding(9, 40, dropout=0.5), torch.arange(9)),
        (ClassHead(40, 30, dropout=0.5), numbers(5, 40)),
        (QuantileHead(40, 3, dropout=0.5), numbers(5, 40)),
    ]
    for part, read in parts:
        assert not torch.equal(part(read), part(read))
        part.eval()
        assert torch.equal(part(read), part(read))
    embedding = parts[0][0].train()
    dropped = embedding(torch.arange(9)) == 0
    assert 0.4 < dropped.float().mean() < 0.6


def one_loss(head: Head, output: list[float], target: Any) -> float:
    """Return the loss of one answer, in numbers of Python."""
    if isinstance(head, NumberHead):
        return float(sum((y - t) ** 2 for y, t in zip(output, target, strict=True))) / len(output)
    if isinstance(head, ClassHead):
        return math.log(sum(math.exp(y) for y in output)) - output[int(target)]
    if isinstance(head, LabelHead):
        chances = [1 / (1 + math.exp(-y)) for y in output]
        return float(
            -sum(math.log(p if t else 1 - p) for p, t in zip(chances, target, strict=True))
        )
    assert isinstance(head, QuantileHead)
    errors = [target - quantile for quantile in output]
    losses = [e * p if e > 0 else e * (p - 1) for e, p in zip(errors, head.levels, strict=True)]
    return float(sum(losses) / len(losses))


HEADS: dict[str, tuple[Head, Tensor]] = {
    "numbers": (NumberHead(UNITS, 2), numbers(T, B, 2)),
    "class": (ClassHead(UNITS, 3), (numbers(T, B).abs() * 10).long() % 3),
    "labels": (LabelHead(UNITS, 3), (numbers(T, B, 3) > 0).float()),
    "quantiles": (QuantileHead(UNITS, 2, (0.1, 0.25, 0.5, 0.8)), numbers(T, B, 2)),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_loss_of_a_head(name: str) -> None:
    head, targets = HEADS[name]
    outputs = head(numbers(T, B, UNITS))
    answers = outputs.flatten(0, targets.dim() - 1 - (name in ("numbers", "labels"))).tolist()
    rows = targets.reshape(len(answers), -1).tolist()
    whole = name in ("numbers", "labels")
    losses = [
        one_loss(head, answer, row if whole else row[0])
        for answer, row in zip(answers, rows, strict=True)
    ]
    shape = targets.shape[:2] if whole else targets.shape
    expected = torch.tensor(losses).view(shape)
    torch.testing.assert_close(head.losses(outputs, targets), expected)
    torch.testing.assert_close(head.loss(outputs, targets), expected.mean())
    counted = torch.rand(shape, generator=torch.Generator().manual_seed(3)) > 0.5
    torch.testing.assert_close(head.loss(outputs, targets, counted), expected[counted].mean())


def test_padding_may_hold_anything() -> None:
    head = NumberHead(UNITS, 2)
    outputs = head(numbers(T, B, UNITS))
    targets, counted = numbers(T, B, 2), torch.ones(T, B, dtype=torch.bool)
    counted[3:, 1] = False
    expected = head.loss(outputs, targets, counted)
    targets[3:, 1] = math.inf
    assert head.loss(outputs, targets, counted) == expected


def test_probabilities() -> None:
    logits = numbers(T, 3)
    shares = ClassHead(UNITS, 3).probabilities(logits)
    torch.testing.assert_close(shares.log() - shares.log()[:, :1], logits - logits[:, :1])
    torch.testing.assert_close(shares.sum(-1), torch.ones(T))
    chances = LabelHead(UNITS, 3).probabilities(logits)
    torch.testing.assert_close((chances / (1 - chances)).log(), logits)


@pytest.mark.parametrize("levels", [(0.5,), (0.1, 0.5, 0.9), (0.1, 0.2, 0.7, 0.9), (0.3, 0.4)])
def test_quantiles_never_cross(levels: tuple[float, ...]) -> None:
    torch.manual_seed(0)
    head = QuantileHead(UNITS, 2, levels)
    features, shift = 30 * numbers(T, B, UNITS), numbers(T, B, 2)
    quantiles = head(features)
    assert quantiles.shape == (T, B, 2, len(levels))
    assert (quantiles.diff(dim=-1) >= 0).all()
    torch.testing.assert_close(head(features, shift), quantiles + shift[..., None])


def test_quantiles_that_are_learned_are_those_of_the_data() -> None:
    torch.manual_seed(0)
    levels = (0.1, 0.5, 0.8)
    head = QuantileHead(1, 1, levels)
    targets = torch.rand(2000, 1)
    optimizer = torch.optim.Adam(head.parameters(), 0.02)
    for _ in range(600):
        optimizer.zero_grad()
        torch.autograd.backward(head.loss(head(torch.ones(2000, 1)), targets))
        optimizer.step()
    learned = head(torch.ones(1, 1))[0, 0]
    torch.testing.assert_close(
        learned, targets[:, 0].quantile(torch.tensor(levels)), rtol=0, atol=0.03
    )


def test_a_missing_number_does_not_count() -> None:
    head = QuantileHead(UNITS, 2)
    outputs, targets = head(numbers(T, B, UNITS)), numbers(T, B, 2)
    known = torch.ones(T, B, 2, dtype=torch.bool)
    known[1, 2, 0] = known[4, 0, 1] = False
    expected = head.loss(outputs, targets, known)
    loss = head.loss(outputs, targets.masked_fill(~known, math.nan))
    assert loss == expected
    (gradient,) = torch.autograd.grad(loss, head.weight)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Embedding(0, 3), "symbols is 0; expected a whole number from 1"),
        (lambda: Embedding(3, 3, dropout=2), "dropout is 2; expected a probability"),
        (lambda: ClassHead(3, 0), "outputs is 0; expected a whole number from 1"),
        (lambda: NumberHead(3, 1, dropout=-1), "dropout is -1; expected a probability"),
        (lambda: QuantileHead(3, 0), "numbers is 0; expected a whole number from 1"),
        (lambda: QuantileHead(3, 1, ()), r"levels is \(\); expected"),
        (lambda: QuantileHead(3, 1, (0.5, 0.5)), "each above the one before"),
        (lambda: QuantileHead(3, 1, (0.5, 1.0)), "between 0 and 1"),
    ],
)
def test_arguments_out_of_range(make: Callable[[], nn.Module], text: str) -> None:
    with pytest.raises(SettingError, match=text):
        make()
