"""Reference oracles: one time step of each recurrent cell, for one example, in NumPy float64.

Every function is written from the textbook equations alone and shares nothing with the library
under test, nor, apart from the logistic sigmoid, with the other functions of this file.

Notation of the docstrings: x is the input vector of the step, a prime marks the previous step
(h' = h_{t-1}, c' = c_{t-1}), s(.) is the logistic sigmoid, * is the elementwise product and
@ the matrix product. A parameter's key is FAMILY.GATE:

    W.GATE  [H, I]  acts on the input x
    U.GATE  [H, H]  acts on the previous output h' ([H, P] in lstm_projected)
    b.GATE  [H]     bias
    p.GATE  [H]     diagonal peephole, acts elementwise on the cell state
    R.h     [P, H]  recurrent projection (lstm_projected only)

There is one bias per gate: a library that stores two (b_ih and b_hh) is compared through their
sum, except for the candidate of gru, where b.n and b.hn cannot be merged.
"""

from collections.abc import Callable

import numpy as np

from tests.cells import oracles_depth, oracles_gated, oracles_lstm, oracles_relatives
from tests.cells.oracle_basis import NDArray, Oracle, Parameters, State, sigmoid


def rnn(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Simple recurrent network with tanh.

    Source: Elman, "Finding structure in time", Cognitive Science 14:179-211, 1990, in the form

        h = tanh(W x + U h' + b)
    """
    h_prev = state["h"]

    h = np.tanh(parameters["W.h"] @ x + parameters["U.h"] @ h_prev + parameters["b.h"])

    return {"h": h}


def rnn_relu(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Simple recurrent network with the rectifier.

    Source: Elman, "Finding structure in time", Cognitive Science 14:179-211, 1990, with the
    nonlinearity relu(a) = max(0, a), as in Le, Jaitly & Hinton, "A simple way to initialize
    recurrent networks of rectified linear units", arXiv 1504.00941, 2015:

        h = relu(W x + U h' + b)
    """
    h_prev = state["h"]

    h = np.maximum(0.0, parameters["W.h"] @ x + parameters["U.h"] @ h_prev + parameters["b.h"])

    return {"h": h}


def lstm(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """LSTM with a forget gate and without peepholes, the modern standard.

    Source: Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997;
    forget gate of Gers, Schmidhuber & Cummins, "Learning to forget", Neural Computation 12(10),
    2000; in the form of Zaremba, Sutskever & Vinyals, arXiv 1409.2329, 2014, and of seed
    article 004 (which calls the candidate c~):

        f = s(W_f x + U_f h' + b_f)
        i = s(W_i x + U_i h' + b_i)
        g = tanh(W_g x + U_g h' + b_g)
        o = s(W_o x + U_o h' + b_o)
        c = f * c' + i * g
        h = o * tanh(c)
    """
    h_prev = state["h"]
    c_prev = state["c"]

    f = sigmoid(parameters["W.f"] @ x + parameters["U.f"] @ h_prev + parameters["b.f"])
    i = sigmoid(parameters["W.i"] @ x + parameters["U.i"] @ h_prev + parameters["b.i"])
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    o = sigmoid(parameters["W.o"] @ x + parameters["U.o"] @ h_prev + parameters["b.o"])
    c = f * c_prev + i * g
    h = o * np.tanh(c)

    return {"f": f, "i": i, "g": g, "o": o, "c": c, "h": h}


def lstm_peephole(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """LSTM with three diagonal peepholes.

    Source: Gers & Schmidhuber, "Recurrent nets that time and count", IJCNN 2000; both squashing
    functions are tanh, as in the vanilla LSTM of Greff et al., "LSTM: a search space odyssey",
    arXiv 1503.04069, 2015. Input and forget gate see the previous cell state c', the output
    gate sees the new cell state c:

        f = s(W_f x + U_f h' + p_f * c' + b_f)
        i = s(W_i x + U_i h' + p_i * c' + b_i)
        g = tanh(W_g x + U_g h' + b_g)
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
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    c = f * c_prev + i * g
    o = sigmoid(
        parameters["W.o"] @ x
        + parameters["U.o"] @ h_prev
        + parameters["p.o"] * c
        + parameters["b.o"]
    )
    h = o * np.tanh(c)

    return {"f": f, "i": i, "g": g, "o": o, "c": c, "h": h}


def lstm_coupled(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """LSTM with coupled forget and input gate: the forget gate is kept, the input gate is 1 - f.

    Source: Olah, "Understanding LSTM networks", 2015, variant with tied gates, which seed article
    001 translates and shows as a figure: C_t = f_t * C_{t-1} + (1 - f_t) * C~_t. The CIFG of
    Greff et al., arXiv 1503.04069, 2015, keeps the input gate instead (f = 1 - i).

        f = s(W_f x + U_f h' + b_f)
        g = tanh(W_g x + U_g h' + b_g)
        o = s(W_o x + U_o h' + b_o)
        c = f * c' + (1 - f) * g
        h = o * tanh(c)
    """
    h_prev = state["h"]
    c_prev = state["c"]

    f = sigmoid(parameters["W.f"] @ x + parameters["U.f"] @ h_prev + parameters["b.f"])
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    o = sigmoid(parameters["W.o"] @ x + parameters["U.o"] @ h_prev + parameters["b.o"])
    c = f * c_prev + (1.0 - f) * g
    h = o * np.tanh(c)

    return {"f": f, "g": g, "o": o, "c": c, "h": h}


def lstm_projected(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """LSTM with a recurrent projection layer, without peepholes.

    Source: Sak, Senior & Beaufays, "Long short-term memory recurrent neural network
    architectures for large scale acoustic modeling", Interspeech 2014 (also arXiv 1402.1128),
    less its peepholes and its non-recurrent projection p_t. The state h, of width P, is the
    paper's r_t, and R_h is its W_rm; the projection has neither bias nor nonlinearity. c and m
    have width H.

        f = s(W_f x + U_f h' + b_f)
        i = s(W_i x + U_i h' + b_i)
        g = tanh(W_g x + U_g h' + b_g)
        o = s(W_o x + U_o h' + b_o)
        c = f * c' + i * g
        m = o * tanh(c)
        h = R_h m
    """
    h_prev = state["h"]
    c_prev = state["c"]

    f = sigmoid(parameters["W.f"] @ x + parameters["U.f"] @ h_prev + parameters["b.f"])
    i = sigmoid(parameters["W.i"] @ x + parameters["U.i"] @ h_prev + parameters["b.i"])
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    o = sigmoid(parameters["W.o"] @ x + parameters["U.o"] @ h_prev + parameters["b.o"])
    c = f * c_prev + i * g
    m = o * np.tanh(c)
    h = parameters["R.h"] @ m

    return {"f": f, "i": i, "g": g, "o": o, "c": c, "m": m, "h": h}


def gru(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """GRU with the reset gate applied after the recurrent product (torch and cuDNN).

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder for
    statistical machine translation", arXiv 1406.1078 v1, 2014, in the form of PyTorch and cuDNN,
    whose biases b_ir + b_hr and b_iz + b_hz are here b_r and b_z, and whose b_in is here b_n:

        r = s(W_r x + U_r h' + b_r)
        z = s(W_z x + U_z h' + b_z)
        n = tanh(W_n x + b_n + r * (U_n h' + b_hn))
        h = (1 - z) * n + z * h'
    """
    h_prev = state["h"]

    r = sigmoid(parameters["W.r"] @ x + parameters["U.r"] @ h_prev + parameters["b.r"])
    z = sigmoid(parameters["W.z"] @ x + parameters["U.z"] @ h_prev + parameters["b.z"])
    n = np.tanh(
        parameters["W.n"] @ x
        + parameters["b.n"]
        + r * (parameters["U.n"] @ h_prev + parameters["b.hn"])
    )
    h = (1.0 - z) * n + z * h_prev

    return {"r": r, "z": z, "n": n, "h": h}


def gru_reset_before(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """GRU with the reset gate applied to the state before the recurrent product, Cho's sign.

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder for
    statistical machine translation", EMNLP 2014, arXiv 1406.1078 v3, 2014. Chung et al. (2014)
    and Olah (2015) swap z and 1 - z in the last line.

        r = s(W_r x + U_r h' + b_r)
        z = s(W_z x + U_z h' + b_z)
        n = tanh(W_n x + U_n (r * h') + b_n)
        h = z * h' + (1 - z) * n
    """
    h_prev = state["h"]

    r = sigmoid(parameters["W.r"] @ x + parameters["U.r"] @ h_prev + parameters["b.r"])
    z = sigmoid(parameters["W.z"] @ x + parameters["U.z"] @ h_prev + parameters["b.z"])
    n = np.tanh(parameters["W.n"] @ x + parameters["U.n"] @ (r * h_prev) + parameters["b.n"])
    h = z * h_prev + (1.0 - z) * n

    return {"r": r, "z": z, "n": n, "h": h}


def _bottom(stack: Callable[..., list[dict[str, NDArray]]]) -> Oracle:
    """One step of the first layer of what is written as a stack."""

    def step(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
        (values,) = stack(x[None], [state], [parameters])
        return {name: each[0] for name, each in values.items()}

    return step


ORACLES: dict[str, Oracle] = {
    "lstm_depth_gated": _bottom(oracles_depth.lstm_depth_gated),
    "grid_lstm": _bottom(oracles_depth.grid_lstm),
    "rnn": rnn,
    "rnn_relu": rnn_relu,
    "lstm": lstm,
    "lstm_peephole": lstm_peephole,
    "lstm_coupled": lstm_coupled,
    "lstm_projected": lstm_projected,
    "gru": gru,
    "gru_reset_before": gru_reset_before,
    **oracles_lstm.ORACLES,
    **oracles_gated.ORACLES,
    **oracles_relatives.ORACLES,
}


def run(name: str, inputs: NDArray, start: State, parameters: Parameters) -> dict[str, NDArray]:
    """Run one cell over a whole sequence.

    inputs has the shape [T, I] with T >= 1; start holds one vector for each state. Every
    quantity that the cell's step returns comes back stacked over time, as [T, width]: row t is
    its value after inputs[t] was read, so the start state itself is not among the rows.
    """
    if inputs.ndim != 2 or inputs.shape[0] == 0:
        raise ValueError(f"inputs must be [T, I] with T >= 1, not {inputs.shape}")
    step = ORACLES[name]
    weights = {key: np.asarray(value, dtype=np.float64) for key, value in parameters.items()}
    state = {key: np.asarray(value, dtype=np.float64) for key, value in start.items()}
    steps: list[dict[str, NDArray]] = []
    for x in np.asarray(inputs, dtype=np.float64):
        values = step(x, state, weights)
        for key, old in state.items():
            if values[key].shape != old.shape:
                raise ValueError(f"state {key} went from {old.shape} to {values[key].shape}")
        state = {key: values[key] for key in state}
        steps.append(values)
    return {key: np.stack([values[key] for values in steps]) for key in steps[0]}
