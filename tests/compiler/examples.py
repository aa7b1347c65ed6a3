"""Cells for the compiler's tests besides the built-in ones, and numbers to run programs on."""

# ruff: noqa: PLR0917, RET504  (a cell's letters are its arguments; h = ...; return h)

import math
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from torch import Tensor

from conveyor.cells import (
    CELLS,
    Bias,
    Cell,
    Constant,
    Input,
    Last,
    Matrix,
    Shared,
    State,
    Step,
    Value,
    Vector,
    cell,
    equal,
    exp,
    floor,
    greater,
    log,
    maximum,
    mean,
    minimum,
    mod,
    normalise,
    relu,
    sigmoid,
    softmax,
    sqrt,
    tanh,
    total,
)
from conveyor.compiler.lower import lowered
from conveyor.compiler.plan import Plan, plan
from conveyor.compiler.program import STORED_KINDS, Leaf, Program
from conveyor.compiler.trace import trace
from conveyor.kernels.reference import evaluate

Two = tuple[Value, Value]


@cell
def every_operation(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, p: Vector, b: Bias
) -> tuple[Value, ...]:
    """Each operation that has a derivative, away from where it has none."""
    a = W.a @ x + U.a @ h + b.a
    d = tanh(a) / (2 + c * c) - 3 / (2 + exp(-a))
    e = maximum(a, p.e * c) - minimum(d + 0.5, p.e * h) + maximum(0.1, c) * minimum(h, 0.2)
    r = relu(a - d) * sqrt(1 + e**2) + log(3 + sigmoid(e))
    s = total(r * p.s) / (1 + mean(c * c)) - mean(a)
    c = -c * s + s * sigmoid(e) - (s - 1)
    h = tanh(r + s) * sigmoid(c) + 2 * (U.b @ (h - a))
    return h, c, s * h, e


@cell
def layer_norm(x: Input, h: State, W: Matrix, U: Matrix, p: Vector, b: Bias) -> Value:
    """Elman network whose sum is normalised over its units."""
    a = W @ x + U @ h
    centred = a - mean(a)
    h = tanh(p * centred / sqrt(mean(centred**2) + 1e-5) + b)
    return h


@cell
def attending(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, R: Annotated[Matrix, "P"], p: Vector
) -> Two:
    """Words that are written out: softmax, and vectors normalised alone, together and by each
    other."""
    a, d = W.a @ x + U.a @ h, W.d @ x
    s = softmax(a + normalise(c, epsilon=0.1))
    q = softmax(R @ normalise(h))
    c = normalise(a, over=(a, d, c)) * s + p * normalise(d, over=(a, d, c)) + total(q * q)
    h = s * normalise(c, over=(d,))
    return h, c


@cell(start={"T": 2.0, "k.a": (0.0, 1.0), "k.b": Shared((1.0, 2.0))})
def leaky(x: Input, h: State, T: Constant, k: Constant, W: Matrix, U: Matrix, b: Bias) -> Value:
    """Vectors that are not learned."""
    d = exp(-T * T)
    h = d * h + (1 - d) * tanh(W @ x + U.h @ (k.a * h) + U.k @ k.b + b) + total(k.b)
    return h


@cell
def counting(x: Input, t: Step, h: State, W: Matrix, U: Matrix, p: Vector) -> tuple[Value, ...]:
    """The number of the step: in a gate, in a sum and in an output."""
    beat = equal(t % 1, t - floor(t)) * greater(mod(t, 0.5), 0.1)
    h = tanh(W @ x + U @ h + p * t / 10) * (1 + beat) + floor(5 * h)
    return h, t, h * t


@cell
def remembering(
    x: Input,
    h: Annotated[State, Last(3)],
    c: Annotated[State, "P", Last(2)],
    W: Matrix,
    U: Matrix,
    R: Annotated[Matrix, "P"],
) -> tuple[Value, ...]:
    """The last values of two states."""
    before = h[1] * h[3]
    h = tanh(W @ x + U.a @ h + U.b @ h[2] + before + U.c @ c[2])
    c = tanh(R @ h) + c[2]
    return h, c, before


