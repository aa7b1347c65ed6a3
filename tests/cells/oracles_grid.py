"""Reference oracles of Grid LSTM: one, two and three dimensions, with the paper's options.

Source: Kalchbrenner, Danihelka & Graves, "Grid long short-term memory", arXiv 1507.01526, 2015.
Written from the paper's equations alone, for one example, in NumPy float64. A block of N
dimensions takes in a hidden vector h_i and a memory m_i from each, joins the hidden vectors and
gives them to one LSTM for each dimension, with weights of its own:

    H = [h_1; ...; h_N]
    (h'_i, m'_i) = LSTM(H, m_i, W_i)
    g^u = s(W^u H)  g^f = s(W^f H)  g^o = s(W^o H)  g^c = tanh(W^c H)
    m' = g^f * m + g^u * g^c
    h' = tanh(g^o * m')

There the prime marks what leaves the block. Below it marks what comes in along a dimension of
the data (from the previous step, column or row of the same layer), and y^- and d^- are y and d
of the layer below at the SAME place. u is our input gate i, c our candidate g. The columns of
the paper's matrices that act on depth are W, the rest are U and V; the biases, which the paper
does not print, are b. All layers have the width H, and the lowest stands first. Keys:

    W.GATE  [H, H]  acts on y^- ([H, I] in the first layer of grid_lstm_2d if depth is no LSTM)
    U.GATE  [H, H]  acts on the hidden vector of time, or of columns
    V.GATE  [H, H]  acts on the hidden vector of rows
    b.GATE  [H]     bias
    P.y     [H, I]  projection of the input to the hidden vector below the first layer
    P.d     [H, I]  projection of the input to the memory below the first layer

Options:

    output    "outside": h = tanh(o * m), as the paper prints; "inside": h = o * tanh(m), as in
              most programs; the same one in every dimension
    priority  True: depth is the priority dimension. The block computes the other dimensions
              first, and depth from H', which is H with their new hidden vectors in place of
              those that came in; depth's own stays y^-. False: all dimensions from H.
"""

from collections.abc import Callable, Mapping

import numpy as np

from tests.cells.oracle_basis import NDArray, Parameters, State, sigmoid


def grid_lstm_2d(
    inputs: NDArray,
    start: list[State],
    layers: list[Parameters],
    *,
    output: str,
    priority: bool,
    depth: str,
) -> list[dict[str, NDArray]]:
    """The 2-LSTM: time brings in (h', m'), depth (y^-, d^-). The gates of depth begin with d.

    inputs [T, I]; start holds h and m [H] of each layer. Returns h, m, y and d of each layer,
    [T, H]; no d if depth is no LSTM. With H = [y^-; h'] and hidden(o, m) as output says,

        f = s(W_f y^- + U_f h' + b_f)          df = s(W_df y^- + U_df k + b_df)
        i = s(W_i y^- + U_i h' + b_i)          di = s(W_di y^- + U_di k + b_di)
        g = tanh(W_g y^- + U_g h' + b_g)       dg = tanh(W_dg y^- + U_dg k + b_dg)
        o = s(W_o y^- + U_o h' + b_o)          do = s(W_do y^- + U_do k + b_do)
        m = f * m' + i * g                     d = df * d^- + di * dg
        h = hidden(o, m)                       y = hidden(do, d)

    where k is h' without priority, and the new h with it. Below the first layer

        y^- = P_y x
        d^- = P_d x

    That is depth="lstm". With "identity", "tanh" or "relu", depth is a non-LSTM dimension: the
    paper replaces its LSTM by h'_i = alpha(V H), which has no memory. Here V = [W_y, U_y]:

        y = alpha(W_y y^- + U_y k + b_y)

    Time is as above. Without memory nothing needs a projection: y^- = x below the first layer.
    """
    h = [state["h"] for state in start]
    m = [state["m"] for state in start]
    steps: list[list[dict[str, NDArray]]] = [[] for _ in layers]

    for x in inputs:
        if depth == "lstm":
            y_below = layers[0]["P.y"] @ x
            d_below = layers[0]["P.d"] @ x
        else:
            y_below = x
        for layer, parameters in enumerate(layers):
            joined = {"W": y_below, "U": h[layer]}
            h_new, m_new = _lstm(parameters, "", joined, m[layer], output)
            quantities = {"h": h_new, "m": m_new}

            if priority:
                joined = {"W": y_below, "U": h_new}
            if depth == "lstm":
                y, d = _lstm(parameters, "d", joined, d_below, output)
                quantities["d"] = d
                d_below = d
            else:
                y = _ALPHA[depth](_net(parameters, "y", joined))
            quantities["y"] = y

            steps[layer].append(quantities)
            h[layer] = h_new
            m[layer] = m_new
            y_below = y

    return [
        {name: np.stack([step[name] for step in of_layer]) for name in of_layer[0]}
        for of_layer in steps
    ]


