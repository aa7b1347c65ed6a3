"""Gradients arrive at traced values: those that autograd gives where the loop is unrolled."""

# ruff: noqa: PLR0917  (cells are written as equations: h = ...; return h)

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

import conveyor
from conveyor.cells import (
    CELLS,
    Bias,
    Input,
    Matrix,
    State,
    Value,
    Vector,
    cell,
    greater,
    mean,
    tanh,
)
from conveyor.compiler.first_layer import first_layer
from conveyor.compiler.lower import lowered
from conveyor.compiler.trace import trace
from conveyor.errors import SettingError, TargetError
from conveyor.kernels.reference import evaluate
from tests import table
from tests.kinds import LAW_CELLS
from tests.layers.named import draw, leaf

CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-11}
T, B, I, H = 6, 3, 4, 5  # noqa: E741


def weights(like: Tensor, seed: int) -> Tensor:
    return draw(*like.shape, seed=seed).to(like.dtype)


def loss_of(output: Tensor, final: Any) -> Tensor:
    """A weighted sum of all that a layer gives."""
    total = (output * weights(output, 70)).sum()
    for seed, state in enumerate(final):
        total = total + (state * weights(state, 71 + seed)).sum()
    return total


# Unrolled, step by step ---------------------------------------------------------------------------


def unrolled(
    case: table.Case, layer: conveyor.Recurrent, x: Tensor, start: Any
) -> tuple[Tensor, dict[str, list[Tensor]]]:
    """The loss, and what every local name was at every step: nodes of one graph."""
    program = lowered(first_layer(trace(CELLS[case.cell])))
    parameters = dict(layer.get_submodule("l0").named_parameters())
    axes = {**case.widths, "I": x.shape[-1]}
    state = {name: each[0] for name, each in start._asdict().items()}
    local: dict[str, list[Tensor]] = {name: [] for name in program.values_of("local")}
    outputs = []
    (read,) = [each.name for each in program.leaves_of("input")]
    for x_t in x:
        values: dict[str, Tensor] = {**parameters, read: x_t}
        values |= {f"{name}'": each for name, each in state.items()}
        evaluate(program.operations, values, axes, x_t)
        for name, value in program.values_of("local").items():
            local[name].append(values[value])
        state = {name: values[value] for name, value in program.values_of("state").items()}
        outputs.append(values[next(iter(program.values_of("output").values()))])
    final = [state[name][None] for name in start._asdict()]
    return loss_of(torch.stack(outputs), final), local


