# ruff: noqa: RET504, PLR0917  (cells are written as equations: h = ...; return h)
"""Cells that no textbook has: what a user may write besides the built-in ones."""

from typing import Annotated

from conveyor.cells import (
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
    normalise,
    relu,
    sigmoid,
    softmax,
    sqrt,
    tanh,
    total,
)


@cell
def delay(x: Input, h: State, d: State, W: Matrix, U: Matrix, b: Bias) -> tuple[Value, Value]:
    """A second state whose new value comes from the input alone."""
    h = tanh(W.h @ x + U @ h + d + b)
    d = tanh(W.d @ x)
    return h, d


@cell
def forgetful(x: Input, h: State, W: Matrix, b: Bias) -> Value:
    """A state that nobody reads."""
    h = tanh(W @ x + b)
    return h


@cell
def learned_level(
    x: Input, h: State, k: State, W: Matrix, U: Matrix, b: Bias
) -> tuple[Value, Value]:
    """A second state whose new value comes from parameters alone."""
    h = tanh(W @ x + U @ h + k)
    k = sigmoid(b)
    return h, k


@cell
def untouched(x: Input, h: State, k: State, W: Matrix, U: Matrix) -> tuple[Value, Value]:
    """A second state that stays what it is."""
    h = tanh(W @ x + U @ h + k)
    return h, k


@cell
def one_before(x: Input, h: State, p: State, W: Matrix, U: Matrix) -> tuple[Value, Value]:
    """A second state that is the first, one step late."""
    old = h
    h = tanh(W @ x + U.h @ h + U.p @ p)
    return h, old


@cell
def swapping(x: Input, h: State, p: State, W: Matrix) -> tuple[Value, Value]:
    """Two states that change places."""
    new = tanh(W @ x + p)
    p = h
    return new, p


@cell
def window(
    x: Input, h: State, two: State, one: State, W: Matrix, V: Matrix, U: Matrix, b: Bias
) -> tuple[Value, Value, Value]:
    """Two states that are what is made of the input, one and two steps late, the later first."""
    new = W @ x
    h = tanh(new + V.one @ one + V.two @ two + U @ h + b)
    two = one
    one = new
    return h, two, one


@cell
def deep_window(
    x: Input, h: State, m: State, W: Matrix, V: Matrix, U: Matrix
) -> tuple[Value, Value]:
    """What is one step late is added to a product that reads it as it is now, and is read whole
    itself."""
    new = tanh(W @ x)
    h = tanh(V.new @ new + m + V.old @ m + U @ h - mean(m) * h)
    m = new
    return h, m


@cell
def no_loop(x: Input, m: State, k: State, W: Matrix, v: Vector) -> tuple[Value, Value, Value]:
    """No state is left to the loop; one is what is learned, from the second step on."""
    y = sigmoid(m + k) * tanh(W.y @ x)
    m = W.m @ x + k
    k = v
    return m, k, y


@cell
def leak(x: Input, h: State) -> Value:
    """No parameters at all."""
    h = 0.5 * h + mean(x)
    return h


@cell
def read_out(
    x: Input, h: State, W: Matrix, U: Matrix, V: Annotated[Matrix, "Q"], b: Bias
) -> tuple[Value, Value]:
    """An output that is no state, of another width."""
    h = tanh(W @ x + U @ h + b)
    y = V @ h
    return h, y


@cell
def feed_through(x: Input, h: State, W: Matrix, U: Matrix) -> tuple[Value, Value]:
    """An output that does not depend on the state."""
    y = W.y @ x
    h = tanh(W.h @ x + U @ h)
    return h, y


@cell
def learned_output(x: Input, h: State, W: Matrix, v: Vector) -> tuple[Value, Value]:
    """An output that depends on parameters alone."""
    decay = sigmoid(v)
    h = decay * h + (1 - decay) * (W @ x)
    return h, decay


@cell
def late_output(x: Input, h: State, W: Matrix, U: Matrix) -> tuple[Value, Value]:
    """An output that is the state of the step before."""
    old = h
    h = tanh(W @ x + U @ h)
    return h, old


