"""Grid LSTMs in all their forms, beside oracles written from the paper."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

import conveyor
from conveyor import use_target
from conveyor.cells import grid_lstm_with
from conveyor.errors import SettingError, ShapeError
from conveyor.layers.grid import GridLSTM
from tests.cells import oracles_grid
from tests.cells.oracle_basis import Parameters, State
from tests.layers.named import draw

T, B, INPUTS, UNITS = 6, 3, 4, 5
ROWS, COLUMNS = 3, 4
EXACT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}
CLOSE: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}

outputs = pytest.mark.parametrize("output", ["outside", "inside"])
priorities = pytest.mark.parametrize("priority", [False, True])


def fill(module: torch.nn.Module) -> None:
    """Random numbers everywhere."""
    with torch.no_grad():
        for seed, each in enumerate(module.parameters()):
            each.copy_(draw(*each.shape, seed=seed) / each.shape[-1] ** 0.5)


@outputs
@priorities
@pytest.mark.parametrize("depth", ["lstm", "identity", "tanh", "relu"])
def test_two_dimensions_are_the_paper_s(output: str, priority: bool, depth: str) -> None:
    cell = grid_lstm_with(output=output, priority=priority, depth=depth)
    layer = conveyor.Recurrent(cell, INPUTS, UNITS, num_layers=3, dtype=torch.float64)
    fill(layer)
    x, zeros = draw(T, B, INPUTS, seed=50), layer.start(B)
    state = type(zeros)(*(draw(*each.shape, seed=70 + n) for n, each in enumerate(zeros)))
    got, final = layer(x, state)
    layers: list[Parameters] = [
        {
            key: each.detach().numpy()
            for key, each in layer.get_submodule(f"l{n}").named_parameters()
        }
        for n in range(3)
    ]
    for example in range(B):
        start: list[State] = [
            {key: each[n, example].numpy() for key, each in state._asdict().items()}
            for n in range(3)
        ]
        want = oracles_grid.grid_lstm_2d(
            x[:, example].numpy(), start, layers, output=output, priority=priority, depth=depth
        )
        np.testing.assert_allclose(got[:, example].detach().numpy(), want[-1]["y"], **EXACT)
        for n in range(3):
            for key in ("h", "m"):
                found = getattr(final, key)[n, example].detach().numpy()
                np.testing.assert_allclose(found, want[n][key][-1], **EXACT)


def blocks(grid: GridLSTM) -> list[Parameters]:
    """The parameters by the oracles' names."""
    y, d = torch.split(grid.below.weight.detach(), UNITS)
    found: list[Parameters] = []
    for number in range(grid.num_layers):
        own = grid.blocks[0 if grid.tied else number].named_parameters()
        found.append({key: each.detach().numpy() for key, each in own})
    found[0] = {**found[0], "P.y": y.numpy(), "P.d": d.numpy()}
    return found


def make(dimensions: int, layers: int = 3, **options: Any) -> GridLSTM:
    grid = GridLSTM(INPUTS, UNITS, layers, dimensions=dimensions, dtype=torch.float64, **options)
    fill(grid)
    return grid


@outputs
@pytest.mark.parametrize("tied", [False, True])
def test_one_dimension_is_the_paper_s(output: str, tied: bool) -> None:
    grid, x = make(1, output=output, tied=tied), draw(2, B, INPUTS, seed=50)
    got = grid(x)
    for place in np.ndindex(2, B):
        want = oracles_grid.grid_lstm_1d(x[place].numpy(), blocks(grid), output=output)
        np.testing.assert_allclose(got[place].detach().numpy(), want[-1]["y"], **EXACT)


