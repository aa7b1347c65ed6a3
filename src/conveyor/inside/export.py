"""What was seen inside a network as data: arrays in a NumPy file, or a long table in Parquet."""

import io
from typing import Any

import numpy as np
import polars as pl

from conveyor.inside.look import Look
from conveyor.inspect.overview import Overview


def _prefix(one: Overview) -> str:
    """Return what the names of a layer's arrays begin with: "layer0" or "layer0.reverse"."""
    return f"layer{one.layer}{'.reverse' * one.reverse}"


def as_npz(look: Look) -> bytes:
    """Return the arrays by name as a NumPy file: ``steps``, ``labels``, ``contributions``,
    ``gradient[NAME]`` [outputs, steps] of each network, and of each layer its local names
    ``layer0.f`` [steps, units], ``layer0.put_on``, ``layer0.taken_off``, ``layer0.carried`` and
    ``layer0.time_constants`` [units]."""
    arrays: dict[str, Any] = {
        "steps": np.array(look.page.steps),
        "labels": np.array(look.page.labels),
        "outputs": np.array([look.page.steps[place] for place in look.page.outputs]),
    }
    if look.contributions is not None:
        arrays["contributions"] = look.contributions.numpy()
    for name, shares in look.gradients.items():
        arrays[f"gradient[{name}]"] = shares.numpy()
    for one in look.overviews:
        for name, tensor in {
            **one.values,
            "put_on": one.put_on,
            "taken_off": one.taken_off,
            "carried": one.carried,
            "time_constants": one.time_constants,
        }.items():
            arrays[f"{_prefix(one)}.{name}"] = tensor.numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def as_parquet(look: Look) -> bytes:
    """Return a long table, one number a row: the columns ``step`` (from 0), ``label``, ``layer``
    (from 0), ``reverse``, ``name`` (a local name, ``put_on``, ``taken_off``, ``carried``),
    ``unit`` and ``value``."""
    tables = []
    for one in look.overviews:
        for name, tensor in {
            **one.values,
            "put_on": one.put_on,
            "taken_off": one.taken_off,
            "carried": one.carried,
        }.items():
            steps, units = tensor.shape
            tables.append(
                pl.DataFrame(
                    {
                        "step": np.repeat(np.array(one.steps), units),
                        "label": np.repeat(np.array(look.page.labels), units),
                        "layer": np.full(steps * units, one.layer),
                        "reverse": np.full(steps * units, one.reverse),
                        "name": np.full(steps * units, name),
                        "unit": np.tile(np.arange(units), steps),
                        "value": tensor.float().flatten().numpy(),
                    }
                )
            )
    buffer = io.BytesIO()
    pl.concat(tables).write_parquet(buffer)
    return buffer.getvalue()
