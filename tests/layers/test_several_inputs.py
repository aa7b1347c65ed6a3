"""Cells of several named inputs and outputs, as layers: every law of layers, on both targets.

The oracle is a loop over steps and sequences in plain torch, written from the equations.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import conveyor
from conveyor.cells import Bias, Input, Matrix, State, Value, cell, sigmoid, tanh
from conveyor.errors import SettingError, ShapeError
from conveyor.layers.stack_replay import StackReplay
from tests.layers.named import draw

T, B, X, U, H = 6, 4, 3, 2, 5
CLOSE: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}
LENGTHS = [6, 2, 0, 4]


@cell
def steered(  # noqa: PLR0917  (the letters of its equations)
    x: Input,
    u: Annotated[Input, "J"],
    noise: Annotated[Input, "H"],
    h: State,
    W: Matrix,
    V: Annotated[Matrix, "H", "J"],
    R: Matrix,
    b: Bias,
) -> tuple[Value, Value, Value]:
    """A gated net that is steered by u and disturbed by noise; it says its gate too."""
    gate = sigmoid(W.z @ x + V.z @ u + R.z @ h + b.z)
    h = gate * h + (1 - gate) * tanh(W.n @ x + V.n @ u + R.n @ h + 0.1 * noise + b.n)
    return h, h, gate


SIZES = {"x": X, "u": U, "noise": H}


def make(layers: int = 1, **options: Any) -> conveyor.Recurrent:
    """A layer with random numbers everywhere."""
    layer = conveyor.Recurrent(steered, SIZES, H, layers, dtype=torch.float64, **options)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=seed) / parameter.shape[-1] ** 0.5)
    return layer


def inputs(steps: int = T, batch: int = B) -> dict[str, Tensor]:
    return {
        name: draw(steps, batch, width, seed=40 + number).requires_grad_()
        for number, (name, width) in enumerate(SIZES.items())
    }


def step_of(p: Mapping[str, Tensor], x: Tensor, u: Tensor, noise: Tensor, h: Tensor) -> Any:
    """One step of one sequence: the new state, and the gate."""
    gate = (p["W.z"] @ x + p["V.z"] @ u + p["R.z"] @ h + p["b.z"]).sigmoid()
    candidate = (p["W.n"] @ x + p["V.n"] @ u + p["R.n"] @ h + 0.1 * noise + p["b.n"]).tanh()
    return gate * h + (1 - gate) * candidate, gate


def by_hand(
    layer: conveyor.Recurrent,
    given: Mapping[str, Tensor],
    *,
    start: Tensor | None = None,
    lengths: list[int] | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs h and gate [T, B, width], and final states, sequence by sequence."""
    steps, batch = given["x"].shape[:2]
    directions = 2 if layer.bidirectional else 1
    of_sequences = []
    for b in range(batch):
        length = steps if lengths is None else lengths[b]
        read = [given["x"][t, b] for t in range(length)]
        finals, gates = [], [torch.zeros(H * directions, dtype=torch.float64)] * steps
        for number in range(layer.num_layers):
            by_direction = []
            for direction in range(directions):
                suffix = "_reverse" * direction
                own = dict(layer.get_submodule(f"l{number}{suffix}").named_parameters())
                row = directions * number + direction
                zeros = torch.zeros(H, dtype=torch.float64)
                begin = h = zeros if start is None else start[row, b]
                outputs: dict[int, tuple[Tensor, Tensor]] = {}
                order = range(length - 1, -1, -1) if direction else range(length)
                for t in order:
                    # A reset stands before a step of time; backwards it is the step after it.
                    if reset is not None and direction == 0 and reset[t, b]:
                        h = zeros
                    if reset is not None and direction and t + 1 < length and reset[t + 1, b]:
                        h = zeros
                    h, gate = step_of(own, read[t], given["u"][t, b], given["noise"][t, b], h)
                    outputs[t] = h, gate
                finals.append(h if length else begin)
                by_direction.append([outputs[t] for t in range(length)])
            read = [torch.cat([parts[t][0] for parts in by_direction]) for t in range(length)]
            gates = [torch.cat([parts[t][1] for parts in by_direction]) for t in range(length)]
        padding = [torch.zeros(H * directions, dtype=torch.float64)] * (steps - length)
        of_sequences.append(
            (
                torch.stack([*read, *padding]),
                torch.stack([*gates, *padding]),
                torch.stack(finals),
            )
        )
    heads, gates_over_time, states = zip(*of_sequences, strict=True)
    return torch.stack(heads, 1), torch.stack(gates_over_time, 1), torch.stack(states, 1)


