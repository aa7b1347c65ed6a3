"""Reference oracles of the modern relatives: one time step each, one example, NumPy float64.

Written from the papers' equations alone, in the notation of tests/cells/oracles.py. Further keys:

    u.GATE  [H]     acts elementwise on h'; in the layer-normalised cells, the gain of U h'
    w.GATE  [H]     gain of the normalised W x, in the layer-normalised cells
    s.c     [H]     gain of the normalised cell state, whose bias is b.c
    v.GATE  [H]     acts elementwise on the previous cell state c' (sru)
    V.GATE  [H, I]  acts on the input of the previous step (the qrnn family)
    p.GATE  [H]     diagonal peephole, acts elementwise on the cell state
    d.h     [H]     offset that two gates share with opposite signs (ur_lstm)
"""

import math

import numpy as np

from tests.cells.oracle_basis import NDArray, Oracle, Parameters, State, sigmoid

# The constant under the root of layer normalisation, from the authors' own code.
EPSILON = 1e-5


def _normalise(a: NDArray) -> NDArray:
    """(a - mean(a)) / sqrt(var(a) + EPSILON), with the biased variance mean((a - mean(a))^2)."""
    deviation: NDArray = a - float(np.mean(a))
    variance = float(np.mean(deviation * deviation))
    result: NDArray = deviation / math.sqrt(variance + EPSILON)
    return result


def _log_sigmoid(a: NDArray) -> NDArray:
    """log s(a) = min(a, 0) - log(1 + exp(-|a|)), in which nothing overflows."""
    result: NDArray = np.minimum(a, 0.0) - np.log1p(np.exp(-np.abs(a)))
    return result


