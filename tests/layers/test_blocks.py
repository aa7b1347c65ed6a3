"""Matrices made of blocks: beside ``Heads``, beside the same cell with whole matrices, and through
every door of a layer."""

# ruff: noqa: PLR0917, RET504  (a cell's letters are its arguments; h = ...; return h)

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.cells import CELLS, Bias, Blocks, Input, Matrix, State, Value, cell, sigmoid, tanh
from conveyor.compiler.cost import cost
from conveyor.compiler.plan import plan
from conveyor.compiler.program import Program
from conveyor.compiler.program_json import dumps, from_json, to_json
from conveyor.compiler.trace import trace
from conveyor.errors import CellError, ProgramError, SettingError, ShapeError
from conveyor.layers.initialise import recurrent_matrices
from tests.layers.named import draw

every_target = pytest.mark.parametrize("target", ["reference", "llvm"])

T, B, INPUTS, UNITS, NUMBER = 6, 3, 4, 6, 3


@cell(keep={"b.f": +1})
def in_blocks(
    x: Input,
    h: State,
    c: State,
    W: Matrix,
    U: Annotated[Matrix, Blocks("N")],
    V: Annotated[Matrix, Blocks("N", upper=True)],
    b: Bias,
) -> tuple[Value, Value]:
    """A cell with both forms of blocks."""
    f = sigmoid(W.f @ x + U.f @ h + b.f)
    g = tanh(W.g @ x + U.g @ h + V @ c + b.g)
    c = f * c + (1 - f) * g
    h = tanh(c)
    return h, c


@cell(keep={"b.f": +1})
def whole(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, V: Matrix, b: Bias
) -> tuple[Value, Value]:
    """The same cell, its matrices whole."""
    f = sigmoid(W.f @ x + U.f @ h + b.f)
    g = tanh(W.g @ x + U.g @ h + V @ c + b.g)
    c = f * c + (1 - f) * g
    h = tanh(c)
    return h, c


def put_together(blocks: Tensor, *, upper: bool) -> Tensor:
    """The matrix of its blocks, written from the definition."""
    rows, columns = blocks.shape[1:]
    matrix = blocks.new_zeros(NUMBER * rows, NUMBER * columns)
    left = list(blocks)
    for i in range(NUMBER):
        for j in range(NUMBER):
            if i == j or (upper and i < j):
                across, down = (
                    slice(i * rows, (i + 1) * rows),
                    slice(j * columns, (j + 1) * columns),
                )
                matrix[across, down] = left.pop(0)
    assert not left
    return matrix


