"""Layers on a GPU: what they compute there is what they compute on the CPU.

torch's own kernels run what is torch's, the reference target all other cells. The judge is the CPU,
whose own judges are elsewhere.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import conveyor
from conveyor.cells import (
    CELLS,
    Bias,
    Blocks,
    Constant,
    Input,
    Matrix,
    State,
    Step,
    Value,
    cell,
    normalise,
    softmax,
    tanh,
)
from tests.kinds import WITNESSES
from tests.layers.named import draw
from tests.layers.test_several_inputs import SIZES, steered
from tests.table import MORE_AXES

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="there is no GPU: torch.cuda.is_available() is False"
)

GPU = "cuda"
T, B, INPUTS, H = 7, 4, 3, 5
LENGTHS = [7, 2, 0, 5]
# Float64: the same sums in another order.
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-11}
# Float32 over seven steps, exact products: TF32 is off, as torch has it.
CLOSE32: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}

WAYS: dict[str, dict[str, Any]] = {
    "dense": {},
    "lengths": {"lengths": LENGTHS},
    "reset": {"reset": torch.rand(T, B, generator=torch.Generator().manual_seed(2)) < 0.3},
}


@pytest.fixture(autouse=True)
def exact_products() -> Iterator[None]:
    """cuDNN computes float32 with TF32 unless it is told not to."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def make(name: str, **options: Any) -> conveyor.Recurrent:
    """A layer in float64 with random numbers everywhere."""
    sizes = dict.fromkeys(MORE_AXES[name], 4)
    layer = conveyor.Recurrent(name, INPUTS, H, 2, sizes=sizes, dtype=torch.float64, **options)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=seed) / parameter.shape[-1] ** 0.5)
    return layer


def run(layer: nn.Module, x: Any, **options: Any) -> list[Tensor]:
    """Outputs, states and all gradients, on the CPU."""
    output, state = layer(x, **options)
    states = state if isinstance(state, tuple) else (state,)
    results = [*(output if isinstance(output, tuple) else (output,)), *states]
    weights = [draw(*values.shape, seed=n) for n, values in enumerate(results)]
    terms = [
        (values * weight.to(values.device, values.dtype)).sum()
        for values, weight in zip(results, weights, strict=True)
    ]
    inputs = list(x.values()) if isinstance(x, dict) else [x]
    gradients = torch.autograd.grad(
        torch.stack(terms).sum(), [*inputs, *layer.parameters()], allow_unused=True
    )
    return [values.detach().cpu() for values in (*results, *gradients) if values is not None]


def on_gpu(values: Any) -> Any:
    """The same, on the GPU; lists of lengths stay lists."""
    if isinstance(values, dict):
        return {name: on_gpu(value) for name, value in values.items()}
    if isinstance(values, Tensor):
        return values.detach().to(GPU).requires_grad_(values.requires_grad)
    return values


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", WITNESSES)
def test_every_kind_of_cell(name: str, way: str) -> None:
    layer, x = make(name, bidirectional=True), draw(T, B, INPUTS, seed=50).requires_grad_()
    want = run(layer, x, **WAYS[way])
    got = run(layer.to(GPU), on_gpu(x), **on_gpu(WAYS[way]))
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_which_target_runs_there() -> None:
    x = torch.randn(T, B, INPUTS, device=GPU)
    assert "target: native" in conveyor.LSTM(INPUTS, H, device=GPU).explain(x)
    peephole = conveyor.Recurrent("lstm_peephole", INPUTS, H, device=GPU)
    assert "target: reference" in peephole.explain(x)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_drop_in_layers_are_those_of_torch(name: str) -> None:
    torch.manual_seed(0)
    theirs = getattr(nn, name)(INPUTS, H, 2, bidirectional=True, device=GPU)
    ours = getattr(conveyor, name)(INPUTS, H, 2, bidirectional=True, device=GPU)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(T, B, INPUTS, device=GPU, requires_grad=True)
    for one, other in zip(run(ours, x), run(theirs, x), strict=True):
        torch.testing.assert_close(one, other, **CLOSE32)
    packed = pack_padded_sequence(x, torch.tensor([7, 5, 4, 1]))
    got, want = ours(packed)[0], theirs(packed)[0]
    torch.testing.assert_close(got.data, want.data, **CLOSE32)
    ragged = ours(x, lengths=[7, 5, 4, 1])[0]
    torch.testing.assert_close(ragged, nn.utils.rnn.pad_packed_sequence(want)[0], **CLOSE32)


