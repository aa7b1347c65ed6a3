# ruff: noqa: RET504  (cells are written as equations: h = ...; return h)
"""A call that is made again: the same numbers, and whatever has changed since is seen."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import prune

import conveyor
from conveyor import use_target
from conveyor.cells import Input, Matrix, State, Value, cell, tanh, total
from conveyor.errors import ShapeError, TargetError
from conveyor.kernels.reference import ReferenceKernel

T, B, INPUTS, UNITS = 5, 3, 4, 16


def lstm(**options: Any) -> conveyor.LSTM:
    """A layer that has been called once, so that a second call is made again."""
    torch.manual_seed(0)
    layer = conveyor.LSTM(INPUTS, UNITS, **options)
    run(layer, inputs(layer))
    return layer


def inputs(layer: conveyor.LSTM) -> Tensor:
    shape = (B, T, INPUTS) if layer.batch_first else (T, B, INPUTS)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    dtype: torch.dtype = next(layer.parameters()).dtype
    return x.to(dtype)


def flat(results: Any) -> list[Tensor]:
    """Output, h and c."""
    output, states = results
    return [output, *states]


def run(layer: conveyor.LSTM, *given: Any) -> list[Tensor]:
    with torch.no_grad():
        return flat(layer(*given))


def by_reference(layer: conveyor.LSTM, *given: Any) -> list[Tensor]:
    with use_target("reference"):
        return run(layer, *given)


def assert_right(layer: conveyor.LSTM, *given: Any) -> None:
    """The call, and the call once more, are those of the reference."""
    for _ in range(2):
        torch.testing.assert_close(run(layer, *given), by_reference(layer, *given))


def kept(layer: conveyor.LSTM) -> list[Any]:
    """What the layer keeps of its calls."""
    return list(layer.__dict__.get("_replays", {}).values())


@pytest.mark.parametrize("given", [False, True], ids=["from zeros", "from a state"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2},
        {"bidirectional": True},
        {"num_layers": 2, "bidirectional": True, "batch_first": True},
        {"proj_size": 5},
        {"bias": False},
        {"dtype": torch.float64},
    ],
    ids=str,
)
def test_the_same_numbers(options: dict[str, Any], given: bool) -> None:
    layer = lstm(**options)
    x = inputs(layer)
    states = []
    if given:
        states = [tuple(torch.randn_like(each) for each in layer.start(B))]
    assert_right(layer, x, *states)
    assert any(kept(layer)), "nothing was kept: the test tests nothing"


@pytest.mark.parametrize("cell", ["rnn", "gru", "gru_reset_before", "lstm_peephole"])
@pytest.mark.parametrize("units", [16, 17])
def test_cells_and_widths(cell: str, units: int) -> None:
    layer, x = conveyor.Recurrent(cell, INPUTS, units), torch.randn(T, B, INPUTS)
    with torch.no_grad():
        layer(x)
        again = layer(x)
        with use_target("reference"):
            expected = layer(x)
    torch.testing.assert_close(again[0], expected[0])
    torch.testing.assert_close(tuple(again[1]), tuple(expected[1]))


def test_an_input_that_is_read_by_units() -> None:
    """A sum over features reads whole vectors of them, so rows are padded for it at each call."""

    @cell
    def summed(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
        h = tanh(W @ x + U @ h + total(x))
        return h

    layer, x = conveyor.Recurrent(summed, 5, 3), torch.randn(T, B, 5)
    with torch.no_grad():
        layer(x)
        again = layer(x)
        with use_target("reference"):
            expected = layer(x)
    torch.testing.assert_close(again[0], expected[0])


def changed_in_place(layer: conveyor.LSTM) -> None:
    with torch.no_grad():
        nn.init.ones_(layer.weight_hh_l0)  # type: ignore[arg-type]


def data_replaced(layer: conveyor.LSTM) -> None:
    layer.weight_hh_l0.data = torch.randn(4 * UNITS, UNITS)


def data_not_contiguous(layer: conveyor.LSTM) -> None:
    layer.weight_hh_l0.data = torch.randn(UNITS, 4 * UNITS).t()


def parameter_replaced(layer: conveyor.LSTM) -> None:
    layer.weight_hh_l0 = nn.Parameter(torch.randn(4 * UNITS, UNITS))


def pruned(layer: conveyor.LSTM) -> None:
    prune.random_unstructured(layer, "weight_hh_l0", amount=0.5)  # type: ignore[no-untyped-call]


def parametrised(layer: conveyor.LSTM) -> None:
    nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")


def loaded(layer: conveyor.LSTM) -> None:
    other = nn.LSTM(INPUTS, UNITS)
    layer.load_state_dict(other.state_dict())


def eval_mode(layer: conveyor.LSTM) -> None:
    layer.eval()


@pytest.mark.parametrize(
    "change",
    [
        changed_in_place,
        data_replaced,
        data_not_contiguous,
        parameter_replaced,
        pruned,
        parametrised,
        loaded,
        eval_mode,
    ],
    ids=lambda change: change.__name__,
)
def test_a_change_of_the_layer_is_seen(change: Callable[[conveyor.LSTM], None]) -> None:
    layer = lstm()
    x = inputs(layer)
    before = run(layer, x)[0]
    change(layer)
    assert_right(layer, x)
    assert change is eval_mode or not torch.equal(run(layer, x)[0], before)


def test_another_type_is_seen() -> None:
    layer = lstm()
    for dtype in (torch.float64, torch.float32):
        layer.to(dtype)
        assert run(layer, inputs(layer))[0].dtype == dtype
        assert_right(layer, inputs(layer))
    with pytest.raises(ShapeError, match=r"torch\.float64"):
        run(layer, inputs(layer).double())


def test_parameters_of_two_types_are_refused() -> None:
    layer = lstm()
    layer.weight_hh_l0.data = layer.weight_hh_l0.data.double()
    with pytest.raises(ShapeError, match=r"expected torch\.float32"):
        run(layer, inputs(layer))


def test_other_shapes_are_seen() -> None:
    layer = lstm()
    shapes = [(T, B, INPUTS), (T + 1, B, INPUTS), (T, B + 1, INPUTS), (T, INPUTS), (T, 0, INPUTS)]
    for shape in shapes:
        assert_right(layer, torch.randn(shape))
    with pytest.raises(ShapeError, match="features"):
        run(layer, torch.randn(T, B, INPUTS + 1))
    wrong = torch.zeros(1, B + 1, UNITS), torch.zeros(1, B + 1, UNITS)
    assert_right(layer, inputs(layer), layer.start(B))
    with pytest.raises(ShapeError, match="state h is"):
        run(layer, inputs(layer), wrong)


def test_memory_in_another_order() -> None:
    layer = lstm()
    assert_right(layer, torch.randn(B, T, INPUTS).transpose(0, 1))
    assert_right(layer, torch.randn(T, B, 2 * INPUTS)[..., ::2])
    assert_right(layer, torch._neg_view(inputs(layer)))
    order = torch.randn(UNITS, B, 1).transpose(0, 2)
    assert_right(layer, inputs(layer), (order, order))


def test_gradients_are_still_wanted() -> None:
    layer = lstm()
    layer(inputs(layer))[0].sum().backward()
    assert layer.weight_hh_l0.grad is not None


def test_dropout_between_layers_is_drawn_each_time() -> None:
    layer = lstm(num_layers=2, dropout=0.5)
    x = inputs(layer)
    assert not torch.equal(run(layer, x)[0], run(layer, x)[0])
    layer.eval()
    assert torch.equal(run(layer, x)[0], run(layer, x)[0])


def test_another_target_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = lstm()
    monkeypatch.setattr(
        ReferenceKernel,
        "sequence",
        lambda *_, **__: pytest.fail("asked"),
    )
    run(layer, inputs(layer))
    with use_target("reference"), pytest.raises(pytest.fail.Exception, match="asked"):
        run(layer, inputs(layer))


def test_transforms_still_see_every_operation() -> None:
    layer = lstm()
    many = torch.randn(2, T, B, INPUTS)
    with torch.no_grad():
        together = torch.func.vmap(lambda x: layer(x)[0])(many)
    for x, output in zip(many, together, strict=True):
        torch.testing.assert_close(output, run(layer, x)[0])


def test_who_records_operations_sees_them() -> None:
    layer, x = lstm(), torch.randn(T, B, INPUTS)
    want = run(layer, x)[0]
    with torch.no_grad():
        recorded = make_fx(lambda x: layer(x)[0])(x)
        torch.testing.assert_close(recorded(x), want)
        torch.testing.assert_close(recorded(x + 1), run(layer, x + 1)[0])
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            shape = layer(mode.from_tensor(x))[0].shape
    assert shape == want.shape


@pytest.mark.filterwarnings("ignore")
def test_the_old_recorder_is_refused() -> None:
    """It would have recorded nothing and given these outputs for ever."""
    with pytest.raises(TargetError, match=r"Use torch\.export"):
        torch.jit.trace(lstm(), (torch.randn(T, B, INPUTS),))  # type: ignore[no-untyped-call]


class Around(nn.Module):
    """A model that holds a layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.inside = nn.ModuleDict({"layer": layer})

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.inside["layer"](x)[0]
        return output


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("around", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: conveyor.Recurrent("gru", 2, 3),
        lambda: conveyor.LSTM(2, 3),
        lambda: conveyor.Stacked("gru", 2, [3, 3]),
        lambda: conveyor.Clockwork(2, 4, (1, 2)),
        lambda: conveyor.Heads("slstm", 2, 4, 2),
        lambda: conveyor.GridLSTM(2, 3),
    ],
)
def test_the_old_compiler_is_refused(make: Callable[[], nn.Module], around: bool) -> None:
    """It would have asked for the source of what Python itself made."""
    module = Around(make()) if around else make()
    with pytest.raises(TargetError, match=r"torch\.jit\.script cannot .* Use torch\.export"):
        torch.jit.script(module)