@cell
def delay(x: Input, h: State, last: State, W: Matrix, U: Matrix, b: Bias) -> Two:
    """A state that the input alone decides, and that is used a step later."""
    now = W @ x + b
    h = tanh(now + U @ last)
    return h, now


@cell
def forgetful(x: Input, h: State, W: Matrix) -> Value:
    """Nothing here depends on a state of the step before."""
    h = tanh(W @ x)
    return h


@cell
def unchanged(x: Input, h: State, c: State, W: Matrix, U: Matrix) -> tuple[Value, ...]:
    """A state that stays what it was, and an output that is only read from above."""
    h = tanh(W @ x + U @ h) + c
    y = 2 * h - c
    return h, c, y, h


@cell
def parameter_state(x: Input, h: State, c: State, W: Matrix, b: Bias, p: Vector) -> Two:
    """A state that becomes a parameter, and a value of parameters alone."""
    k = exp(b.k) * p
    h = tanh(W @ x + c) * k
    return h, b.c


@cell
def input_as_state(x: Input, h: State, last: Annotated[State, "I"], W: Matrix, V: Matrix) -> Two:
    """A state that becomes the input, as in a convolution over time."""
    h = tanh(W @ x + V @ last) + h
    return h, x


@cell
def shared_matrix(x: Input, h: State, c: State, W: Matrix, U: Matrix, b: Bias) -> Two:
    """One matrix multiplies several vectors, one vector several times, in sums of sums."""
    a = W @ x + (U @ h + U @ c) + b
    c = U @ (a - c) + (U @ h + a) + W @ x
    h = tanh(a) - (U @ c - (c - h))
    return h, c