@cell
def normalised(x: Input, h: State, W: Matrix, U: Matrix, g: Vector, b: Bias) -> Value:
    """Layer normalisation: numbers of all units."""
    a = W @ x + U @ h
    centre = a - mean(a)
    h = tanh(g * centre / sqrt(mean(centre**2) + 0.01) + b)
    return h


@cell
def attending(
    x: Input, h: State, W: Matrix, U: Matrix, V: Annotated[Matrix, "Q"], R: Matrix, b: Bias
) -> Value:
    """Softmax over another axis than that of the state, and vectors normalised together."""
    a, d = W @ x, U @ h
    s = softmax(4 * (V @ h))
    # With a small epsilon one unit is ±1 whatever its numbers are, and nothing is left of its
    # gradient but rounding.
    n = normalise(a, over=(a, d), epsilon=0.1) + normalise(d, over=(a, d), epsilon=0.1)
    h = tanh(n + R @ s + softmax(b))
    return h


@cell(start={"T": (1.0, 20.0), "k.a": 0.5, "k.b": Shared((1.0, -2.0))})
def leaky(x: Input, h: State, T: Constant, k: Constant, W: Matrix, U: Matrix, b: Bias) -> Value:
    """Constants: of their own in each unit, in a sum over units and as what a matrix reads."""
    d = 1 / (1 + T * T)
    a = tanh(W @ x + U.h @ h + U.k @ k.a + b)
    h = (1 - d) * h + d * a * mean(k.b)
    return h


@cell
def counting(x: Input, t: Step, h: State, W: Matrix, U: Matrix, p: Vector) -> tuple[Value, Value]:
    """The number of the step, in gates, in a sum with a gradient and in the output."""
    beat = equal(floor(t), t - t % 1) + greater(t % 3, 1)
    h = tanh(W @ x + U @ h + p * t / 10) * beat + floor(5 * h) / 10
    return h, t / 7


@cell
def remembering(x: Input, h: Annotated[State, Last(4)], W: Matrix, U: Matrix, p: Vector) -> Value:
    """The last four values of a state; of one of them nothing is made."""
    h = tanh(W @ x + U.a @ h + U.b @ h[2] + p * h[4])
    return h


@cell
def every_function(x: Input, h: State, W: Matrix, U: Matrix, v: Vector, b: Bias) -> Value:
    """Every function of the language, numbers and all."""
    a = W @ x + U @ h + b
    low = minimum(relu(a), 1.5) + maximum(a, v)
    h = tanh(low - log(1 + exp(-a)) / 2 + sqrt(total(h * h) + 1) * maximum(0.5, 0.25))
    return h


@cell
def twice(x: Input, h: State, W: Matrix, U: Matrix, b: Bias) -> Value:
    """The same gate written twice, and a product of a bias."""
    z = sigmoid(W.z @ x + b.z)
    again = sigmoid(W.z @ x + b.z)
    h = z * h + (1 - again) * tanh(U.h @ h + U.b @ b.u)
    return h


@cell
def handed_over(
    x: Input, h: State, z: State, W: Matrix, U: Matrix, V: Matrix, p: Vector
) -> tuple[Value, Value]:
    """One vector is read by this step and, through a state, by the next: its gradient is a sum of
    products with the state's gradient of the step after and with that of this one."""
    s = tanh(U.s @ h)
    h = tanh(W.h @ x + U.h @ s + z) + p * h
    z = W.z @ x + V @ s
    return h, z


# With the widths besides I and H.
ODD: dict[str, tuple[Cell, dict[str, int]]] = {
    each.name: (each, {"Q": 4} if each in (read_out, attending) else {})
    for each in (
        delay,
        forgetful,
        learned_level,
        untouched,
        one_before,
        swapping,
        window,
        deep_window,
        no_loop,
        leak,
        read_out,
        feed_through,
        learned_output,
        late_output,
        normalised,
        attending,
        leaky,
        counting,
        remembering,
        every_function,
        twice,
        handed_over,
    )
}
