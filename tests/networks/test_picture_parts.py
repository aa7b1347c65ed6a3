"""Looking at pictures: an encoder, the decoder of Xu et al. 2015, and what training adds, against
their equations."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.errors import SettingError, ShapeError
from conveyor.networks import Attention, Embedding, PictureDecoder, PictureEncoder, beam_search
from conveyor.networks.annotation_attention import (
    doubly_stochastic,
    drawn_places,
    entropy,
    least_doubly_stochastic,
    reinforce,
)
from conveyor.networks.picture_encoder import shifted

FEATURES, HIDDEN, WORDS, EMBEDDED, PLACES, BATCH = 5, 4, 9, 3, 6, 2


def decoder(looking: Any = "soft", cell: str = "lstm", **options: Any) -> PictureDecoder:
    """A small decoder whose numbers are not all alike."""
    torch.manual_seed(0)
    layer = conveyor.Recurrent(cell, EMBEDDED + FEATURES, HIDDEN)
    made = PictureDecoder(
        layer,
        Embedding(WORDS, EMBEDDED),
        Attention(layer.output_size, FEATURES, "concat"),
        looking=looking,
        **options,
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.7 * torch.randn_like(parameter))
    return made.double().eval()


def seen(places: int = PLACES, batch: int = BATCH) -> Tensor:
    """What is seen of some pictures."""
    torch.manual_seed(1)
    return torch.randn(places, batch, FEATURES, dtype=torch.float64)


def symbols(steps: int = 4, batch: int = BATCH) -> Tensor:
    """Symbols that are read."""
    torch.manual_seed(2)
    return torch.randint(0, WORDS, (steps, batch))


# The encoder -----------------------------------------------------------------------------------


def test_an_encoder_has_a_place_for_every_four_rows_and_columns() -> None:
    encoder = PictureEncoder(size=16, features=24)
    assert encoder(torch.zeros(3, 3, 16, 16)).shape == (16, 3, 24)
    assert encoder.side == 4


def test_places_of_the_same_colours_are_told_apart() -> None:
    encoder = PictureEncoder(size=32, features=24).eval()
    annotations = encoder(torch.zeros(1, 3, 32, 32))
    # In the middle nothing but the learned vector of a place says where it is.
    assert (annotations[27] - annotations[36]).abs().max() > 0.01


def test_a_place_sees_what_is_there() -> None:
    """A dot at the left changes the places at the left, and no place far from it but for the norms
    of all."""
    encoder = PictureEncoder(size=64, features=24).eval()
    picture = torch.zeros(1, 3, 64, 64)
    dotted = picture.clone()
    dotted[0, :, 4:8, 4:8] = 1
    with torch.no_grad():
        change = (encoder(dotted) - encoder(picture)).norm(dim=2).view(16, 16)
    assert change[:4, :4].max() > 3 * change[8:, 8:].max()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PictureEncoder(size=30), "size is 30; expected a multiple of 4"),
        (lambda: PictureEncoder(features=20), "features is 20; expected a multiple of 24"),
        (lambda: PictureEncoder()(torch.zeros(1, 1, 32, 32)), r"expected \[B, 3, 32, 32\]"),
        (lambda: decoder("sharp"), "looking is 'sharp'"),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, said: str) -> None:
    with pytest.raises((SettingError, ShapeError), match=said):
        make()


def test_pictures_are_moved_and_nothing_else() -> None:
    torch.manual_seed(0)
    pictures = torch.arange(2.0 * 3 * 6 * 7).view(2, 3, 6, 7)
    torch.testing.assert_close(shifted(pictures, 0), pictures)
    moved = shifted(pictures, 2)
    wide = torch.nn.functional.pad(pictures, (2, 2, 2, 2), mode="replicate")
    for each, whole in zip(moved, wide, strict=True):
        windows = [whole[:, r : r + 6, c : c + 7] for r in range(5) for c in range(5)]
        assert sum(torch.equal(each, window) for window in windows) == 1
    assert len({tuple(shifted(pictures, 2)[0, 0, 0].tolist()) for _ in range(40)}) > 5


# The decoder -----------------------------------------------------------------------------------


def sigmoid(values: Any) -> Any:
    return 1 / (1 + np.exp(-values))


@pytest.mark.parametrize("looking", ["soft", "hard", "mean"])
@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("gate", [True, False])
def test_the_decoder_does_what_the_paper_says(looking: Any, deep: bool, gate: bool) -> None:
    """One step in NumPy, from section 3.1.2 of Xu et al. 2015."""
    made = decoder(looking, deep=deep, gate=gate)
    parameters = {name: each.detach().numpy() for name, each in made.named_parameters()}
    annotations, read = seen(), symbols(2)
    looked = made.look(read, made.begin(annotations))
    for row in range(BATCH):
        a = annotations[:, row].numpy()
        mean = a.mean(0)
        begin = {
            name: np.tanh(
                parameters[f"begin_with.{name}_0.weight"] @ mean
                + parameters[f"begin_with.{name}_0.bias"]
            )
            for name in ("h", "c")
        }
        h = begin["h"]
        state: Any = tuple(torch.from_numpy(begin[name]).view(1, 1, -1) for name in ("h", "c"))
        for step in range(2):
            E = parameters["embedding.weight"][read[step, row]]
            compared = np.tanh(
                a @ parameters["attention.of_memory.weight"].T
                + parameters["attention.of_query.weight"] @ h
            )
            e = compared @ parameters["attention.v"]
            alpha = np.exp(e) / np.exp(e).sum()
            z = {"soft": alpha @ a, "hard": a[alpha.argmax()], "mean": mean}[looking]
            beta = 1.0
            if gate:
                beta = sigmoid(
                    parameters["selector.weight"][0] @ h + parameters["selector.bias"][0]
                )
            z = beta * z
            inputs = torch.from_numpy(np.concatenate([E, z])).view(1, 1, -1)
            output, state = made.layer(inputs, state)
            h = output[0, 0].detach().numpy()
            t = parameters["of_state.weight"] @ h
            if deep:
                t = t + E + parameters["of_place.weight"] @ z
            logits = parameters["head.weight"] @ np.tanh(t) + parameters["head.bias"]
            np.testing.assert_allclose(looked.logits[step, row].detach(), logits, rtol=1e-9)
            assert looked.gates[step, row].item() == pytest.approx(beta)
            expected = np.full(PLACES, 1 / PLACES) if looking == "mean" else alpha
            np.testing.assert_allclose(looked.weights[step, row].detach(), expected, rtol=1e-9)


@pytest.mark.parametrize("looking", ["soft", "hard"])
def test_places_in_another_order_are_looked_at_as_much(looking: Any) -> None:
    made, order = decoder(looking), torch.tensor([3, 0, 5, 1, 4, 2])
    one = made.look(symbols(), made.begin(seen()))
    other = made.look(symbols(), made.begin(seen()[order]))
    torch.testing.assert_close(other.weights, one.weights[..., order])
    torch.testing.assert_close(other.logits, one.logits)
    torch.testing.assert_close(one.weights.sum(-1), torch.ones(4, BATCH, dtype=torch.float64))


def test_without_weights_it_looks_everywhere_alike() -> None:
    made = decoder()
    with torch.no_grad():
        made.attention.of_memory.weight.zero_()
        made.attention.of_query.weight.zero_()
    looked = made.look(symbols(), made.begin(seen()))
    torch.testing.assert_close(looked.weights, torch.full_like(looked.weights, 1 / PLACES))
    even = decoder("mean").look(symbols(), decoder("mean").begin(seen()))
    torch.testing.assert_close(looked.logits, even.logits)


def test_of_one_place_soft_is_hard() -> None:
    answers = [
        decoder(looking).look(symbols(), decoder(looking).begin(seen(1))).logits
        for looking in ("soft", "hard", "mean")
    ]
    torch.testing.assert_close(answers[0], answers[1])
    torch.testing.assert_close(answers[0], answers[2])


def test_a_gate_that_is_shut_leaves_a_language_model() -> None:
    """What begins it is given, so that the picture comes in nowhere else."""
    made = decoder()
    with torch.no_grad():
        made.selector.weight.zero_()
        made.selector.bias.fill_(-1e4)
    start = made.layer.start(BATCH)
    start = tuple(each.double() for each in start)
    one = made.look(symbols(), made.begin(seen(), start))
    other = made.look(symbols(), made.begin(10 * seen() + 3, start))
    torch.testing.assert_close(one.logits, other.logits)
    assert one.gates.max().item() == 0


@pytest.mark.parametrize("looking", ["soft", "hard", "mean"])
def test_padding_is_not_looked_at(looking: Any) -> None:
    made = decoder(looking)
    wide = torch.cat([seen(), torch.full((2, BATCH, FEATURES), 99.0, dtype=torch.float64)])
    one = made.look(symbols(), made.begin(seen(), lengths=[PLACES] * BATCH))
    other = made.look(symbols(), made.begin(wide, lengths=[PLACES] * BATCH))
    torch.testing.assert_close(one.logits, other.logits)
    shorter = made.look(
        symbols(), made.begin(seen(), lengths=[PLACES - 1, *[PLACES] * (BATCH - 1)])
    )
    assert not shorter.weights[:, 0, PLACES - 1 :].any()
    torch.testing.assert_close(shorter.weights.sum(-1), torch.ones_like(shorter.weights[..., 0]))
    torch.testing.assert_close(shorter.logits[:, 1:], one.logits[:, 1:])


@pytest.mark.parametrize("cell", ["gru", "rnn", "lstm_projected"])
def test_any_cell_writes(cell: str) -> None:
    if cell == "lstm_projected":
        layer = conveyor.Recurrent(cell, EMBEDDED + FEATURES, 6, sizes={"P": HIDDEN})
    else:
        layer = conveyor.Recurrent(cell, EMBEDDED + FEATURES, HIDDEN, 2)
    made = PictureDecoder(layer, Embedding(WORDS, EMBEDDED), Attention(HIDDEN, FEATURES, "concat"))
    looked = made.look(symbols(), made.begin(seen().float()))
    looked.logits.sum().backward()  # type: ignore[no-untyped-call]
    assert looked.logits.shape == (4, BATCH, WORDS)
    assert all(p.grad is not None for name, p in made.named_parameters() if "begin" in name)


def test_a_search_writes_the_best_of_all() -> None:
    """A beam that is wide enough finds what trying everything finds, and many steps are one."""
    made, longest, end = decoder(), 3, 1
    begin = torch.tensor([0])
    annotations = seen(batch=1)
    best = beam_search(
        made.step, made.begin(annotations), begin, end=end, longest=longest, beam=WORDS**2
    )[0][0]
    sequences = [[a, b, c] for a in range(WORDS) for b in range(WORDS) for c in range(WORDS)]
    read = torch.tensor([[0, a, b] for a, b, _ in sequences]).T
    with torch.no_grad():
        logits, _, _ = made(read, made.begin(annotations.expand(-1, len(sequences), -1)))
    chances = logits.log_softmax(-1)
    total = -math.inf
    for number, sequence in enumerate(sequences):
        steps = sequence.index(end) + 1 if end in sequence else longest
        if end not in sequence and sequence[-1] == end:
            continue
        value = sum(float(chances[t, number, sequence[t]]) for t in range(steps))
        total = max(total, value)
    assert best.log_probability == pytest.approx(total, abs=1e-9)


# Hard attention --------------------------------------------------------------------------------


def test_in_training_half_of_the_pictures_are_looked_at_at_drawn_places() -> None:
    made = decoder("hard").train()
    annotations = seen(batch=400)
    torch.manual_seed(3)
    looked = made.look(symbols(3, 400), made.begin(annotations))
    assert 150 < int(looked.drawn.sum()) < 250
    assert (looked.log_drawn[:, ~looked.drawn] == 0).all()
    assert (looked.log_drawn[:, looked.drawn] < 0).all()
    with torch.no_grad():
        softly = decoder("soft").look(symbols(3, 400), decoder("soft").begin(annotations))
    row = int((~looked.drawn).nonzero()[0])
    torch.testing.assert_close(looked.logits[:, row], softly.logits[:, row])


def test_places_are_drawn_as_often_as_they_weigh() -> None:
    torch.manual_seed(0)
    weights = torch.tensor([[0.1, 0.0, 0.6, 0.3]]).expand(20_000, 4)
    shares = drawn_places(weights).bincount(minlength=4) / 20_000
    torch.testing.assert_close(shares, weights[0], atol=0.02, rtol=0)


@pytest.mark.parametrize("baseline", [0.0, -1.0])
def test_the_bandit_has_the_gradient_of_what_is_expected(baseline: float) -> None:
    """One step, two places, log p(y|s) = 0 and -2, α = softmax(u): the gradient of the expected
    log p with respect to u_1 is 2 α_1 α_2."""
    torch.manual_seed(0)
    u = torch.tensor([0.3, -0.4], dtype=torch.float64, requires_grad=True)
    count = 100_000
    alpha = u.softmax(0)
    exact = (2 * alpha[0] * alpha[1]).item()
    places = drawn_places(alpha.detach().expand(count, 2))
    rewards = torch.where(places == 0, 0.0, -2.0).double()[None]
    log_weights = alpha.log()[places][None]
    counted = torch.ones(1, count, dtype=torch.bool)
    term = reinforce(rewards, log_weights, counted, baseline).mean()
    term.backward()  # type: ignore[no-untyped-call]
    assert u.grad is not None
    # It is minimised, so that the weight of the place that helps rises.
    assert float(-u.grad[0]) == pytest.approx(exact, abs=0.02)
    assert float(u.grad[0]) < 0 < float(u.grad[1])


def test_a_baseline_makes_the_bandit_surer() -> None:
    alpha = torch.tensor([0.3, -0.4], dtype=torch.float64).softmax(0)

    def variance(baseline: float) -> float:
        # Of (R - b) d log α(s) / d u_1, over both places.
        values = torch.tensor([(0 - baseline) * (1 - alpha[0]), (-2 - baseline) * -alpha[0]])
        mean = (alpha * values).sum()
        return float((alpha * (values - mean).square()).sum())

    assert variance(-1.0) < variance(0.0)


def test_what_was_written_before_is_no_reward() -> None:
    """The reward of a step is what comes from it on; padding has none."""
    rewards = torch.tensor([[-1.0], [-2.0], [-4.0], [-100.0]])
    chances = torch.tensor([[-0.1], [-0.2], [-0.3], [-0.4]])
    counted = torch.tensor([[True], [True], [True], [False]])
    expected = -((-7 * -0.1) + (-6 * -0.2) + (-4 * -0.3))
    assert float(reinforce(rewards, chances, counted, 0.0)) == pytest.approx(expected)
    moved = -((-7 + 3) * -0.1 + (-6 + 2) * -0.2 + (-4 + 1) * -0.3)
    assert float(reinforce(rewards, chances, counted, -1.0)) == pytest.approx(moved)


# That it looks everywhere once -----------------------------------------------------------------


def test_the_term_of_the_paper_and_that_of_the_code() -> None:
    torch.manual_seed(0)
    weights = torch.rand(5, 3, 7).softmax(-1)
    counted = torch.arange(5)[:, None] < torch.tensor([5, 2, 4])
    lengths = torch.tensor([7, 7, 7])
    by_hand = [
        sum(
            (1 - sum(float(weights[t, n, i]) for t in range(5) if counted[t, n])) ** 2
            for i in range(7)
        )
        for n in range(3)
    ]
    paper = float(doubly_stochastic(weights, counted, lengths))
    code = float(doubly_stochastic(weights, counted, lengths, "code"))
    assert paper == pytest.approx(sum(by_hand) / 3, rel=1e-5)
    # N/L times as much: 3 sequences, 7 places.
    assert code == pytest.approx(paper * 3 / 7, rel=1e-5)


def test_the_term_is_least_where_all_places_are_looked_at_alike() -> None:
    steps, places = 4, 10
    even = torch.full((steps, 1, places), 1 / places)
    lengths = torch.tensor([places])
    counted = torch.ones(steps, 1, dtype=torch.bool)
    floor = float(least_doubly_stochastic(torch.tensor([steps]), lengths))
    assert float(doubly_stochastic(even, counted, lengths)) == pytest.approx(floor)
    assert floor == pytest.approx(places * (1 - steps / places) ** 2)
    torch.manual_seed(0)
    other = torch.randn(steps, 1, places).softmax(-1)
    assert float(doubly_stochastic(other, counted, lengths)) > floor


def test_places_that_are_not_there_count_nothing() -> None:
    weights = torch.tensor([[[0.5, 0.5, 0.0]]])
    counted = torch.ones(1, 1, dtype=torch.bool)
    assert float(doubly_stochastic(weights, counted, torch.tensor([2]))) == pytest.approx(0.5)


def test_the_gradient_of_the_term() -> None:
    torch.manual_seed(0)
    counted = torch.arange(3)[:, None] < torch.tensor([3, 2])
    weights = torch.rand(3, 2, 4, dtype=torch.float64, requires_grad=True)

    def term(values: Tensor) -> Tensor:
        return doubly_stochastic(values, counted, torch.tensor([4, 4]))

    assert torch.autograd.gradcheck(term, weights)


def test_places_that_are_not_there_have_no_entropy_and_no_gradient() -> None:
    scores = torch.tensor([1.0, 2.0, -torch.inf], dtype=torch.float64, requires_grad=True)
    value = entropy(scores.softmax(-1))
    two = entropy(scores[:2].softmax(-1))
    torch.testing.assert_close(value, two)
    gradients = [torch.autograd.grad(each, scores)[0][:2] for each in (value, two)]
    torch.testing.assert_close(*gradients)


def test_entropy_of_even_weights_is_the_logarithm_of_their_number() -> None:
    assert float(entropy(torch.full((1, 8), 1 / 8))) == pytest.approx(math.log(8))
    assert float(entropy(torch.tensor([[1.0, 0.0]]))) == 0


# Saving ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("looking", ["soft", "hard", "mean"])
def test_they_are_saved(looking: Any, tmp_path: Path) -> None:
    encoder = PictureEncoder(size=16, features=24).eval()
    layer = conveyor.LSTM(EMBEDDED + 24, HIDDEN, 2)
    attention = Attention(HIDDEN, 24, "concat", width=7)
    made = PictureDecoder(
        layer,
        Embedding(WORDS, EMBEDDED),
        attention,
        looking=looking,
        gate=looking != "hard",
        deep=looking == "soft",
        dropout=0.2,
    ).eval()
    conveyor.save(torch.nn.ModuleDict({"sees": encoder, "writes": made}), tmp_path / "saved")
    loaded = conveyor.load(tmp_path / "saved").eval()
    pictures = torch.randn(BATCH, 3, 16, 16)
    one = made.look(symbols(), made.begin(encoder(pictures)))
    other = loaded["writes"].look(symbols(), loaded["writes"].begin(loaded["sees"](pictures)))
    torch.testing.assert_close(one.logits, other.logits)
    assert repr(loaded["writes"]) == repr(made)