@pytest.mark.parametrize("way", WAYS)
def test_several_inputs(way: str) -> None:
    layer = conveyor.Recurrent(steered, SIZES, H, 2, dtype=torch.float64)
    given = {
        name: draw(T, B, width, seed=number).requires_grad_()
        for number, (name, width) in enumerate(SIZES.items())
    }
    want = run(layer, given, **WAYS[way])
    got = run(layer.to(GPU), on_gpu(given), **on_gpu(WAYS[way]))
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize("name", ["lstm", "lstm_peephole", "qrnn_fo", "grid_lstm"])
def test_steps_checkpointing_and_traces(name: str) -> None:
    layer, x = make(name).to(GPU), on_gpu(draw(T, B, INPUTS, seed=50))
    whole, final = layer(x)
    state: Any = None
    for t in range(T):
        output, state = layer.step(x[t], state)
        torch.testing.assert_close(output, whole[t], **CLOSE)
    torch.testing.assert_close(tuple(state), tuple(final), **CLOSE)
    traced, _, trace = layer(x, trace=True)
    torch.testing.assert_close(traced, whole, **CLOSE)
    assert trace.at(1)["h"].device.type == GPU
    results = []
    for checkpoint in (False, 2):
        layer.checkpoint = checkpoint
        results.append(run(layer, x.requires_grad_()))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize(
    "options",
    [
        {"zoneout": 0.3},
        {"variational_dropout": 0.5},
        {"weight_dropout": 0.3},
        {"clip": {"h": 0.1}},
        {"learn_start": True},
    ],
    ids=str,
)
def test_regularisers_draw_on_the_gpu(options: dict[str, Any]) -> None:
    layer = make("lstm_peephole", bidirectional=True, **options).to(GPU)
    x = on_gpu(draw(T, B, INPUTS, seed=50).requires_grad_())
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(run(layer, x, lengths=LENGTHS))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
    assert all(values.isfinite().all() for values in results[0])
    layer.eval()
    assert layer(x)[0].device.type == GPU


def test_types_that_only_a_gpu_is_good_at() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        for name in ("lstm", "lstm_peephole"):
            layer = conveyor.Recurrent(name, INPUTS, H, device=GPU, dtype=dtype)
            x = torch.randn(T, B, INPUTS, device=GPU, dtype=dtype)
            assert layer(x)[0].dtype == dtype
    mixed = conveyor.LSTM(INPUTS, H, device=GPU)
    with torch.autocast(GPU):
        output, _ = mixed(torch.randn(T, B, INPUTS, device=GPU))
    assert output.isfinite().all()


def test_what_only_a_cpu_has_says_so() -> None:
    layer = conveyor.LSTM(INPUTS, H, device=GPU)
    for asked in (layer.stream, layer.numpy):
        with pytest.raises(conveyor.errors.TargetError, match="has no s"):
            asked()
    with pytest.raises(conveyor.errors.ShapeError, match="expected cuda"):
        layer(torch.randn(T, B, INPUTS))


def test_saved_from_the_gpu(tmp_path: Path) -> None:
    layer, x = make("lstm_peephole").to(GPU), draw(T, B, INPUTS, seed=50)
    want = layer(x.to(GPU))[0].detach().cpu()
    conveyor.save(layer, tmp_path / "net")
    torch.testing.assert_close(conveyor.load(tmp_path / "net")(x)[0].detach(), want, **CLOSE)


def test_compiled_on_the_gpu() -> None:
    layer, x = make("lstm_peephole").to(GPU), on_gpu(draw(T, B, INPUTS, seed=50))
    compiled = torch.compile(layer, backend="aot_eager")
    torch.testing.assert_close(compiled(x)[0], layer(x)[0], **CLOSE)


def test_every_cell_is_on_the_gpu_at_once() -> None:
    """One call of each built-in cell, so that none is left out for being of a known kind."""
    for name in CELLS:
        layer, x = make(name), draw(T, B, INPUTS, seed=50)
        want = layer(x)[0].detach()
        got = layer.to(GPU)(x.to(GPU))[0].detach().cpu()
        torch.testing.assert_close(got, want, **CLOSE)


