"""Reference oracles of the gated units: one time step each, for one example, in NumPy float64.

Written from the papers' equations alone, in the notation of tests/cells/oracles.py. Further keys:

    P.h  [H, I]  projection of the input where the paper takes x itself, of the state's width
"""

import numpy as np

from tests.cells.oracle_basis import NDArray, Oracle, Parameters, State, sigmoid


def gru_chung(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """GRU with the reset gate applied before the recurrent product, Chung's sign.

    Source: Chung, Gulcehre, Cho & Bengio, "Empirical evaluation of gated recurrent neural
    networks on sequence modeling", arXiv 1412.3555, 2014, and Olah, "Understanding LSTM
    networks", 2015; both print no biases:

        r = s(W_r x + U_r h' + b_r)
        z = s(W_z x + U_z h' + b_z)
        n = tanh(W_n x + U_n (r * h') + b_n)
        h = (1 - z) * h' + z * n
    """
    h_prev = state["h"]

    r = sigmoid(parameters["W.r"] @ x + parameters["U.r"] @ h_prev + parameters["b.r"])
    z = sigmoid(parameters["W.z"] @ x + parameters["U.z"] @ h_prev + parameters["b.z"])
    n = np.tanh(parameters["W.n"] @ x + parameters["U.n"] @ (r * h_prev) + parameters["b.n"])
    h = (1.0 - z) * h_prev + z * n

    return {"r": r, "z": z, "n": n, "h": h}


def mgu(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Minimal gated unit: one gate both resets and updates.

    Source: Zhou, Wu, Zhang & Zhou, "Minimal gated unit for recurrent neural networks",
    International Journal of Automation and Computing 13(3):226-234, 2016 (arXiv 1603.09420):

        f = s(W_f x + U_f h' + b_f)
        n = tanh(W_n x + U_n (f * h') + b_n)
        h = (1 - f) * h' + f * n
    """
    h_prev = state["h"]

    f = sigmoid(parameters["W.f"] @ x + parameters["U.f"] @ h_prev + parameters["b.f"])
    n = np.tanh(parameters["W.n"] @ x + parameters["U.n"] @ (f * h_prev) + parameters["b.n"])
    h = (1.0 - f) * h_prev + f * n

    return {"f": f, "n": n, "h": h}


def mut1(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """First mutated architecture, MUT1.

    Source: Jozefowicz, Zaremba & Sutskever, "An empirical exploration of recurrent network
    architectures", ICML 2015, PMLR 37:2342-2350. Where the paper has tanh(x), of an x as wide as
    the state, this has tanh(P_h x). The update gate does not see h', and it multiplies the
    candidate n:

        z = s(W_z x + b_z)
        r = s(W_r x + U_r h' + b_r)
        n = tanh(U_n (r * h') + tanh(P_h x) + b_n)
        h = n * z + h' * (1 - z)
    """
    h_prev = state["h"]

    z = sigmoid(parameters["W.z"] @ x + parameters["b.z"])
    r = sigmoid(parameters["W.r"] @ x + parameters["U.r"] @ h_prev + parameters["b.r"])
    n = np.tanh(
        parameters["U.n"] @ (r * h_prev) + np.tanh(parameters["P.h"] @ x) + parameters["b.n"]
    )
    h = n * z + h_prev * (1.0 - z)

    return {"z": z, "r": r, "n": n, "h": h}


def mut2(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Second mutated architecture, MUT2.

    Source: Jozefowicz, Zaremba & Sutskever, "An empirical exploration of recurrent network
    architectures", ICML 2015, PMLR 37:2342-2350. Where the paper's reset gate has x, as wide as
    the state, this has P_h x:

        z = s(W_z x + U_z h' + b_z)
        r = s(P_h x + U_r h' + b_r)
        n = tanh(U_n (r * h') + W_n x + b_n)
        h = n * z + h' * (1 - z)
    """
    h_prev = state["h"]

    z = sigmoid(parameters["W.z"] @ x + parameters["U.z"] @ h_prev + parameters["b.z"])
    r = sigmoid(parameters["P.h"] @ x + parameters["U.r"] @ h_prev + parameters["b.r"])
    n = np.tanh(parameters["U.n"] @ (r * h_prev) + parameters["W.n"] @ x + parameters["b.n"])
    h = n * z + h_prev * (1.0 - z)

    return {"z": z, "r": r, "n": n, "h": h}


def mut3(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Third mutated architecture, MUT3: the update gate sees tanh(h').

    Source: Jozefowicz, Zaremba & Sutskever, "An empirical exploration of recurrent network
    architectures", ICML 2015, PMLR 37:2342-2350:

        z = s(W_z x + U_z tanh(h') + b_z)
        r = s(W_r x + U_r h' + b_r)
        n = tanh(U_n (r * h') + W_n x + b_n)
        h = n * z + h' * (1 - z)
    """
    h_prev = state["h"]

    z = sigmoid(parameters["W.z"] @ x + parameters["U.z"] @ np.tanh(h_prev) + parameters["b.z"])
    r = sigmoid(parameters["W.r"] @ x + parameters["U.r"] @ h_prev + parameters["b.r"])
    n = np.tanh(parameters["U.n"] @ (r * h_prev) + parameters["W.n"] @ x + parameters["b.n"])
    h = n * z + h_prev * (1.0 - z)

    return {"z": z, "r": r, "n": n, "h": h}


def janet(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """JANET: an LSTM of which only the forget gate is left; beta = 1.

    Source: van der Westhuizen & Lasenby, "The unreasonable effectiveness of the forget gate",
    arXiv 1804.04849, 2018. The paper's s_t is here a, its candidate c~ is here g, and its cell
    state c_t, which equals h_t, is here h:

        a = W_f x + U_f h' + b_f
        f = s(a)
        g = tanh(W_g x + U_g h' + b_g)
        h = f * h' + (1 - s(a - 1)) * g
    """
    h_prev = state["h"]

    a = parameters["W.f"] @ x + parameters["U.f"] @ h_prev + parameters["b.f"]
    f = sigmoid(a)
    g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
    h = f * h_prev + (1.0 - sigmoid(a - 1.0)) * g

    return {"a": a, "f": f, "g": g, "h": h}


def ligru(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """Light GRU: no reset gate, and the rectifier in the candidate.

    Source: Ravanelli, Brakel, Omologo & Bengio, "Light gated recurrent units for speech
    recognition", IEEE Transactions on Emerging Topics in Computational Intelligence 2(2), 2018
    (arXiv 1803.10225), less its batch normalisation of W x, whose offset the bias replaces:

        z = s(W_z x + U_z h' + b_z)
        n = relu(W_n x + U_n h' + b_n)
        h = z * h' + (1 - z) * n
    """
    h_prev = state["h"]

    z = sigmoid(parameters["W.z"] @ x + parameters["U.z"] @ h_prev + parameters["b.z"])
    n = np.maximum(0.0, parameters["W.n"] @ x + parameters["U.n"] @ h_prev + parameters["b.n"])
    h = z * h_prev + (1.0 - z) * n

    return {"z": z, "n": n, "h": h}


def minimal_rnn(x: NDArray, state: State, parameters: Parameters) -> dict[str, NDArray]:
    """MinimalRNN: the new state is a gated mean of the old one and the embedded input.

    Source: Chen, "MinimalRNN: Toward more interpretable and trainable recurrent neural networks",
    arXiv 1711.06788, 2017. The paper's embedding Phi(x) is here tanh(W_z x + b_z), and its U_h and
    U_z are here U_u and W_u, so that W_u is [H, H] and takes z, not x. The gate multiplies h':

        z = tanh(W_z x + b_z)
        u = s(U_u h' + W_u z + b_u)
        h = u * h' + (1 - u) * z
    """
    h_prev = state["h"]

    z = np.tanh(parameters["W.z"] @ x + parameters["b.z"])
    u = sigmoid(parameters["U.u"] @ h_prev + parameters["W.u"] @ z + parameters["b.u"])
    h = u * h_prev + (1.0 - u) * z

    return {"z": z, "u": u, "h": h}


ORACLES: dict[str, Oracle] = {
    "gru_chung": gru_chung,
    "mgu": mgu,
    "mut1": mut1,
    "mut2": mut2,
    "mut3": mut3,
    "janet": janet,
    "ligru": ligru,
    "minimal_rnn": minimal_rnn,
}