def test_results_are_new_each_time() -> None:
    layer = lstm()
    first = run(layer, inputs(layer))
    same = [each.clone() for each in first]
    run(layer, inputs(layer) + 1)
    assert all(torch.equal(*both) for both in zip(first, same, strict=True))


def test_inference_mode() -> None:
    layer = lstm()
    with torch.inference_mode():
        output = layer(inputs(layer))[0]
    assert output.is_inference()
    assert not run(layer, inputs(layer))[0].is_inference()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_keep_nothing(copied: Callable[[conveyor.LSTM], conveyor.LSTM]) -> None:
    layer = copied(lstm())
    assert not kept(layer)
    assert_right(layer, inputs(layer))


def test_ever_other_shapes_do_not_fill_memory() -> None:
    layer = lstm()
    for steps in range(1, 200):
        run(layer, torch.randn(steps, 1, INPUTS))
    assert len(kept(layer)) <= 64


def test_steps() -> None:
    layer = lstm(num_layers=2)
    x = inputs(layer)
    with torch.no_grad():
        output, states = layer(x)
        state, outputs = None, []
        for now in x:
            one, state = layer.step(now, state)
            outputs.append(one)
    torch.testing.assert_close(torch.stack(outputs), output)
    torch.testing.assert_close(state, states)