@cell(start={"rate": (0.1, 0.9)})
def with_words(  # noqa: PLR0917  (the letters of its equations)
    x: Input,
    t: Step,
    h: State,
    W: Matrix,
    U: Matrix,
    rate: Constant,
    b: Bias,
) -> Value:
    """A leaky unit with attention over its own units, normalised, which knows the time."""
    a = softmax(W.a @ x + U.a @ h + b.a)
    n = normalise(W.n @ x + U.n @ h + t * b.t + b.n)
    h = (1 - rate) * h + rate * tanh(a * n)
    return h  # noqa: RET504  (the state's new value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dilation", [1, (1, 3)])
def test_words_constants_and_dilation(way: str, dilation: Any) -> None:
    layer = conveyor.Recurrent(with_words, INPUTS, H, 2, dilation=dilation, dtype=torch.float64)
    x = draw(T, B, INPUTS, seed=50).requires_grad_()
    want = run(layer, x, **WAYS[way])
    got = run(layer.to(GPU), on_gpu(x), **on_gpu(WAYS[way]))
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["lstm", "slstm", "qrnn_fo"])
def test_gradients_by_the_trace(name: str, way: str) -> None:
    """At the values of a trace arrives on the GPU what arrives there on the CPU."""
    torch.manual_seed(0)
    layer = conveyor.Recurrent(name, INPUTS, H, num_layers=2, dtype=torch.float64)
    x, upstream = draw(T, B, INPUTS, seed=1), draw(T, B, H, seed=2)
    results = []
    for device in ("cpu", GPU):
        there = layer.to(device)
        given = {
            key: each.to(device) if isinstance(each, Tensor) else each
            for key, each in WAYS[way].items()
        }
        output, _, traced = there(x.to(device), trace="gradient", **given)
        names = [key for key, each in traced.at(0).items() if each.requires_grad]
        tensors = [traced.at(0)[key] for key in names]
        loss = (output * upstream.to(device)).sum()
        gradients = torch.autograd.grad(loss, tensors, materialize_grads=True)
        results.append(dict(zip(names, [each.cpu() for each in gradients], strict=True)))
    assert results[0].keys() == results[1].keys()
    for key, each in results[0].items():
        torch.testing.assert_close(results[1][key], each, **CLOSE)


def test_dropped_numbers_of_a_traced_call() -> None:
    """A call with a trace draws on the GPU what one without draws."""
    layer = conveyor.Recurrent("lstm", INPUTS, H, num_layers=2, dropout=0.5, zoneout=0.3).to(GPU)
    x, results = draw(T, B, INPUTS, seed=1).float().to(GPU), []
    for traces in (False, "gradient"):
        torch.manual_seed(3)
        results.append(layer(x, trace=traces)[0])
    torch.testing.assert_close(results[0], results[1], **CLOSE32)


@pytest.mark.parametrize("name", ["lstm", "lstm_projected", "gru", "rnn"])
def test_without_biases(name: str) -> None:
    """cuDNN wants room for biases that are not there; torch warns where it does not find it."""
    layer = make(name, bias=False)
    x = draw(T, B, INPUTS, seed=1).requires_grad_()
    want = run(layer, x)
    with conveyor.use_target("native"):
        got = run(layer.to(GPU), on_gpu(x))
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_drop_in_layers_without_biases(kind: str) -> None:
    layer = getattr(conveyor, kind)(INPUTS, H, num_layers=2, bias=False, dtype=torch.float64)
    x = draw(T, B, INPUTS, seed=1)
    want = layer(x)[0]
    torch.testing.assert_close(layer.to(GPU)(x.to(GPU))[0].cpu(), want, **CLOSE)


def test_matrices_of_blocks() -> None:
    @cell
    def heads(x: Input, h: State, W: Matrix, U: Annotated[Matrix, Blocks("N")]) -> Value:
        return tanh(W @ x + U @ h)

    layer = conveyor.Recurrent(heads, INPUTS, 6, sizes={"N": 3}, dtype=torch.float64)
    x = draw(T, B, INPUTS, seed=1)
    results = []
    for device in ("cpu", GPU):
        there = layer.to(device)
        output, _ = there(x.to(device))
        (gradient,) = torch.autograd.grad((output**2).sum(), [there.get_parameter("l0.U")])
        results.append((output.cpu(), gradient.cpu()))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(other, one, **CLOSE)