@cell
def residual(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
    """In the gradient, a transposed product has two uses: one in a sum of such products."""
    a = W @ x + U.a @ h
    h = U.b @ (h - a)
    return h


@cell
def residual_twice(x: Input, h: State, W: Matrix, U: Matrix) -> Value:
    """In the gradient, a sum of transposed products has two uses."""
    a = tanh(W @ x + U.a @ h)
    h = a - (U.b @ (h - a) + U.c @ (h - a))
    return h


@cell
def narrow(
    x: Input,
    h: Annotated[State, "P"],
    c: State,
    W: Matrix,
    U: Matrix,
    R: Annotated[Matrix, "P"],
    q: Annotated[Vector, "P"],
) -> tuple[Value, ...]:
    """Widths of three kinds; the loop's last product is a transposed one with a rest."""
    c = tanh(W @ x + U @ h) * c
    inner = R.a @ c
    h = q * h + inner - R.b @ (U @ inner)
    return h, c, total(h) * c


@cell
def no_parameters(x: Input, h: State) -> Value:
    """Sums over units alone join an input to a state."""
    h = tanh(h * 0.5 + mean(x) - 2 * total(h))
    return h


@cell
def read_together(x: Input, h: State, c: State, W: Matrix, U: Matrix) -> Two:
    """In the gradient, a transposed product is the gradient of c and a term of that of h."""
    a = tanh(W @ x + U.a @ (h + c))
    c = tanh(U.b @ h)
    return a, c


@cell
def minus_bias(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """Without its biases, 0 minus something stays."""
    a = b.a - U.a @ h
    h = tanh(a) * (b.b - W @ x) - (b.c - h) / (1 + exp(b.d - h))
    return h


@cell
def letter_of_a_sum(x: Input, h: State, c: State, W: Matrix, U: Matrix, V: Matrix) -> Two:
    """A sum that bears the letter of the input, so that it has no name, and is a term of another:
    the trace asks for it."""
    x = W @ x + U @ h + c
    h = x + V @ h
    return h, h * c


MORE_CELLS: dict[str, Cell] = {
    each.name: each
    for each in (
        every_operation,
        layer_norm,
        attending,
        leaky,
        counting,
        remembering,
        delay,
        forgetful,
        unchanged,
        parameter_state,
        input_as_state,
        shared_matrix,
        residual,
        residual_twice,
        narrow,
        no_parameters,
        read_together,
        minus_bias,
        letter_of_a_sum,
    )
}

ALL_CELLS: dict[str, Cell] = CELLS | MORE_CELLS

# No two are equal, so that a transposed or exchanged thing does not fit.
WIDTHS = {"I": 2, "H": 3, "P": 4}
BATCH = 2

Values = dict[str, Tensor]


def like(source: torch.Generator, *shape: int) -> Tensor:
    """Float64 numbers, uniform in ±1."""
    return torch.rand(shape, generator=source, dtype=torch.float64) * 2 - 1


def shape_of(leaf: Leaf) -> tuple[int, ...]:
    """Parameters as they are; the rest for each example, a number as one column."""
    own = tuple(WIDTHS[axis] for axis in leaf.axes)
    return own if leaf.kind in STORED_KINDS else (BATCH, *(own or (1,)))


def numbers_for(program: Program, seed: int = 0) -> Values:
    """Random numbers for every leaf of a program."""
    source = torch.Generator().manual_seed(seed)
    return {leaf.name: like(source, *shape_of(leaf)) for leaf in program.leaves}


def run(program: Program, values: Mapping[str, Tensor]) -> Values:
    """Every name of the program, evaluated on values for its leaves; words are written out, so
    that there are more names."""
    found = dict(values)
    evaluate(lowered(program).operations, found, WIDTHS, torch.zeros((), dtype=torch.float64))
    return found


def results(program: Program, values: Mapping[str, Tensor]) -> Values:
    """Every result but the locals, by role and name."""
    found = run(program, values)
    return {f"{r.role} {r.of}": found[r.value] for r in program.results if r.role != "local"}


def assert_equal(got: Tensor, want: Tensor, bound: float, what: str) -> None:
    """Equal to ``bound`` of the largest number wanted; shapes may differ by broadcasting, since
    what no example changes is not repeated for each."""
    got, want = got.expand_as(want + got), want.expand_as(want + got)
    scale = max(1.0, float(want.detach().abs().max()))
    torch.testing.assert_close(
        got, want, rtol=bound, atol=bound * scale, msg=lambda text: f"{what}: {text}"
    )


PROGRAMS: dict[str, Program] = {name: trace(each) for name, each in ALL_CELLS.items()}


# Drawn cells ---------------------------------------------------------------------------------

# One line of a drawn cell: what is done, and the places of its arguments among the values that
# have the fitting width.
Line = tuple[str, int, int]

UNARY: dict[str, Callable[[Value], Value]] = {
    "neg": lambda a: -a,
    "square": lambda a: a**2,
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    # Bounded, and away from their poles, so that differences of rounding stay small.
    "exp": lambda a: exp(tanh(a)),
    "log": lambda a: log(1 + a * a),
    "sqrt": lambda a: sqrt(0.5 + a * a),
    "half": lambda a: a / 2,
    "inverse": lambda a: 1 / (1.5 + a * a),
    "rest": lambda a: 1 - a,
    "same": lambda a: 0 + a * 1 - 0,
}
BINARY: dict[str, Callable[[Value, Value], Value]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * tanh(b),
    "div": lambda a, b: a / (2 + b * b),
    "maximum": maximum,
    "minimum": minimum,
}
REDUCE: dict[str, Callable[[Value], Value]] = {"total": total, "mean": mean}
TO_WIDTH = {"to H": "H", "to P": "P"}

LINES = st.tuples(
    st.sampled_from([*UNARY, *BINARY, *REDUCE, *TO_WIDTH, *TO_WIDTH]),
    st.integers(0, 30),
    st.integers(0, 30),
)


def axes_of(value: Value) -> tuple[str, ...]:
    """The axes of a value of the language."""
    return value._node.axes


def _pick(made: list[Any], place: int) -> Any:
    """Mostly one of the last four, so that what is drawn leads to what is returned."""
    return made[-1 - place % 4 % len(made)] if place < 20 else made[place % len(made)]


def _do(line: Line, made: list[Any], weights: Mapping[str, Any], shared: bool) -> Value:
    """The value of one line, of the values made before."""
    what, first, second = line
    vectors = [value for value in made if axes_of(value)]
    a, vector = _pick(made, first), _pick(vectors, first)
    if what in UNARY:
        return UNARY[what](a)
    if what in BINARY:
        fitting = [v for v in made if axes_of(v) == axes_of(a) or not axes_of(v) or not axes_of(a)]
        return BINARY[what](a, _pick(fitting, second))
    if what in REDUCE:
        return REDUCE[what](vector)
    if second % 2:  # a product whose gradient has two uses
        vector = vector - _pick([v for v in vectors if axes_of(v) == axes_of(vector)], second)
    gate = axes_of(vector)[0] + (f"{len(made)}" if not shared else "")
    product: Value = getattr(weights[TO_WIDTH[what]], gate) @ vector
    return product


def drawn_cell(lines: list[Line], returns: tuple[int, int, int, int], shared: bool) -> Cell:
    """A cell that does the lines and returns values picked by place. ``shared`` lets a matrix
    multiply several vectors."""

    @cell
    def drawn(
        x: Input,
        h: State,
        c: Annotated[State, "P"],
        A: Matrix,
        Q: Annotated[Matrix, "P"],
        p: Vector,
        q: Annotated[Vector, "P"],
        b: Bias,
    ) -> tuple[Value, ...]:
        made: list[Any] = [x, h, c, A.I @ x, Q.I @ x, b.h, p, q]
        for line in lines:
            made.append(_do(line, made, {"H": A, "P": Q}, shared))
        of_h = [v for v in made if axes_of(v) == ("H",)]
        of_c = [v for v in made if axes_of(v) == ("P",)]
        new_h, new_c = of_h[-1 - returns[0] % len(of_h)], of_c[-1 - returns[1] % len(of_c)]
        first = returns[2] % len(made)
        second = (first + 1 + returns[3] % (len(made) - 1)) % len(made)
        return new_h, new_c, made[-1 - first], made[-1 - second]

    return drawn


def drawn_cells(shared: bool) -> st.SearchStrategy[Cell]:
    """Cells of 8 to 25 random lines."""
    return st.builds(
        drawn_cell,
        st.lists(LINES, min_size=8, max_size=25),
        st.tuples(*[st.integers(0, 5)] * 4),
        st.just(shared),
    )


def drawn_examples(number: int, shrink: bool = True) -> settings:
    """The same draws on every machine and every run. A failing one is shrunk to a short one,
    unless that takes long."""
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])]
    return settings(
        phases=phases,
        max_examples=number,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


def moderate(program: Program, values: Mapping[str, Tensor]) -> bool:
    """Whether no value is so large that rounding would show."""
    largest = [float(each.abs().max()) for each in run(program, values).values()]
    return all(math.isfinite(each) and each < 1e6 for each in largest)


class EndlessError(AssertionError):
    """Something has no end."""


@contextmanager
def at_most(seconds: float, what: str) -> Iterator[None]:
    """Raise EndlessError if the block takes longer."""

    def stop(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except TimeoutError:
        # Where the alarm struck says nothing, and pytest cannot always show that place.
        raise EndlessError(f"longer than {seconds} s: {what}") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_PLANS: dict[Program, Plan] = {}
_HANGS: set[Program] = set()


def plan_of(program: Program) -> Plan:
    """The plan of a program, made once; EndlessError if that has no end."""
    if program not in _PLANS and program not in _HANGS:
        try:
            with at_most(5, f"the plan of {program}"):
                _PLANS[program] = plan(program)
        except EndlessError:
            _HANGS.add(program)
            raise
    if program in _HANGS:
        raise EndlessError(f"the plan of {program.name}: see the first test that fails for it")
    return _PLANS[program]
