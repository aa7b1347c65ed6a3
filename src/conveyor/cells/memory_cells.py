"""Cells that look at a memory: a vector for each of its places, such as the encoded words of a
sentence. Which place counts at a step is in the trace, as ``a``."""

from typing import Annotated

from conveyor.cells.definition import cell
from conveyor.cells.language import (
    Bias,
    Input,
    Matrix,
    Memory,
    State,
    Value,
    Vector,
    exp,
    places,
    sigmoid,
    softmax,
    tanh,
    total,
)


@cell(
    source="Bahdanau, Cho & Bengio 2015, Neural machine translation by jointly learning to align "
    "and translate, appendix A"
)
def bahdanau(
    y: Input,
    s: State,
    memory: Memory,
    W_a: Annotated[Matrix, "A"],
    U_a: Annotated[Matrix, "A"],
    v: Annotated[Vector, "A"],
    W: Matrix,
    U: Matrix,
    C: Matrix,
    b: Bias,
) -> tuple[Value, Value, Value]:
    """The decoder of Bahdanau: a GRU that looks at the memory from its old state, and reads what it
    sees at the same step. It gives its state and ``c``, what it saw."""
    e = total(v * tanh(W_a @ s + U_a @ memory))
    a = softmax(e)
    c = a @ memory
    r = sigmoid(W.r @ y + U.r @ s + C.r @ c + b.r)
    z = sigmoid(W.z @ y + U.z @ s + C.z @ c + b.z)
    n = tanh(W.n @ y + U.n @ (r * s) + C.n @ c + b.n)
    s = (1 - z) * s + z * n
    return s, s, c


@cell(
    source="Luong, Pham & Manning 2015, Effective approaches to attention-based neural machine "
    "translation, section 3.3",
    start={"b.f": 1.0},
    keep={"b.f": 1},
)
def luong(
    y: Input,
    q: State,
    h: State,
    c: State,
    memory: Memory,
    W: Matrix,
    U: Matrix,
    V: Matrix,
    W_a: Annotated[Matrix, "D"],
    W_c: Matrix,
    W_q: Matrix,
    b: Bias,
) -> tuple[Value, Value, Value]:
    """An LSTM with input feeding: from its new state it looks at the memory (score: general), and
    what comes of both, ``q``, is read at the next step."""
    f = sigmoid(W.f @ y + V.f @ q + U.f @ h + b.f)
    i = sigmoid(W.i @ y + V.i @ q + U.i @ h + b.i)
    g = tanh(W.g @ y + V.g @ q + U.g @ h + b.g)
    o = sigmoid(W.o @ y + V.o @ q + U.o @ h + b.o)
    c = f * c + i * g
    h = o * tanh(c)
    a = softmax(total((W_a @ h) * memory))
    q = tanh(W_c @ (a @ memory) + W_q @ h)
    return q, h, c


@cell(
    source="Graves 2013, Generating sequences with recurrent neural networks, equations 7 to 11 "
    "and 46 to 52",
    start={"b.f": 1.0, "d.k": -2.0},
    keep={"b.f": 1},
)
def graves_window(
    x: Input,
    h: State,
    c: State,
    k: Annotated[State, "K"],
    w: Annotated[State, "D"],
    memory: Memory,
    W: Matrix,
    U: Matrix,
    V: Matrix,
    p: Vector,
    P: Annotated[Matrix, "K"],
    b: Bias,
    d: Annotated[Bias, "K"],
) -> tuple[Value, Value, Value, Value, Value, Value]:
    """An LSTM with peepholes and Graves' window: ``K`` bumps that move along the places, only ever
    onwards, and weigh them. It reads what it saw a step before, ``w``."""
    f = sigmoid(W.f @ x + V.f @ w + U.f @ h + p.f * c + b.f)
    i = sigmoid(W.i @ x + V.i @ w + U.i @ h + p.i * c + b.i)
    g = tanh(W.g @ x + V.g @ w + U.g @ h + b.g)
    c = f * c + i * g
    o = sigmoid(W.o @ x + V.o @ w + U.o @ h + p.o * c + b.o)
    h = o * tanh(c)
    height = exp(P.height @ h + d.height)
    width = exp(P.width @ h + d.width)
    k = k + exp(P.k @ h + d.k)
    # Places are counted from 1 in the paper.
    away = k - (places(memory) + 1)
    a = total(height * exp(-width * away * away))
    w = a @ memory
    return h, c, k, w, h, w
