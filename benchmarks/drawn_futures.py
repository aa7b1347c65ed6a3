"""How good the futures are that a network with latent values draws of a table, beside the quantiles
of ``fit forecast`` and beside drawing rows of the past."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

import conveyor
from conveyor.tasks.latent.kinds import read_sequences
from conveyor.tasks.latent.latent_model import LatentModel
from conveyor.tasks.latent.latent_settings import LatentDataSettings
from conveyor.tasks.latent.table_kind import TableKind

# Every method is scored by the same quantiles: the ends of these bands, in percent, and the median.
BANDS = (20, 40, 60, 80, 90)
LEVELS = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
PATHS = 500
# Rows before the first that is forecast, which the recurrent networks read.
PAST = 365


def pinball(quantiles: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return twice the mean pinball loss over the levels, of each number, which is the CRPS where
    the levels are dense (Gneiting & Ranjan 2011, equation 17).

    Args:
        quantiles: [..., levels].
        truth: [...].
    """
    apart = truth[..., None] - quantiles
    score: NDArray[np.float64] = 2 * np.maximum(LEVELS * apart, (LEVELS - 1) * apart).mean(-1)
    return score


def futures(folder: Path, table: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pinball scores of the second halves of test sequences by column: of a run that
    draws them, with half a sequence to read and with a year, of a forecaster, and of rows of the
    past.

    Args:
        folder: has the run, as ``run``.
        table: that it was fitted on.
        settings: of its data: ``values`` and ``rows``.
    """
    run = conveyor.Run(folder / "run")
    model = run.model
    assert isinstance(model, LatentModel)
    kind = model.kind
    assert isinstance(kind, TableKind)
    data = LatentDataSettings(**settings)
    half = data.rows // 2
    frame = pl.read_csv(table)
    values = frame.select(kind.columns).to_numpy().astype(float)
    train, validation, _ = data.parts_of(len(values))
    known = train + validation
    frame[:known].select("date", *kind.columns).write_csv(folder / "known.csv")
    forecaster = conveyor.fit(
        "forecast",
        folder / "known.csv",
        out=folder / "forecaster",
        target=list(kind.columns),
        time="date",
        horizon=half,
        level=list(BANDS),
        origins=8,
    )
    count = len(read_sequences(table, data, kind).parts[2])
    scores: dict[str, list[NDArray[np.float64]]] = {}
    draw = np.random.default_rng(0)
    for number in range(count):
        now = known + number * data.rows + half
        truth, past = values[now : now + half], values[now - PAST : now]
        quantiles = {"fit forecast": forecaster.predict(past[None], later=now - known)[0]}
        scaled = kind.scaled(torch.from_numpy(past)).float()
        for name, prime in {f"{half} rows": scaled[-half:], f"{PAST} rows": scaled}.items():
            paths = model.sequences.sample(PATHS, half, seed=number, prime=prime)
            quantiles[f"{model.title}, {name} read"] = _of_draws(kind.values(paths).numpy())
        rows = values[:train][draw.integers(train, size=(half, PATHS))]
        quantiles["any row"] = _of_draws(rows)
        for name, each in quantiles.items():
            scores.setdefault(name, []).append(pinball(each, truth))
    return {
        "pinball": {
            name: dict(zip(kind.columns, np.concatenate(each).mean(0).tolist(), strict=True))
            for name, each in scores.items()
        },
        "sequences": count,
    }


def _of_draws(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quantiles of draws [steps, draws, columns], [steps, columns, levels]."""
    quantiles: NDArray[np.float64] = np.quantile(rows, LEVELS, axis=1).transpose(1, 2, 0)
    return quantiles
