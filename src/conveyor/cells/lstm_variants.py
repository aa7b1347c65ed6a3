"""Variants of the LSTM. Letters: f forget, i input, g candidate, o output."""

from typing import Annotated

from conveyor.cells.definition import cell
from conveyor.cells.language import Bias, Input, Matrix, State, Value, Vector, sigmoid, tanh
from conveyor.cells.lstm import REMEMBER

GREFF = "Greff et al. 2017, LSTM: a search space odyssey"


@cell(
    source="Hochreiter & Schmidhuber 1997, one memory cell a block",
    # Gates begin nearly closed, or the state, which nothing forgets, fills up with noise.
    start={"b.i": -1.0, "b.o": -1.0},
    keep={"b.i": -1},
)
def lstm_1997(
    x: Input,
    h: State,
    c: State,
    i: State,
    o: State,
    W: Matrix,
    U: Matrix,
    R: Matrix,
    b: Bias,
) -> tuple[Value, Value, Value, Value]:
    """The first LSTM: nothing is forgotten, and gates see all gates of the step before."""
    i_before, o_before = i, o
    i = sigmoid(W.i @ x + U.i @ h + R.i_i @ i_before + R.o_i @ o_before + b.i)
    o = sigmoid(W.o @ x + U.o @ h + R.i_o @ i_before + R.o_o @ o_before + b.o)
    g = 4 * sigmoid(W.g @ x + U.g @ h + R.i_g @ i_before + R.o_g @ o_before + b.g) - 2
    c = c + i * g
    h = o * (2 * sigmoid(c) - 1)
    return h, c, i, o


@cell(source=f"{GREFF}, NIG", start=REMEMBER, keep={"b.f": +1}, aliases=("nig",))
def lstm_no_input_gate(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, p: Vector, b: Bias
) -> tuple[Value, Value]:
    """Peephole LSTM without an input gate: all that is new goes in."""
    f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
    g = tanh(W.g @ x + U.g @ h + b.g)
    c = f * c + g
    o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
    h = o * tanh(c)
    return h, c


@cell(source=f"{GREFF}, NFG", keep={"b.i": -1}, aliases=("nfg",))
def lstm_no_forget_gate(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, p: Vector, b: Bias
) -> tuple[Value, Value]:
    """Peephole LSTM without a forget gate: the cell state only adds up."""
    i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
    g = tanh(W.g @ x + U.g @ h + b.g)
    c = c + i * g
    o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
    h = o * tanh(c)
    return h, c


@cell(source=f"{GREFF}, NOG", start=REMEMBER, keep={"b.f": +1, "b.i": -1}, aliases=("nog",))
def lstm_no_output_gate(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, p: Vector, b: Bias
) -> tuple[Value, Value]:
    """Peephole LSTM without an output gate: the whole cell state is seen."""
    f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
    i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
    g = tanh(W.g @ x + U.g @ h + b.g)
    c = f * c + i * g
    h = tanh(c)
    return h, c


@cell(source=f"{GREFF}, NIAF", start=REMEMBER, keep={"b.f": +1, "b.i": -1}, aliases=("niaf",))
def lstm_no_input_activation(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, p: Vector, b: Bias
) -> tuple[Value, Value]:
    """Peephole LSTM whose candidate is not squashed."""
    f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
    i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
    g = W.g @ x + U.g @ h + b.g
    c = f * c + i * g
    o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
    h = o * tanh(c)
    return h, c


@cell(source=f"{GREFF}, NOAF", start=REMEMBER, keep={"b.f": +1, "b.i": -1}, aliases=("noaf",))
def lstm_no_output_activation(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, p: Vector, b: Bias
) -> tuple[Value, Value]:
    """Peephole LSTM whose cell state is not squashed before it is seen."""
    f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
    i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
    g = tanh(W.g @ x + U.g @ h + b.g)
    c = f * c + i * g
    o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
    h = o * c
    return h, c


@cell(
    source=f"{GREFF}, CIFG",
    # As a forget bias of 1 in the other convention: f starts at 0.73.
    start={"b.i": -1.0},
    keep={"b.i": -1},
    aliases=("cifg",),
)
def lstm_coupled_input(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, p: Vector, b: Bias
) -> tuple[Value, Value]:
    """Peephole LSTM that forgets exactly where it takes in: the forget gate is 1 - i."""
    i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
    f = 1 - i
    g = tanh(W.g @ x + U.g @ h + b.g)
    c = f * c + i * g
    o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
    h = o * tanh(c)
    return h, c