def test_from_zeros_and_from_a_state_in_turn() -> None:
    layer = lstm()
    x = inputs(layer)
    state = tuple(torch.randn(1, B, UNITS) for _ in range(2))
    for given in ((x,), (x, state), (x,), (x, state)):
        assert_right(layer, *given)


def test_dropout_in_training_and_none_in_evaluation_in_turn() -> None:
    """Without gradients in both: what was kept in evaluation is not run in training."""
    layer = lstm(num_layers=2, dropout=0.5).eval()
    x = inputs(layer)
    want = run(layer, x)[0]
    for _ in range(2):
        layer.train()
        assert not torch.equal(run(layer, x)[0], want)
        layer.eval()
        assert torch.equal(run(layer, x)[0], want)
    assert any(each is not None for each in kept(layer))


def test_masks_are_drawn_without_gradients_too() -> None:
    """Also after a call in evaluation, which is kept and draws nothing."""
    for options in ({"variational_dropout": 0.5}, {"zoneout": 0.5}, {"weight_dropout": 0.5}):
        layer = conveyor.Recurrent("lstm", INPUTS, UNITS, **options).eval()  # type: ignore[arg-type]
        x = torch.randn(T, B, INPUTS)
        with torch.no_grad():
            want = layer(x)[0]
            assert torch.equal(layer(x)[0], want)
            layer.train()
            first, second = layer(x)[0], layer(x)[0]
            assert not torch.equal(first, second), options
            layer.eval()
            assert torch.equal(layer(x)[0], want)


def test_sizes_that_are_symbols_are_recorded_as_numbers() -> None:
    layer = lstm()
    x = inputs(layer)
    traced = make_fx(
        lambda given: layer(given)[0], tracing_mode="symbolic", _allow_non_fake_inputs=True
    )(x)
    torch.testing.assert_close(traced(x), layer(x)[0])
