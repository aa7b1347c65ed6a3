"""Reads printed equations and computes with them; and cells whose states are odd."""

# ruff: noqa: PLR0917, RET504  (a cell's letters are its arguments; h = ...; return h)

import re
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from conveyor.cells import (
    Bias,
    Cell,
    Input,
    Matrix,
    State,
    Value,
    Vector,
    cell,
    exp,
    maximum,
    mean,
    sigmoid,
    sqrt,
    tanh,
)
from tests.compiler.examples import WIDTHS

# The interpreter -----------------------------------------------------------------------------

Numbers = dict[str, Any]


def softmax(a: Any) -> Any:
    return np.exp(a) / np.exp(a).sum()


def normalise(a: Any, over: Any = None, epsilon: float = 1e-5) -> Any:
    seen = np.concatenate([a] if over is None else over)
    return (a - seen.mean()) / np.sqrt(seen.var() + epsilon)


FUNCTIONS: dict[str, Any] = {
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0),
    "total": np.sum,
    "width": lambda axis: axis,
    "spread": lambda number, width: np.full(width, number),
    "softmax": softmax,
    "mod": np.mod,
    "equal": lambda a, b: (a == b) * 1.0,
    "greater": lambda a, b: (a > b) * 1.0,
    "floor": np.floor,
    "normalise": normalise,
    **{name: getattr(np, name) for name in ("exp", "log", "maximum", "minimum", "sqrt", "tanh")},
}
TOKEN = re.compile(
    r"(?P<number>\d+(\.\d+)?(e[+-]?\d+)?)"
    r"|(?P<function>[^\W\d]\w*)(?=\()"
    r"|(?P<width>((?<=width\()|(?<=spread\(0, ))\w+)"
    r"|(?P<keyword>[a-z]+)(?==)"
    r"|(?P<past>[^\W\d]\w*\[\d+\])"
    r"|(?P<name>%\d+|[^\W\d]\w*(\.\w+)?'?)"
)


def computed(text: str, known: Mapping[str, Any]) -> Any:
    """The right-hand side of an equation; a letter that is no value is the width of an axis."""

    def code(token: re.Match[str]) -> str:
        if token["past"]:
            of, _, steps = token["past"].rstrip("]").partition("[")
            return f'known["{of}_{steps}\'"]'
        if token["name"]:
            return f"known[{token['name']!r}]"
        if token["width"]:
            return f"widths[{token['width']!r}]"
        return f"functions[{token['function']!r}]" if token["function"] else token[0]

    names = {"known": WIDTHS | dict(known), "widths": WIDTHS, "functions": FUNCTIONS}
    return eval(TOKEN.sub(code, text), names)


def stepped(text: str, leaves: Numbers) -> tuple[Numbers, list[str]]:
    """All values that the printed equations of one step name, and which of them come out."""
    values, outputs = dict(leaves), []
    for line in text.splitlines():
        left, equals, right = line.partition(" = ")
        if equals:
            assert left not in values, f"{left} has two equations"
            counted = right == "0, 1, 2, ..."
            values[left] = values[f"{left}'"] + 1 if counted else computed(right, values)
        else:
            outputs.append(left.removeprefix("output "))
    return values, outputs


# Odd cells -----------------------------------------------------------------------------------


def norm(a: Value) -> Value:
    m = mean(a)
    return (a - m) / sqrt(mean((a - m) * (a - m)) + 1e-5)


@cell(start={"g.r": 1.0, "g.n": 1.0, "b.r": -1.0})
def normalised_highway(x: Input, h: State, W: Matrix, U: Matrix, g: Vector, b: Bias) -> Value:
    r = sigmoid(g.r * norm(W.r @ x + U.r @ h) + b.r)
    n = tanh(g.n * norm(W.n @ x + r * (U.n @ h)) + b.n)
    h = (1 - r) * h + r * n
    return h


