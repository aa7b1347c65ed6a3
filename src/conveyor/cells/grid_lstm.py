"""Grid LSTMs: an LSTM along each dimension, all of which read what comes in from all of them
(Kalchbrenner, Danihelka & Graves 2016). ``grid_lstm`` in depth.py is the paper's own form; here are
its relatives: other outputs, a priority dimension, and grids of one and of three dimensions."""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

from conveyor.cells.definition import Cell, cell
from conveyor.cells.depth import GRID
from conveyor.cells.language import Bias, Input, Matrix, State, Value, relu, sigmoid, tanh
from conveyor.errors import SettingError, did_you_mean

# Where the tanh of the hidden vector stands: tanh(o * m) as the paper prints it, or o * tanh(m) as
# in other LSTMs and most programs.
OUTPUTS = ("outside", "inside")
DEPTHS = ("lstm", "identity", "tanh", "relu")

# What a gate of some name is the squashing of.
Net = Callable[[str], Value]


def check_output(output: str) -> None:
    """Refuse an unknown form of the hidden vector.

    Raises:
        SettingError: it is.
    """
    if output not in OUTPUTS:
        raise SettingError(f"output is {output!r}. {did_you_mean(str(output), OUTPUTS)}")


def _lstm(output: str, prefix: str, net: Net, memory: Value) -> tuple[Value, Value]:
    """The hidden vector and the memory that go on along one dimension."""
    f = sigmoid(net(prefix + "f"))
    i = sigmoid(net(prefix + "i"))
    g = tanh(net(prefix + "g"))
    o = sigmoid(net(prefix + "o"))
    m = f * memory + i * g
    return (tanh(o * m) if output == "outside" else o * tanh(m)), m


def _sum(gate: str, *terms: tuple[Matrix, Value], b: Bias) -> Value:
    """Σ W.gate @ x + b.gate."""
    products: list[Value] = [getattr(matrix, gate) @ seen for matrix, seen in terms]
    found = products[0]
    for each in products[1:]:
        found = found + each
    bias: Value = getattr(b, gate)
    return found + bias


@cache
def grid_lstm_with(*, output: str = "outside", priority: bool = False, depth: str = "lstm") -> Cell:
    """The grid LSTM of two dimensions, time and depth, in one of its forms.

    Args:
        output: ``"outside"``: the hidden vector is tanh(o * m), as the paper prints it;
            ``"inside"``: o * tanh(m), as in other LSTMs.
        priority: depth is computed after time and reads the new hidden vector of time.
        depth: ``"lstm"``, or what a layer without memory along depth does to its sum:
            ``"identity"``, ``"tanh"``, ``"relu"``.

    Raises:
        SettingError: an argument is none of these.
    """
    check_output(output)
    if depth not in DEPTHS:
        raise SettingError(f"depth is {depth!r}. {did_you_mean(str(depth), DEPTHS)}")
    name = "_".join(["grid_lstm", output, *["priority"] * priority, *[depth] * (depth != "lstm")])
    start = {"b.f": 1.0, **({"b.df": 1.0} if depth == "lstm" else {})}
    options: dict[str, Any] = {"source": GRID, "start": start, "keep": {"b.f": +1, "b.i": -1}}

    def through(
        x: Value, h: Value, m: Value, W: Matrix, U: Matrix, b: Bias
    ) -> tuple[Value, Value, Value]:
        """Time's new hidden vector and memory, and the hidden vector that depth reads."""
        new, m = _lstm(output, "", lambda gate: _sum(gate, (W, x), (U, h), b=b), m)
        return new, m, new if priority else h

    if depth != "lstm":
        squash = {"identity": lambda value: value, "tanh": tanh, "relu": relu}[depth]

        def flat(
            x: Input, h: State, m: State, W: Matrix, U: Matrix, b: Bias
        ) -> tuple[Value, Value, Value]:
            """Grid LSTM of two dimensions without memory along depth."""
            h, m, seen = through(x, h, m, W, U, b)
            y = squash(W.y @ x + U.y @ seen + b.y)
            return h, m, y

        flat.__name__ = name
        return cell(**options)(flat)

    def with_memory(
        y_below: Input,
        d_below: Annotated[Input, "H"],
        h: State,
        m: State,
        W: Matrix,
        U: Matrix,
        b: Bias,
    ) -> tuple[Value, Value, Value, Value]:
        """Grid LSTM of two dimensions: one LSTM along time (h, m), one up the layers (y, d)."""
        h, m, seen = through(y_below, h, m, W, U, b)
        y, d = _lstm(output, "d", lambda gate: _sum(gate, (W, y_below), (U, seen), b=b), d_below)
        return h, m, y, d

    with_memory.__name__ = name
    return cell(**options)(with_memory)


@cache
def grid_block(dimensions: int, *, output: str = "outside", priority: bool = False) -> Cell:
    """One block of a grid of one dimension, depth, or of three, columns, rows and depth.

    Of one: x is the hidden vector from below, the state d the memory from below; it computes what
    goes up, y and d, in one step. Of three: ``x`` and ``d_below`` come from below, ``k_before`` and
    ``n_before``, hidden vector and memory, from the row before; the states h and m go along the
    columns.
    """
    start = {"b.f": 1.0} if dimensions == 1 else {"b.f": 1.0, "b.rf": 1.0, "b.df": 1.0}

    def one(x: Input, d: State, W: Matrix, b: Bias) -> tuple[Value, Value]:
        """Grid LSTM of one dimension, depth."""
        y, d = _lstm(output, "", lambda gate: _sum(gate, (W, x), b=b), d)
        return d, y

    def three(
        x: Input,
        d_below: Annotated[Input, "H"],
        k_before: Annotated[Input, "H"],
        n_before: Annotated[Input, "H"],
        h: State,
        m: State,
        W: Matrix,
        U: Matrix,
        V: Matrix,
        b: Bias,
    ) -> tuple[Value, Value, Value, Value, Value, Value]:
        """Grid LSTM of three dimensions: columns (h, m), rows (k, n) and depth (y, d)."""

        def net(left: Value, up: Value) -> Net:
            return lambda gate: _sum(gate, (W, x), (U, left), (V, up), b=b)

        both = net(h, k_before)
        h, m = _lstm(output, "", both, m)
        k, n = _lstm(output, "r", both, n_before)
        y, d = _lstm(output, "d", net(h, k) if priority else both, d_below)
        return h, m, y, d, k, n

    equations: Callable[..., Any] = one if dimensions == 1 else three
    equations.__name__ = f"grid_lstm_{dimensions}d"
    return cell(source=GRID, start=start)(equations)
