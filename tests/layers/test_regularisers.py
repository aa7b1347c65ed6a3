"""Zoneout, dropout inside the cell, dropped weights and clipping, beside loops in plain torch that
draw the same masks."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor import use_target
from conveyor.errors import SettingError
from tests.kinds import LAW_CELLS
from tests.layers.named import draw

T, B, INPUTS, UNITS = 7, 3, 4, 5
RATE = 0.4
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}


def make(cell: str = "lstm", **options: Any) -> conveyor.Recurrent:
    torch.manual_seed(1)
    return conveyor.Recurrent(cell, INPUTS, UNITS, dtype=torch.float64, **options)


def zone(*shape: int, rate: float = RATE) -> Tensor:
    return (torch.rand(shape) < rate).double()


def kept(*shape: int, rate: float = RATE) -> Tensor:
    return (torch.rand(shape) >= rate).double() / (1 - rate)


def lstm_loop(
    layer: conveyor.Recurrent,
    x: Tensor,
    *,
    recurrent: Callable[[int, Tensor], Tensor] = lambda _, h: h,
    candidate: Callable[[int, Tensor], Tensor] = lambda _, g: g,
    weights: Callable[[Tensor], Tensor] = lambda U: U,
    cell_state: Callable[[Tensor], Tensor] = lambda c: c,
    after: Callable[[int, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """An LSTM as a loop, with what regularisers change as functions."""
    own = dict(layer.get_submodule("l0").named_parameters())
    U = {gate: weights(own[f"U.{gate}"]) for gate in "figo"}
    h = c = x.new_zeros(x.shape[1], UNITS)
    outputs = []
    for t, now in enumerate(x):
        read = recurrent(t, h)
        a = {
            gate: now @ own[f"W.{gate}"].T + read @ U[gate].T + own[f"b.{gate}"] for gate in "figo"
        }
        f, i, o = (torch.sigmoid(a[gate]) for gate in "fio")
        new_c = cell_state(f * c + i * candidate(t, torch.tanh(a["g"])))
        new_h = o * torch.tanh(new_c)
        h, c = (new_h, new_c) if after is None else after(t, h, c, new_h, new_c)
        outputs.append(h)
    return torch.stack(outputs), h, c


def gradients(layer: conveyor.Recurrent, results: Any) -> list[Tensor]:
    loss = sum((each * draw(*each.shape, seed=n)).sum() for n, each in enumerate(results))
    assert isinstance(loss, Tensor)
    return list(torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True))


def assert_as_the_loop(
    layer: conveyor.Recurrent, run_loop: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
) -> None:
    """The layer's output, states and gradients are the loop's, wherever it runs."""
    x = draw(T, B, INPUTS, seed=9)
    torch.manual_seed(5)
    want = run_loop(x)
    plain = make()(x)[0]
    assert (want[0] - plain).abs().max() > 1e-3, "the loop changes nothing"
    for target in (None, "reference"):
        with use_target(target):
            torch.manual_seed(5)
            output, state = layer(x)
            got = (output, state.h[0], state.c[0])
            for one, other in zip(got, want, strict=True):
                torch.testing.assert_close(one, other, **CLOSE)
            pairs = zip(gradients(layer, got), gradients(layer, want), strict=True)
            for one, other in pairs:
                torch.testing.assert_close(one, other, **CLOSE)


def test_zoneout() -> None:
    layer = make(zoneout={"h": RATE, "c": 0.2})

    def loop(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        of_h, of_c = zone(T, B, UNITS), zone(T, B, UNITS, rate=0.2)

        def after(
            t: int, h: Tensor, c: Tensor, new_h: Tensor, new_c: Tensor
        ) -> tuple[Tensor, Tensor]:
            return torch.where(of_h[t] == 1, h, new_h), torch.where(of_c[t] == 1, c, new_c)

        return lstm_loop(layer, x, after=after)

    assert_as_the_loop(layer, loop)


def test_zoneout_in_evaluation_mixes() -> None:
    layer = make(zoneout=RATE).eval()

    def after(t: int, h: Tensor, c: Tensor, new_h: Tensor, new_c: Tensor) -> tuple[Tensor, Tensor]:
        return RATE * h + (1 - RATE) * new_h, RATE * c + (1 - RATE) * new_c

    assert_as_the_loop(layer, lambda x: lstm_loop(layer, x, after=after))


def test_recurrent_dropout_of_the_candidate() -> None:
    layer = make(recurrent_dropout={"g": RATE})

    def loop(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        masks = kept(T, B, UNITS)
        return lstm_loop(layer, x, candidate=lambda t, g: g * masks[t])

    assert_as_the_loop(layer, loop)


def test_recurrent_dropout_of_the_cell_state() -> None:
    """Moon et al. 2015: what was dropped is forgotten for good."""
    layer = make(recurrent_dropout={"c": RATE})

    def loop(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        masks = iter(kept(T, B, UNITS))
        return lstm_loop(layer, x, cell_state=lambda c: c * next(masks))

    assert_as_the_loop(layer, loop)


def test_variational_dropout() -> None:
    layer = make(variational_dropout=RATE)

    def loop(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        of_x, of_h = kept(B, INPUTS), kept(B, UNITS)
        return lstm_loop(layer, x * of_x, recurrent=lambda _, h: h * of_h)

    assert_as_the_loop(layer, loop)


def test_dropped_weights() -> None:
    layer = make(weight_dropout=RATE)

    def loop(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return lstm_loop(layer, x, weights=lambda U: torch.nn.functional.dropout(U, RATE))

    assert_as_the_loop(layer, loop)
    assert not any("raw" in name for name, _ in layer.named_parameters())


def test_clipping_is_seen_by_all_that_follows() -> None:
    layer = make(clip={"c": 0.1})

    def loop(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return lstm_loop(layer, x, cell_state=lambda c: c.clamp(-0.1, 0.1))

    assert_as_the_loop(layer, loop)


ALL: dict[str, Any] = {
    "zoneout": 0.1,
    "recurrent_dropout": {"g": 0.2},
    "variational_dropout": 0.3,
    "weight_dropout": 0.2,
    "clip": {"c": 3.0},
}


def test_nothing_is_drawn_in_evaluation() -> None:
    layer = make(**ALL).eval()
    x = draw(T, B, INPUTS, seed=9)
    assert torch.equal(layer(x)[0], layer(x)[0])
    layer.train()
    with torch.no_grad():
        assert not torch.equal(layer(x)[0], layer(x)[0])
        state = layer.start(B)
        assert not torch.equal(layer.step(x[0], state)[0], layer.step(x[0], state)[0])


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("how", ["dense", "lengths", "reset", "trace"])
def test_same_masks_on_every_target(num_layers: int, bidirectional: bool, how: str) -> None:
    layer = make(num_layers=num_layers, bidirectional=bidirectional, **ALL)
    every: dict[str, dict[str, Any]] = {
        "dense": {},
        "lengths": {"lengths": [3, 7, 0]},
        "reset": {"reset": torch.arange(T)[:, None].expand(T, B) == 4},
        "trace": {"trace": True},
    }
    given = every[how]
    x = draw(T, B, INPUTS, seed=9)
    found = []
    for target in (None, "reference"):
        with use_target(target):
            torch.manual_seed(3)
            output, state, *_ = layer(x, **given)
            found.append([output, *state, *gradients(layer, [output, *state])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_a_sequence_drops_the_same_units_at_all_its_steps() -> None:
    """With lengths too, where its rows stand apart."""

    layer = make("rnn_relu", variational_dropout=0.5)
    with torch.no_grad():
        for name, each in layer.named_parameters():
            each.copy_(torch.eye(UNITS, each.shape[1]) if name.endswith("W") else 0 * each)
        output = layer(torch.ones(T, B, INPUTS).double(), lengths=[3, 7, 5])[0]
    for sequence, length in enumerate([3, 7, 5]):
        own = output[:length, sequence, :INPUTS]
        assert torch.equal(own, own[:1].expand_as(own))
        assert set(own.flatten().tolist()) <= {0.0, 2.0}
    assert len({tuple(output[0, sequence].tolist()) for sequence in range(B)}) > 1


@pytest.mark.parametrize("length", [True, 2])
def test_segments_compute_again_with_the_same_masks(length: bool | int) -> None:
    whole = make(**ALL)
    parts = make(**ALL, checkpoint=length)
    x = draw(T, B, INPUTS, seed=9)
    found = []
    for layer in (whole, parts):
        torch.manual_seed(3)
        output, state = layer(x)
        found.append([output, *state, *gradients(layer, [output, *state])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_rates_are_kept() -> None:
    layer = make("rnn", zoneout=0.25)
    with torch.no_grad():
        output = layer(torch.randn(200, 50, INPUTS).double())[0]
    stayed = (output[1:] == output[:-1]).double().mean()
    # 49,750 draws: a standard error of 0.002.
    assert float(stayed) == pytest.approx(0.25, abs=0.01)


def test_every_kind_of_cell_can_be_zoned_out_and_dropped() -> None:
    for name in LAW_CELLS:
        cell = conveyor.CELLS[name]
        axes = {axis for leaf in cell.leaves for axis in leaf.axes} - {"I", "H"}
        layer = make(
            name, zoneout=0.2, variational_dropout=0.2, sizes=dict.fromkeys(axes, UNITS) or None
        )
        x = draw(T, B, INPUTS, seed=9)
        found = []
        for target in (None, "reference"):
            with use_target(target):
                torch.manual_seed(3)
                found.append(layer(x)[0])
        torch.testing.assert_close(*found, **CLOSE)


def test_compiled_layers_draw_too() -> None:
    layer = make(zoneout=RATE)
    compiled = torch.compile(layer, backend="aot_eager")
    x = draw(T, B, INPUTS, seed=9)
    torch.manual_seed(3)
    want = layer(x)[0]
    torch.manual_seed(3)
    torch.testing.assert_close(compiled(x)[0], want, **CLOSE)
    layer.eval()
    torch.testing.assert_close(compiled(x)[0], layer(x)[0], **CLOSE)


def test_copies_and_checkpoints_keep_them() -> None:
    layer = make(**ALL)
    x = draw(T, B, INPUTS, seed=9)
    other = make(**ALL)
    other.load_state_dict(layer.state_dict())
    for each in (copy.deepcopy(layer), other):
        torch.manual_seed(3)
        want = layer(x)[0]
        torch.manual_seed(3)
        assert torch.equal(each(x)[0], want)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"zoneout": 1.5}, "zoneout of h is 1.5"),
        ({"zoneout": {"k": 0.1}}, "lstm has no state 'k'"),
        ({"recurrent_dropout": {"k": 0.1}}, "lstm has no local name 'k'"),
        ({"recurrent_dropout": {"g": -0.1}}, "recurrent_dropout of g is -0.1"),
        ({"variational_dropout": True}, "variational_dropout is True"),
        ({"weight_dropout": 1.0}, "weight_dropout is 1.0"),
        ({"clip": {"c": 0}}, "clip of c is 0"),
        ({"clip": {"c": True}}, "clip of c is True"),
        ({"clip": 50.0}, "clip is 50.0; expected numbers by name"),
        ({"recurrent_dropout": 0.25}, "recurrent_dropout is 0.25; expected numbers by name"),
        ({"zoneout": {"k": 0.0}}, "lstm has no state 'k'"),
        ({"clip": {"k": 1.0}}, "lstm has no state 'k'"),
    ],
)
def test_what_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        make(**options)


def test_a_number_for_zoneout_keeps_what_belongs_together() -> None:
    """In an sLSTM c and n are in the scale that m says: units keep all three or none, and the
    output stays within ±1 as it is without."""
    torch.manual_seed(0)
    layer = conveyor.Recurrent("slstm", 3, 16, zoneout=0.2)
    with torch.no_grad():
        for _ in range(5):
            assert float(layer(torch.randn(200, 8, 3) * 3)[0].abs().max()) <= 1


@pytest.mark.parametrize("cell", ["gru_reset_before", "gru_chung", "mgu", "mut1", "mut2", "mut3"])
def test_variational_dropout_is_seen_by_candidates_too(cell: str) -> None:
    """Whose matrix reads r * h, not h."""
    layer = make(cell, variational_dropout=0.5)
    with torch.no_grad():
        for name, each in layer.named_parameters():
            each.copy_(torch.eye(UNITS) if name.endswith("U.n") else torch.zeros_like(each))
        state = (torch.ones(1, 1, UNITS).double(),)
        seen = {
            tuple(layer(torch.zeros(1, 1, INPUTS).double(), state)[0].flatten().tolist())
            for _ in range(30)
        }
    assert len(seen) > 5


def test_a_changed_probability_is_seen_without_gradients() -> None:
    layer = conveyor.Recurrent("lstm", INPUTS, UNITS, num_layers=2)
    x = torch.randn(T, B, INPUTS)
    with torch.no_grad():
        before = layer(x)[0]
        layer.dropout = 0.9
        assert not torch.equal(layer(x)[0], before)


def test_exporting_what_draws_is_refused() -> None:
    layer = make(zoneout=0.2)
    x = draw(T, B, INPUTS, seed=9)
    with pytest.raises(Exception, match=r"call layer\.eval\(\) first"):
        torch.export.export(layer, (x,))
    program = torch.export.export(layer.eval(), (x,))
    torch.testing.assert_close(program.module()(x)[0], layer(x)[0], **CLOSE)


def test_repr_shows_them() -> None:
    text = repr(make(**ALL))
    for name in ALL:
        assert f"{name}=" in text


def test_weights_are_dropped_once_a_call() -> None:
    """Also where no gradient is wanted, and a call cannot be made again from what is known."""
    layer = conveyor.Recurrent("gru", 3, 4, num_layers=2, weight_dropout=0.5, dropout=0.5)
    x = torch.randn(5, 2, 3)
    torch.manual_seed(0)
    want = layer(x)[0]
    with torch.no_grad():
        for target in ("llvm", "reference"):
            torch.manual_seed(0)
            with use_target(target):
                torch.testing.assert_close(layer(x)[0], want)


@pytest.mark.parametrize("lengths", [None, [7, 4, 5]])
def test_locked_dropout_drops_the_same_features_at_all_steps(lengths: list[int] | None) -> None:
    """Where no layer remembers and the input stands still, so does what is dropped."""
    layer = conveyor.Recurrent("rnn", 3, 40, 2, dropout=0.5, locked_dropout=True)
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            if ".U" in name:
                weight.zero_()
    x = torch.randn(1, 3, 3).expand(7, 3, 3)
    for target in ("llvm", "reference"):
        with use_target(target):
            output = layer(x, lengths=lengths)[0]
            for sequence, steps in enumerate(lengths or [7] * 3):
                first = output[:1, sequence].expand(steps, 40)
                torch.testing.assert_close(output[:steps, sequence], first)
            assert not torch.equal(layer(x)[0], output)  # drawn anew for each call
            layer.locked_dropout = False
            free = layer(x)[0]
            assert float((free[0] - free[1]).detach().abs().max()) > 1e-3
            layer.locked_dropout = True
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    assert "locked_dropout=True" in repr(layer)


def test_a_compiled_graph_draws_locked_masks_as_the_layer_does() -> None:
    layer = conveyor.Recurrent("gru", 3, 4, 2, dropout=0.5, locked_dropout=True)
    with pytest.raises(Exception, match=r"call layer\.eval\(\) first"):
        torch.export.export(layer, (torch.randn(5, 2, 3),))
