# ruff: noqa: RET504  (cells are written as equations: h = ...; return h)
"""Gradients to any order, and the rest of torch: copies, compilation, torch.func, threads."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

import conveyor
from conveyor.cells import Bias, Input, Matrix, State, Value, cell, tanh
from tests import table
from tests.kinds import LAW_CASES, LAW_CELLS, LONG, REFERENCE_WITNESSES, every_law_case
from tests.layers.named import assert_equal, assert_same, draw, leaf, run

every_kind = every_law_case()

# Tiny, so that differences in every direction stay cheap. No two widths are equal.
TINY = [table.Case(case.cell, 3, 2, 1, 3, dict.fromkeys(case.sizes, 2)) for case in table.MIDDLING]
every_tiny_kind = every_law_case(case for case in TINY if case.cell in LAW_CELLS)
# Gradients of gradients are the reference target's on every target.
every_tiny_reference_kind = every_law_case(
    case for case in TINY if LONG or case.cell in REFERENCE_WITNESSES
)

# torch says so of its own use of it, where it differentiates forwards and where it compiles.
deprecated_in_torch = pytest.mark.filterwarnings(r"ignore:`torch.jit.script:DeprecationWarning")

CLOSE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-13}  # float64, sums in another order


def leaves(case: table.Case, layer: conveyor.Recurrent, steps: int = 3) -> dict[str, Tensor]:
    """The input, the start state and the parameters, that gradients arrive at."""
    x = draw(steps, case.batch, case.input, seed=1)
    found = {"x": leaf(x)}
    found |= {f"start.{n}": leaf(each) for n, each in enumerate(table.make_state(case, layer))}
    return found | {name: leaf(each) for name, each in layer.named_parameters()}


def function_of(
    layer: nn.Module, given: dict[str, Tensor], **kwargs: Any
) -> Callable[..., tuple[Tensor, ...]]:
    """The layer as a function of those leaves, for torch's checks."""

    def outputs(*values: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(given, values, strict=True))
        x = named.pop("x")
        state = [named.pop(name) for name in given if name.startswith("start.")]
        output, final = functional_call(layer, named, (x, state or None), kwargs)
        return (output, final) if isinstance(final, Tensor) else (output, *final)

    return outputs


# torch's own tolerances for float64: differences of steps of 1e-6, so errors of about 1e-10 of
# the third derivative, and of 2e-16 / 1e-6 of rounding.
@deprecated_in_torch
@every_tiny_kind
def test_gradients_agree_with_differences(case: table.Case) -> None:
    layer = table.make_layer(case)
    given = leaves(case, layer)
    assert torch.autograd.gradcheck(
        function_of(layer, given),
        tuple(given.values()),
        check_forward_ad=True,
        check_batched_grad=True,
        # Every gradient is compared with every direction's differences in tests/compiler; here in
        # random directions, and in each of a few cells'.
        fast_mode=not LONG and case.cell not in REFERENCE_WITNESSES,
    )


@every_tiny_reference_kind
def test_second_gradients_agree_with_differences(case: table.Case) -> None:
    layer = table.make_layer(case)
    given = leaves(case, layer, steps=2)
    assert torch.autograd.gradgradcheck(
        function_of(layer, given),
        tuple(given.values()),
        # In every direction those of one kind, of the others in random ones.
        fast_mode=not LONG and case.cell != REFERENCE_WITNESSES[0],
    )


@deprecated_in_torch
@every_tiny_reference_kind
def test_gradients_agree_with_differences_with_lengths_and_resets(case: table.Case) -> None:
    layer = table.make_layer(case, bidirectional=True)
    given = leaves(case, layer)
    anew = torch.zeros(3, 2, dtype=torch.bool)
    anew[1, 1] = True
    outputs = function_of(layer, given, lengths=[2, 3], reset=anew)
    # In random directions instead of every one: both directions have parameters.
    inputs = tuple(given.values())
    assert torch.autograd.gradcheck(outputs, inputs, fast_mode=True, check_forward_ad=True)
    # Second gradients of other kinds are checked above: here it is where they arrive that counts.
    if LONG or case.cell == REFERENCE_WITNESSES[0]:
        assert torch.autograd.gradgradcheck(outputs, inputs, fast_mode=True)


