"""Reference oracles of the LSTM lineage: one time step each, for one example, in NumPy float64.

Written from the papers' equations alone, in the notation of tests/cells/oracles.py. Further keys:

    p.GATE  [H]     diagonal peephole, acts elementwise on the cell state
    P.GATE  [H, H]  full peephole, acts on the cell state
    R.A_B   [H, H]  from the activation of gate A at the previous step to gate B
    R.h     [P, H]  recurrent projection
"""

import numpy as np

from tests.cells.oracle_basis import NDArray, Oracle, Parameters, State, sigmoid


def lstm_1997(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """The first LSTM: no forget gate, no peepholes, gates fed back; one cell in each block.

    Source: Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9(8):1735-1780,
    1997. Its input squashing function has the range [-2, 2] and its output squashing function
    [-1, 1]. Every gate and every cell sees the gate activations of the previous step:

        i = s(W_i x + U_i h' + R_ii i' + R_oi o' + b_i)
        o = s(W_o x + U_o h' + R_io i' + R_oo o' + b_o)
        g = 4 s(W_g x + U_g h' + R_ig i' + R_og o' + b_g) - 2
        c = c' + i * g
        h = o * (2 s(c) - 1)
    """
    h_prev = state["h"]
    c_prev = state["c"]
    i_prev = state["i"]
    o_prev = state["o"]

    i = sigmoid(
        parameters["W.i"] @ x
        + parameters["U.i"] @ h_prev
        + parameters["R.i_i"] @ i_prev
        + parameters["R.o_i"] @ o_prev
        + parameters["b.i"]
    )
    o = sigmoid(
        parameters["W.o"] @ x
        + parameters["U.o"] @ h_prev
        + parameters["R.i_o"] @ i_prev
        + parameters["R.o_o"] @ o_prev
        + parameters["b.o"]
    )
    net = (
        parameters["W.g"] @ x
        + parameters["U.g"] @ h_prev
        + parameters["R.i_g"] @ i_prev
        + parameters["R.o_g"] @ o_prev
        + parameters["b.g"]
    )
    g = 4.0 * sigmoid(net) - 2.0
    c = c_prev + i * g
    h = o * (2.0 * sigmoid(c) - 1.0)

    return {"i": i, "o": o, "g": g, "c": c, "h": h}


def lstm_no_input_gate(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Peephole LSTM without the input gate (NIG: i = 1).

    Source: Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber, "LSTM: a search space odyssey",
    arXiv 1503.04069, 2015; its block input z is here g, its block output y is here h:

        f = s(W_f x + U_f h' + p_f * c' + b_f)
        g = tanh(W_g x + U_g h' + b_g)
        c = f * c' + g
        o = s(W_o x + U_o h' + p_o * c + b_o)
        h = o * tanh(c)
    """
    h_prev = state["h"]
    c_prev = state["c"]

    f = sigmoid(
        parameters["W.f"] @ x
        + parameters["U.f"] @ h_prev
        + parameters["p.f"] * c_prev
        + parameters["b.f"]
    )
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    c = f * c_prev + g
    o = sigmoid(
        parameters["W.o"] @ x
        + parameters["U.o"] @ h_prev
        + parameters["p.o"] * c
        + parameters["b.o"]
    )
    h = o * np.tanh(c)

    return {"f": f, "g": g, "c": c, "o": o, "h": h}


def lstm_no_forget_gate(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Peephole LSTM without the forget gate (NFG: f = 1).

    Source: Greff et al., "LSTM: a search space odyssey", arXiv 1503.04069, 2015:

        i = s(W_i x + U_i h' + p_i * c' + b_i)
        g = tanh(W_g x + U_g h' + b_g)
        c = c' + i * g
        o = s(W_o x + U_o h' + p_o * c + b_o)
        h = o * tanh(c)
    """
    h_prev = state["h"]
    c_prev = state["c"]

    i = sigmoid(
        parameters["W.i"] @ x
        + parameters["U.i"] @ h_prev
        + parameters["p.i"] * c_prev
        + parameters["b.i"]
    )
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    c = c_prev + i * g
    o = sigmoid(
        parameters["W.o"] @ x
        + parameters["U.o"] @ h_prev
        + parameters["p.o"] * c
        + parameters["b.o"]
    )
    h = o * np.tanh(c)

    return {"i": i, "g": g, "c": c, "o": o, "h": h}


def lstm_no_output_gate(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Peephole LSTM without the output gate (NOG: o = 1).

    Source: Greff et al., "LSTM: a search space odyssey", arXiv 1503.04069, 2015:

        f = s(W_f x + U_f h' + p_f * c' + b_f)
        i = s(W_i x + U_i h' + p_i * c' + b_i)
        g = tanh(W_g x + U_g h' + b_g)
        c = f * c' + i * g
        h = tanh(c)
    """
    h_prev = state["h"]
    c_prev = state["c"]

    f = sigmoid(
        parameters["W.f"] @ x
        + parameters["U.f"] @ h_prev
        + parameters["p.f"] * c_prev
        + parameters["b.f"]
    )
    i = sigmoid(
        parameters["W.i"] @ x
        + parameters["U.i"] @ h_prev
        + parameters["p.i"] * c_prev
        + parameters["b.i"]
    )
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    c = f * c_prev + i * g
    h = np.tanh(c)

    return {"f": f, "i": i, "g": g, "c": c, "h": h}


def lstm_no_input_activation(
    x: NDArray, state: State, parameters: Parameters
) -> dict[str, NDArray]:
    """Peephole LSTM without the input activation function (NIAF: g is linear).

    Source: Greff et al., "LSTM: a search space odyssey", arXiv 1503.04069, 2015:

        f = s(W_f x + U_f h' + p_f * c' + b_f)
        i = s(W_i x + U_i h' + p_i * c' + b_i)
        g = W_g x + U_g h' + b_g
        c = f * c' + i * g
        o = s(W_o x + U_o h' + p_o * c + b_o)
        h = o * tanh(c)
    """
    h_prev = state["h"]
    c_prev = state["c"]

    f = sigmoid(
        parameters["W.f"] @ x
        + parameters["U.f"] @ h_prev
        + parameters["p.f"] * c_prev
        + parameters["b.f"]
    )
    i = sigmoid(
        parameters["W.i"] @ x
        + parameters["U.i"] @ h_prev
        + parameters["p.i"] * c_prev
        + parameters["b.i"]
    )
    g = parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"]
    c = f * c_prev + i * g
    o = sigmoid(
        parameters["W.o"] @ x
        + parameters["U.o"] @ h_prev
        + parameters["p.o"] * c
        + parameters["b.o"]
    )
    h = o * np.tanh(c)

    return {"f": f, "i": i, "g": g, "c": c, "o": o, "h": h}


def lstm_no_output_activation(
    x: NDArray, state: State, parameters: Parameters
) -> dict[str, NDArray]:
    """Peephole LSTM without the output activation function (NOAF: h is linear in c).

    Source: Greff et al., "LSTM: a search space odyssey", arXiv 1503.04069, 2015:

        f = s(W_f x + U_f h' + p_f * c' + b_f)
        i = s(W_i x + U_i h' + p_i * c' + b_i)
        g = tanh(W_g x + U_g h' + b_g)
        c = f * c' + i * g
        o = s(W_o x + U_o h' + p_o * c + b_o)
        h = o * c
    """
    h_prev = state["h"]
    c_prev = state["c"]

    f = sigmoid(
        parameters["W.f"] @ x
        + parameters["U.f"] @ h_prev
        + parameters["p.f"] * c_prev
        + parameters["b.f"]
    )
    i = sigmoid(
        parameters["W.i"] @ x
        + parameters["U.i"] @ h_prev
        + parameters["p.i"] * c_prev
        + parameters["b.i"]
    )
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    c = f * c_prev + i * g
    o = sigmoid(
        parameters["W.o"] @ x
        + parameters["U.o"] @ h_prev
        + parameters["p.o"] * c
        + parameters["b.o"]
    )
    h = o * c

    return {"f": f, "i": i, "g": g, "c": c, "o": o, "h": h}


def lstm_coupled_input(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Peephole LSTM with coupled gates (CIFG): the input gate is kept, the forget gate is 1 - i.

    Source: Greff et al., "LSTM: a search space odyssey", arXiv 1503.04069, 2015:

        i = s(W_i x + U_i h' + p_i * c' + b_i)
        f = 1 - i
        g = tanh(W_g x + U_g h' + b_g)
        c = f * c' + i * g
        o = s(W_o x + U_o h' + p_o * c + b_o)
        h = o * tanh(c)
    """
    h_prev = state["h"]
    c_prev = state["c"]

    i = sigmoid(
        parameters["W.i"] @ x
        + parameters["U.i"] @ h_prev
        + parameters["p.i"] * c_prev
        + parameters["b.i"]
    )
    f = 1.0 - i
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    c = f * c_prev + i * g
    o = sigmoid(
        parameters["W.o"] @ x
        + parameters["U.o"] @ h_prev
        + parameters["p.o"] * c
        + parameters["b.o"]
    )
    h = o * np.tanh(c)

    return {"i": i, "f": f, "g": g, "c": c, "o": o, "h": h}


def lstm_full_recurrence(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Peephole LSTM with full gate recurrence (FGR): all gates see all gates of the step before.

    Source: Greff et al., "LSTM: a search space odyssey", arXiv 1503.04069, 2015. The block input
    g does not see the gates of the previous step:

        f = s(W_f x + U_f h' + p_f * c' + b_f + R_if i' + R_ff f' + R_of o')
        i = s(W_i x + U_i h' + p_i * c' + b_i + R_ii i' + R_fi f' + R_oi o')
        g = tanh(W_g x + U_g h' + b_g)
        c = f * c' + i * g
        o = s(W_o x + U_o h' + p_o * c + b_o + R_io i' + R_fo f' + R_oo o')
        h = o * tanh(c)
    """
    h_prev = state["h"]
    c_prev = state["c"]
    i_prev = state["i"]
    f_prev = state["f"]
    o_prev = state["o"]

    f = sigmoid(
        parameters["W.f"] @ x
        + parameters["U.f"] @ h_prev
        + parameters["p.f"] * c_prev
        + parameters["b.f"]
        + parameters["R.i_f"] @ i_prev
        + parameters["R.f_f"] @ f_prev
        + parameters["R.o_f"] @ o_prev
    )
    i = sigmoid(
        parameters["W.i"] @ x
        + parameters["U.i"] @ h_prev
        + parameters["p.i"] * c_prev
        + parameters["b.i"]
        + parameters["R.i_i"] @ i_prev
        + parameters["R.f_i"] @ f_prev
        + parameters["R.o_i"] @ o_prev
    )
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    c = f * c_prev + i * g
    o = sigmoid(
        parameters["W.o"] @ x
        + parameters["U.o"] @ h_prev
        + parameters["p.o"] * c
        + parameters["b.o"]
        + parameters["R.i_o"] @ i_prev
        + parameters["R.f_o"] @ f_prev
        + parameters["R.o_o"] @ o_prev
    )
    h = o * np.tanh(c)

    return {"f": f, "i": i, "g": g, "c": c, "o": o, "h": h}


def lstm_peephole_full(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """LSTM with three full peepholes: matrices instead of diagonals.

    Source: the peepholes of Gers & Schmidhuber, "Recurrent nets that time and count", IJCNN 2000,
    with the matrices W_ci, W_cf and W_co that Graves, "Generating sequences with recurrent neural
    networks", arXiv 1308.0850, 2013, writes but holds to be diagonal. Input and forget gate see
    the previous cell state c', the output gate sees the new cell state c:

        f = s(W_f x + U_f h' + P_f c' + b_f)
        i = s(W_i x + U_i h' + P_i c' + b_i)
        g = tanh(W_g x + U_g h' + b_g)
        c = f * c' + i * g
        o = s(W_o x + U_o h' + P_o c + b_o)
        h = o * tanh(c)
    """
    h_prev = state["h"]
    c_prev = state["c"]

    f = sigmoid(
        parameters["W.f"] @ x
        + parameters["U.f"] @ h_prev
        + parameters["P.f"] @ c_prev
        + parameters["b.f"]
    )
    i = sigmoid(
        parameters["W.i"] @ x
        + parameters["U.i"] @ h_prev
        + parameters["P.i"] @ c_prev
        + parameters["b.i"]
    )
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    c = f * c_prev + i * g
    o = sigmoid(
        parameters["W.o"] @ x
        + parameters["U.o"] @ h_prev
        + parameters["P.o"] @ c
        + parameters["b.o"]
    )
    h = o * np.tanh(c)

    return {"f": f, "i": i, "g": g, "c": c, "o": o, "h": h}


def lstm_projected_peephole(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """LSTM with a recurrent projection layer and diagonal peepholes (LSTMP).

    Source: Sak, Senior & Beaufays, "Long short-term memory recurrent neural network
    architectures for large scale acoustic modeling", Interspeech 2014 (also arXiv 1402.1128),
    less its non-recurrent projection p_t. The state h, of width P, is the paper's r_t, and R_h
    is its W_rm; the projection has neither bias nor nonlinearity. c, m and the peepholes have
    width H.

        f = s(W_f x + U_f h' + p_f * c' + b_f)
        i = s(W_i x + U_i h' + p_i * c' + b_i)
        g = tanh(W_g x + U_g h' + b_g)
        c = f * c' + i * g
        o = s(W_o x + U_o h' + p_o * c + b_o)
        m = o * tanh(c)
        h = R_h m
    """
    h_prev = state["h"]
    c_prev = state["c"]

    f = sigmoid(
        parameters["W.f"] @ x
        + parameters["U.f"] @ h_prev
        + parameters["p.f"] * c_prev
        + parameters["b.f"]
    )
    i = sigmoid(
        parameters["W.i"] @ x
        + parameters["U.i"] @ h_prev
        + parameters["p.i"] * c_prev
        + parameters["b.i"]
    )
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    c = f * c_prev + i * g
    o = sigmoid(
        parameters["W.o"] @ x
        + parameters["U.o"] @ h_prev
        + parameters["p.o"] * c
        + parameters["b.o"]
    )
    m = o * np.tanh(c)
    h = parameters["R.h"] @ m

    return {"f": f, "i": i, "g": g, "c": c, "o": o, "m": m, "h": h}


def lstm_jozefowicz(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """LSTM as Jozefowicz et al. print it: i is the candidate, j its gate, and o is a tanh.

    Source: Jozefowicz, Zaremba & Sutskever, "An empirical exploration of recurrent network
    architectures", ICML 2015, PMLR 37:2342-2350:

        i = tanh(W_i x + U_i h' + b_i)
        j = s(W_j x + U_j h' + b_j)
        f = s(W_f x + U_f h' + b_f)
        o = tanh(W_o x + U_o h' + b_o)
        c = c' * f + i * j
        h = tanh(c) * o
    """
    h_prev = state["h"]
    c_prev = state["c"]

    i = np.tanh(parameters["W.i"] @ x + parameters["U.i"] @ h_prev + parameters["b.i"])
    j = sigmoid(parameters["W.j"] @ x + parameters["U.j"] @ h_prev + parameters["b.j"])
    f = sigmoid(parameters["W.f"] @ x + parameters["U.f"] @ h_prev + parameters["b.f"])
    o = np.tanh(parameters["W.o"] @ x + parameters["U.o"] @ h_prev + parameters["b.o"])
    c = c_prev * f + i * j
    h = np.tanh(c) * o

    return {"i": i, "j": j, "f": f, "o": o, "c": c, "h": h}


ORACLES: dict[str, Oracle] = {
    "lstm_1997": lstm_1997,
    "lstm_no_input_gate": lstm_no_input_gate,
    "lstm_no_forget_gate": lstm_no_forget_gate,
    "lstm_no_output_gate": lstm_no_output_gate,
    "lstm_no_input_activation": lstm_no_input_activation,
    "lstm_no_output_activation": lstm_no_output_activation,
    "lstm_coupled_input": lstm_coupled_input,
    "lstm_full_recurrence": lstm_full_recurrence,
    "lstm_peephole_full": lstm_peephole_full,
    "lstm_projected_peephole": lstm_projected_peephole,
    "lstm_jozefowicz": lstm_jozefowicz,
}
