"""Reference oracles of cells tied together along depth: a whole stack over a sequence.

Written from the papers' equations alone, for one example, in NumPy float64. A layer of these
stacks reads more of the layer below than its output, so that no single cell can be checked
alone. Every function takes the inputs [T, I], the states of each layer before the first step
and the parameters of each layer, the lowest layer first; it returns for each layer every
quantity over time, [T, H]. All layers have the width H.

Notation as in tests/cells/oracles.py: a prime marks the previous step of the same layer, and
c^- is c of the layer below at the SAME step. Keys:

    W.GATE  [H, I]  acts on the input of the layer ([H, H] above the first layer; in grid_lstm
                    [H, H] everywhere, on the incoming hidden vector of depth)
    U.GATE  [H, H]  acts on the previous output h'
    b.GATE  [H]     bias
    p.GATE  [H]     diagonal peephole on the layer's own cell state
    q.d     [H]     diagonal peephole on the cell state of the layer below (not in the first)
    P.NAME  [H, I]  projection of the input to what the first layer has no layer below for
"""

import numpy as np

from tests.cells.oracle_basis import NDArray, Parameters, State, sigmoid


def lstm_depth_gated(
    inputs: NDArray, start: list[State], layers: list[Parameters]
) -> list[dict[str, NDArray]]:
    """Depth-gated LSTM: a gate d lets the cell state of the layer below into the cell state.

    Source: Yao, Cohn, Vylomova, Duh & Dyer, "Depth-gated LSTM", arXiv 1508.03790, 2015. Layer
    L+1 reads x^{L+1}_t = h^L_t; the paper's w_c. are here p (diagonal, o looks at the new c),
    its w_ld is q_d, its W_xc, W_hc and b_c are W_g, U_g and b_g. With c^- for c^L_t:

        f = s(W_f x + U_f h' + p_f * c' + b_f)
        i = s(W_i x + U_i h' + p_i * c' + b_i)
        d = s(W_d x + p_d * c' + q_d * c^- + b_d)
        g = tanh(W_g x + U_g h' + b_g)
        c = d * c^- + f * c' + i * g
        o = s(W_o x + U_o h' + p_o * c + b_o)
        h = o * tanh(c)

    d has no U, and is not tied to f. The first layer has no cell below it. As in the first
    author's code (github.com/ws15mt/cnn, cnn/dglstm.cc), a projection of the input, P_h x, stands
    there for c_below. (That code drops the term of q_d in the first layer: q_d = 0.)

    The rest follows the paper: that code ties f = 1 - i by default, has full peepholes to the
    gates i and o, and scales each layer's input by exp(beta).
    """
    h = [state["h"] for state in start]
    c = [state["c"] for state in start]
    steps: list[list[dict[str, NDArray]]] = [[] for _ in layers]

    for x_t in inputs:
        x = x_t
        for layer, parameters in enumerate(layers):
            h_prev = h[layer]
            c_prev = c[layer]

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
            net_d = parameters["W.d"] @ x + parameters["p.d"] * c_prev + parameters["b.d"]
            # Of this step: the layer below has already moved on.
            c_below = parameters["P.h"] @ x if layer == 0 else c[layer - 1]
            net_d = net_d + parameters["q.d"] * c_below
            d = sigmoid(net_d)
            g = np.tanh(parameters["W.g"] @ x + parameters["U.g"] @ h_prev + parameters["b.g"])
            c_new = d * c_below + f * c_prev + i * g
            o = sigmoid(
                parameters["W.o"] @ x
                + parameters["U.o"] @ h_prev
                + parameters["p.o"] * c_new
                + parameters["b.o"]
            )
            h_new = o * np.tanh(c_new)

            steps[layer].append({"f": f, "i": i, "d": d, "g": g, "c": c_new, "o": o, "h": h_new})
            h[layer] = h_new
            c[layer] = c_new
            x = h_new

    return [_over_time(of_layer) for of_layer in steps]