@outputs
@priorities
@pytest.mark.parametrize("tied", [False, True])
def test_three_dimensions_are_the_paper_s(output: str, priority: bool, tied: bool) -> None:
    grid = make(3, output=output, priority=priority, tied=tied)
    x = draw(ROWS, COLUMNS, B, INPUTS, seed=50)
    got = grid(x)
    for example in range(B):
        want = oracles_grid.grid_lstm_3d(
            x[:, :, example].numpy(), blocks(grid), output=output, priority=priority
        )
        np.testing.assert_allclose(got[:, :, example].detach().numpy(), want[-1]["y"], **EXACT)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_machine_code_and_the_reference_agree(dimensions: int) -> None:
    grid = make(dimensions, priority=dimensions == 3)
    shape = (B, INPUTS) if dimensions == 1 else (ROWS, COLUMNS, B, INPUTS)
    x = draw(*shape, seed=50).requires_grad_()

    def everything() -> list[torch.Tensor]:
        output = grid(x)
        loss = (output * draw(*output.shape, seed=3)).sum()
        return [output, *torch.autograd.grad(loss, [x, *grid.parameters()])]

    got = everything()
    with use_target("reference"):
        want = everything()
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)
    with torch.no_grad():
        torch.testing.assert_close(grid(x), want[0], **CLOSE)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_gradients_agree_with_differences(dimensions: int) -> None:
    grid = GridLSTM(2, 3, 2, dimensions=dimensions, dtype=torch.float64)
    shape = (2, 2) if dimensions == 1 else (2, 3, 2, 2)
    x = draw(*shape, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: grid(x), (x, *grid.parameters()))


@pytest.mark.parametrize(("dimensions", "lstms"), [(1, 1), (3, 3)])
def test_counts_are_the_paper_s(dimensions: int, lstms: int) -> None:
    """4 N² d² + 4 N d for each layer of N dimensions, and two projections of the input."""
    core = 4 * lstms**2 * UNITS**2 + 4 * lstms * UNITS
    for tied, layers in ((False, 3), (True, 1)):
        grid = make(dimensions, tied=tied)
        count = sum(each.numel() for each in grid.parameters())
        assert count == layers * core + 2 * UNITS * INPUTS


def test_a_grid_with_identity_depth_is_a_stack_of_lstms() -> None:
    cell = grid_lstm_with(output="inside", priority=True, depth="identity")
    grid = conveyor.Recurrent(cell, INPUTS, UNITS, num_layers=3, dtype=torch.float64)
    stack = conveyor.Recurrent("lstm", INPUTS, UNITS, num_layers=3, dtype=torch.float64)
    fill(grid)
    with torch.no_grad():
        for n in range(3):
            own = grid.get_submodule(f"l{n}")
            own.get_parameter("W.y").zero_()
            own.get_parameter("b.y").zero_()
            torch.nn.init.eye_(own.get_parameter("U.y"))
        for key, each in stack.named_parameters():
            each.copy_(grid.get_parameter(key))
    x = draw(T, B, INPUTS, seed=50)
    torch.testing.assert_close(grid(x)[0], stack(x)[0], **CLOSE)


def test_one_dimension_is_two_on_sequences_of_one_step() -> None:
    one, two = (
        make(1),
        conveyor.Recurrent("grid_lstm", INPUTS, UNITS, num_layers=3, dtype=torch.float64),
    )
    with torch.no_grad():
        for n in range(3):
            for gate in "figo":
                for letter in "Wb":
                    own = one.get_parameter(f"blocks.{n}.{letter}.{gate}")
                    two.get_parameter(f"l{n}.{letter}.d{gate}").copy_(own)
        for name, each in zip("yd", torch.split(one.below.weight, UNITS), strict=True):
            two.get_parameter(f"l0.P.{name}").copy_(each)
    x = draw(1, B, INPUTS, seed=50)
    torch.testing.assert_close(one(x), two(x)[0], **CLOSE)


def test_a_place_depends_on_nothing_behind_it() -> None:
    grid = make(3)
    x = draw(ROWS, COLUMNS, B, INPUTS, seed=50).requires_grad_()
    grid(x)[1, 2].sum().backward()
    assert x.grad is not None
    reached = x.grad.abs().sum((-1, -2)) > 0
    want = torch.zeros(ROWS, COLUMNS, dtype=torch.bool)
    want[:2, :3] = True
    assert torch.equal(reached, want)


def test_the_form_without_options_is_the_cell_of_the_paper() -> None:
    cell = conveyor.Recurrent(grid_lstm_with(), INPUTS, UNITS, num_layers=2)
    paper = conveyor.Recurrent("grid_lstm", INPUTS, UNITS, num_layers=2)
    paper.load_state_dict(cell.state_dict())
    x = torch.randn(T, B, INPUTS)
    torch.testing.assert_close(cell(x)[0], paper(x)[0])


