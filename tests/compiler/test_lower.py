"""Words of equations: what they mean, how they are written out, and how they are printed."""

# ruff: noqa: RET504  (a cell's letters are its arguments; h = ...; return h)

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import conveyor
from conveyor.cells import CELLS, Input, Matrix, State, Value, cell, normalise, softmax
from conveyor.cells.operations import RULES, WORDS
from conveyor.compiler.check import check
from conveyor.compiler.lower import lowered
from conveyor.compiler.plan import plan
from conveyor.compiler.program import Program
from conveyor.compiler.program_json import dumps, from_json, to_json
from conveyor.compiler.trace import trace
from tests.compiler.examples import PROGRAMS, numbers_for, results, run

GOLDEN = Path(__file__).parents[1] / "golden" / "programs"


@cell
def words(x: Input, h: State, W: Matrix, U: Matrix) -> tuple[Value, ...]:
    """Each word alone."""
    v, s = W @ x, U @ h
    a = softmax(s)
    n = normalise(v)
    m = normalise(v, over=(v, s), epsilon=0.5)
    h = a * n + m
    return h, a, n, m


def test_words_are_what_numpy_makes_of_them() -> None:
    values = numbers_for(trace(words))
    got = {name: each.numpy() for name, each in run(trace(words), values).items()}
    v, s = got["v"], got["s"]
    power = np.exp(s)
    np.testing.assert_allclose(got["a"], power / power.sum(-1, keepdims=True), rtol=1e-14)
    spread = np.sqrt(v.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(got["n"], (v - v.mean(-1, keepdims=True)) / spread, rtol=1e-13)
    both = np.concatenate([v, s], -1)
    spread = np.sqrt(both.var(-1, keepdims=True) + 0.5)
    np.testing.assert_allclose(got["m"], (v - both.mean(-1, keepdims=True)) / spread, rtol=1e-13)


@pytest.mark.parametrize("target", ["reference", "llvm"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_softmax_overflows_nowhere(target: str, dtype: torch.dtype) -> None:
    """Of numbers whose exponentials are infinite, or all zero, it is torch's, and so is its
    gradient."""

    @cell
    def choosing(x: Input, h: State, W: Matrix) -> Value:
        h = softmax(W @ x)
        return h

    size = 21
    x = torch.linspace(-1, 1, size, dtype=dtype) * torch.tensor([[1e4], [-1e4], [80.0], [0.0]])
    x = x.to(dtype)[None] - 5e3
    with conveyor.use_target(target):
        layer = conveyor.Recurrent(choosing, size, size, dtype=dtype)
        with torch.no_grad():
            layer.get_parameter("l0.W").copy_(torch.eye(size))
        results = []
        upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
        for by_torch in (False, True):
            given = x.clone().requires_grad_()
            output = given.softmax(-1) if by_torch else layer(given)[0]
            (gradient,) = torch.autograd.grad(output, given, upstream)
            results.append((output, gradient))
    (output, gradient), (right, right_gradient) = results
    assert output.isfinite().all()
    # An exponential of machine code is off by some units of the last place at most.
    bound = 16 * torch.finfo(dtype).eps
    torch.testing.assert_close(output, right, rtol=bound, atol=bound)
    torch.testing.assert_close(gradient, right_gradient, rtol=bound, atol=bound)


@pytest.mark.parametrize("target", ["reference", "llvm"])
def test_softmax_of_what_is_not_finite_is_that_of_torch(target: str) -> None:
    @cell
    def choosing(x: Input, h: State, W: Matrix) -> tuple[Value, Value]:
        h = W @ x
        return h, softmax(h)

    nan, inf = float("nan"), float("inf")
    # [T, 1, 1] numbers, of which the state's units are 1, 2 and 3 times as much.
    x = torch.tensor([nan, inf, -inf]).reshape(3, 1, 1)
    with conveyor.use_target(target):
        layer = conveyor.Recurrent(choosing, 1, 3)
        with torch.no_grad():
            layer.get_parameter("l0.W").copy_(torch.tensor([[1.0], [2.0], [3.0]]))
        output, _ = layer(x)
    assert output.isnan().all()


# Printed, saved, compared ------------------------------------------------------------------------


def test_words_are_printed_as_they_are_written() -> None:
    assert conveyor.show(words).splitlines()[2:6] == [
        "a = softmax(s)",
        "n = normalise(v)",
        "m = normalise(v, over=(v, s), epsilon=0.5)",
        "h = a * n + m",
    ]
    assert "  a[H] = softmax(s)" in conveyor.show(words, "program").splitlines()
    latex = conveyor.show(words, "latex")
    assert r"a_t &= \mathrm{softmax}(s_t) \\" in latex
    assert r"n_t &= \mathrm{normalise}(v_t) \\" in latex
    assert r"m_t &= \mathrm{normalise}_{\epsilon = 0.5}(v_t; v_t, s_t) \\" in latex


def test_words_over_one_other_vector_are_printed_as_python_reads_them() -> None:
    @cell
    def other(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
        v, s = W @ x, U @ h
        h = normalise(v, over=[s]) + normalise(v, over=(v,))
        return h

    assert conveyor.show(other).splitlines()[-1] == "h = normalise(v, over=(s,)) + normalise(v)"


def test_words_are_saved_as_words() -> None:
    program = trace(words)
    again = check(from_json(json.loads(dumps(program))))
    assert again == program
    said = [o.op for o in again.operations if o.op in WORDS]
    assert said == ["softmax", "normalise", "normalise"]


def test_a_program_of_before_is_read_and_is_the_same_cell() -> None:
    """``lstm_layer_norm`` was saved with means and deviations spelled out: it still runs, to the
    same bits as the cell that says ``normalise``."""
    text = (GOLDEN / "lstm_layer_norm.json").read_text(encoding="utf-8")
    before, now = check(from_json(json.loads(text))), trace(CELLS["lstm_layer_norm"])
    assert '"normalise"' not in text
    assert '"normalise"' in dumps(now)
    assert to_json(before)["format"] == to_json(now)["format"] == 1
    x = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    for target in ("reference", "llvm"):
        found = []
        for program in (before, now):
            torch.manual_seed(1)
            with conveyor.use_target(target):
                layer = conveyor.Recurrent(program, 4, 11)
                output, _ = layer(x)
                output.square().sum().backward()
            found.append([output, *[each.grad for each in layer.parameters()]])
        for one, other in zip(*found, strict=True):
            assert torch.equal(one, other)


# The pass ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROGRAMS)
def test_lowering_leaves_no_word_and_renames_nothing(name: str) -> None:
    program = PROGRAMS[name]
    plain = lowered(program)
    assert not {o.op for o in plain.operations} & set(WORDS)
    assert {o.name for o in program.operations} <= {o.name for o in plain.operations}
    assert plain.results == program.results
    assert lowered(plain) is plain


def test_what_vectors_are_normalised_by_is_computed_once() -> None:
    operations = lowered(PROGRAMS["lstm_layer_norm"]).operations
    assert sum(o.op == "sqrt" for o in operations) == 3  # of x, of h and of c


def test_every_word_is_tried() -> None:
    tried = {o.op for program in PROGRAMS.values() for o in program.operations}
    assert set(WORDS) <= tried
    assert set(WORDS) < set(RULES)


def test_kernels_see_no_word() -> None:
    planned = plan(PROGRAMS["attending"])
    for program in (planned.program, planned.gradient):
        assert not {o.op for o in program.operations} & set(WORDS)


def test_largest_has_no_gradient() -> None:
    """And what it is not needed for does not keep it."""
    planned = plan(trace(words))
    largest = [o.name for o in planned.program.operations if o.op == "largest"]
    assert largest
    assert not set(largest) & set(planned.kept)
    assert not {o.op for o in planned.gradient.operations} & {"largest"}


def same_values(program: Program) -> None:
    """Sharing and simplifying written-out words changes no value."""
    values = numbers_for(program)
    for name, each in results(program, values).items():
        torch.testing.assert_close(results(plan(program).program, values)[name], each)


def test_plans_of_words_compute_the_same() -> None:
    same_values(trace(words))
