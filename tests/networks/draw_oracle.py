"""DRAW in NumPy, float64, from the paper (Gregor et al. 2015), by loops: one picture."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def bank(g: float, delta: float, variance: float, filters: int, pixels: int) -> Array:
    """Equations 19, 20, 25 and 26, whose 1e-8 beside Z is left out."""
    f = np.zeros((filters, pixels))
    for i in range(1, filters + 1):
        mu = g + (i - filters / 2 - 0.5) * delta
        for a in range(1, pixels + 1):
            f[i - 1, a - 1] = np.exp(-((a - mu) ** 2) / (2 * variance))
        f[i - 1] /= f[i - 1].sum()
    return f


def window(numbers: Array, filters: int, rows: int, columns: int) -> tuple[Array, Array, float]:
    """Equations 21 to 24: F_Y, F_X and gamma."""
    across, down, log_variance, log_delta, log_gamma = numbers
    g_x, g_y = (columns + 1) / 2 * (across + 1), (rows + 1) / 2 * (down + 1)
    delta = (max(rows, columns) - 1) / (filters - 1) * np.exp(log_delta)
    variance = float(np.exp(log_variance))
    f_y = bank(g_y, delta, variance, filters, rows)
    f_x = bank(g_x, delta, variance, filters, columns)
    return f_y, f_x, float(np.exp(log_gamma))


def lstm(weights: Mapping[str, Array], part: str, x: Array, h: Array, c: Array) -> Any:
    """An LSTM with forget gates and no peepholes."""

    def gate(name: str) -> Array:
        w, u, b = (weights[f"{part}.l0.{letter}.{name}"] for letter in "WUb")
        total: Array = w @ x + u @ h + b
        return total

    c = sigmoid(gate("f")) * c + sigmoid(gate("i")) * np.tanh(gate("g"))
    return sigmoid(gate("o")) * np.tanh(c), c


def linear(weights: Mapping[str, Array], part: str, x: Array) -> Array:
    total: Array = weights[f"{part}.weight"] @ x + weights[f"{part}.bias"]
    return total


def draw(
    weights: Mapping[str, Array],
    x: Array,
    noise: Array,
    read: int | None,
    write: int | None,
) -> dict[str, Any]:
    """Return the canvas after each glimpse, the divergence of each (equation 11) and the nats of
    the pixels (equation 9) of a picture [rows, columns] and noise [T, latent]."""
    rows, columns = x.shape
    h_dec, c_dec = weights["decoder.start_h"][0], weights["decoder.start_c"][0]
    h_enc, c_enc = weights["encoder.start_h"][0], weights["encoder.start_c"][0]
    canvas = weights["canvas"]
    canvases, kl = [canvas], []
    for epsilon in noise:
        lacking = x - sigmoid(canvas)
        if read is None:
            r = np.concatenate([x.ravel(), lacking.ravel()])
        else:
            f_y, f_x, gamma = window(linear(weights, "reader", h_dec), read, rows, columns)
            looked = [gamma * (f_y @ picture @ f_x.T) for picture in (x, lacking)]
            r = np.concatenate([looked[0].ravel(), looked[1].ravel()])
        h_enc, c_enc = lstm(weights, "encoder", np.concatenate([r, h_dec]), h_enc, c_enc)
        mean, log_sigma = np.split(linear(weights, "recognise", h_enc), 2)
        sigma = np.exp(log_sigma)
        z = mean + sigma * epsilon
        kl.append(0.5 * np.sum(mean**2 + sigma**2 - np.log(sigma**2)) - len(z) / 2)
        h_dec, c_dec = lstm(weights, "decoder", z, h_dec, c_dec)
        w = linear(weights, "patch", h_dec)
        if write is None:
            canvas = canvas + w.reshape(rows, columns)
        else:
            f_y, f_x, gamma = window(linear(weights, "writer", h_dec), write, rows, columns)
            canvas = canvas + f_y.T @ w.reshape(write, write) @ f_x / gamma
        canvases.append(canvas)
    light = sigmoid(canvas)
    nats = -np.sum(x * np.log(light) + (1 - x) * np.log(1 - light))
    return {"canvases": np.array(canvases), "kl": np.array(kl), "reconstruction": float(nats)}
