"""Forecasts of the rows of a table by sequences that are drawn, and how good they are."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.tasks.latent.latent_model import LatentModel
from conveyor.tasks.latent.table_kind import TableKind

# Futures that are drawn of each sequence.
_PATHS = 100
# The method that draws rows of the training set, whatever came before.
ANY_ROW = "any row"


def crps(drawn: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the continuous ranked probability score of each number: the mean distance of draws
    from it, less half of the mean distance of two draws (Gneiting & Raftery 2007, equation 21).

    Args:
        drawn: [draws, ...], two or more.
        truth: [...].
    """
    count = len(drawn)
    ordered = np.sort(drawn, axis=0)
    # The sum of the distances of all pairs, by how often each number is the larger one.
    weights = (2 * np.arange(1, count + 1) - count - 1).reshape(-1, *(1,) * truth.ndim)
    apart = (weights * ordered).sum(0) / (count * (count - 1))
    score: NDArray[np.float64] = np.abs(drawn - truth).mean(0) - apart
    return score


def forecast_scores(
    networks: dict[str, LatentModel], known: Sequence[Tensor], test: Sequence[Tensor]
) -> dict[str, dict[str, float]]:
    """Return the CRPS of the second half of test sequences, of which the first half is read: the
    mean by column, in the units of the table, of networks and of drawing any row that was learned
    from.

    Args:
        networks: by what tables call them.
        known: sequences of the training set.
        test: sequences to be scored on.
    """
    kind = next(iter(networks.values())).kind
    assert isinstance(kind, TableKind)
    half = len(test[0]) // 2
    rows = torch.cat(list(known))
    draw = torch.Generator().manual_seed(0)
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in (*networks, ANY_ROW)}
    for number, sequence in enumerate(test):
        truth = kind.values(sequence[half:]).numpy()
        for name, network in networks.items():
            paths = network.sequences.sample(
                _PATHS, len(truth), seed=number, prime=sequence[:half].float()
            )
            found[name].append(crps(_values(kind, paths), truth))
        any_rows = rows[torch.randint(len(rows), (len(truth), _PATHS), generator=draw)]
        found[ANY_ROW].append(crps(_values(kind, any_rows), truth))
    return {
        name: dict(zip(kind.columns, np.concatenate(scores).mean(0).tolist(), strict=True))
        for name, scores in found.items()
    }


def _values(kind: TableKind, steps_of_paths: Tensor) -> NDArray[np.float64]:
    """Return paths [steps, paths, columns] in the units of the table, [paths, steps, columns]."""
    values: NDArray[np.float64] = kind.values(steps_of_paths).transpose(0, 1).numpy()
    return values