DROP_IN: dict[str, Callable[[], nn.Module]] = {
    "RNN": lambda: conveyor.RNN(1, 3, dtype=torch.float64),
    "LSTM": lambda: conveyor.LSTM(1, 3, proj_size=2, dtype=torch.float64),
    "GRU": lambda: conveyor.GRU(1, 3, bidirectional=True, dtype=torch.float64),
}


@pytest.mark.parametrize("checkpoint", [False, 2])
@pytest.mark.parametrize("trace", [False, "gradient"])
def test_second_gradients_where_the_start_state_is_made_of_the_input(
    checkpoint: int, trace: Any
) -> None:
    """The state hands its gradient on by itself; the input's must not hold it, too."""
    layer = conveyor.Recurrent("lstm", 3, 3, dtype=torch.float64, checkpoint=checkpoint)
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)

    def gradient(create_graph: bool) -> Tensor:
        start = x[:1] * 2
        output, _, *seen = layer(x, (start, start * start), trace=trace)
        loss = (output**2).sum() + sum((each["f"] ** 2).sum() for each in seen)
        (found,) = torch.autograd.grad(loss, x, create_graph=create_graph)
        return found

    torch.testing.assert_close(gradient(create_graph=True), gradient(create_graph=False))


@pytest.mark.parametrize("make", DROP_IN.values(), ids=DROP_IN)
def test_gradients_of_the_layers_named_as_torchs(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    layer = make()
    given = {"x": leaf(draw(3, 2, 1)), **{n: leaf(p) for n, p in layer.named_parameters()}}
    inputs = tuple(given.values())
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(function_of(layer, given), inputs, fast_mode=True)
    packed = nn.utils.rnn.pack_sequence([draw(1, 1), draw(3, 1)], enforce_sorted=False)

    def of_packed(data: Tensor) -> Tensor:
        output, _ = layer(nn.utils.rnn.PackedSequence(data, *packed[1:]))
        values: Tensor = output.data
        return values

    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(of_packed, (leaf(packed.data),))


@every_kind
def test_gradients_in_eval_mode(case: table.Case) -> None:
    layer = table.make_layer(case, num_layers=2, dropout=0.5)
    without = table.make_layer(case, num_layers=2)
    x = table.make_input(case)
    assert_equal(run(layer.eval(), x), run(without, x))


def test_no_gradients_where_none_are_wanted() -> None:
    layer = conveyor.Recurrent("lstm", 2, 3, dtype=torch.float64)
    x = draw(4, 3, 2)
    want, _ = layer(x)
    with torch.inference_mode():
        output, _ = layer(x)
        assert output.is_inference()
    with torch.no_grad():
        again, _ = layer(x)
        assert not again.requires_grad
    assert torch.equal(output, want)
    assert torch.equal(again, want)
    layer(x)[0].sum().backward()  # and nothing of the above is in the way


def test_checkpointing() -> None:
    layer = conveyor.Recurrent("gru", 2, 3, num_layers=2, dtype=torch.float64)
    x = leaf(draw(4, 3, 2))
    (want,) = torch.autograd.grad(layer(x)[0].sum(), x)
    output, _ = checkpoint(layer, x, use_reentrant=False)
    (got,) = torch.autograd.grad(output.sum(), x)
    torch.testing.assert_close(got, want, **CLOSE)


# Autocast ----------------------------------------------------------------------------------------


DIVIDE = {"lstm_layer_norm", "gru_layer_norm", "slstm"}


# Autocast changes the reference target alone. Those that divide are less exact.
AUTOCAST = [
    (case, bias)
    for case in LAW_CASES
    for bias in (True, False)
    if LONG or case.cell in REFERENCE_WITNESSES or (case.cell == "lstm_layer_norm" and bias)
]


@pytest.mark.parametrize(
    ("case", "bias"),
    AUTOCAST,
    ids=[f"{case.cell}-{'bias' if bias else 'no-bias'}" for case, bias in AUTOCAST],
)
def test_autocast(case: table.Case, bias: bool) -> None:
    layer = table.make_layer(case, torch.float32, num_layers=2, bidirectional=True, bias=bias)
    x, state = table.make_input(case, torch.float32), table.make_state(case, layer)
    want = run(layer, x, state)
    anew = torch.zeros(7, 3, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        # Machine code computes in the type of the weights, autocast or not.
        assert_same(run(layer, x, state), want, rtol=0, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16), conveyor.use_target("reference"):
        got = run(layer, x, state)
        assert layer(x.bfloat16())[0].isfinite().all()
        assert layer(x, state, lengths=[3, 0, 7], reset=anew, trace=True)[0].isfinite().all()
    assert not torch.equal(got["output"].float(), want["output"])
    for name, right in want.items():
        # bfloat16 rounds to 1/256 of a number. Seen: 2 of these units in outputs, 5 in gradients,
        # which have rounded twice as often; allowed about twice that.
        # Six times that where a cell divides by what it computed (seen: five).
        error = (got[name].float() - right).abs().max() / right.abs().max()
        most = (12 if name.startswith("gradient") else 5) * (6 if case.cell in DIVIDE else 1)
        assert error < most / 256, f"{name}: {error}"


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_autocast_of_the_layers_named_as_torchs(name: str) -> None:
    torch.manual_seed(0)
    layer = getattr(conveyor, name)(2, 3, num_layers=2)
    x = draw(7, 3, 2, dtype=torch.float32)
    want = layer(x)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for given in (x, x.bfloat16()):
            got = layer(given)[0]
            # As above, of outputs that are below 1.
            torch.testing.assert_close(got.float(), want, rtol=0, atol=5 / 256)
            got.float().sum().backward()


def test_autocast_of_a_state_that_is_of_its_type() -> None:
    """As what other modules make of a sequence is, from which a layer shall begin."""
    layer = conveyor.LSTM(2, 3)
    x = draw(7, 3, 2, dtype=torch.float32)
    state = tuple(draw(1, 3, 3, seed=seed).bfloat16() for seed in (1, 2))
    want = layer(x, tuple(each.float() for each in state))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, (h, c) = layer(x, state)
    for got, right in zip((output, h, c), (want[0], *want[1]), strict=True):
        assert torch.equal(got, right)


# Copies ------------------------------------------------------------------------------------------


def layers() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    options: Any = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
    return {
        "Recurrent": conveyor.Recurrent("lstm", 2, 3, **options),
        "Recurrent projected": conveyor.Recurrent(
            "lstm_projected", 2, 3, sizes={"P": 4}, **options
        ),
        "RNN": conveyor.RNN(2, 3, nonlinearity="relu", **options),
        "LSTM": conveyor.LSTM(2, 3, proj_size=2, **options),
        "GRU": conveyor.GRU(2, 3, bias=False, **options),
    }


every_layer = pytest.mark.parametrize("layer", layers().values(), ids=layers())
# For what torch compiles, a second for each: one of ours, and one that is named as torch's.
COMPILED = tuple(layers()) if LONG else ("Recurrent", "LSTM")

COPIES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "oldest pickle": lambda layer: pickle.loads(pickle.dumps(layer, protocol=2)),
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@every_layer
def test_copies_compute_the_same_and_are_apart(
    layer: nn.Module, duplicate: Callable[[nn.Module], nn.Module]
) -> None:
    x = draw(4, 3, 2)
    for _ in range(2):  # a fresh layer, and one that has run
        other = duplicate(layer)
        assert repr(other) == repr(layer)
        assert_equal(run(other, x), run(layer, x))
    mine, others = dict(layer.named_parameters()), dict(other.named_parameters())
    for name, each in others.items():
        assert each.data_ptr() != mine[name].data_ptr(), name
    with torch.no_grad():
        next(iter(others.values())).add_(1)
    assert not torch.equal(other(x)[0], layer(x)[0])


@every_layer
def test_saved_whole_by_torch(layer: nn.Module, tmp_path: Path) -> None:
    x = draw(4, 3, 2)
    layer(x)
    torch.save(layer, tmp_path / "layer.pt")
    other = torch.load(tmp_path / "layer.pt", weights_only=False)
    assert_equal(run(other, x), run(layer, x))


@every_layer
def test_state_dicts_go_around(layer: nn.Module, tmp_path: Path) -> None:
    torch.save(layer.state_dict(), tmp_path / "state.pt")
    stored = torch.load(tmp_path / "state.pt", weights_only=True)
    other = copy.deepcopy(layer)
    with torch.no_grad():
        for each in other.parameters():
            each.zero_()
    other.load_state_dict(stored, strict=True)
    assert_equal(run(other, draw(4, 3, 2)), run(layer, draw(4, 3, 2)))
    first = next(iter(stored))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({name: each for name, each in stored.items() if name != first})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        other.load_state_dict({**stored, "l9.W.f": stored[first]})
    with pytest.raises(RuntimeError, match="size mismatch"):
        other.load_state_dict({**stored, first: torch.zeros(1, 1)})


def test_states_are_copied_with_their_type() -> None:
    layer = conveyor.Recurrent("lstm", 2, 3)
    state = layer.start(4)
    for other in (copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        assert type(other) is type(state)
        assert other._fields == ("h", "c")
        assert torch.equal(other.h, state.h)


@cell(source="this test")
def own(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """A user's own cell, that no other process knows."""
    h = tanh(W @ x + 0.5 * (U @ h) + b)
    return h


def test_a_users_cell_is_unpickled_where_its_function_does_not_exist(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent(own, 2, 3, num_layers=2, dtype=torch.float64)
    x = draw(4, 3, 2)
    output, state = layer(x)
    stored = (layer, type(state)(*(each.detach() for each in state)), x, output.detach())
    (tmp_path / "layer.pickle").write_bytes(pickle.dumps(stored))
    script = """
import pickle, sys, torch
torch.set_num_threads(1)
layer, state, x, output = pickle.load(open("layer.pickle", "rb"))
assert not [name for name in sys.modules if name.split(".")[0] == "tests"]
assert torch.equal(layer(x)[0], output)
assert state._fields == ("h",) and layer.program.name == "own"
layer(x, state)[0].sum().backward()
print("the same", type(state) is type(layer.start(3)))
"""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "the same True"


# Compilation -------------------------------------------------------------------------------------


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Regression(nn.Module):
    """A layer with something around it that is worth compiling."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(6, 1, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.layer(torch.sin(x) * 2)
        result: Tensor = self.head(torch.relu(output) + 1)
        return result


def _results(model: Callable[[Tensor], Tensor], source: nn.Module, x: Tensor) -> dict[str, Tensor]:
    source.zero_grad()
    output = model(x)
    torch.autograd.backward(output.sum())
    found = {"output": output.detach()}
    for name, each in source.named_parameters():
        assert each.grad is not None, name
        found[name] = each.grad.clone()
    return found


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_for_nothing_but_python(name: str) -> None:
    layer = layers()[name]
    x = draw(4, 3, 2)
    want = run(layer, x)
    compiled = torch.compile(layer, backend="eager")
    for _ in range(2):
        output, _ = compiled(x)
        torch.testing.assert_close(output, want["output"], **CLOSE)
    # Another length, other keywords: compiled again or not, right.
    output, _ = compiled(draw(6, 3, 2), lengths=[6, 1, 0])
    torch.testing.assert_close(output, layer(draw(6, 3, 2), lengths=[6, 1, 0])[0], **CLOSE)


# After a graph break dynamo looks at .grad of what is no leaf; torch.nn.LSTM breaks as well.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@deprecated_in_torch
@pytest.mark.usefixtures("fresh_compiler")
def test_compiled_by_inductor() -> None:
    model = Regression(layers()["Recurrent"])
    x = draw(4, 3, 2)
    want = _results(model, model, x)
    # Without asking the compiler what this processor's vectors can: programs of their own.
    with torch._inductor.config.patch({"cpp.vec_isa_ok": False}):
        got = _results(torch.compile(model), model, x)
    # Fused loops of float64 round in another order.
    assert_same(got, want, **CLOSE)


# torch.func --------------------------------------------------------------------------------------


@every_layer
def test_functional_call_uses_the_parameters_given(layer: nn.Module) -> None:
    x = draw(4, 3, 2)
    doubled = {name: 2 * each.detach() for name, each in layer.named_parameters()}
    other = copy.deepcopy(layer)
    other.load_state_dict(doubled)
    before = {name: each.clone() for name, each in layer.state_dict().items()}
    output, _ = functional_call(layer, doubled, (x,))
    assert torch.equal(output, other(x)[0])
    assert_equal(layer.state_dict(), before)


@every_layer
def test_gradients_of_each_example(layer: nn.Module) -> None:
    parameters = {name: each.detach() for name, each in layer.named_parameters()}
    examples = draw(5, 4, 2)  # five sequences of four steps

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        output, final = functional_call(layer, parameters, (x,))
        ends = [final] if isinstance(final, Tensor) else list(final)
        total: Tensor = output.square().sum() + sum(each.sum() for each in ends)
        return total

    def batched_loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return loss(parameters, x.unsqueeze(1))

    want = [grad(loss)(parameters, x) for x in examples]
    for one in (loss, batched_loss):
        got = vmap(grad(one), (None, 0))(parameters, examples)
        for number, each in enumerate(want):
            assert_same({name: g[number] for name, g in got.items()}, each, **CLOSE)


def test_a_batch_of_layers() -> None:
    models = [layers()["Recurrent"] for _ in range(3)]
    for number, model in enumerate(models):
        with torch.no_grad():
            for each in model.parameters():
                each.mul_(number + 1)
    parameters, buffers = torch.func.stack_module_state(models)
    x = draw(4, 3, 2)
    got = vmap(lambda p, b: functional_call(models[0], (p, b), (x,))[0])(parameters, buffers)
    for number, model in enumerate(models):
        torch.testing.assert_close(got[number], model(x)[0], **CLOSE)


# Threads -----------------------------------------------------------------------------------------


@every_layer
def test_several_threads_at_once(layer: nn.Module) -> None:
    layer = copy.deepcopy(layer)  # a layer that has not run, so that threads meet its first call
    inputs = [draw(12, 3, 2, seed=seed) for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda x: run(layer, x, lengths=[12, 5, 0]), inputs))
    for got, x in zip(found, inputs, strict=True):
        assert_equal(got, run(layer, x, lengths=[12, 5, 0]))


# Names -------------------------------------------------------------------------------------------


def test_parameters_are_named_by_layer_letter_and_gate() -> None:
    layer = conveyor.Recurrent("lstm", 2, 3, num_layers=2, bidirectional=True)
    one = [f"{letter}.{gate}" for letter in "WUb" for gate in "figo"]
    want = [f"{name}.{each}" for name in ("l0", "l0_reverse", "l1", "l1_reverse") for each in one]
    assert [name for name, _ in layer.named_parameters()] == want
    assert list(layer.state_dict()) == want
    assert len(list(layer.parameters())) == len(want)
    assert layer.get_parameter("l0_reverse.U.o").shape == (3, 3)
    assert layer.get_parameter("l1.W.f").shape == (3, 6)


NAMES = {
    "rnn": "W U b",
    "rnn_relu": "W U b",
    "lstm_peephole": "W.f W.i W.g W.o U.f U.i U.g U.o p.f p.i p.o b.f b.i b.g b.o",
    "lstm_coupled": "W.f W.g W.o U.f U.g U.o b.f b.g b.o",
    "lstm_projected": "R W.f W.i W.g W.o U.f U.i U.g U.o b.f b.i b.g b.o",
    "gru": "W.r W.z W.n U.r U.z U.n b.r b.z b.n b.hn",
    "gru_reset_before": "W.r W.z W.n U.r U.z U.n b.r b.z b.n",
}


@pytest.mark.parametrize(("name", "names"), NAMES.items(), ids=NAMES)
def test_the_parameters_of_every_cell(name: str, names: str) -> None:
    layer = conveyor.Recurrent(name, 2, 3, sizes={"P": 2} if name == "lstm_projected" else None)
    assert [key for key, _ in layer.named_parameters()] == [f"l0.{key}" for key in names.split()]