def lstm_layer_norm(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """LSTM with layer normalisation.

    Source: Ba, Kiros & Hinton, "Layer normalization", arXiv 1607.06450, 2016, supplementary
    material. N(.) subtracts the mean and divides by sqrt(variance + 1e-5), each taken over all
    4H numbers that it is given (over H numbers for c). The biases of the first two
    normalisations are merged with b. c is normalised on its way to h only, not in the
    recurrence. [a, b] stacks vectors:

        [x_f, x_i, x_g, x_o] = N([W_f x, W_i x, W_g x, W_o x])
        [y_f, y_i, y_g, y_o] = N([U_f h', U_i h', U_g h', U_o h'])
        f = s(w_f * x_f + u_f * y_f + b_f)
        i = s(w_i * x_i + u_i * y_i + b_i)
        g = tanh(w_g * x_g + u_g * y_g + b_g)
        o = s(w_o * x_o + u_o * y_o + b_o)
        c = f * c' + i * g
        h = o * tanh(s_c * N(c) + b_c)
    """
    h_prev = state["h"]
    c_prev = state["c"]

    x_all = _normalise(np.concatenate([parameters[f"W.{gate}"] @ x for gate in "figo"]))
    y_all = _normalise(np.concatenate([parameters[f"U.{gate}"] @ h_prev for gate in "figo"]))
    x_f, x_i, x_g, x_o = np.split(x_all, 4)
    y_f, y_i, y_g, y_o = np.split(y_all, 4)
    f = sigmoid(parameters["w.f"] * x_f + parameters["u.f"] * y_f + parameters["b.f"])
    i = sigmoid(parameters["w.i"] * x_i + parameters["u.i"] * y_i + parameters["b.i"])
    g = np.tanh(parameters["w.g"] * x_g + parameters["u.g"] * y_g + parameters["b.g"])
    o = sigmoid(parameters["w.o"] * x_o + parameters["u.o"] * y_o + parameters["b.o"])
    c = f * c_prev + i * g
    h = o * np.tanh(parameters["s.c"] * _normalise(c) + parameters["b.c"])

    return {"f": f, "i": i, "g": g, "o": o, "c": c, "h": h}


def gru_layer_norm(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """GRU with layer normalisation, the reset gate applied after the recurrent product.

    Source: Ba, Kiros & Hinton, "Layer normalization", arXiv 1607.06450, 2016, supplementary
    material, less the bias that it adds to N(U_n h') inside the product with r. N(.) subtracts
    the mean and divides by sqrt(variance + 1e-5), each taken over all the numbers that it is
    given: 2H for the two gates together, H for the candidate. [a, b] stacks vectors:

        [x_r, x_z] = N([W_r x, W_z x])
        [y_r, y_z] = N([U_r h', U_z h'])
        r = s(w_r * x_r + u_r * y_r + b_r)
        z = s(w_z * x_z + u_z * y_z + b_z)
        n = tanh(w_n * N(W_n x) + r * (u_n * N(U_n h')) + b_n)
        h = (1 - z) * h' + z * n
    """
    h_prev = state["h"]

    x_gates = _normalise(np.concatenate([parameters["W.r"] @ x, parameters["W.z"] @ x]))
    y_gates = _normalise(np.concatenate([parameters["U.r"] @ h_prev, parameters["U.z"] @ h_prev]))
    x_r, x_z = np.split(x_gates, 2)
    y_r, y_z = np.split(y_gates, 2)
    r = sigmoid(parameters["w.r"] * x_r + parameters["u.r"] * y_r + parameters["b.r"])
    z = sigmoid(parameters["w.z"] * x_z + parameters["u.z"] * y_z + parameters["b.z"])
    x_n = parameters["w.n"] * _normalise(parameters["W.n"] @ x)
    y_n = parameters["u.n"] * _normalise(parameters["U.n"] @ h_prev)
    n = np.tanh(x_n + r * y_n + parameters["b.n"])
    h = (1.0 - z) * h_prev + z * n

    return {"r": r, "z": z, "n": n, "h": h}


def indrnn(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Independently recurrent network: every unit sees only its own past.

    Source: Li, Li, Cook, Zhu & Gao, "Independently recurrent neural network (IndRNN): building a
    longer and deeper RNN", CVPR 2018 (arXiv 1803.04831), with the rectifier:

        h = relu(W x + u * h' + b)
    """
    h_prev = state["h"]

    h = np.maximum(0.0, parameters["W.h"] @ x + parameters["u.h"] * h_prev + parameters["b.h"])

    return {"h": h}


def sru(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Simple recurrent unit; the input is projected for the highway connection, alpha = 1.

    Source: Lei, Zhang, Wang, Dai & Artzi, "Simple recurrent units for highly parallelizable
    recurrence", EMNLP 2018 (arXiv 1709.02755). Its W is here W_g; where it has x in the last
    line, as wide as the state, this has W_x x, as in the authors' code; its scaling constant
    alpha is 1. Both gates see the previous cell state c', and the state h is only the output:

        f = s(W_f x + v_f * c' + b_f)
        r = s(W_r x + v_r * c' + b_r)
        c = f * c' + (1 - f) * (W_g x)
        h = r * c + (1 - r) * (W_x x)
    """
    c_prev = state["c"]

    f = sigmoid(parameters["W.f"] @ x + parameters["v.f"] * c_prev + parameters["b.f"])
    r = sigmoid(parameters["W.r"] @ x + parameters["v.r"] * c_prev + parameters["b.r"])
    c = f * c_prev + (1.0 - f) * (parameters["W.g"] @ x)
    h = r * c + (1.0 - r) * (parameters["W.x"] @ x)

    return {"f": f, "r": r, "c": c, "h": h}


def qrnn_f(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Quasi-recurrent network with f-pooling, window 2.

    Source: Bradbury, Merity, Xiong & Socher, "Quasi-recurrent neural networks", ICLR 2017
    (arXiv 1611.01576), which prints no biases. The states zx and fx carry the older tap of the
    causal convolution, V x' (zero before the first step):

        z = tanh(W_z x + zx' + b_z)        zx = V_z x
        f = s(W_f x + fx' + b_f)           fx = V_f x
        h = f * h' + (1 - f) * z
    """
    h_prev = state["h"]
    zx_prev = state["zx"]
    fx_prev = state["fx"]

    z = np.tanh(parameters["W.z"] @ x + zx_prev + parameters["b.z"])
    f = sigmoid(parameters["W.f"] @ x + fx_prev + parameters["b.f"])
    h = f * h_prev + (1.0 - f) * z
    zx = parameters["V.z"] @ x
    fx = parameters["V.f"] @ x

    return {"z": z, "f": f, "h": h, "zx": zx, "fx": fx}


def qrnn_fo(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Quasi-recurrent network with fo-pooling, window 2.

    Source: Bradbury, Merity, Xiong & Socher, "Quasi-recurrent neural networks", ICLR 2017
    (arXiv 1611.01576), which prints no biases. The states zx, fx and ox carry the older tap of
    the causal convolution, V x' (zero before the first step); the state h is only the output:

        z = tanh(W_z x + zx' + b_z)        zx = V_z x
        f = s(W_f x + fx' + b_f)           fx = V_f x
        o = s(W_o x + ox' + b_o)           ox = V_o x
        c = f * c' + (1 - f) * z
        h = o * c
    """
    c_prev = state["c"]
    zx_prev = state["zx"]
    fx_prev = state["fx"]
    ox_prev = state["ox"]

    z = np.tanh(parameters["W.z"] @ x + zx_prev + parameters["b.z"])
    f = sigmoid(parameters["W.f"] @ x + fx_prev + parameters["b.f"])
    o = sigmoid(parameters["W.o"] @ x + ox_prev + parameters["b.o"])
    c = f * c_prev + (1.0 - f) * z
    h = o * c
    zx = parameters["V.z"] @ x
    fx = parameters["V.f"] @ x
    ox = parameters["V.o"] @ x

    return {"z": z, "f": f, "o": o, "c": c, "h": h, "zx": zx, "fx": fx, "ox": ox}


def qrnn_ifo(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Quasi-recurrent network with ifo-pooling, window 2.

    Source: Bradbury, Merity, Xiong & Socher, "Quasi-recurrent neural networks", ICLR 2017
    (arXiv 1611.01576), which prints no biases. The states zx, fx, ox and ix carry the older tap
    of the causal convolution, V x' (zero before the first step); the state h is only the output:

        z = tanh(W_z x + zx' + b_z)        zx = V_z x
        f = s(W_f x + fx' + b_f)           fx = V_f x
        o = s(W_o x + ox' + b_o)           ox = V_o x
        i = s(W_i x + ix' + b_i)           ix = V_i x
        c = f * c' + i * z
        h = o * c
    """
    c_prev = state["c"]
    zx_prev = state["zx"]
    fx_prev = state["fx"]
    ox_prev = state["ox"]
    ix_prev = state["ix"]

    z = np.tanh(parameters["W.z"] @ x + zx_prev + parameters["b.z"])
    f = sigmoid(parameters["W.f"] @ x + fx_prev + parameters["b.f"])
    o = sigmoid(parameters["W.o"] @ x + ox_prev + parameters["b.o"])
    i = sigmoid(parameters["W.i"] @ x + ix_prev + parameters["b.i"])
    c = f * c_prev + i * z
    h = o * c
    zx = parameters["V.z"] @ x
    fx = parameters["V.f"] @ x
    ox = parameters["V.o"] @ x
    ix = parameters["V.i"] @ x

    return {
        "z": z,
        "f": f,
        "o": o,
        "i": i,
        "c": c,
        "h": h,
        "zx": zx,
        "fx": fx,
        "ox": ox,
        "ix": ix,
    }


def mingru(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """minGRU: the gate and the candidate see the input only, and the candidate is linear.

    Source: Feng, Tung, Ahmed, Bengio & Hajimirsadeghi, "Were RNNs all we needed?",
    arXiv 2410.01201, 2024, in its form without logarithms:

        z = s(W_z x + b_z)
        n = W_n x + b_n
        h = (1 - z) * h' + z * n
    """
    h_prev = state["h"]

    z = sigmoid(parameters["W.z"] @ x + parameters["b.z"])
    n = parameters["W.n"] @ x + parameters["b.n"]
    h = (1.0 - z) * h_prev + z * n

    return {"z": z, "n": n, "h": h}


def minlstm(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """minLSTM: two gates that see the input only, scaled to the sum 1; the candidate is linear.

    Source: Feng, Tung, Ahmed, Bengio & Hajimirsadeghi, "Were RNNs all we needed?",
    arXiv 2410.01201, 2024, in its form without logarithms. f1 and i1 are the paper's f' and i':

        f = s(W_f x + b_f)
        i = s(W_i x + b_i)
        n = W_n x + b_n
        f1 = f / (f + i)
        i1 = i / (f + i)
        h = f1 * h' + i1 * n
    """
    h_prev = state["h"]

    f = sigmoid(parameters["W.f"] @ x + parameters["b.f"])
    i = sigmoid(parameters["W.i"] @ x + parameters["b.i"])
    n = parameters["W.n"] @ x + parameters["b.n"]
    f1 = f / (f + i)
    i1 = i / (f + i)
    h = f1 * h_prev + i1 * n

    return {"f": f, "i": i, "n": n, "f1": f1, "i1": i1, "h": h}


def ur_lstm(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """LSTM with a refine gate, whose forget and refine gates share one offset (UR-LSTM).

    Source: Gu, Gulcehre, Paine, Hoffman & Pascanu, "Improving the gating mechanism of recurrent
    neural networks", ICML 2020 (arXiv 1910.09890). Its b_f is here d; g is the effective forget
    gate, which equals 2 r f + (1 - 2 r) f^2, and the input gate is 1 - g:

        f = s(W_f x + U_f h' + d)
        r = s(W_r x + U_r h' - d)
        u = tanh(W_u x + U_u h' + b_u)
        o = s(W_o x + U_o h' + b_o)
        g = r * (1 - (1 - f)^2) + (1 - r) * f^2
        c = g * c' + (1 - g) * u
        h = o * tanh(c)
    """
    h_prev = state["h"]
    c_prev = state["c"]

    f = sigmoid(parameters["W.f"] @ x + parameters["U.f"] @ h_prev + parameters["d.h"])
    r = sigmoid(parameters["W.r"] @ x + parameters["U.r"] @ h_prev - parameters["d.h"])
    u = np.tanh(parameters["W.u"] @ x + parameters["U.u"] @ h_prev + parameters["b.u"])
    o = sigmoid(parameters["W.o"] @ x + parameters["U.o"] @ h_prev + parameters["b.o"])
    g = r * (1.0 - (1.0 - f) ** 2) + (1.0 - r) * f**2
    c = g * c_prev + (1.0 - g) * u
    h = o * np.tanh(c)

    return {"f": f, "r": r, "u": u, "o": o, "g": g, "c": c, "h": h}


def slstm(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """sLSTM of one head: exponential input gate, sigmoid forget gate, normaliser and stabiliser.

    Source: Beck et al., "xLSTM: extended long short-term memory", arXiv 2405.04517, 2024, in the
    stabilised form; i and f are the paper's i' and f'. Before the first step c' = n' = 0 and m'
    is so low that m = i~. i~ and f~ are the gates before their nonlinearities:

        i~ = W_i x + U_i h' + b_i
        f~ = W_f x + U_f h' + b_f
        z = tanh(W_z x + U_z h' + b_z)
        o = s(W_o x + U_o h' + b_o)
        m = max(log s(f~) + m', i~)
        i = exp(i~ - m)
        f = exp(log s(f~) + m' - m)
        c = f * c' + i * z
        n = f * n' + i
        h = o * (c / n)
    """
    h_prev = state["h"]
    c_prev = state["c"]
    n_prev = state["n"]
    m_prev = state["m"]

    i_net = parameters["W.i"] @ x + parameters["U.i"] @ h_prev + parameters["b.i"]
    f_net = parameters["W.f"] @ x + parameters["U.f"] @ h_prev + parameters["b.f"]
    z = np.tanh(parameters["W.z"] @ x + parameters["U.z"] @ h_prev + parameters["b.z"])
    o = sigmoid(parameters["W.o"] @ x + parameters["U.o"] @ h_prev + parameters["b.o"])
    log_f = _log_sigmoid(f_net)
    m = np.maximum(log_f + m_prev, i_net)
    i = np.exp(i_net - m)
    f = np.exp(log_f + m_prev - m)
    c = f * c_prev + i * z
    n = f * n_prev + i
    h = o * (c / n)

    return {"z": z, "o": o, "i": i, "f": f, "m": m, "c": c, "n": n, "h": h}


def para_gru(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """GRU with diagonal recurrent matrices.

    Source: Danieli, Rodriguez, Sarabia, Suau & Zappella, "ParaRNN: unlocking parallel training of
    nonlinear RNNs for large language models", arXiv 2510.21450, 2025:

        z = s(u_z * h' + W_z x + b_z)
        r = s(u_r * h' + W_r x + b_r)
        n = tanh(u_n * (r * h') + W_n x + b_n)
        h = (1 - z) * h' + z * n
    """
    h_prev = state["h"]

    z = sigmoid(parameters["u.z"] * h_prev + parameters["W.z"] @ x + parameters["b.z"])
    r = sigmoid(parameters["u.r"] * h_prev + parameters["W.r"] @ x + parameters["b.r"])
    n = np.tanh(parameters["u.n"] * (r * h_prev) + parameters["W.n"] @ x + parameters["b.n"])
    h = (1.0 - z) * h_prev + z * n

    return {"z": z, "r": r, "n": n, "h": h}


def para_lstm(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """LSTM with diagonal recurrent matrices, diagonal peepholes and the input gate 1 - f.

    Source: Danieli, Rodriguez, Sarabia, Suau & Zappella, "ParaRNN: unlocking parallel training of
    nonlinear RNNs for large language models", arXiv 2510.21450, 2025. The output gate sees the
    new cell state c:

        f = s(u_f * h' + W_f x + p_f * c' + b_f)
        g = tanh(u_g * h' + W_g x + b_g)
        c = f * c' + (1 - f) * g
        o = s(u_o * h' + W_o x + p_o * c + b_o)
        h = o * tanh(c)
    """
    h_prev = state["h"]
    c_prev = state["c"]

    f = sigmoid(
        parameters["u.f"] * h_prev
        + parameters["W.f"] @ x
        + parameters["p.f"] * c_prev
        + parameters["b.f"]
    )
    g = np.tanh(parameters["u.g"] * h_prev + parameters["W.g"] @ x + parameters["b.g"])
    c = f * c_prev + (1.0 - f) * g
    o = sigmoid(
        parameters["u.o"] * h_prev
        + parameters["W.o"] @ x
        + parameters["p.o"] * c
        + parameters["b.o"]
    )
    h = o * np.tanh(c)

    return {"f": f, "g": g, "c": c, "o": o, "h": h}


ORACLES: dict[str, Oracle] = {
    "lstm_layer_norm": lstm_layer_norm,
    "gru_layer_norm": gru_layer_norm,
    "indrnn": indrnn,
    "sru": sru,
    "qrnn_f": qrnn_f,
    "qrnn_fo": qrnn_fo,
    "qrnn_ifo": qrnn_ifo,
    "mingru": mingru,
    "minlstm": minlstm,
    "ur_lstm": ur_lstm,
    "slstm": slstm,
    "para_gru": para_gru,
    "para_lstm": para_lstm,
}