@pytest.mark.parametrize(
    ("target", "case"),
    [
        (target, case)
        for target in ("llvm", "reference")
        for case in table.MIDDLING
        # Compiling takes half a second for each cell: that machine code does what the reference
        # does is a law of kinds, tests/kernels/test_llvm.py.
        if target == "reference" or case.cell in LAW_CELLS
    ],
    ids=lambda each: each if isinstance(each, str) else each.cell,
)
def test_gradients_by_every_local_name_are_those_of_the_unrolled_loop(
    target: str, case: table.Case
) -> None:
    layer = table.make_layer(case)
    x, start = table.make_input(case), table.make_state(case, layer)
    want, nodes = unrolled(case, layer, x, start)
    with conveyor.use_target(target):
        output, final, traced = layer(x, start, trace="gradient")
        loss = loss_of(output, final)
        torch.testing.assert_close(loss, want, rtol=1e-11, atol=1e-11)
        names = [name for name in traced if name in nodes]
        assert set(names) == set(nodes)
        got = torch.autograd.grad(
            loss, [traced[name] for name in names], retain_graph=True, materialize_grads=True
        )
        of_parameters = torch.autograd.grad(loss, list(layer.parameters()), allow_unused=True)
    for name, gradient in zip(names, got, strict=True):
        if trace(CELLS[case.cell]).values_of("local")[name].endswith("'"):
            continue  # the state of the step before is one node with the new state of that step
        expected = torch.autograd.grad(
            want, nodes[name], retain_graph=True, allow_unused=True, materialize_grads=True
        )
        torch.testing.assert_close(gradient, torch.stack(expected), **CLOSE)
    expected_parameters = torch.autograd.grad(want, list(layer.parameters()), allow_unused=True)
    for one, other in zip(of_parameters, expected_parameters, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


# By hand ------------------------------------------------------------------------------------------


def an_lstm(**settings: Any) -> conveyor.Recurrent:
    torch.manual_seed(0)
    return conveyor.Recurrent("lstm", I, H, dtype=torch.float64, **settings)


def by_hand(layer: conveyor.Recurrent, x: Tensor, length: int) -> tuple[Tensor, list[Tensor]]:
    """One sequence's outputs [length, H] and cell states, as nodes of one graph."""
    own = dict(layer.get_submodule("l0").named_parameters())
    h, c = x.new_zeros(H), x.new_zeros(H)
    outputs, cells = [], []
    for x_t in x[:length]:
        net = {g: own[f"W.{g}"] @ x_t + own[f"U.{g}"] @ h + own[f"b.{g}"] for g in "ifgo"}
        c = net["f"].sigmoid() * c + net["i"].sigmoid() * net["g"].tanh()
        h = net["o"].sigmoid() * c.tanh()
        outputs.append(h)
        cells.append(c)
    return torch.stack(outputs), cells


@pytest.mark.parametrize("target", ["llvm", "reference"])
@pytest.mark.parametrize("form", ["lengths", "packed", "batch first", "one sequence"])
def test_the_gradient_of_a_cell_state(form: str, target: str) -> None:
    layer = an_lstm(batch_first=form == "batch first")
    x, lengths = draw(T, B, I, seed=1), [T, 2, 4]
    if form in ("batch first", "one sequence"):
        lengths = [T] * B
    given: dict[str, Any] = {}
    read: Any = x
    if form == "lengths":
        given = {"lengths": lengths}
    elif form == "packed":
        read = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    elif form == "batch first":
        read = x.transpose(0, 1)
    elif form == "one sequence":
        read = x[:, 0]
    upstream = draw(T, B, H, seed=2)
    with conveyor.use_target(target):
        output, _, traced = layer(read, trace="gradient", **given)
        if form == "packed":
            output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, total_length=T)
        c = traced["c"]
        c.retain_grad()
        if form == "batch first":
            (output * upstream.transpose(0, 1)).sum().backward()
        else:
            (output * (upstream[:, 0] if form == "one sequence" else upstream)).sum().backward()
    gradient = c.grad
    assert gradient is not None
    assert gradient.shape == c.shape
    if form == "batch first":
        gradient = gradient.transpose(0, 1)
    if form == "one sequence":
        gradient = gradient.unsqueeze(1)
    for b in range(1 if form == "one sequence" else B):
        outputs, cells = by_hand(layer, x[:, b], lengths[b])
        loss = (outputs * upstream[: lengths[b], b]).sum()
        want = torch.autograd.grad(loss, cells)
        torch.testing.assert_close(gradient[: lengths[b], b], torch.stack(want), **CLOSE)
        assert not gradient[lengths[b] :, b].any()


@pytest.mark.parametrize("target", ["llvm", "reference"])
def test_a_gradient_goes_back_to_the_last_reset(target: str) -> None:
    layer, x = an_lstm(), draw(T, 1, I, seed=1)
    reset = torch.zeros(T, 1, dtype=torch.bool)
    reset[3] = True
    with conveyor.use_target(target):
        output, _, traced = layer(x, reset=reset, trace="gradient")
        (gradient,) = torch.autograd.grad(output[-1].sum(), [traced["c"]])
    outputs, cells = by_hand(layer, x[3:, 0], 3)
    want = torch.autograd.grad(outputs[-1].sum(), cells)
    torch.testing.assert_close(gradient[3:, 0], torch.stack(want), **CLOSE)
    assert not gradient[:3].any()