@cell(source=f"{GREFF}, FGR", start=REMEMBER, keep={"b.f": +1, "b.i": -1}, aliases=("fgr",))
def lstm_full_recurrence(
    x: Input,
    h: State,
    c: State,
    i: State,
    f: State,
    o: State,
    W: Matrix,
    U: Matrix,
    R: Matrix,
    p: Vector,
    b: Bias,
) -> tuple[Value, Value, Value, Value, Value]:
    """Peephole LSTM whose gates also see all gates of the step before, as in 1997."""
    i_before, f_before, o_before = i, f, o
    of_i = R.i_i @ i_before + R.f_i @ f_before + R.o_i @ o_before
    of_f = R.i_f @ i_before + R.f_f @ f_before + R.o_f @ o_before
    of_o = R.i_o @ i_before + R.f_o @ f_before + R.o_o @ o_before
    f = sigmoid(W.f @ x + U.f @ h + of_f + p.f * c + b.f)
    i = sigmoid(W.i @ x + U.i @ h + of_i + p.i * c + b.i)
    g = tanh(W.g @ x + U.g @ h + b.g)
    c = f * c + i * g
    o = sigmoid(W.o @ x + U.o @ h + of_o + p.o * c + b.o)
    h = o * tanh(c)
    return h, c, i, f, o


@cell(
    source="Gers & Schmidhuber 2000, with whole matrices for peepholes as in Yao et al. 2015",
    start=REMEMBER,
    keep={"b.f": +1, "b.i": -1},
)
def lstm_peephole_full(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, P: Matrix, b: Bias
) -> tuple[Value, Value]:
    """LSTM whose gates see every unit of the cell state; the output gate sees the new one."""
    f = sigmoid(W.f @ x + U.f @ h + P.f @ c + b.f)
    i = sigmoid(W.i @ x + U.i @ h + P.i @ c + b.i)
    g = tanh(W.g @ x + U.g @ h + b.g)
    c = f * c + i * g
    o = sigmoid(W.o @ x + U.o @ h + P.o @ c + b.o)
    h = o * tanh(c)
    return h, c


@cell(
    source="Sak, Senior & Beaufays 2014, with peepholes and the recurrent projection",
    start=REMEMBER,
    keep={"b.f": +1, "b.i": -1},
    aliases=("lstmp",),
)
def lstm_projected_peephole(
    x: Input,
    h: Annotated[State, "P"],
    c: State,
    W: Matrix,
    U: Matrix,
    p: Vector,
    b: Bias,
    R: Annotated[Matrix, "P"],
) -> tuple[Value, Value]:
    """Peephole LSTM whose hidden state is projected to fewer units before it is fed back."""
    f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
    i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
    g = tanh(W.g @ x + U.g @ h + b.g)
    c = f * c + i * g
    o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
    m = o * tanh(c)
    h = R @ m
    return h, c


@cell(
    source="Jozefowicz, Zaremba & Sutskever 2015, An empirical exploration of recurrent networks",
    start=REMEMBER,
    keep={"b.f": +1, "b.j": -1},
)
def lstm_jozefowicz(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, b: Bias
) -> tuple[Value, Value]:
    """LSTM as that paper prints it: i is the candidate, j its gate, and o a tanh."""
    i = tanh(W.i @ x + U.i @ h + b.i)
    j = sigmoid(W.j @ x + U.j @ h + b.j)
    f = sigmoid(W.f @ x + U.f @ h + b.f)
    o = tanh(W.o @ x + U.o @ h + b.o)
    c = f * c + i * j
    h = tanh(c) * o
    return h, c


@cell(
    source="Gu et al. 2020, Improving the gating mechanism of recurrent neural networks",
    # σ of it is uniform, so that units remember for all spans of time from the start.
    start={"d": "gates"},
    aliases=("lstm_refine",),
)
def ur_lstm(
    x: Input, h: State, c: State, W: Matrix, U: Matrix, d: Vector, b: Bias
) -> tuple[Value, Value]:
    """LSTM with a refine gate r, which lets the forget gate come nearer to 0 and 1."""
    f = sigmoid(W.f @ x + U.f @ h + d)
    r = sigmoid(W.r @ x + U.r @ h - d)
    u = tanh(W.u @ x + U.u @ h + b.u)
    o = sigmoid(W.o @ x + U.o @ h + b.o)
    g = 2 * r * f + (1 - 2 * r) * f * f
    c = g * c + (1 - g) * u
    h = o * tanh(c)
    return h, c