def grid_lstm_1d(x: NDArray, layers: list[Parameters], *, output: str) -> list[dict[str, NDArray]]:
    """The 1-LSTM: depth alone, a feed-forward network with memory. Its gates are f, i, g, o.

    x [I]. Returns y and d [H] of each layer. H is y^- itself, so that there is nothing to give
    priority over:

        f = s(W_f y^- + b_f)
        i = s(W_i y^- + b_i)
        g = tanh(W_g y^- + b_g)
        o = s(W_o y^- + b_o)
        d = f * d^- + i * g
        y = hidden(o, d)

    Below the first layer y^- = P_y x and d^- = P_d x.
    """
    y = layers[0]["P.y"] @ x
    d = layers[0]["P.d"] @ x
    result: list[dict[str, NDArray]] = []
    for parameters in layers:
        y, d = _lstm(parameters, "", {"W": y}, d, output)
        result.append({"y": y, "d": d})
    return result


def grid_lstm_3d(
    inputs: NDArray, layers: list[Parameters], *, output: str, priority: bool
) -> list[dict[str, NDArray]]:
    """The 3-LSTM over an array of two dimensions: columns, rows and depth.

    inputs [R, C, I]. The block in row r and column c of a layer takes in (h', m') from column
    c - 1 of its row, (k', n') from row r - 1 of its column, zeros at the edges, and (y^-, d^-)
    from the layer below. Returns h, m, k, n, y and d of each layer, [R, C, H]. With
    H = [y^-; h'; k'], columns have the gates

        f = s(W_f y^- + U_f h' + V_f k' + b_f)
        i = s(W_i y^- + U_i h' + V_i k' + b_i)
        g = tanh(W_g y^- + U_g h' + V_g k' + b_g)
        o = s(W_o y^- + U_o h' + V_o k' + b_o)

    and rows rf, ri, rg, ro, and depth df, di, dg, do in the same way. Then

        m = f * m' + i * g       n = rf * n' + ri * rg       d = df * d^- + di * dg
        h = hidden(o, m)         k = hidden(ro, n)           y = hidden(do, d)

    With priority the gates of depth read H' = [y^-; h; k], of this block; columns and rows read
    H in either case, neither one the other's new vector. Below the first layer y^- = P_y x and
    d^- = P_d x.
    """
    rows, columns, _ = inputs.shape
    y_below = inputs @ layers[0]["P.y"].T
    d_below = inputs @ layers[0]["P.d"].T
    result: list[dict[str, NDArray]] = []

    for parameters in layers:
        zero = np.zeros(parameters["b.f"].shape)
        of_layer = {name: np.zeros((rows, columns, *zero.shape)) for name in "hmknyd"}
        for r in range(rows):
            for c in range(columns):
                h_prev = of_layer["h"][r, c - 1] if c > 0 else zero
                m_prev = of_layer["m"][r, c - 1] if c > 0 else zero
                k_prev = of_layer["k"][r - 1, c] if r > 0 else zero
                n_prev = of_layer["n"][r - 1, c] if r > 0 else zero

                joined = {"W": y_below[r, c], "U": h_prev, "V": k_prev}
                h, m = _lstm(parameters, "", joined, m_prev, output)
                k, n = _lstm(parameters, "r", joined, n_prev, output)
                if priority:
                    joined = {"W": y_below[r, c], "U": h, "V": k}
                y, d = _lstm(parameters, "d", joined, d_below[r, c], output)

                block = {"h": h, "m": m, "k": k, "n": n, "y": y, "d": d}
                for name, value in block.items():
                    of_layer[name][r, c] = value
        result.append(of_layer)
        y_below = of_layer["y"]
        d_below = of_layer["d"]

    return result


def _lstm(
    parameters: Parameters,
    dimension: str,
    joined: Mapping[str, NDArray],
    memory: NDArray,
    output: str,
) -> tuple[NDArray, NDArray]:
    """The paper's LSTM(H, m, W) of one dimension: the hidden vector and memory that leave it.

    The names of the gates begin with dimension; joined is H in its parts, each under the letter
    of the matrices that act on it.
    """
    f = sigmoid(_net(parameters, f"{dimension}f", joined))
    i = sigmoid(_net(parameters, f"{dimension}i", joined))
    g = np.tanh(_net(parameters, f"{dimension}g", joined))
    o = sigmoid(_net(parameters, f"{dimension}o", joined))
    memory_new = f * memory + i * g
    return _HIDDEN[output](o, memory_new), memory_new


def _net(parameters: Parameters, gate: str, joined: Mapping[str, NDArray]) -> NDArray:
    """What a gate is the squashing of: the row of the paper's matrix times H, plus b."""
    result = parameters[f"b.{gate}"]
    for letter, vector in joined.items():
        result = result + parameters[f"{letter}.{gate}"] @ vector
    return result


def _hidden_outside(o: NDArray, memory: NDArray) -> NDArray:
    result: NDArray = np.tanh(o * memory)
    return result


def _hidden_inside(o: NDArray, memory: NDArray) -> NDArray:
    result: NDArray = o * np.tanh(memory)
    return result


def _identity(a: NDArray) -> NDArray:
    return a


def _tanh(a: NDArray) -> NDArray:
    result: NDArray = np.tanh(a)
    return result


def _relu(a: NDArray) -> NDArray:
    result: NDArray = np.maximum(a, 0.0)
    return result


_HIDDEN: dict[str, Callable[[NDArray, NDArray], NDArray]] = {
    "outside": _hidden_outside,
    "inside": _hidden_inside,
}

_ALPHA: dict[str, Callable[[NDArray], NDArray]] = {
    "identity": _identity,
    "tanh": _tanh,
    "relu": _relu,
}
