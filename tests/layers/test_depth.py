"""Cells that read more than one output of the layer below, which the first layer projects."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import conveyor
from conveyor import cells, use_target
from conveyor.cells import Cell, Input, Matrix, cell, find, tanh
from conveyor.compiler.check import check_cell
from conveyor.compiler.format_two import only_of_links
from conveyor.compiler.program_json import from_json, to_json
from conveyor.compiler.trace import trace
from conveyor.errors import ProgramError, RunError
from tests.cells import oracles_depth
from tests.cells.oracle_basis import Parameters, State
from tests.layers.named import draw

T, B, INPUTS, UNITS = 6, 3, 4, 5
CLOSE: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}
ORACLES = {
    "lstm_depth_gated": oracles_depth.lstm_depth_gated,
    "grid_lstm": oracles_depth.grid_lstm,
}
every_cell = pytest.mark.parametrize("name", ORACLES)


def make(name: str, layers: int = 3, **options: Any) -> conveyor.Recurrent:
    """A layer with random numbers everywhere."""
    layer = conveyor.Recurrent(
        name, INPUTS, UNITS, num_layers=layers, dtype=torch.float64, **options
    )
    with torch.no_grad():
        for seed, each in enumerate(layer.parameters()):
            each.copy_(draw(*each.shape, seed=seed) / each.shape[-1] ** 0.5)
    return layer


def state_of(layer: conveyor.Recurrent) -> Any:
    zeros = layer.start(B)
    return type(zeros)(*(draw(*each.shape, seed=70 + n) for n, each in enumerate(zeros)))


def numbers(layer: conveyor.Recurrent, number: int) -> dict[str, Any]:
    """A layer's parameters by the oracles' names."""
    own = layer.get_submodule(f"l{number}").named_parameters()
    return {key if "." in key else f"{key}.h": each.detach().numpy() for key, each in own}


@every_cell
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_every_layer_computes_its_paper(name: str, layers: int) -> None:
    layer = make(name, layers)
    x, state = draw(T, B, INPUTS, seed=50), state_of(layer)
    output, final, traced = layer(x, state, trace=True)
    for example in range(B):
        start: list[State] = [
            {key: each[n, example].numpy() for key, each in state._asdict().items()}
            for n in range(layers)
        ]
        own: list[Parameters] = [numbers(layer, n) for n in range(layers)]
        want = ORACLES[name](x[:, example].numpy(), start, own)
        for n in range(layers):
            seen = traced.at(n)
            for key, each in want[n].items():
                np.testing.assert_allclose(
                    seen[key][:, example].detach().numpy(), each, rtol=1e-12, atol=1e-12
                )
            for key, each in final._asdict().items():
                np.testing.assert_allclose(
                    each[n, example].detach().numpy(), want[n][key][-1], rtol=1e-12, atol=1e-12
                )
        top = "h" if name == "lstm_depth_gated" else "y"
        np.testing.assert_allclose(
            output[:, example].detach().numpy(), want[-1][top], rtol=1e-12, atol=1e-12
        )


def everything(layer: conveyor.Recurrent, **given: Any) -> list[Tensor]:
    """Output, states and all gradients."""
    x = draw(T, B, INPUTS, seed=50).requires_grad_()
    output, state = layer(x, **given)
    results = [output, *state]
    loss = torch.stack([(each * draw(*each.shape, seed=n)).sum() for n, each in enumerate(results)])
    return [*results, *torch.autograd.grad(loss.sum(), [x, *layer.parameters()])]


@every_cell
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"bias": False}], ids=str)
@pytest.mark.parametrize("how", ["dense", "lengths", "reset"])
def test_machine_code_and_the_reference_agree(name: str, options: dict[str, Any], how: str) -> None:
    every: dict[str, dict[str, Any]] = {
        "dense": {},
        "lengths": {"lengths": [2, 6, 0]},
        "reset": {"reset": torch.arange(T)[:, None].expand(T, B) == 3},
    }
    layer = make(name, **options)
    got = everything(layer, **every[how])
    with use_target("reference"):
        want = everything(layer, **every[how])
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@every_cell
def test_gradients_agree_with_differences(name: str) -> None:
    layer = conveyor.Recurrent(name, 2, 3, num_layers=2, dtype=torch.float64)
    x = draw(3, 2, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x)[0], (x, *layer.parameters()))


@every_cell
def test_steps_are_a_sequence(name: str) -> None:
    layer, x = make(name), draw(T, B, INPUTS, seed=50)
    whole, final = layer(x, state_of(layer))
    state, outputs = state_of(layer), []
    for now in x:
        output, state = layer.step(now, state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs), whole, **CLOSE)
    torch.testing.assert_close(tuple(state), tuple(final), **CLOSE)
    with torch.no_grad():
        torch.testing.assert_close(layer(x, state_of(layer))[0], whole, **CLOSE)


@every_cell
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_streams_are_steps(name: str, layers: int) -> None:
    layer, x = make(name, layers), draw(T, B, INPUTS, seed=50)
    want, final = layer(x)
    stream = layer.stream(B)
    for _ in range(2):
        got = np.stack([stream(now.numpy()) for now in x])
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-11, atol=1e-12)
        for key, each in final._asdict().items():
            seen = stream.state[key]
            np.testing.assert_allclose(seen, each.detach().numpy(), rtol=1e-11, atol=1e-12)
        stream.restart()


@every_cell
def test_compiled_layers(name: str) -> None:
    layer, x = make(name), draw(T, B, INPUTS, seed=50)
    compiled = torch.compile(layer, backend="aot_eager")
    torch.testing.assert_close(compiled(x)[0], layer(x)[0], **CLOSE)


def test_a_closed_depth_gate_leaves_a_stack_of_peephole_lstms() -> None:
    layer, plain = make("lstm_depth_gated"), make("lstm_peephole")
    own = dict(layer.named_parameters())
    with torch.no_grad():
        for key, each in own.items():
            if key.endswith(("b.d", "p.d", "q.d", "W.d")):
                each.fill_(-100.0 if key.endswith("b.d") else 0.0)
        for key, each in plain.named_parameters():
            each.copy_(own[key])
    x = draw(T, B, INPUTS, seed=50)
    torch.testing.assert_close(layer(x)[0], plain(x)[0], **CLOSE)


def test_the_output_gate_sees_what_came_from_below() -> None:
    layer = make("lstm_depth_gated")
    with torch.no_grad():
        for key, each in layer.named_parameters():
            if key.endswith((".o", "x")) and ".p." not in key:
                each.zero_()
    traced = layer(draw(T, B, INPUTS, seed=50), trace=True)[2].at(2)
    peephole = layer.get_parameter("l2.p.o")
    torch.testing.assert_close(traced["o"], torch.sigmoid(peephole * traced["c"]), **CLOSE)


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_parameters_of_the_grid(layers: int) -> None:
    """16 d² + 8 d for each layer of two dimensions, and two projections of the input."""
    layer = conveyor.Recurrent("grid_lstm", INPUTS, UNITS, num_layers=layers)
    core = 16 * UNITS**2 + 8 * UNITS
    total = sum(each.numel() for each in layer.parameters())
    assert total == layers * core + 2 * UNITS * INPUTS
    tied = conveyor.Recurrent("grid_lstm", INPUTS, UNITS, num_layers=layers, tied=True)
    assert sum(each.numel() for each in tied.parameters()) == core + 2 * UNITS * INPUTS


def test_tied_layers_share_what_fits() -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent("lstm", INPUTS, UNITS, num_layers=3, tied=True)
    assert layer.get_parameter("l1.U.f") is layer.get_parameter("l0.U.f")
    assert layer.get_parameter("l1.W.f") is not layer.get_parameter("l0.W.f")
    assert layer.get_parameter("l2.W.f") is layer.get_parameter("l1.W.f")
    x = torch.randn(T, B, INPUTS)
    loose = conveyor.Recurrent("lstm", INPUTS, UNITS, num_layers=3)
    loose.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x)[0], loose(x)[0])
    layer(x)[0].sum().backward()
    loose(x)[0].sum().backward()
    want = sum(loose.get_parameter(f"l{n}.U.f").grad for n in range(3))  # type: ignore[misc]
    torch.testing.assert_close(layer.get_parameter("l0.U.f").grad, want)


@every_cell
def test_programs_of_such_cells_are_of_format_three(name: str) -> None:
    program = trace(find(name))
    data = json.loads(json.dumps(to_json(program)))
    assert check_cell(from_json(data)) == program
    assert data["format"] == 3
    assert to_json(trace(find("lstm")))["format"] == 1
    assert "in the first layer:" in conveyor.show(name)
    layer = make(name)
    assert "layer 2" in layer.explain(draw(T, B, INPUTS, seed=50))


# Programs as the version before wrote them, with the equations of the first layer and of others.
FORMAT_TWO = json.loads((Path(__file__).parent / "format_two.json").read_text())


def of_format_two() -> dict[str, Cell]:
    inside = cells.grid_lstm_with(output="inside", priority=True)
    return {**{name: find(name) for name in ORACLES}, "grid_lstm_inside_priority": inside}


@pytest.mark.parametrize("name", of_format_two())
def test_a_program_of_format_two_is_read_as_one_cell(name: str) -> None:
    cell = of_format_two()[name]
    program = check_cell(from_json(FORMAT_TWO[name]))
    assert replace(program, doc="") == replace(trace(cell), doc="")


def test_what_the_first_layer_lacked_is_zero() -> None:
    assert only_of_links(trace(find("lstm_depth_gated"))) == ("q.d",)
    assert only_of_links(trace(find("grid_lstm"))) == ()
    assert only_of_links(trace(find("lstm_peephole"))) == ()


def changed(name: str, before: str, after: str, where: str = "first") -> Any:
    """A program of format 2 with one operation changed in the first layer or above."""
    data = json.loads(json.dumps(FORMAT_TWO[name]))
    holder = data if where == "first" else data["above"]
    text = json.dumps(holder["operations"])
    assert before in text
    holder["operations"] = json.loads(text.replace(before, after, 1))
    return data


@pytest.mark.parametrize("where", ["first", "above"])
@every_cell
def test_two_cells_in_format_two_are_not_read(name: str, where: str) -> None:
    with pytest.raises(ProgramError, match="Write it as one cell"):
        from_json(changed(name, '"tanh"', '"sigmoid"', where))
    with pytest.raises(ProgramError, match="Write it as one cell"):
        from_json(FORMAT_TWO[name] | {"above": to_json(trace(find("lstm")))})


@every_cell
def test_a_network_saved_before_gives_what_it_gave(name: str) -> None:
    folder = Path(__file__).parent / "saved_before" / name
    expected = json.loads((folder / "expected.json").read_text())
    network = conveyor.load(folder)
    output, state = network(torch.tensor(expected["x"]))
    torch.testing.assert_close(output, torch.tensor(expected["output"]), rtol=1e-5, atol=1e-6)
    for values, was in zip(state, expected["state"], strict=True):
        torch.testing.assert_close(values, torch.tensor(was), rtol=1e-5, atol=1e-6)


def test_weights_that_are_missing_are_missed(tmp_path: Path) -> None:
    """Zeros stand only for what the first layer of a program of format 2 did not have."""
    source = Path(__file__).parent / "saved_before" / "lstm_depth_gated"
    for name in ("model.json", "model.safetensors"):
        shutil.copy(source / name, tmp_path / name)
    path = tmp_path / "model.json"
    described = json.loads(path.read_text())
    del described["weights"]["l1.q.d"]
    path.write_text(json.dumps(described))
    with pytest.raises(RunError, match=r"l1\.q\.d"):
        conveyor.load(tmp_path)


def test_the_input_of_a_layer_below_must_fit_it() -> None:
    @cell
    def wide(x: Input, h_below: Input, h: cells.State, W: Matrix, V: Matrix) -> Any:
        a = W @ x
        h = tanh(a + h + V @ h_below)
        return h, a, h

    with pytest.raises(ProgramError, match=r"h_below is \[I\], and the output h of"):
        conveyor.Recurrent(wide, 3, 4)