def of_shape_of_whole(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters, with those made of blocks put together."""
    return {
        name: put_together(each, upper=".V" in name) if each.dim() == 3 else each
        for name, each in named.items()
    }


def both(**settings: Any) -> tuple[conveyor.Recurrent, conveyor.Recurrent]:
    """The cell with blocks and the one without, of the same numbers."""
    ours = conveyor.Recurrent(
        in_blocks, INPUTS, UNITS, sizes={"N": NUMBER}, dtype=torch.float64, **settings
    )
    other = conveyor.Recurrent(whole, INPUTS, UNITS, dtype=torch.float64, **settings)
    with torch.no_grad():
        for seed, (name, each) in enumerate(ours.named_parameters()):
            each.copy_(0.6 * draw(*each.shape, seed=seed))
            other.get_parameter(name).copy_(of_shape_of_whole({name: each})[name])
    return ours, other


def in_heads(name: str) -> Program:
    """A built-in cell whose recurrent matrices have blocks on the diagonal."""
    program = trace(CELLS[name])
    names = [leaf.name for leaf in program.stored if leaf.name in recurrent_matrices(program)]
    return replace(program, blocks=tuple((each, Blocks("N")) for each in names))


# Beside other layers -----------------------------------------------------------------------------


@every_target
@pytest.mark.parametrize("name", ["lstm", "gru", "slstm", "lstm_peephole_full"])
def test_a_cell_with_blocks_is_heads_side_by_side(name: str, target: str) -> None:
    heads = conveyor.Heads(name, INPUTS, UNITS, NUMBER, dtype=torch.float64)
    own = conveyor.Recurrent(
        in_heads(name), INPUTS, UNITS, sizes={"N": NUMBER}, dtype=torch.float64
    )

    def joined(of_heads: list[Any], stored: Tensor) -> Tensor:
        return torch.stack(of_heads) if stored.dim() == 3 else torch.cat(of_heads)

    with torch.no_grad():
        for seed, each in enumerate(heads.parameters()):
            each.copy_(draw(*each.shape, seed=seed))
        for path, each in own.named_parameters():
            each.copy_(joined([dict(head.named_parameters())[path] for head in heads.each], each))
    x, upstream = draw(T, B, INPUTS, seed=50), draw(T, B, UNITS, seed=51)
    anew = torch.arange(T * B).view(T, B) % 5 == 2
    given: dict[str, Any]
    with conveyor.use_target(target):
        for given in ({}, {"lengths": [2, 6, 0]}, {"reset": anew}):
            want, states = heads(x, **given)
            got, state = own(x, **given)
            torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
            together = torch.cat([each.h for each in states], -1)
            torch.testing.assert_close(state.h, together, rtol=1e-12, atol=1e-12)
            (want * upstream).sum().backward()
            (got * upstream).sum().backward()
    for path, each in own.named_parameters():
        expected = joined([head.get_parameter(path).grad for head in heads.each], each)
        torch.testing.assert_close(each.grad, expected, rtol=1e-10, atol=1e-11)


@every_target
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_layers": 2, "bidirectional": True},
        {"num_layers": 2, "tied": True},
        {"checkpoint": 2},
        {"dilation": 2},
        {"learn_start": True},
        {"variational_dropout": 0.4, "weight_dropout": 0.3, "zoneout": 0.2},
    ],
    ids=lambda settings: "-".join(settings) or "plain",
)
def test_outputs_and_gradients_are_those_of_whole_matrices(
    settings: dict[str, Any], target: str
) -> None:
    ours, other = both(**settings)
    x, upstream = draw(T, B, INPUTS, seed=50), None
    results = []
    with conveyor.use_target(target):
        for layer in (ours, other):
            read = x.clone().requires_grad_()
            torch.manual_seed(3)  # of what dropout draws
            output, state = layer(read)
            upstream = draw(*output.shape, seed=51)
            loss = (output * upstream).sum() + (state.c**2).sum()
            names, parameters = zip(*layer.named_parameters(), strict=True)
            of_x, *of_parameters = torch.autograd.grad(loss, [read, *parameters])
            results.append((output, of_x, dict(zip(names, of_parameters, strict=True))))
    (got, x_got, ours_got), (want, x_want, other_want) = results
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(x_got, x_want, rtol=1e-11, atol=1e-12)
    for name, gradient in ours_got.items():
        expected = other_want[name]
        kept = of_shape_of_whole({name: torch.ones_like(gradient)})[name]
        matrix = of_shape_of_whole({name: gradient})[name]
        torch.testing.assert_close(matrix, expected * kept, rtol=1e-10, atol=1e-11)


# Every door of a layer ---------------------------------------------------------------------------


def test_without_gradients_a_call_sees_weights_that_change() -> None:
    """Replayed and repeated calls put the blocks together anew."""
    ours, other = both()
    x = draw(T, B, INPUTS, seed=50)
    with torch.no_grad():
        for number in range(4):
            for layer in (ours, other):
                layer.get_parameter("l0.b.f").add_(0.1)
            ours.get_parameter("l0.U.f").add_(0.1 * number)
            other.get_parameter("l0.U.f").copy_(
                put_together(ours.get_parameter("l0.U.f"), upper=False)
            )
            torch.testing.assert_close(ours(x)[0], other(x)[0], rtol=1e-12, atol=1e-13)
            state = ours.start(B)
            got, _ = ours.step(x[0], state)
            want, _ = other.step(x[0], other.start(B))
            torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)


def test_arrays_and_streams() -> None:
    ours, _ = both(num_layers=2)
    x = draw(T, B, INPUTS, seed=50)
    with torch.no_grad():
        want, _ = ours(x)
    output, _ = ours.numpy()(x.numpy())
    torch.testing.assert_close(torch.from_numpy(output), want, rtol=1e-12, atol=1e-13)
    stream = ours.stream(B)
    for x_t, y_t in zip(x, want, strict=True):
        torch.testing.assert_close(torch.from_numpy(stream(x_t.numpy())), y_t)


def test_a_trace_has_the_local_names() -> None:
    ours, other = both()
    x = draw(T, B, INPUTS, seed=50)
    for name, want in other(x, trace=True)[2].at(layer=0).items():
        torch.testing.assert_close(ours(x, trace=True)[2].at(layer=0)[name], want)


def test_compiled_and_exported() -> None:
    ours, _ = both(num_layers=2, bidirectional=True)
    x = draw(T, B, INPUTS, seed=50)
    want, _ = ours(x)
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    got, _ = compiled(x)
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-13)
    (gradient,) = torch.autograd.grad(got.sum(), [ours.get_parameter("l0.V")])
    (expected,) = torch.autograd.grad(want.sum(), [ours.get_parameter("l0.V")])
    torch.testing.assert_close(gradient, expected, rtol=1e-11, atol=1e-12)
    exported = torch.export.export(ours.eval(), (x,)).module()
    torch.testing.assert_close(exported(x)[0], want, rtol=1e-12, atol=1e-13)


def test_functional_calls_and_copies() -> None:
    ours, _ = both()
    x = draw(T, B, INPUTS, seed=50)
    doubled = {name: 2 * each for name, each in ours.named_parameters()}
    got, _ = torch.func.functional_call(ours, doubled, (x,))
    other = copy.deepcopy(ours)
    other.load_state_dict(doubled)
    torch.testing.assert_close(got, other(x)[0])

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        output: Tensor = torch.func.functional_call(ours, parameters, (x,))[0]
        return output.sum()

    named = {name: each.detach() for name, each in ours.named_parameters()}
    by_example = torch.func.vmap(torch.func.grad(loss), (None, 1))(named, x[:, :, None])
    together = torch.func.grad(loss)(named, x)
    for name, each in by_example.items():
        torch.testing.assert_close(each.sum(0), together[name], rtol=1e-11, atol=1e-12)


def test_saved_and_loaded(tmp_path: Path) -> None:
    ours, _ = both()
    x = draw(T, B, INPUTS, seed=50)
    conveyor.save(ours, tmp_path / "net")
    loaded = conveyor.load(tmp_path / "net")
    torch.testing.assert_close(loaded(x)[0], ours(x)[0], rtol=0, atol=0)
    data = to_json(ours.program)
    assert data["format"] == 4
    assert data["blocks"] == {"U.f": ["N", False], "U.g": ["N", False], "V": ["N", True]}
    assert from_json(json.loads(dumps(ours.program))) == ours.program


# What is stored ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_what_is_stored_is_what_the_formula_counts(number: int) -> None:
    layer = conveyor.Recurrent(in_blocks, INPUTS, UNITS, sizes={"N": number})
    formula = cost(plan(trace(in_blocks))).parameters
    assert str(formula) == "H²/2 + 2·H·I + 5·H²/(2·N) + 2·H"
    total = sum(each.numel() for each in layer.parameters())
    assert total == formula.at({"H": UNITS, "I": INPUTS, "N": number})
    side = UNITS // number
    assert layer.get_parameter("l0.U.f").shape == (number, side, side)
    assert layer.get_parameter("l0.V").shape == (number * (number + 1) // 2, side, side)


def test_a_number_of_blocks_that_is_fixed() -> None:
    @cell
    def fixed(x: Input, h: State, W: Matrix, U: Annotated[Matrix, Blocks(4, upper=True)]) -> Value:
        h = tanh(W @ x + U @ h)
        return h

    formula = cost(plan(trace(fixed))).parameters
    assert str(formula) == "5·H²/8 + H·I"
    layer = conveyor.Recurrent(fixed, 3, 8)
    assert sum(each.numel() for each in layer.parameters()) == formula.at({"H": 8, "I": 3})


@pytest.mark.parametrize("width", ["rows", "columns"])
def test_matrices_that_are_not_square(width: str) -> None:
    rows, columns = ("P", "H") if width == "rows" else ("H", "P")

    @cell
    def oblong(
        x: Input,
        h: State,
        p: Annotated[State, "P"],
        W: Matrix,
        U: Annotated[Matrix, rows, columns, Blocks(2)],
        V: Annotated[Matrix, columns],
    ) -> tuple[Value, Value]:
        if width == "rows":
            p = tanh(U @ h)
            h = tanh(W @ x + V @ p)
        else:
            h = tanh(W @ x + U @ p)
            p = tanh(V @ h)
        return h, p

    layer = conveyor.Recurrent(oblong, 3, 4, sizes={"P": 6}, dtype=torch.float64)
    assert layer.get_parameter("l0.U").shape == ((2, 3, 2) if width == "rows" else (2, 2, 3))
    assert layer(draw(T, B, 3, seed=1))[0].shape == (T, B, 4)


def test_each_block_begins_as_a_matrix_of_its_own() -> None:
    torch.manual_seed(0)
    layer = conveyor.Recurrent(in_blocks, INPUTS, 12, sizes={"N": 3}, dtype=torch.float64)
    places = Blocks("N", upper=True).places(3)
    assert places == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    V = layer.get_parameter("l0.V")
    orthogonal = [
        *layer.get_parameter("l0.U.f"),
        *[b for b, (i, j) in zip(V, places, strict=True) if i == j],
    ]
    for block in orthogonal:
        torch.testing.assert_close(block @ block.T, torch.eye(4, dtype=torch.float64))
    bound = (6 / 8) ** 0.5  # Glorot & Bengio 2010, of a matrix of 4 rows and 4 columns
    above = torch.stack([b for b, (i, j) in zip(V, places, strict=True) if i != j])
    assert 0.8 * bound < above.abs().max() <= bound
    layer = conveyor.Recurrent(in_blocks, INPUTS, 12, sizes={"N": 3}, init="irnn")
    assert torch.equal(put_together(layer.get_parameter("l0.V"), upper=True), torch.eye(12))
    assert torch.equal(put_together(layer.get_parameter("l0.U.f"), upper=False), torch.eye(12))


def test_what_is_said_of_blocks() -> None:
    assert conveyor.show(in_blocks).splitlines()[-2:] == [
        "U.f, U.g: N blocks on the diagonal",
        "V: N blocks on and above the diagonal",
    ]
    assert "V[H, H; N blocks on and above the diagonal]" in conveyor.show(in_blocks, "program")
    ours, other = both()
    line = "stored as blocks, read as whole matrices: U.f, U.g, V"
    assert line in ours.explain(draw(T, B, INPUTS, seed=1))
    assert "blocks" not in other.explain(draw(T, B, INPUTS, seed=1))


# What is wrong -----------------------------------------------------------------------------------


def test_declarations_that_are_wrong() -> None:
    with pytest.raises(CellError, match="bias b \\[H\\] is made of 'N' blocks") as raised:

        @cell
        def of_a_bias(x: Input, h: State, W: Matrix, b: Annotated[Bias, Blocks("N")]) -> Value:
            h = tanh(W @ x + h + b)
            return h

    assert "U: Annotated[Matrix, Blocks('N')]" in str(raised.value)
    for number in (0, -1, True, 2.0, "", "2N", None):
        with pytest.raises(CellError, match="blocks"):

            @cell
            def of_no_number(
                x: Input,
                h: State,
                U: Annotated[Matrix, Blocks(number)],
            ) -> Value:
                h = tanh(x + U @ h)
                return h

    with pytest.raises(CellError, match="has the widths 'H', 'J', 'K'"):

        @cell
        def of_three_widths(x: Input, h: State, U: Annotated[Matrix, "H", "J", "K"]) -> Value:
            h = tanh(U @ h)
            return h

    with pytest.raises(CellError, match="has the widths 'H', 'J'"):

        @cell
        def a_wide_state(x: Input, h: Annotated[State, "H", "J"], W: Matrix) -> Value:
            h = tanh(W @ x + h)
            return h

    with pytest.raises(CellError, match="J"):

        @cell
        def other_columns(x: Input, h: State, U: Annotated[Matrix, "H", "J"]) -> Value:
            h = tanh(U.a @ h)
            return h


def test_sizes_that_do_not_divide() -> None:
    with pytest.raises(SettingError, match=r"U\.f is made of 4 blocks along its 6 units of axis H"):
        conveyor.Recurrent(in_blocks, INPUTS, 6, sizes={"N": 4})
    with pytest.raises(SettingError, match="needs sizes of: N"):
        conveyor.Recurrent(in_blocks, INPUTS, 6)
    with pytest.raises(SettingError, match="no whole number"):
        conveyor.show(in_blocks, "cost", H=6, I=4, N=4)


def test_stored_tensors_of_another_shape() -> None:
    ours, _ = both()
    ours.get_submodule("l0.U").f = torch.nn.Parameter(torch.zeros(2, 3, 3, dtype=torch.float64))
    for call in (
        lambda: ours(draw(T, B, INPUTS, seed=1)),
        lambda: ours.step(draw(B, INPUTS, seed=1)),
        ours.stream,
        ours.numpy,
    ):
        with pytest.raises(ShapeError, match=r"l0.U.f is \[2, 3, 3\]; expected \[3, 2, 2\]"):
            call()


def test_programs_with_wrong_blocks() -> None:
    data = to_json(trace(in_blocks))
    for blocks, what in (
        ({"b.f": ["N", False]}, "is no matrix"),
        ({"U.f": [0, False]}, "0 blocks"),
        ({"U.f": ["N", 1]}, "blocks"),
        ({"U.f": "N"}, "not a program"),
        (["U.f"], "not a program"),
    ):
        with pytest.raises(ProgramError, match=what):
            conveyor.Recurrent(
                from_json({**data, "blocks": blocks}), INPUTS, UNITS, sizes={"N": NUMBER}
            )
