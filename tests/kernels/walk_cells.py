"""Cells that look at memories in every way that machine code walks over places."""

from typing import Annotated

from conveyor.cells import (
    Bias,
    Cell,
    Input,
    Matrix,
    Memory,
    State,
    Value,
    Vector,
    bahdanau,
    cell,
    exp,
    graves_window,
    luong,
    maximum,
    mean,
    normalise,
    places,
    relu,
    sigmoid,
    softmax,
    tanh,
    total,
)


@cell
def of_everything(
    x: Input, h: State, memory: Annotated[Memory, "L", "H"], W: Matrix, U: Matrix
) -> tuple[Value, Value]:
    """Every operation that meets places; walks that need each other's sums."""
    size = mean(h)
    near = maximum(U @ memory, h) - size
    scores = total(near * memory) / (1 + places(memory)) + mean(near) * size
    alike = normalise(scores)
    scaled = scores * relu(near) + exp(-alike * alike)
    a = softmax(scores)
    h = tanh(W @ x + a @ scaled + (a * a) @ memory + mean(scores) + 0.1 * total(scores) * h)
    return h, h


@cell
def of_two(  # noqa: PLR0917  (the letters of its equations)
    x: Input,
    h: State,
    keys: Annotated[Memory, "L", "H"],
    values: Annotated[Memory, "L", "E"],
    W: Matrix,
    V: Matrix,
) -> tuple[Value, Value]:
    """What is done once is a vector of a sequence, a number for each place, and one number."""
    known = total(keys * keys)
    fixed = softmax(known) @ values
    a = softmax(total(keys * h) - known)
    h = tanh(W @ x + V.a @ (a @ values) + V.b @ fixed + mean(known) * h)
    return h, h


@cell
def of_other_places(  # noqa: PLR0917  (the letters of its equations)
    x: Input,
    h: State,
    one: Annotated[Memory, "L", "D"],
    two: Annotated[Memory, "M", "E"],
    W: Matrix,
    K: Annotated[Matrix, "D"],
    Q: Annotated[Matrix, "E"],
    V: Matrix,
    R: Matrix,
) -> tuple[Value, Value, Value]:
    """Two memories, each of its own places; the second is asked with what the first gave."""
    first = V @ (softmax(total((K @ h) * one)) @ one)
    seen = softmax(total((Q @ (h + first)) * two)) @ two
    read = R @ seen
    h = tanh(W @ x + first + 0.5 * read)
    return h, h, seen


@cell
def gated_places(  # noqa: PLR0917  (the letters of its equations)
    x: Input,
    h: State,
    k: Annotated[State, "K"],
    memory: Memory,
    W: Matrix,
    U: Matrix,
    C: Matrix,
    S: Annotated[Matrix, "K"],
    G: Annotated[Matrix, "D"],
    centre: Annotated[Vector, "K"],
    b: Bias,
) -> tuple[Value, Value, Value]:
    """A gate of each unit at each place, and learned centres of numbers of places."""
    k = k + sigmoid(S @ h)
    away = places(memory) - (k + centre)
    weights = total(exp(-0.1 * away * away))
    seen = weights @ (sigmoid(G @ h + memory) * memory)
    h = tanh(W @ x + U @ h + C @ seen + b)
    return h, k, h


# Each with the sizes of its other axes, and the widths of its memories.
WALKED: dict[str, tuple[Cell, dict[str, int], dict[str, int]]] = {
    "bahdanau": (bahdanau, {"A": 6}, {"memory": 4}),
    "luong": (luong, {}, {"memory": 4}),
    "graves_window": (graves_window, {"K": 2}, {"memory": 4}),
    "of_everything": (of_everything, {}, {"memory": 5}),
    "of_two": (of_two, {}, {"keys": 5, "values": 4}),
    "of_other_places": (of_other_places, {}, {"one": 4, "two": 3}),
    "gated_places": (gated_places, {"K": 3}, {"memory": 4}),
}


Of_H = Annotated[Memory, "L", "H"]


@cell
def known_question(x: Input, h: State, m: Of_H, W: Matrix, C: Matrix) -> tuple[Value, Value]:
    """A function of a weighted sum done once, which has no places, is read at places."""
    g = tanh(softmax(mean(m * m)) @ m)
    h = tanh(W @ x + C @ (softmax(total(m * g) + total(m * h)) @ m))
    return h, h


@cell
def known_product(x: Input, h: State, m: Of_H, W: Matrix, Q: Matrix) -> tuple[Value, Value]:
    """So is its product with a matrix, and the loop reads it, too."""
    g = Q @ (softmax(mean(m * m)) @ m)
    h = tanh(W @ x + g * (softmax(total(m * g)) @ m) + 0.5 * h)
    return h, h


@cell
def known_number(x: Input, h: State, m: Of_H, W: Matrix) -> tuple[Value, Value]:
    """One number of all places, read at them."""
    known = total(m * m)
    size = 1 / (1 + mean(known))
    h = tanh(W @ x + softmax(size * known + total(m * h)) @ m)
    return h, h


@cell
def known_scores(x: Input, h: State, m: Of_H, W: Matrix) -> tuple[Value, Value]:
    """Normalised over places, by a mean and a deviation that are numbers."""
    h = tanh(W @ x + softmax(normalise(total(tanh(m))) + total(m * h)) @ m)
    return h, h


@cell
def known_parameter(  # noqa: PLR0917  (the letters of its equations)
    x: Input, h: State, m: Of_H, v: Vector, W: Matrix, U: Matrix
) -> tuple[Value, Value]:
    """What depends on parameters alone is read by what is done once, before the loop and in it."""
    q = U @ tanh(v)
    h = tanh((W @ x) * q + softmax(total(m * q)) @ m + q * h)
    return h, h * q


@cell
def known_states(  # noqa: PLR0917  (the letters of its equations)
    x: Input, h: State, k: State, n: State, m: Of_H, W: Matrix, b: Bias
) -> tuple[Value, Value, Value, Value]:
    """States that are of the memory alone, or of how many places there are."""
    h = tanh(W @ x + k * h + n + softmax(total(m * h)) @ m)
    k = tanh(softmax(mean(m * m)) @ m)
    n = b * mean(places(m) / 4)
    return h, k, n, h


@cell
def unread_sums(x: Input, h: State, m: Of_H, W: Matrix) -> tuple[Value, Value]:
    """Local names of sums over places that nothing reads."""
    e = total(m * h)
    unread = e @ m
    also = softmax(total(m * unread)) @ tanh(m)  # noqa: F841
    h = tanh(W @ x + softmax(e) @ m)
    return h, h


@cell
def known_places(x: Input, h: State, m: Of_H, W: Matrix) -> tuple[Value, Value]:
    """All that walks over places is done once; of it, the number of each is left unread."""
    h = tanh(W @ x + 0.5 * h + softmax(total(m) - places(m)) @ m)
    return h, h


@cell
def known_keys(x: Input, h: State, m: Of_H, v: Vector, W: Matrix) -> tuple[Value, Value]:
    """So is a vector that met every place."""
    h = tanh(W @ x + 0.5 * h + softmax(total(v * tanh(m))) @ m)
    return h, h


# What is done once, and what is not done at all: the memory is as wide as the state.
ONCE = (
    known_question,
    known_product,
    known_number,
    known_scores,
    known_parameter,
    known_states,
    known_places,
    known_keys,
    unread_sums,
)