def grid_lstm(
    inputs: NDArray, start: list[State], layers: list[Parameters]
) -> list[dict[str, NDArray]]:
    """Grid LSTM of two dimensions, time and depth, without a priority dimension.

    Source: Kalchbrenner, Danihelka & Graves, "Grid long short-term memory", arXiv 1507.01526,
    2015. A block of N dimensions joins the incoming hidden vectors and gives them to one LSTM
    for each dimension, with weights of its own (u is the input gate, c the candidate):

        H = [h_1; ...; h_N]
        (h'_i, m'_i) = LSTM(H, m_i, W_i)
        g^u = s(W^u H)  g^f = s(W^f H)  g^o = s(W^o H)  g^c = tanh(W^c H)
        m' = g^f * m + g^u * g^c
        h' = tanh(g^o * m')

    There the prime marks what leaves the block. Below it marks the previous step again: time
    brings in (h', m') and depth (y^-, d^-), of the layer below at the same step. The columns
    of the paper's matrices that act on depth are W, those that act on time U; the biases,
    which the paper does not print, are b. So H = [y^-; h'], and

        f = s(W_f y^- + U_f h' + b_f)          df = s(W_df y^- + U_df h' + b_df)
        i = s(W_i y^- + U_i h' + b_i)          di = s(W_di y^- + U_di h' + b_di)
        g = tanh(W_g y^- + U_g h' + b_g)       dg = tanh(W_dg y^- + U_dg h' + b_dg)
        o = s(W_o y^- + U_o h' + b_o)          do = s(W_do y^- + U_do h' + b_do)
        m = f * m' + i * g                     d = df * d^- + di * dg
        h = tanh(o * m)                        y = tanh(do * d)

    With tanh outside the product, as printed; many programs have o * tanh(m) instead. Below
    the first layer stand two projections of the input:

        y^- = P_y x
        d^- = P_d x
    """
    h = [state["h"] for state in start]
    m = [state["m"] for state in start]
    steps: list[list[dict[str, NDArray]]] = [[] for _ in layers]

    for x in inputs:
        y_below = layers[0]["P.y"] @ x
        d_below = layers[0]["P.d"] @ x
        for layer, parameters in enumerate(layers):
            h_prev = h[layer]
            m_prev = m[layer]

            f = sigmoid(_net(parameters, "f", y_below, h_prev))
            i = sigmoid(_net(parameters, "i", y_below, h_prev))
            g = np.tanh(_net(parameters, "g", y_below, h_prev))
            o = sigmoid(_net(parameters, "o", y_below, h_prev))
            m_new = f * m_prev + i * g
            h_new = np.tanh(o * m_new)

            df = sigmoid(_net(parameters, "df", y_below, h_prev))
            di = sigmoid(_net(parameters, "di", y_below, h_prev))
            dg = np.tanh(_net(parameters, "dg", y_below, h_prev))
            do = sigmoid(_net(parameters, "do", y_below, h_prev))
            d = df * d_below + di * dg
            y = np.tanh(do * d)

            time = {"f": f, "i": i, "g": g, "o": o, "m": m_new, "h": h_new}
            depth = {"df": df, "di": di, "dg": dg, "do": do, "d": d, "y": y}
            steps[layer].append(time | depth)
            h[layer] = h_new
            m[layer] = m_new
            y_below = y
            d_below = d

    return [_over_time(of_layer) for of_layer in steps]


def _net(parameters: Parameters, gate: str, y_below: NDArray, h_prev: NDArray) -> NDArray:
    """What a gate of grid_lstm is the squashing of: W y^- + U h' + b."""
    result: NDArray = (
        parameters[f"W.{gate}"] @ y_below
        + parameters[f"U.{gate}"] @ h_prev
        + parameters[f"b.{gate}"]
    )
    return result


def _over_time(steps: list[dict[str, NDArray]]) -> dict[str, NDArray]:
    """The quantities of one layer, each stacked over the steps: [T, H]."""
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}
