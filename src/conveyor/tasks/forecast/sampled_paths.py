"""Futures drawn from a forecast: paths over all steps, also beyond the horizon."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.errors import RunError, SettingError, counted, named
from conveyor.layers.state import main_output
from conveyor.tasks.forecast.dependence import Dependence, normal_quantiles
from conveyor.tasks.forecast.forecaster import Forecaster, Member, widened
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.stretches import SeriesInputs

Numbers = NDArray[np.float64]

# So many values are drawn of a series at most: a service is asked by anyone.
_MOST_VALUES = 20_000_000

# So many paths are drawn where only their quantiles are asked for.
ENOUGH = 1000


def sampled_paths(network: Forecaster, panel: Panel, *, count: int, steps: int) -> Numbers:
    """Return futures of the series of a panel, drawn after its end, [steps, targets, count].

    A path takes a normal score at each step, which go together as the errors of past forecasts did
    (``Dependence``), and from them the values that the forecast's quantiles have there: linear in
    the score between and beyond them. So each step of many paths is as its band says. Beyond the
    horizon a forecast is made from the end of each path, as if it had come true, and drawn from
    likewise: as DeepAR draws step by step (Salinas et al. 2017, section 3.1), a horizon at a time.
    The same arguments give the same paths; those of different series know nothing of each other.

    Args:
        network: the forecaster.
        panel: the rows of a group.
        count: how many.
        steps: how many steps.

    Raises:
        RunError: the run does not know how errors go together.
        SettingError: what is read up to now would have to be known beyond the horizon, or there are
            too many values.
    """
    frame = network.frame
    if count * steps > _MOST_VALUES:
        raise SettingError(
            f"{named('paths')} is {count:,}, of {counted(steps, 'step')} each: more than "
            f"{_MOST_VALUES:,} values of a series. Draw fewer."
        )
    dependence = dependence_known(network)
    check_steps(network, steps)
    blocks = -(-steps // frame.horizon)
    rows, further = len(panel), (blocks - 1) * frame.horizon
    longer = replace(
        panel,
        targets=np.concatenate([panel.targets, np.full((further, len(frame.targets)), np.nan)]),
        past=np.concatenate([panel.past, np.zeros((further, len(frame.past)))]),
    )
    was_training = network.training
    network.eval()
    drawn = []
    for target in range(len(frame.targets)):
        inputs = SeriesInputs(longer, frame, target)
        remainders = _Future(network, inputs, rows, target).draw(dependence, count, blocks)
        expected = inputs.expected[rows : rows + steps]
        drawn.append(inputs.decomposition.restored(remainders[:, :steps].T, expected))
    network.train(was_training)
    return np.stack(drawn, 1)


def dependence_known(network: Forecaster) -> Dependence:
    """Return how the errors of a run's forecasts go together.

    Raises:
        RunError: the run does not know.
    """
    if network.frame.dependence is None:
        raise RunError(
            "the run does not know how the errors of its forecasts go together: it was fitted by "
            "an earlier version, or hardly any of its forecasts could be compared with what came. "
            "Fit it again, on a table with more rows."
        )
    return network.frame.dependence


def check_steps(network: Forecaster, steps: int) -> None:
    """Check that a network can forecast so many steps.

    Raises:
        SettingError: it reads columns up to now, which nobody knows beyond its horizon.
    """
    frame = network.frame
    if steps > frame.horizon and frame.past:
        raise SettingError(
            f"{named('horizon')} is {steps}, beyond the {frame.horizon} steps that the run was "
            f"fitted for: there it would read {', '.join(frame.past)}, which is known up to now "
            f"only. Fit with {named('horizon', steps)}, or with {named('only_target', True)}."
        )


def at_scores(quantiles: Numbers, probabilities: tuple[float, ...], scores: Numbers) -> Numbers:
    """Return the values of distributions at normal scores, [..., horizon]: linear in the score
    between quantiles, and on beyond the outer ones.

    Args:
        quantiles: [..., horizon, quantiles], rising.
        probabilities: of the quantiles.
        scores: [..., horizon].
    """
    knots = normal_quantiles(np.array(probabilities))
    above = np.searchsorted(knots[1:-1], scores) + 1
    quantiles = np.broadcast_to(quantiles, (*scores.shape, len(knots)))
    high, low = (
        np.take_along_axis(quantiles, place[..., None], -1)[..., 0] for place in (above, above - 1)
    )
    share = (scores - knots[above - 1]) / (knots[above] - knots[above - 1])
    return np.asarray(low + share * (high - low))


class _Future:
    """The steps of a series after its last row.

    Args:
        network: the forecaster, in evaluation mode.
        inputs: the series, with rows for all blocks but the last.
        rows: how many of them are known.
        target: its number among the targets.
    """

    def __init__(self, network: Forecaster, inputs: SeriesInputs, rows: int, target: int) -> None:
        self._network, self._inputs, self._rows = network, inputs, rows
        moved = network.frame.moved(inputs.panel.group)
        self._moved = None if moved is None else np.array(moved[target])
        self._draw = np.random.default_rng([inputs.panel.group, target])

    def draw(self, dependence: Dependence, count: int, blocks: int) -> Numbers:
        """Return ``count`` paths of what remains of the series, in its unit, [count, steps]."""
        frame, rows = self._network.frame, self._rows
        quantiles, _ = self._network.raw(self._inputs, [rows])
        paths = self._of_block(quantiles, dependence, count)
        if blocks > 1:
            states = self._primed(count)
            before = np.repeat(self._read(rows)[None], count, 0)
        for block in range(1, blocks):
            begin = rows + (block - 1) * frame.horizon
            latest = paths[:, -frame.horizon :]
            values = np.concatenate([before, latest], 1)
            answers = []
            for number, member in enumerate(self._network.members):
                assert isinstance(member, Member)
                answer, states[number] = self._walk(member, values, begin, states[number])
                answers.append(answer)
            reference = values[:, -frame.around :].mean(1)
            quantiles = np.mean(answers, 0) + reference[:, None, None]
            paths = np.concatenate([paths, self._of_block(quantiles, dependence, count)], 1)
            before = values[:, len(values[0]) - len(before[0]) :]
        return paths

    def _of_block(self, quantiles: Numbers, dependence: Dependence, count: int) -> Numbers:
        """Return the values of a horizon, [count, horizon], of quantiles [1 or count, ...]."""
        if self._moved is not None:
            quantiles = widened(quantiles, self._moved)
        scores = dependence.scores(count, self._draw)
        return at_scores(quantiles, self._network.frame.quantiles, scores)

    def _read(self, rows: int) -> Numbers:
        """Return the last values before a row that the next step's window holds, [history - 1]."""
        values, _ = self._inputs.read(rows - 1, rows)
        return values.numpy().astype(float)[1:]

    def _primed(self, count: int) -> list[tuple[Tensor, ...]]:
        """Return the state of each member after the last row that is known, once for each path."""
        values, beside = self._network.read(self._inputs, self._rows)
        windows = self._network.windows(values)
        states = []
        for member in self._network.members:
            assert isinstance(member, Member)
            with torch.no_grad():
                state = member.recurrent(member.inputs(windows, beside))[1]
            states.append(_for_each(state, count))
        return states

    def _walk(
        self, member: Member, values: Numbers, begin: int, state: tuple[Tensor, ...]
    ) -> tuple[Numbers, tuple[Tensor, ...]]:
        """Return the quantiles after a block of steps, [count, horizon, quantiles], less the
        reference, and the state then.

        Args:
            member: a network.
            values: what its windows hold, [count, history - 1 + horizon].
            begin: the row of the block's first step.
            state: before it.
        """
        frame, device = self._network.frame, member.head.weight.device
        as_read = torch.from_numpy(values).float().to(device)
        beside = torch.from_numpy(self._inputs.beside[begin : begin + frame.horizon]).float()
        columns = beside.to(device).expand(len(values), *beside.shape)
        with torch.no_grad():
            windows = self._network.windows(as_read)
            output, after = member.recurrent(member.inputs(windows, columns), state)
            last = windows[:, -1]
            shift = None if member.linear is None else member.linear(last)
            quantiles = member.quantiles_of(main_output(output)[:, -1], shift)
        return quantiles.double().cpu().numpy(), after


def _for_each(state: tuple[Tensor, ...], count: int) -> tuple[Tensor, ...]:
    """Return the state of one sequence for each of ``count``."""
    repeated = [
        tensor.expand(*tensor.shape[:-2], count, tensor.shape[-1]).contiguous() for tensor in state
    ]
    kind = type(state)
    return kind(*repeated) if hasattr(kind, "_fields") else kind(repeated)


def quantiles_of_paths(network: Forecaster, paths: Numbers) -> Numbers:
    """Return the quantiles of drawn values, [..., quantiles], of paths [..., count]; the middle is
    the mean where that is what the network learns."""
    quantiles = np.moveaxis(np.quantile(paths, network.frame.quantiles, axis=-1), 0, -1)
    if network.fitted_by == "mse":
        middle = quantiles.shape[-1] // 2
        mean = paths.mean(-1)
        quantiles[..., middle] = mean.clip(quantiles[..., middle - 1], quantiles[..., middle + 1])
    return np.asarray(quantiles)
