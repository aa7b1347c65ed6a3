"""Dilated layers, beside a loop over steps that keeps a list of states."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import conveyor
from conveyor.errors import SettingError
from tests.layers.named import Named, gradients, leaf, loss_of

CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}
STEPS, BATCH, INPUT, HIDDEN = 8, 4, 3, 5
DILATIONS = (1, 3, 2)
LENGTHS = [8, 0, 5, 2]


def layer_of(cell: str = "lstm", **more: Any) -> conveyor.Recurrent:
    torch.manual_seed(3)
    options: dict[str, Any] = {"num_layers": 3, "dilation": DILATIONS, "dtype": torch.float64}
    return conveyor.Recurrent(cell, INPUT, HIDDEN, **{**options, **more})


def numbers() -> Tensor:
    return torch.randn(
        STEPS, BATCH, INPUT, dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    )


def some_state(layer: conveyor.Recurrent, batch: int = BATCH) -> Named:
    """Random numbers of the shapes that ``start`` gives."""
    source = torch.Generator().manual_seed(7)
    return {
        name: torch.rand(each.shape, dtype=torch.float64, generator=source)
        for name, each in layer.start(batch)._asdict().items()
    }


def of(layer: conveyor.Recurrent, state: Named) -> Any:
    return type(layer.start(1))(**state)


def one_by_one(states: Named) -> list[Named]:
    """[d, 1, width] as a list of d states."""
    count = len(next(iter(states.values())))
    return [{name: each[k : k + 1] for name, each in states.items()} for k in range(count)]


def by_loop(
    layer: conveyor.Recurrent,
    cell: str,
    x: Tensor,
    state: Named,
    *,
    lengths: list[int] | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, Named]:
    """A loop over layers, directions, sequences and steps, which keeps the states that steps to
    come will read. A step is a call of a layer without dilation."""
    late_in = layer.dilation
    dilations = [late_in] * layer.num_layers if isinstance(late_in, int) else list(late_in)
    directions = 2 if layer.bidirectional else 1
    sizes = lengths or [x.shape[0]] * x.shape[1]
    again = torch.zeros(x.shape[:2], dtype=torch.bool) if reset is None else reset
    fresh = layer.start(1)._asdict()
    parameters: dict[str, Tensor] = dict(layer.named_parameters())
    finals: dict[str, list[Tensor]] = {name: [] for name in state}
    row = 0
    for number, late in enumerate(dilations):
        outputs = []
        for direction in range(directions):
            suffix = "_reverse" if direction else ""
            own = {
                name.replace(f"l{number}{suffix}.", "l0."): each
                for name, each in parameters.items()
                if name.startswith(f"l{number}{suffix}.")
            }
            one = conveyor.Recurrent(cell, x.shape[-1], HIDDEN, dtype=torch.float64)
            rows = slice(row, row + late)
            row += late
            output = [[torch.zeros(HIDDEN, dtype=x.dtype)] * x.shape[1] for _ in range(x.shape[0])]
            ends: dict[str, list[Tensor]] = {name: [] for name in state}
            for sequence, length in enumerate(sizes):
                begun = {
                    name: each[rows][:, sequence : sequence + 1] for name, each in state.items()
                }
                waiting = one_by_one(begun)
                anew = one_by_one({name: each[rows] for name, each in fresh.items()})
                order = list(range(length))
                for step in reversed(order) if direction else order:
                    begins = step + 1 if direction else step
                    if begins < length and again[begins, sequence]:
                        waiting = list(anew)
                    before = type(one.start(1))(**waiting.pop(0))
                    here = x[step : step + 1, sequence : sequence + 1]
                    y, after = functional_call(one, own, (here, before))
                    output[step][sequence] = y[0, 0]
                    waiting.append(after._asdict())
                for name in state:
                    ends[name].append(torch.cat([each[name] for each in waiting]))
            for name, each in ends.items():
                finals[name].append(torch.cat(each, 1))
            outputs.append(torch.stack([torch.stack(each) for each in output]))
        x = torch.cat(outputs, -1)
    return x, {name: torch.cat(each) for name, each in finals.items()}


def results(output: Tensor, final: Named) -> Named:
    return {"output": output, **{f"final {name}": each for name, each in final.items()}}


RESET = torch.zeros(STEPS, BATCH, dtype=torch.bool)
RESET[3, 0] = RESET[4, 0] = RESET[0, 2] = RESET[1, 3] = True
WAYS: dict[str, dict[str, Any]] = {
    "dense": {},
    "lengths": {"lengths": LENGTHS},
    "reset": {"reset": RESET},
    "both": {"lengths": LENGTHS, "reset": RESET},
}


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both directions"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cell", ["lstm", "qrnn_fo", "indrnn"])
def test_a_dilated_layer_is_a_loop_with_a_list_of_states(
    cell: str, way: str, bidirectional: bool
) -> None:
    layer = layer_of(cell, bidirectional=bidirectional)
    start = some_state(layer)

    def found(by: str) -> Named:
        x = leaf(numbers())
        state = {name: leaf(each) for name, each in start.items()}
        if by == "loop":
            made = results(*by_loop(layer, cell, x, state, **WAYS[way]))
        else:
            with conveyor.use_target(by):
                output, final = layer(x, of(layer, state), **WAYS[way])
            made = results(output, final._asdict())
        sources = {"x": x, **state, **dict(layer.named_parameters())}
        return {**made, **gradients(loss_of(made), sources)}

    want = found("loop")
    for target in ("llvm", "reference"):
        got = found(target)
        assert got.keys() == want.keys()
        for name, each in want.items():
            torch.testing.assert_close(got[name], each, **CLOSE)


@pytest.mark.parametrize("cut", [1, 2, 5, 7])
def test_a_sequence_in_two_calls_is_the_sequence(cut: int) -> None:
    layer, x = layer_of(), numbers()
    whole, last = layer(x)
    one, state = layer(x[:cut])
    two, end = layer(x[cut:], state)
    torch.testing.assert_close(torch.cat([one, two]), whole, **CLOSE)
    for name, each in last._asdict().items():
        torch.testing.assert_close(getattr(end, name), each, **CLOSE)


@torch.no_grad()
def test_steps_are_the_sequence() -> None:
    layer, x = layer_of("slstm"), numbers()
    whole, last = layer(x)
    state = None
    for step, row in enumerate(x):
        output, state = layer.step(row, state)
        torch.testing.assert_close(output, whole[step], **CLOSE)
    assert state is not None
    for name, each in last._asdict().items():
        torch.testing.assert_close(getattr(state, name), each, **CLOSE)


def test_a_packed_sequence_is_its_lengths() -> None:
    layer, x = layer_of(bidirectional=True), numbers()
    lengths = [5, 8, 1, 7]
    packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    want, end = layer(x, lengths=lengths)
    got, final = layer(packed)
    torch.testing.assert_close(pad_packed_sequence(got)[0], want, **CLOSE)
    for name, each in end._asdict().items():
        torch.testing.assert_close(getattr(final, name), each, **CLOSE)


@pytest.mark.parametrize("more", [{}, {"lengths": LENGTHS}], ids=["dense", "lengths"])
@pytest.mark.parametrize("target", ["llvm", "reference"])
@pytest.mark.parametrize("learned", [True, False], ids=["learned start", "zeros"])
def test_checkpointing_changes_nothing(target: str, learned: bool, more: dict[str, Any]) -> None:
    found = []
    for checkpoint in (False, 3):
        layer = layer_of("gru", checkpoint=checkpoint, bidirectional=True, learn_start=learned)
        x = leaf(numbers())
        with conveyor.use_target(target):
            output, final = layer(x, **more)
        made = results(output, final._asdict())
        sources = {"x": x, **dict(layer.named_parameters())}
        found.append({**made, **gradients(loss_of(made), sources)})
    for name, each in found[0].items():
        torch.testing.assert_close(found[1][name], each, **CLOSE)


def test_learned_starts_have_a_row_for_each_step_that_reads_them() -> None:
    layer = layer_of(learn_start=True, bidirectional=True)
    assert dict(layer.named_parameters())["start_h"].shape == (2 * sum(DILATIONS), HIDDEN)
    with torch.no_grad():
        for name, each in layer.named_parameters():
            if name.startswith("start_"):
                each.copy_(torch.rand_like(each))
    x = numbers()
    state = layer.start(BATCH)
    torch.testing.assert_close(layer(x)[0], layer(x, state)[0], rtol=0, atol=0)


def test_a_trace_is_that_of_every_step() -> None:
    layer, x = layer_of(), numbers()
    output, _, trace = layer(x, trace=True)
    torch.testing.assert_close(trace.at(2, reverse=False)["h"], output, **CLOSE)


def test_one_number_is_that_of_all_layers() -> None:
    one, other = layer_of(dilation=2), layer_of(dilation=[2, 2, 2])
    other.load_state_dict(one.state_dict())
    torch.testing.assert_close(one(numbers())[0], other(numbers())[0], rtol=0, atol=0)
    plain, ones = layer_of(dilation=1), layer_of(dilation=(1, 1, 1))
    assert plain.start(2).h.shape == ones.start(2).h.shape == (3, 2, HIDDEN)
    assert "dilation=(1, 3, 2)" in repr(layer_of())


def test_what_is_dilated_is_saved(tmp_path: Path) -> None:
    double = torch.float64
    for number, layer in enumerate(
        (
            layer_of(),
            conveyor.Stacked("gru", INPUT, [HIDDEN] * 3, dilation=DILATIONS, dtype=double),
            conveyor.Heads("rnn", INPUT, 6, 2, dilation=3, dtype=double),
        )
    ):
        conveyor.save(layer, tmp_path / f"layer{number}")
        back = conveyor.load(tmp_path / f"layer{number}")
        torch.testing.assert_close(back(numbers())[0], layer(numbers())[0], rtol=0, atol=0)
    assert back.each[1].start().h.shape == (3, 1, 3)


def test_what_a_dilated_layer_cannot_do_is_an_error() -> None:
    layer = layer_of()
    for wrong in (0, -1, (1, 2), (1, 2, 0), "123", 1.5, None):
        with pytest.raises(SettingError, match="dilation"):
            layer_of(dilation=wrong)
    assert "dilation 3: 3 steps of 12 sequences" in layer.explain(numbers())


def test_a_compiled_model_runs_a_dilated_layer_outside_of_its_graph() -> None:
    layer, x = layer_of(), numbers()
    compiled = torch.compile(layer, backend="eager")
    torch.testing.assert_close(compiled(x)[0], layer(x)[0], rtol=0, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("dilation", [(1, 3, 2), (2, 1, 3)])
@pytest.mark.parametrize("batch", [1, BATCH])
def test_a_stream_is_the_layer(batch: int, dilation: tuple[int, ...], learned: bool) -> None:
    layer = layer_of("gru", dilation=dilation, learn_start=learned)
    for name, each in layer.named_parameters():
        if name.startswith("start_"):
            each.copy_(torch.rand_like(each))
    x = numbers()[:, :batch]
    want, last = layer(x)
    stream = layer.stream(batch)
    for again in range(2):
        for step, row in enumerate(x):
            torch.testing.assert_close(torch.from_numpy(stream(row.numpy())), want[step], **CLOSE)
            if again and step == 4:  # gone on with in another stream
                halfway, stream = stream.state, layer.stream(batch)
                stream.state = halfway
        torch.testing.assert_close(torch.from_numpy(stream.state["h"]), last.h, **CLOSE)
        stream.restart()


@torch.no_grad()
def test_an_export_of_a_dilated_layer_has_the_steps_of_its_example() -> None:
    layer, x = layer_of(), numbers()
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x)[0], layer(x)[0], **CLOSE)
    with pytest.raises(Exception, match="Guard failed"):
        exported(x[:-1])


def test_stacked_layers_have_a_dilation_each() -> None:
    stacked = conveyor.Stacked("lstm", INPUT, [HIDDEN] * 3, dilation=DILATIONS, dtype=torch.float64)
    layer = layer_of()
    for number, each in enumerate(stacked.each):
        own = {name.removeprefix("l0."): value for name, value in each.state_dict().items()}
        layer.get_submodule(f"l{number}").load_state_dict(own)
    torch.testing.assert_close(stacked(numbers())[0], layer(numbers())[0], rtol=0, atol=0)


def test_layers_named_as_torchs_may_be_dilated(tmp_path: Path) -> None:
    ours = conveyor.LSTM(
        INPUT, HIDDEN, 3, dilation=DILATIONS, bidirectional=True, dtype=torch.float64
    )
    x = numbers()
    whole, (h, c) = ours(x)
    one, state = ours(x[:5], lengths=[5] * BATCH)
    assert h.shape == c.shape == state[0].shape == (2 * sum(DILATIONS), BATCH, HIDDEN)
    forward = conveyor.LSTM(INPUT, HIDDEN, 3, dilation=DILATIONS, dtype=torch.float64)
    whole, last = forward(x)
    one, state = forward(x[:5])
    two, end = forward(x[5:], state)
    torch.testing.assert_close(torch.cat([one, two]), whole, **CLOSE)
    torch.testing.assert_close(end, last, **CLOSE)
    conveyor.save(forward, tmp_path / "layer")
    torch.testing.assert_close(conveyor.load(tmp_path / "layer")(x)[0], whole, rtol=0, atol=0)
    assert "dilation=(1, 3, 2)" in repr(forward)
    with pytest.raises(SettingError, match="dilation"):
        conveyor.restore(forward)