def test_grids_are_copied_and_stored() -> None:
    grid = make(3)
    x = draw(ROWS, COLUMNS, B, INPUTS, seed=50)
    before = grid(x)
    torch.testing.assert_close(copy.deepcopy(grid)(x), before)
    other = make(3)
    fill(other)
    other.load_state_dict(grid.state_dict())
    torch.testing.assert_close(other(x), before)
    assert "dimensions=3" in repr(grid)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_an_exported_grid_takes_any_number_of_examples(dimensions: int) -> None:
    grid = make(dimensions)
    place = () if dimensions == 1 else (2, 2)  # every block is written down
    x = torch.randn(*place, 4, INPUTS, dtype=torch.float64)
    program = torch.export.export(
        grid, (x,), dynamic_shapes=({len(place): torch.export.Dim("examples", min=1)},)
    )
    for examples in (1, 4, 9):
        x = torch.randn(*place, examples, INPUTS, dtype=torch.float64)
        torch.testing.assert_close(program.module()(x), grid(x), rtol=1e-11, atol=1e-12)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # the compiler's own
@pytest.mark.parametrize("dimensions", [1, 3])
def test_grids_where_torch_changes_what_runs(dimensions: int) -> None:
    grid = make(dimensions).float()
    # torch's compilers write down every block: as few as have a neighbour on either side.
    shape = (B, INPUTS) if dimensions == 1 else (2, 2, B, INPUTS)
    x = torch.randn(shape)
    want = grid(x)
    compiled = torch.compile(grid, backend="aot_eager")
    torch.testing.assert_close(compiled(x), want)
    torch.testing.assert_close(torch.export.export(grid, (x,)).module()(x), want)
    torch.testing.assert_close(torch.func.vmap(grid)(x[None])[0], want)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(grid(x), want, rtol=0.05, atol=0.05)
        torch.testing.assert_close(grid(x.bfloat16()), want, rtol=0.05, atol=0.05)
    pruned = copy.deepcopy(grid)
    weight = pruned.get_parameter("blocks.0.W.f").detach().clone()
    prune.random_unstructured(pruned.get_submodule("blocks.0.W"), "f", 0.5)  # type: ignore[no-untyped-call]
    other = copy.deepcopy(grid)
    with torch.no_grad():
        mask = pruned.get_buffer("blocks.0.W.f_mask")
        other.get_parameter("blocks.0.W.f").copy_(weight * mask)
    torch.testing.assert_close(pruned(x), other(x))
    low = grid.bfloat16()(x.bfloat16())
    torch.testing.assert_close(low.float(), want, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_a_grid_that_was_called_becomes_of_another_type(dimensions: int) -> None:
    """Machine code is of one type: what was kept for the other is of no use."""
    grid = make(dimensions)
    x = draw(*(B, INPUTS) if dimensions == 1 else (ROWS, COLUMNS, B, INPUTS))
    want = grid(x)
    torch.testing.assert_close(grid.float()(x.float()), want.float())
    torch.testing.assert_close(grid.double()(x), want, rtol=1e-5, atol=1e-6)


def test_what_is_refused() -> None:
    for options, says in (
        ({"dimensions": 2}, "is a cell"),
        ({"dimensions": 4}, "expected 1 or 3"),
        ({"dimensions": 1, "priority": True}, "no other than depth"),
        ({"output": "inner"}, "There are: inside, outside|Did you mean"),
        ({"num_layers": 0}, "num_layers is 0"),
    ):
        with pytest.raises(SettingError, match=says):
            GridLSTM(3, 4, **options)
    with pytest.raises(SettingError, match="depth is 'lst'"):
        grid_lstm_with(depth="lst")
    grid = make(3)
    for shape in ((COLUMNS, B, INPUTS), (ROWS, COLUMNS, B, INPUTS + 1)):
        with pytest.raises(ShapeError, match="expected"):
            grid(torch.zeros(shape, dtype=torch.float64))
    with pytest.raises(ShapeError, match=r"float32, expected torch\.float64"):
        grid(torch.zeros(ROWS, COLUMNS, B, INPUTS))