@pytest.mark.parametrize("target", ["llvm", "reference"])
def test_layers_and_directions(target: str) -> None:
    """Gradients by h of a layer are what the layer above gives as gradient of its input."""
    layer = an_lstm(num_layers=2, bidirectional=True)
    x = draw(T, B, I, seed=1)
    upper = conveyor.Recurrent("lstm", 2 * H, H, bidirectional=True, dtype=torch.float64)
    names = {"l0": "l1", "l0_reverse": "l1_reverse"}
    upper.load_state_dict(
        {
            name: layer.get_parameter(name.replace(name.split(".")[0], names[name.split(".")[0]]))
            for name, _ in upper.named_parameters()
        }
    )
    with conveyor.use_target(target):
        output, _, traced = layer(x, trace="gradient")
        upstream = draw(*output.shape, seed=2)
        hs = [traced.at(0)["h"], traced.at(0, reverse=True)["h"]]
        loss = (output * upstream).sum()
        got = torch.autograd.grad(loss, [*hs, traced.at(1)["h"]], retain_graph=True)
        between = leaf(torch.cat([each.detach() for each in hs], -1))
        above, _ = upper(between)
        (want,) = torch.autograd.grad((above * upstream).sum(), [between])
    # Of h: what goes up, and what goes on in time, so they agree at the last step of a direction.
    torch.testing.assert_close(got[0][-1], want[-1, :, :H], **CLOSE)
    torch.testing.assert_close(got[1][0], want[0, :, H:], **CLOSE)
    torch.testing.assert_close(got[2][-1], upstream[-1, :, :H], **CLOSE)


# What stays as it was -----------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["llvm", "reference"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_layers": 2, "dropout": 0.5, "zoneout": 0.2, "variational_dropout": 0.3},
        {"num_layers": 2, "weight_dropout": 0.4, "recurrent_dropout": {"g": 0.3}},
        {"learn_start": True, "dilation": 2},
    ],
    ids=lambda settings: "-".join(settings) or "plain",
)
def test_a_trace_changes_no_output_and_no_gradient(settings: dict[str, Any], target: str) -> None:
    layer, x = an_lstm(**settings), draw(T, B, I, seed=1)
    reset = None if "dilation" in settings else draw(T, B, seed=4) > 0.5
    results, after = [], []
    with conveyor.use_target(target):
        for traces in (False, "gradient"):
            torch.manual_seed(3)
            read = leaf(x)
            output, final, *_ = layer(read, reset=reset, trace=traces)
            loss = loss_of(output, final)
            results.append([output, *torch.autograd.grad(loss, [read, *layer.parameters()])])
            after.append(torch.rand(3))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
    assert torch.equal(*after)  # as many numbers were drawn


def test_without_gradients_nothing_is_run_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = an_lstm(), draw(T, B, I, seed=1)
    monkeypatch.setattr("conveyor.layers.traced_call.traced_tensors", None)
    with torch.no_grad():
        _, _, traced = layer(x, trace="gradient")
    assert not traced["c"].requires_grad
    layer.requires_grad_(False)
    assert not layer(x, trace="gradient")[2]["c"].requires_grad


# A loss that reads the trace ----------------------------------------------------------------------


@pytest.mark.parametrize("target", ["llvm", "reference"])
def test_a_loss_of_the_trace_and_the_output(target: str) -> None:
    """Gradients of parameters are those of both shares, one after the other or together."""
    layer, x = an_lstm(num_layers=2), draw(T, B, I, seed=1)

    def shares(traced: Any, output: Tensor) -> tuple[Tensor, Tensor]:
        gate = traced.at(0)["f"]
        return (gate**2).sum(), (output * weights(output, 70)).sum()

    with conveyor.use_target(target):
        read = leaf(x)
        output, _, traced = layer(read, trace="gradient")
        of_trace, of_output = shares(traced, output)
        sources = [read, *layer.parameters()]
        together = torch.autograd.grad(of_trace + of_output, sources, retain_graph=True)
        alone = torch.autograd.grad(of_output, sources, retain_graph=True)
        trace_alone = torch.autograd.grad(
            of_trace, sources, retain_graph=True, materialize_grads=True
        )
        again = torch.autograd.grad(of_trace + of_output, sources)
    outputs, gates = unrolled_two_layers(layer, read)
    loss = (outputs * weights(outputs, 70)).sum()
    want = torch.autograd.grad((gates**2).sum() + loss, sources)
    for number, each in enumerate(want):
        torch.testing.assert_close(together[number], each, **CLOSE)
        torch.testing.assert_close(again[number], each, **CLOSE)
        torch.testing.assert_close(alone[number] + trace_alone[number], each, **CLOSE)


