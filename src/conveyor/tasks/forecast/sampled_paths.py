"""Futures drawn from a forecast: paths over all steps, also beyond the horizon."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conveyor.errors import RunError, SettingError, counted, named
from conveyor.layers.state import main_output
from conveyor.tasks.forecast.dependence import Dependence, normal_quantiles
from conveyor.tasks.forecast.forecast_settings import COUNTS
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.member import Member
from conveyor.tasks.forecast.moved_bands import whole_bands, widened
from conveyor.tasks.forecast.negative_binomial import quantile
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
        values = inputs.decomposition.restored(remainders[:, :steps].T, expected)
        drawn.append(np.rint(values) if network.fitted_by == COUNTS else values)
    network.train(was_training)
    return np.stack(drawn, 1)


def dependence_known(network: Forecaster) -> Dependence:
    """Return how the errors of a run's forecasts go together.

    Raises:
        RunError: the run does not know.
    """
    if network.smooths:
        raise RunError(
            f"a run that was fitted with {named('es_rnn', True)} draws no futures, and forecasts"
            f" no further than {counted(network.frame.horizon, 'step')}. Fit it without."
        )
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
        frame, network = self._network.frame, self._network
        read, beside = network.read(self._inputs, self._rows)
        values = read.double().cpu().numpy()
        states: list[Any] = [None] * len(network.members)
        paths = np.zeros((count, 0))
        for block in range(blocks):
            begin, answers = self._rows + block * frame.horizon, []
            for number, member in enumerate(network.members):
                assert isinstance(member, Member)
                answer, states[number] = self._walk(member, values, beside, states[number])
                answers.append(answer)
            reference = values[:, -frame.around :].mean(1)
            scores = dependence.scores(count, self._draw)
            drawn = self._of_block(np.stack(answers), reference, begin, scores)
            paths = np.concatenate([paths, drawn], 1)
            if block == 0:
                values = np.repeat(values, count, 0)
                states = [_for_each(state, count) for state in states]
            before = values[:, values.shape[1] - frame.history + 1 :]
            values = np.concatenate([before, drawn], 1)
            columns = torch.from_numpy(self._inputs.beside[begin : begin + frame.horizon]).float()
            beside = columns.to(beside.device).expand(count, *columns.shape)
        return paths

    def _of_block(
        self, answers: Numbers, reference: Numbers, begin: int, scores: Numbers
    ) -> Numbers:
        """Return the values of a horizon, [count, horizon].

        Args:
            answers: of each member, [members, 1 or count, horizon, ...].
            reference: what they are measured from, [1 or count].
            begin: the row of the first step.
            scores: normal scores of the values, [count, horizon].
        """
        network, series = self._network, self._inputs.decomposition
        probabilities = network.frame.quantiles
        level = series.centre + self._inputs.expected[begin : begin + network.frame.horizon]
        if network.fitted_by != COUNTS:
            quantiles = network.quantiles_of(answers, reference, level, series)
            if self._moved is not None:
                quantiles = widened(quantiles, self._moved)
            return at_scores(quantiles, probabilities, scores)
        # Each path is drawn from one of the members, in turn.
        both = network.means_and_shapes(answers, reference, level, series)
        paths = np.arange(len(scores))
        means, shapes = (
            np.broadcast_to(numbers, (len(answers), *scores.shape))[paths % len(answers), paths]
            for numbers in both
        )
        shares = torch.special.ndtr(torch.from_numpy(scores)).numpy()
        values = (quantile(shares, means, shapes) - level) / series.change
        if self._moved is None:
            return np.asarray(values)
        middle = np.zeros((len(self._moved), 1))
        moves = np.concatenate([-self._moved, middle, self._moved[:, ::-1]], 1)
        return np.asarray(values + at_scores(moves, probabilities, scores))

    def _walk(
        self, member: Member, values: Numbers, beside: Tensor, state: Any
    ) -> tuple[Numbers, Any]:
        """Return the answer after some steps, [B, horizon, ...], see ``Member.forward``, and the
        state then.

        Args:
            member: a network.
            values: what its windows hold, [B, history - 1 + T].
            beside: the other columns, [B, T, K].
            state: before these steps; None for the first.
        """
        with torch.no_grad():
            windows = self._network.windows(torch.from_numpy(values).float().to(beside.device))
            output, after = member.recurrent(member.inputs(windows, beside), state)
            shift = None if member.linear is None else member.linear(windows[:, -1])
            answer = member.answers_of(main_output(output)[:, -1], shift)
        return answer.double().cpu().numpy(), after


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
    return whole_bands(quantiles) if network.fitted_by == COUNTS else np.asarray(quantiles)