def with_gradients(
    layer: conveyor.Recurrent, given: Mapping[str, Tensor], results: tuple[Tensor, ...]
) -> list[Tensor]:
    """Results, and the gradients of a weighted sum of them by everything."""
    loss = torch.stack(
        [(values * draw(*values.shape, seed=n)).sum() for n, values in enumerate(results)]
    ).sum()
    sources = [*given.values(), *layer.parameters()]
    return [*results, *torch.autograd.grad(loss, sources, allow_unused=True)]


def assert_same(got: list[Any], want: list[Any]) -> None:
    for one, other in zip(got, want, strict=True):
        if one is None or other is None:
            assert one is other
        else:
            torch.testing.assert_close(one, other, **CLOSE)


WAYS: dict[str, dict[str, Any]] = {
    "dense": {},
    "lengths": {"lengths": LENGTHS},
    "reset": {"reset": torch.rand(T, B, generator=torch.Generator().manual_seed(2)) < 0.3},
}


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "options", [{}, {"layers": 3}, {"layers": 2, "bidirectional": True}], ids=str
)
def test_a_layer_computes_what_is_written(options: dict[str, Any], way: str) -> None:
    layer, given = make(**options), inputs()
    start = None
    if way != "reset":  # after a reset the state is that of ``start``, which is zeros
        start = draw(*layer.start(B).h.shape, seed=9)
    output, state = layer(given, None if start is None else (start,), **WAYS[way])
    assert type(output)._fields == ("h", "gate")
    assert layer.output_sizes == {"h": output.h.shape[-1], "gate": output.gate.shape[-1]}
    want = by_hand(layer, given, start=start, **WAYS[way])
    assert_same(
        with_gradients(layer, given, (output.h, output.gate, state.h)),
        with_gradients(layer, given, want),
    )


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("checkpoint", [True, 2])
@pytest.mark.parametrize("way", WAYS)
def test_checkpointing_changes_nothing(checkpoint: bool | int, way: str) -> None:
    results = []
    for every in (False, checkpoint):
        layer, given = make(2, bidirectional=True, checkpoint=every), inputs()
        output, state = layer(given, **WAYS[way])
        results.append(with_gradients(layer, given, (output.h, output.gate, state.h)))
    assert_same(results[1], results[0])


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("merge", ["sum", "separate"])
def test_every_output_is_merged_as_the_first(merge: str) -> None:
    layer, given = make(1, bidirectional=True, merge=merge), inputs()
    apart = make(1, bidirectional=True)
    output, whole = layer(given)[0], apart(given)[0]
    for one, both in zip(output, whole, strict=True):
        want = both[..., :H] + both[..., H:] if merge == "sum" else both
        torch.testing.assert_close(one, want, **CLOSE)
    assert layer.output_sizes["gate"] == output.gate.shape[-1]