def unrolled_two_layers(layer: conveyor.Recurrent, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs of the upper layer and forget gates of the lower one, [T, B, H]."""
    reads, gates = list(x), []
    for number in range(2):
        own = dict(layer.get_submodule(f"l{number}").named_parameters())
        h = c = x.new_zeros(B, H)
        outputs = []
        for x_t in reads:
            net = {g: x_t @ own[f"W.{g}"].T + h @ own[f"U.{g}"].T + own[f"b.{g}"] for g in "ifgo"}
            f = net["f"].sigmoid()
            c = f * c + net["i"].sigmoid() * net["g"].tanh()
            h = net["o"].sigmoid() * c.tanh()
            outputs.append(h)
            if number == 0:
                gates.append(f)
        reads = outputs
    return torch.stack(reads), torch.stack(gates)


@pytest.mark.parametrize("target", ["llvm", "reference"])
def test_what_a_loss_reads_of_a_trace_has_the_masks_of_the_call(target: str) -> None:
    layer = an_lstm(zoneout=0.4, recurrent_dropout={"g": 0.3})
    gradients = []
    with conveyor.use_target(target):
        for traces in (True, "gradient"):
            torch.manual_seed(3)
            read = leaf(draw(T, B, I, seed=1))
            traced = layer(read, trace=traces)[2]
            torch.rand(5)  # other numbers are drawn between the call and its backward pass
            loss = (traced["c"] * weights(traced["c"], 5)).sum()
            gradients.append(torch.autograd.grad(loss, [read, *layer.parameters()]))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@cell
def switched(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
    a = tanh(W @ x + U @ h)
    s = greater(a, 0)
    return s * a


@pytest.mark.parametrize("target", ["llvm", "reference"])
def test_a_gradient_arrives_at_a_value_that_hands_none_on(target: str) -> None:
    """A switch does not change with what it reads; what it is counts all the same."""
    layer = conveyor.Recurrent(switched, I, H, dtype=torch.float64)
    with conveyor.use_target(target):
        output, final, traced = layer(leaf(draw(T, B, I, seed=1)), trace="gradient")
        of = torch.autograd.grad(loss_of(output, final), [traced["s"], traced["h"]])
    assert 0 < float(traced["s"].detach().mean()) < 1
    assert float(of[0].abs().max()) > 0
    torch.testing.assert_close(of[0], of[1] * traced["a"], **CLOSE)


def test_second_gradients() -> None:
    """The gradient by a cell state can be differentiated itself."""
    layer, x = an_lstm(), leaf(draw(T, 1, I, seed=1))
    output, _, traced = layer(x, trace="gradient")
    (gradient,) = torch.autograd.grad(output[-1].sum(), [traced["c"]], create_graph=True)
    (second,) = torch.autograd.grad((gradient**2).sum(), [x])
    outputs, cells = by_hand(layer, x[:, 0], T)
    by_cells = torch.autograd.grad(outputs[-1].sum(), cells, create_graph=True)
    (want,) = torch.autograd.grad((torch.stack(by_cells) ** 2).sum(), [x])
    torch.testing.assert_close(second, want, **CLOSE)


# Odd local names ----------------------------------------------------------------------------------


@cell
def odd_names(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, p: Vector, b: Bias
) -> tuple[Value, Value, Value]:
    """A number per example, a copy of a state, two names of one value, a copy of the input."""
    before = c
    level = mean(c)
    copied = x
    n = tanh(W @ copied + U @ h + p * before + b) * level
    also = n
    c = c + also
    h = tanh(c)
    return h, c, h * level


@pytest.mark.parametrize("target", ["llvm", "reference"])
def test_numbers_and_copies(target: str) -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent(odd_names, I, H, dtype=torch.float64)
    with torch.no_grad():
        for each in layer.parameters():
            each.normal_(std=0.5)
    x, begin = draw(T, B, I, seed=1), layer.start(B)
    begin = type(begin)(*(draw(1, B, H, seed=5 + n) for n in range(2)))
    own = dict(layer.get_submodule("l0").named_parameters())
    h, c = begin.h[0], begin.c[0]
    nodes: dict[str, list[Tensor]] = {name: [] for name in ("level", "n", "before", "copied")}
    outputs = []
    for x_t in x:
        copied, before = leaf(x_t), c + torch.zeros_like(c, requires_grad=True)
        level = before.mean(-1, keepdim=True)
        net = copied @ own["W"].T + h @ own["U"].T + own["p"] * before + own["b"]
        n = net.tanh() * level
        c = before + n
        h = c.tanh()
        outputs.append(h * level)
        for name, node in (("level", level), ("n", n), ("before", before), ("copied", copied)):
            nodes[name].append(node)
    loss = (torch.stack(outputs) * draw(T, B, H, seed=2)).sum()
    with conveyor.use_target(target):
        output, _, traced = layer(x, begin, trace="gradient")
        assert traced["also"] is traced["n"]
        names = list(nodes)
        got = torch.autograd.grad(
            (output * draw(T, B, H, seed=2)).sum(), [traced[name] for name in names]
        )
    for name, gradient in zip(names, got, strict=True):
        want = torch.autograd.grad(loss, nodes[name], retain_graph=True)
        torch.testing.assert_close(gradient, torch.stack(want), **CLOSE)


# After a break of the graph torch's compiler looks at the gradient of what it was given.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_where_there_are_no_such_gradients() -> None:
    layer, x = an_lstm(), draw(T, B, I, seed=1)
    with pytest.raises(SettingError, match="trace is 'gradients'; expected True, False or 'grad"):
        layer(x, trace="gradients")
    with pytest.raises(TargetError, match="trace='gradient' works in eager calls"):
        torch.func.vmap(lambda x: layer(x, trace="gradient")[0], 1)(x[:, :, None])
    with pytest.raises(TargetError, match="gradients by a trace are asked for"):
        torch.export.export(Tracing(layer), (x,))
    got = torch.compile(Tracing(layer), backend="eager")(x)
    torch.testing.assert_close(got, layer(x, trace="gradient")[2]["c"])
    assert got.requires_grad


class Tracing(torch.nn.Module):
    """Gives what the trace of a layer holds of c."""

    def __init__(self, layer: conveyor.Recurrent) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Return c over time."""
        c: Tensor = self.layer(x, trace="gradient")[2]["c"]
        return c


def test_copies_of_a_layer_trace_by_themselves() -> None:
    layer, x = an_lstm(), draw(T, B, I, seed=1)
    output, _, traced = layer(x, trace="gradient")
    other_output, _, other = copy.deepcopy(layer)(x, trace="gradient")
    (one,) = torch.autograd.grad(output.sum(), [traced["c"]])
    (two,) = torch.autograd.grad(other_output.sum(), [other["c"]])
    torch.testing.assert_close(one, two)
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(layer(x)[0].sum(), [traced["c"]])


def kept(layer: conveyor.Recurrent, x: Tensor, trace: Any) -> int:
    """The bytes that a call keeps until its backward pass, its parameters and input left out."""
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.nbytes() > tensor.element_size():  # a single number stands for zeros
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        called = layer(x, trace=trace)
    if trace:
        for number in range(layer.num_layers):
            for values in called[2].at(number).values():
                keep(values)
    for tensor in (x, *layer.parameters()):
        sizes.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(sizes.values())


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_peephole"])
@pytest.mark.parametrize("layers", [1, 2])
def test_explain_tells_what_a_trace_keeps(cell: str, layers: int) -> None:
    # A width of whole vectors, for which nothing is padded.
    layer = conveyor.Recurrent(cell, 8, 16, layers)
    x = torch.randn(20, 4, 8, requires_grad=True)
    plain = kept(layer, x, False)
    values, gradients = (kept(layer, x, trace) - plain for trace in (True, "gradient"))
    assert layer.explain(x).splitlines()[-1] == (
        f"kept besides by a trace: {values:,} bytes, by trace='gradient' {gradients:,}"
    )