@cell
def attention_over_three(
    x: Input,
    h: State,
    m1: State,
    m2: State,
    m3: State,
    W: Matrix,
    U: Matrix,
    K: Matrix,
    b: Bias,
) -> tuple[Value, ...]:
    q = W.q @ x + U.q @ h
    e1, e2, e3 = mean(q * m1), mean(q * m2), mean(q * m3)
    top = maximum(e1, maximum(e2, e3))
    a1, a2, a3 = exp(e1 - top), exp(e2 - top), exp(e3 - top)
    read = (a1 * m1 + a2 * m2 + a3 * m3) / (a1 + a2 + a3)
    z = sigmoid(W.z @ x + U.z @ h + K.z @ read + b.z)
    n = tanh(W.n @ x + U.n @ h + K.n @ read + b.n)
    m3 = m2
    m2 = m1
    m1 = h
    h = z * h + (1 - z) * n
    return h, m1, m2, m3


@cell
def chain(x: Input, m3: State, h: State, m1: State, m2: State, W: Matrix) -> tuple[Value, ...]:
    """A chain of copies, the last of it declared first: it is the output."""
    m3, m2, m1 = m2, m1, h
    h = tanh(W @ x + m3)
    return m3, h, m1, m2


@cell
def late_input(x: Input, h: State, last: Annotated[State, "I"], W: Matrix, V: Matrix) -> Any:
    h = tanh(W @ x + V @ last) + h
    last = x
    return h, last


@cell
def swapped(x: Input, h: State, c: State, W: Matrix, U: Matrix) -> tuple[Value, Value]:
    seen = tanh(W @ x + U @ c)
    h, c = c, h + seen
    h, c = c, h
    return h, c


@cell
def turned(x: Input, a: State, b: State, c: State, W: Matrix) -> tuple[Value, ...]:
    """Three states go round; what is read of the input goes nowhere else."""
    seen = W @ x
    a, b, c = b, c, a
    return a, b, c, seen


@cell
def constant_state(x: Input, h: State, k: State, W: Matrix, v: Vector) -> tuple[Value, Value]:
    k = 0 * k + 0.5
    h = tanh(W @ x + k) * v + h
    return h, k


@cell
def kept_state(x: Input, h: State, k: State, W: Matrix) -> tuple[Value, Value]:
    h = tanh(W @ x + k)
    return h, k


@cell
def learned_state(x: Input, h: State, k: State, W: Matrix, b: Bias) -> tuple[Value, Value]:
    h = tanh(W @ x + k) + b.h
    k = b.k
    return h, k


@cell
def input_as_output(x: Input, h: State, W: Matrix) -> tuple[Value, Value]:
    h = tanh(W @ x) + h
    return h, x


@cell
def old_state_as_output(x: Input, h: State, W: Matrix, U: Matrix) -> tuple[Value, Value]:
    old = h
    h = tanh(W @ x + U @ h)
    return h, old


@cell
def two_states_of_one_value(
    x: Input, h: State, c: State, W: Matrix, U: Matrix
) -> tuple[Value, Value]:
    h = tanh(W @ x + U @ (h - c))
    c = h
    return h, c


@cell
def other_names(x: Input, h: State, c: State, W: Matrix) -> tuple[Value, Value]:
    """The body's h is neither new state: the new h is what it calls n, the new c the old h."""
    before = h
    h = W @ x
    n = tanh(h) + c
    return n, before


@cell
def letters_in_new_roles(x: Input, h: State, W: Matrix, b: Bias) -> Value:
    """Letters that other values bear in the end; one that is also an axis."""
    H = W.h @ x
    x = mean(H) * h
    b = maximum(-2.5, H) - -1e-5 * b  # type: ignore[assignment]
    h = tanh(H * x) / (2 - -b) + mean(b) * -3 * h
    return h


ODD: dict[str, Cell] = {
    each.name: each
    for each in (
        normalised_highway,
        attention_over_three,
        chain,
        late_input,
        swapped,
        turned,
        constant_state,
        kept_state,
        learned_state,
        input_as_output,
        old_state_as_output,
        two_states_of_one_value,
        other_names,
        letters_in_new_roles,
    )
}
