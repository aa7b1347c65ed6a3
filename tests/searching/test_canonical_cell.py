# ruff: noqa: PLR0917, RET504  (a cell's letters are its arguments; h = ...; return h)
"""Which graphs count as one cell, and that those that do can compute the same."""

from itertools import pairwise
from random import Random

import pytest
import torch
from torch import Tensor

from conveyor.cells import Bias, Input, Matrix, State, Value, Vector, cell, relu, sigmoid, tanh
from conveyor.cells.cell_registry import find
from conveyor.cells.definition import Cell
from conveyor.compiler.trace import trace
from conveyor.searching.canonical_cell import (
    BLIND,
    CONSTANT,
    FORGETFUL,
    NotACell,
    canonical_key,
)
from conveyor.searching.cell_graph import CellGraph, graph_of
from conveyor.searching.cell_source import cell_source, program_from_source
from conveyor.searching.mutation import mutated


def key_of(given: Cell | str) -> str | NotACell:
    return canonical_key(graph_of(trace(find(given) if isinstance(given, str) else given)))


@cell
def gated(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    z = sigmoid(W.z @ x + U.z @ h + b.z)
    n = tanh(W.n @ x + U.n @ h + b.n)
    h = z * h + (1 - z) * n
    return h


@cell
def gate_turned_round(s: State, x: Input, V: Matrix, R: Matrix, c: Bias) -> Value:
    z = sigmoid(c.z - V.z @ x - R.z @ s)
    n = tanh(R.n @ s + c.n + V.n @ x)
    s = (1 - z) * s + z * n
    return s


@cell
def factored(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    z = sigmoid(W.z @ x + (U.z @ h + b.z))
    n = tanh(W.n @ x + U.n @ h + b.n)
    h = h + z * (n - h)
    return h


@cell
def more_weights(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    z = sigmoid(W.z @ x + W.y @ x + U.z @ h + b.z + b.y)
    n = -tanh(U.m @ (W.n @ x + b.m) - U.n @ h + b.n)
    h = z * h + n - z * n
    return h


@cell
def starting_elsewhere(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    z = sigmoid(W.z @ x + U.z @ h + b.z)
    n = tanh(W.n @ x + U.n @ h + b.n)
    h = z * h + (1 - z) * n
    return h


@cell
def shared_weights(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    z = sigmoid(W.z @ x + U.z @ h + b.z)
    n = tanh(W.n @ x + U.z @ h + b.n)
    h = z * h + (1 - z) * n
    return h


@cell
def relu_instead(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    z = sigmoid(W.z @ x + U.z @ h + b.z)
    n = relu(W.n @ x + U.n @ h + b.n)
    h = z * h + (1 - z) * n
    return h


@pytest.mark.parametrize("same", [gate_turned_round, factored, more_weights])
def test_what_parameters_can_take_up_makes_no_other_cell(same: Cell) -> None:
    assert key_of(same) == key_of(gated)


@pytest.mark.parametrize("other", [shared_weights, relu_instead, find("gru"), find("mgu")])
def test_other_cells_have_other_keys(other: Cell) -> None:
    assert key_of(other) != key_of(gated)


def test_names_of_the_literature_for_one_cell() -> None:
    """cells.gru_chung says it, and mut2's docstring."""
    assert key_of("gru_chung") == key_of("gru_reset_before") == key_of("mut2")
    assert len({key_of(name) for name in ("rnn", "gru", "gru_chung", "lstm", "mut1", "mut3")}) == 6


def test_where_a_bias_starts_matters_in_the_direction_of_its_gate() -> None:
    def with_bias(start: float, *, turned: bool) -> str | NotACell:
        @cell(start={"b": start})
        def one(x: Input, h: State, W: Matrix, V: Matrix, b: Bias) -> Value:
            z = sigmoid(W @ x + b)
            n = tanh(V @ x)
            h = (1 - z) * h + z * n if turned else z * h + (1 - z) * n
            return h

        return key_of(one)

    assert with_bias(1.0, turned=False) == with_bias(-1.0, turned=True)
    assert with_bias(1.0, turned=False) != with_bias(1.0, turned=True)


def test_a_bias_that_is_subtracted_begins_on_the_other_side() -> None:
    def with_bias(start: float, *, subtracted: bool) -> str | NotACell:
        @cell(start={"b": start})
        def one(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
            h = relu(W @ x + U @ h - b if subtracted else W @ x + U @ h + b)
            return h

        return key_of(one)

    assert with_bias(1.0, subtracted=True) == with_bias(-1.0, subtracted=False)
    assert with_bias(1.0, subtracted=True) != with_bias(1.0, subtracted=False)


def test_the_scale_of_a_tanh_is_no_parameter_s() -> None:
    """Its sign is: 0.01 tanh(...) is another cell, -tanh(...) is not."""

    def scaled(number: float) -> str | NotACell:
        @cell
        def one(x: Input, h: State, W: Matrix, b: Bias) -> Value:
            h = tanh(h + number * tanh(W @ x + b))
            return h

        return key_of(one)

    assert scaled(1) == scaled(-1)
    assert len({scaled(number) for number in (1, 0.9, 1.1, 0.01)}) == 4


def test_the_scale_of_a_product_is_the_matrix_s() -> None:
    def scaled(number: float) -> str | NotACell:
        @cell
        def one(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
            h = tanh(number * (W @ x) + U @ h)
            return h

        return key_of(one)

    assert scaled(1) == scaled(-3) == scaled(0.5)


def test_a_matrix_that_is_bound_elsewhere_takes_nothing_up() -> None:
    """U.a is also the matrix of h * h, so that U.b is not one too many."""

    @cell
    def bound(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
        h = tanh(W @ x + U.a @ h + U.a @ (h * h))
        return h

    @cell
    def free(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
        h = tanh(W @ x + U.a @ h + U.b @ h + U.a @ (h * h))
        return h

    assert key_of(bound) != key_of(free)


def test_what_is_no_cell_is_told_with_the_reason() -> None:
    @cell
    def blind(x: Input, h: State, U: Matrix, b: Bias) -> Value:
        h = tanh(U @ h + b)
        return h

    @cell
    def forgetful(x: Input, h: State, W: Matrix, b: Bias) -> Value:
        y = tanh(W @ x + b)
        h = h - h + y
        return h

    assert key_of(blind) == NotACell(BLIND)
    assert key_of(forgetful) == NotACell(FORGETFUL)
    graph = graph_of(trace(find("rnn")))
    state = next(i for i, node in enumerate(graph.nodes) if node.op == "state")
    alone = CellGraph(graph.states, graph.nodes, (state,), state)
    assert canonical_key(alone) in (NotACell(BLIND), NotACell(CONSTANT))


def test_a_state_that_the_output_never_sees_makes_no_other_cell() -> None:
    @cell
    def idle(
        x: Input, h: State, c: State, W: Matrix, U: Matrix, b: Bias, v: Vector
    ) -> tuple[Value, Value]:
        c = c + v * h
        h = tanh(W @ x + U @ h + b)
        return h, c

    assert key_of(idle) == key_of("rnn")


def test_a_mutant_that_is_written_and_read_is_the_same_cell() -> None:
    random = Random(0)
    graph = graph_of(trace(find("lstm")))
    seen = 0
    for number in range(40):
        changed = mutated(graph, random)
        if changed is None or isinstance(key := canonical_key(changed[0]), NotACell):
            continue
        text = cell_source(changed[0], f"m{number}", "A mutant.", "")
        assert canonical_key(graph_of(program_from_source(text, f"m{number}"))) == key
        seen += 1
    assert seen > 30


# That two graphs of one key are one cell is asked of numbers: the weights of one are fitted until
# it computes what the other does. The equations are walked here anew, one unit, one input.


def computed(graph: CellGraph, weights: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """The outputs [T, N] of a cell of one unit, of inputs [T, N]."""
    states = {state: torch.zeros(inputs.shape[1], dtype=inputs.dtype) for state in graph.states}
    outputs = []
    for x in inputs:
        values: list[Tensor] = []
        for node in graph.nodes:
            of = [values[argument] for argument in node.arguments]
            match node.op:
                case "input":
                    value = x
                case "state":
                    value = states[node.name]
                case "constant":
                    value = torch.full_like(x, node.number)
                case "bias" | "vector":
                    value = weights[node.name].expand_as(x)
                case "product":
                    value = weights[node.name] * of[0]
                case "add" | "sub" | "mul" | "tanh" | "sigmoid" | "relu":
                    value = getattr(torch, node.op)(*of)
                case _:
                    raise AssertionError(node.op)
            values.append(value)
        outputs.append(values[graph.output])
        new = [values[place] for place in graph.new]
        states = dict(zip(graph.states, new, strict=True))
    return torch.stack(outputs)


def fitted_error(
    graph: CellGraph, weights: dict[str, Tensor], inputs: Tensor, expected: Tensor
) -> float:
    """The error after the weights were fitted."""
    optimizer = torch.optim.LBFGS(
        list(weights.values()), max_iter=200, line_search_fn="strong_wolfe"
    )

    def error() -> Tensor:
        optimizer.zero_grad()
        loss = (computed(graph, weights, inputs) - expected).square().mean()
        loss = loss / expected.square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(error)  # type: ignore[no-untyped-call]
    return error().item()


def distance_after_fit(teacher: CellGraph, pupil: CellGraph) -> float:
    """The least mean squared error that the pupil is fitted to, of four beginnings, as a share of
    the mean square of what it is to compute."""
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(4, 64, dtype=torch.float64, generator=draw)

    def weights_of(graph: CellGraph) -> dict[str, Tensor]:
        names = sorted({n.name for n in graph.nodes if n.op in ("product", "bias", "vector")})
        numbers = 0.7 * torch.randn(len(names), dtype=torch.float64, generator=draw)
        return {name: number.clone() for name, number in zip(names, numbers, strict=True)}

    expected = computed(teacher, weights_of(teacher), inputs)
    least = float("inf")
    for _ in range(4):
        weights = {name: number.requires_grad_() for name, number in weights_of(pupil).items()}
        least = min(least, fitted_error(pupil, weights, inputs, expected))
        if least < 1e-6:
            break
    return least


def test_mutants_of_one_key_can_compute_the_same() -> None:
    random = Random(3)
    parents = [graph_of(trace(find(name))) for name in ("gru_chung", "rnn", "mut1")]
    by_key: dict[str, list[CellGraph]] = {}
    while sum(len(graphs) > 1 for graphs in by_key.values()) < 9:
        changed = mutated(random.choice(parents), random)
        if changed is None or isinstance(key := canonical_key(changed[0]), NotACell):
            continue
        by_key.setdefault(key, []).append(changed[0])
    for graphs in by_key.values():
        for one, other in pairwise(graphs[:2]):
            assert distance_after_fit(one, other) < 1e-4
            assert distance_after_fit(other, one) < 1e-4


def test_the_fit_tells_cells_apart() -> None:
    """Else the test above would say nothing."""
    rnn, gru = (graph_of(trace(find(name))) for name in ("rnn", "gru_chung"))
    assert distance_after_fit(gru, rnn) > 1e-3