@pytest.mark.usefixtures("each_target")
def test_steps_streams_and_a_call_agree() -> None:
    layer, given = make(3), inputs()
    want, final = layer(given)
    with conveyor.use_target(None):  # the reference has no streams
        stream, single = layer.stream(B), layer.stream()
    state: Any = None
    with torch.no_grad():
        for t in range(T):
            now = {name: values[t].detach() for name, values in given.items()}
            output, state = layer.step(now, state)
            from_stream = stream({name: values.numpy() for name, values in now.items()})
            for name in ("h", "gate"):
                torch.testing.assert_close(getattr(output, name), getattr(want, name)[t], **CLOSE)
                np.testing.assert_allclose(
                    from_stream[name], getattr(want, name)[t].detach().numpy(), rtol=1e-11
                )
    torch.testing.assert_close(state.h, final.h, **CLOSE)
    np.testing.assert_allclose(stream.state["h"], final.h.detach().numpy(), rtol=1e-11)
    first = {name: values[0, 0].detach().numpy() for name, values in given.items()}
    np.testing.assert_allclose(single(first)["h"], want.h[0, 0].detach().numpy(), rtol=1e-11)
    assert single.inputs.keys() == set(SIZES)
    for name, values in first.items():
        single.inputs[name][:] = values
    single.restart()
    single.advance()
    np.testing.assert_allclose(single.outputs["gate"][0], want.gate[0, 0].detach().numpy())


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each call so far: whether it was replayed."""
    calls: list[bool] = []
    run = StackReplay.run

    def watched(self: StackReplay, *given: Any) -> Any:
        results = run(self, *given)
        calls.append(results is not None)
        return results

    monkeypatch.setattr(StackReplay, "run", watched)
    return calls


@pytest.mark.parametrize("started", [False, True], ids=["from zeros", "from a state"])
@pytest.mark.parametrize(
    "options", [{}, {"layers": 3}, {"layers": 2, "bidirectional": True}], ids=str
)
def test_calls_without_gradients_are_replayed(
    options: dict[str, Any], started: bool, replayed: list[bool]
) -> None:
    layer = make(**options)
    for seed in range(3):
        given = {name: draw(T, B, size, seed=seed) for name, size in SIZES.items()}
        start = (draw(*layer.start(B).h.shape, seed=9),) if started else None
        with conveyor.use_target("reference"):
            want, last = layer(given, start)
        with torch.no_grad():
            got, final = layer(given, start)
        torch.testing.assert_close(got.h, want.h, **CLOSE)
        torch.testing.assert_close(got.gate, want.gate, **CLOSE)
        torch.testing.assert_close(final.h, last.h, **CLOSE)
    assert replayed == [True] * 3


@pytest.mark.parametrize("cell", ["lstm_depth_gated", "grid_lstm"])
def test_calls_of_cells_that_read_more_of_the_layer_below_are_replayed(
    cell: str, replayed: list[bool]
) -> None:
    layer = conveyor.Recurrent(cell, 3, 4, num_layers=3, dtype=torch.float64)
    for seed in range(3):
        x = draw(T, B, 3, seed=seed)
        want, last = layer(x)
        with torch.no_grad():
            got, final = layer(x)
        torch.testing.assert_close(got, want, **CLOSE)
        for one, other in zip(final, last, strict=True):
            torch.testing.assert_close(one, other, **CLOSE)
    assert replayed == [True] * 3


@pytest.mark.parametrize("way", ["dense", "lengths"])
@pytest.mark.parametrize("options", [{}, {"layers": 2, "bidirectional": True}], ids=str)
def test_arrays_without_tensors(options: dict[str, Any], way: str) -> None:
    layer, given = make(**options), inputs()
    want, final = layer(given, **WAYS[way])
    run = layer.numpy()
    arrays = {name: values.detach().numpy() for name, values in given.items()}
    output, state = run(arrays, **WAYS[way])
    for name in ("h", "gate"):
        np.testing.assert_allclose(output[name], getattr(want, name).detach(), rtol=1e-11)
    np.testing.assert_allclose(state.h, final.h.detach(), rtol=1e-11)
    alone, _ = run({name: array[:, 0] for name, array in arrays.items()})
    np.testing.assert_allclose(alone["gate"], layer(given)[0].gate[:, 0].detach(), rtol=1e-11)
    nothing, _ = run({name: array[:0] for name, array in arrays.items()})
    assert nothing["gate"].shape == (0, B, want.gate.shape[-1])
    with pytest.raises(ShapeError, match=r"input u is \[6, 3, 2\] of float64; expected real"):
        run({**arrays, "u": arrays["u"][:, :3]})
    with pytest.raises(ShapeError, match="this layer reads x, u, noise"):
        run(arrays["x"])


@pytest.mark.usefixtures("each_target")
def test_layouts_of_the_input() -> None:
    layer, given = make(2, bidirectional=True), inputs()
    want = layer(given, lengths=[6, 5, 4, 2])
    first = make(2, bidirectional=True, batch_first=True)
    swapped = {name: values.transpose(0, 1) for name, values in given.items()}
    output, state = first(swapped, lengths=[6, 5, 4, 2])
    for one, other in zip(output, want[0], strict=True):
        torch.testing.assert_close(one.transpose(0, 1), other, **CLOSE)
    torch.testing.assert_close(state.h, want[1].h, **CLOSE)
    # One sequence, without a batch dimension.
    alone, at_end = layer({name: values[:, 0] for name, values in given.items()})
    torch.testing.assert_close(alone.gate, want[0].gate[:, 0], **CLOSE)
    assert at_end.h.shape == (4, H)
    for enforce, order in ((True, [0, 1, 2, 3]), (False, [2, 0, 3, 1])):
        lengths = torch.tensor([6, 5, 4, 2])[order]
        packed = {
            name: pack_padded_sequence(values[:, order], lengths, enforce_sorted=enforce)
            for name, values in given.items()
        }
        output, state, trace = layer(packed, trace=True)
        assert isinstance(output.gate, PackedSequence)
        for one, other in zip(output, want[0], strict=True):
            padded, _ = pad_packed_sequence(one)
            torch.testing.assert_close(padded, other[:, order], **CLOSE)
        torch.testing.assert_close(state.h, want[1].h[:, order], **CLOSE)
        assert trace.at(1)["gate"].shape == (T, B, H)


@pytest.mark.usefixtures("each_target")
def test_the_trace_of_every_layer() -> None:
    layer, given = make(2), inputs()
    output, _, trace = layer(given, lengths=LENGTHS, trace=True)
    torch.testing.assert_close(trace.at(1)["gate"], output.gate, **CLOSE)
    torch.testing.assert_close(trace.at(1)["h"], output.h, **CLOSE)
    assert not trace.at(0)["gate"][2:, 1].any()


@pytest.mark.parametrize(
    "options",
    [
        {"zoneout": 0.3},
        {"recurrent_dropout": {"gate": 0.4}},
        {"variational_dropout": 0.5},
        {"weight_dropout": 0.3},
        {"clip": {"h": 0.1}},
        {"dropout": 0.5},
        {"learn_start": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("way", WAYS)
def test_regularised_layers_draw_the_same_on_both_targets(
    options: dict[str, Any], way: str
) -> None:
    results = []
    for target in (None, "reference"):
        layer, given = make(2, bidirectional=True, **options), inputs()
        torch.manual_seed(5)
        with conveyor.use_target(target):
            output, state = layer(given, **WAYS[way])
        results.append(with_gradients(layer, given, (output.h, output.gate, state.h)))
    assert_same(results[0], results[1])
    plain = make(2, bidirectional=True)(inputs(), **WAYS[way])[0]
    assert (results[0][0] - plain.h).abs().max() > 1e-3


@pytest.mark.usefixtures("each_target")
def test_second_gradients() -> None:
    layer = make(2)
    given = inputs(3, 2)

    def of(x: Tensor, u: Tensor, noise: Tensor) -> Tensor:
        output = layer({"x": x, "u": u, "noise": noise})[0]
        whole: Tensor = (output.h * output.gate).sum()
        return whole

    arguments = tuple(given.values())
    assert torch.autograd.gradcheck(of, arguments)
    assert torch.autograd.gradgradcheck(of, arguments)


@pytest.mark.parametrize("way", WAYS)
def test_one_graph_under_torch_compile(way: str) -> None:
    layer, given = make(2, bidirectional=True), inputs()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    want, state = layer(given, **WAYS[way])
    output, at_end = compiled(given, **WAYS[way])
    assert_same(
        with_gradients(layer, given, (output.h, output.gate, at_end.h)),
        with_gradients(layer, given, (want.h, want.gate, state.h)),
    )


def test_an_exported_program(tmp_path: Path) -> None:
    layer, given = make(2), {name: values.detach() for name, values in inputs().items()}
    want, state = layer(given)
    program = torch.export.export(layer, (given,))
    torch.export.save(program, tmp_path / "layer.pt2")
    output, at_end = torch.export.load(tmp_path / "layer.pt2").module()(given)
    assert_same([*output, at_end.h], [*want, state.h])


def test_saved_and_loaded(tmp_path: Path) -> None:
    layer, given = make(2, bidirectional=True), inputs()
    want, state = layer(given)
    conveyor.save(nn.ModuleList([layer]), tmp_path / "net")
    loaded = conveyor.load(tmp_path / "net")[0]
    assert loaded.input_size == SIZES
    output, at_end = loaded(given)
    assert_same([*output, at_end.h], [*want, state.h])
    for copied in (pickle.loads(pickle.dumps(want)), want):
        assert type(copied)._fields == ("h", "gate")


def test_a_layer_of_one_input_takes_it_by_name() -> None:
    layer, x = conveyor.LSTM(3, 4), torch.randn(5, 2, 3)
    assert torch.equal(layer({"x": x})[0], layer(x)[0])
    assert torch.equal(layer.step({"x": x[0]})[0], layer.step(x[0])[0])
    with pytest.raises(ShapeError, match="the input holds y; lstm reads x"):
        layer({"y": x})


def test_sizes_changed_by_hand() -> None:
    layer = make()
    with pytest.raises(SettingError, match="expected the features of noise, u, x by name"):
        layer.input_size = 7
    layer.input_size = {"u": 4, "x": 6, "noise": H}
    other = conveyor.Recurrent(steered, layer.input_size, H, dtype=torch.float64)
    layer.l0 = other.l0
    layer.sizes = other.sizes
    given = {name: draw(T, B, width, seed=1) for name, width in layer.input_size.items()}
    assert torch.equal(layer(given)[0].h, other(given)[0].h)


def wrong(name: str, values: Any) -> dict[str, Any]:
    return {**inputs(), name: values}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (draw(T, B, X), "the input is one tensor; steered reads x, u, noise"),
        ({"x": draw(T, B, X)}, "the input holds x; steered reads x, u, noise"),
        ({}, "the input holds nothing"),
        (
            wrong("u", draw(T, B, 3)),
            r"input u is \[6, 4, 3\] \(T, B, features\); expected \[6, 4, 2\]",
        ),
        (wrong("u", draw(T - 1, B, U)), r"expected \[6, 4, 2\]"),
        (wrong("u", draw(B, U)), "input u has 2 dimensions; expected 3, as the first input"),
        (wrong("u", draw(T, B, U).float()), "input u is of torch.float32, expected torch.float64"),
        (wrong("u", [1, 2]), "input u is a list; expected a tensor"),
        (wrong("x", draw(T, B, 7)), "this layer reads 3 features"),
        (
            wrong("u", pack_padded_sequence(draw(T, B, U), torch.tensor([6, 5, 4, 3]))),
            "input u is a PackedSequence; expected all inputs packed, or none",
        ),
        (
            {
                "x": pack_padded_sequence(draw(T, B, X), torch.tensor([6, 5, 4, 3])),
                "u": pack_padded_sequence(draw(T, B, U), torch.tensor([6, 5, 5, 3])),
                "noise": pack_padded_sequence(draw(T, B, H), torch.tensor([6, 5, 4, 3])),
            },
            "input u is packed in other steps or another order",
        ),
    ],
)
def test_inputs_that_do_not_fit(given: Any, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        make()(given)


def test_steps_that_do_not_fit() -> None:
    layer = make()
    one = {name: values[0] for name, values in inputs().items()}
    with pytest.raises(ShapeError, match="as many sequences as in the first input"):
        layer.step({**one, "u": one["u"][:2]})
    with pytest.raises(ShapeError, match=r"u is \[4, 3\]; expected \[B, 2\], one step"):
        layer.step({**one, "u": draw(B, 3)})
    stream = layer.stream(B)
    with pytest.raises(ShapeError, match=r"u is \[2\]; expected \[4, 2\], one step"):
        stream({**{name: values.detach() for name, values in one.items()}, "u": np.zeros(2)})
    with pytest.raises(ShapeError, match="this stream reads x, u, noise"):
        stream(np.zeros((B, X)))


@cell
def same_width(x: Input, mask: Input, h: State, W: Matrix) -> Value:
    h = tanh(W.x @ x + W.m @ mask + h)
    return h  # noqa: RET504  (the state's new value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((steered, 3, H), "steered reads x, u, noise. Give the features of each by name"),
        ((steered, {"x": 3}, H), "input_size names x; steered reads x, u, noise"),
        ((steered, {**SIZES, "u": 0}, H), "input_size of u"),
        ((steered, {**SIZES, "noise": 4}, H), "input_size of noise is 4; axis H of steered is 5"),
        ((same_width, {"x": 3, "mask": 4}, H), "input_size of mask is 4; axis I of"),
        ((same_width, {"x": 3, "mask": 3}, H, 2), "mask is as wide as x"),
        (("grid_lstm", {"x": 3, "d_below": H}, H), "d_below is what the layer below gives"),
    ],
)
def test_sizes_that_do_not_fit(arguments: tuple[Any, ...], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        conveyor.Recurrent(*arguments)


def test_a_second_input_as_wide_as_the_first() -> None:
    layer = conveyor.Recurrent(same_width, {"x": 3, "mask": 3}, H)
    x, mask = torch.randn(T, B, 3), torch.ones(T, B, 3)
    output, _ = layer({"x": x, "mask": mask})
    assert not torch.equal(output, layer({"x": x, "mask": 0 * mask})[0])


def test_no_steps_and_no_sequences() -> None:
    layer = make(2, bidirectional=True)
    for steps, batch in ((0, 3), (4, 0)):
        output, state = layer(inputs(steps, batch))
        assert output.gate.shape == (steps, batch, 2 * H)
        assert state.h.shape == (4, batch, H)
