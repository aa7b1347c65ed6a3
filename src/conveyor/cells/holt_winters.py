"""Exponential smoothing as a cell: its weights are learned by gradient descent, of all series at
once."""

from typing import Annotated

from conveyor.cells.definition import Cell, cell
from conveyor.cells.language import Input, Last, State, Value, Vector, equal, sigmoid
from conveyor.errors import SettingError

SMOOTHING = (
    "Holt 1957; Winters 1960, Forecasting sales by exponentially weighted moving averages; "
    "Hyndman & Athanasopoulos 2021, Forecasting: principles and practice, section 8.3"
)

# The longest season: each step of it is a state.
LONGEST_SEASON = 400


def _check_season(season: int) -> None:
    if isinstance(season, bool) or not isinstance(season, int) or not 1 <= season <= LONGEST_SEASON:
        raise SettingError(
            f"season is {season!r}; expected a whole number from 1 to {LONGEST_SEASON}."
        )


def holt_winters_with(season: int, *, multiplicative: bool = False, damped: bool = False) -> Cell:
    """Return the cell of Holt and Winters. Each unit is a series: the input is as wide as the
    hidden state, and ``h`` is the forecast of the next value.

    The states are the level ``l``, the trend ``b`` and the last values of the season ``s``; the
    smoothing weights are ``sigmoid(v.l)``, ``sigmoid(v.b)`` and ``sigmoid(v.s)``. The forecast of k
    steps ahead is ``l + k b`` and the season of then. A layer with ``learn_start=True`` learns the
    first level, trend and season, too.

    Args:
        season: its steps, from 2 on; 1 for none (Holt's method).
        multiplicative: whether the season multiplies level and trend, and is not added: 1 + s. A
            level of 0 is then none yet, and begins with the value.
        damped: whether the trend is damped at each step, by ``sigmoid(v.d)``.

    Raises:
        SettingError: there is no such season.
    """
    _check_season(season)
    if multiplicative and season == 1:
        raise SettingError("a season of one step multiplies nothing. Leave out multiplicative.")

    def smoothed(x: Value, level: Value, of_then: Value | None, v: Vector) -> Value:
        """The new level."""
        a = sigmoid(v.l)
        if of_then is None:
            return a * x + (1 - a) * level
        without = x / (1 + of_then) if multiplicative else x - of_then
        return a * without + (1 - a) * level

    def begun(x: Value, old: Value, trend: Value) -> Value:
        """The level that is expected, or x where a season multiplies and there is none yet: nothing
        can be a share of it."""
        level = old + trend
        return level + equal(old, 0) * (x - level) if multiplicative else level

    def share(x: Value, level: Value) -> Value:
        """x by the level; 1 where both are 0."""
        none = equal(level, 0)
        return (x + none * (1 - x)) / (level + none)

    def faded(trend: Value, v: Vector) -> Value:
        """The trend of the next step."""
        return sigmoid(v.d) * trend if damped else trend

    def moved(new: Value, old: Value, trend: Value, v: Vector) -> Value:
        """The new trend."""
        g = sigmoid(v.b)
        return g * (new - old) + (1 - g) * trend

    def without_season(
        x: Annotated[Input, "H"], h: State, l: State, b: State, v: Vector
    ) -> tuple[Value, Value, Value]:
        """Holt's method: a level and a trend."""
        d = faded(b, v)
        old = l
        l = smoothed(x, old + d, None, v)
        b = moved(l, old, d, v)
        h = l + faded(b, v)
        return h, l, b

    def with_season(
        x: Annotated[Input, "H"],
        h: State,
        l: State,
        b: State,
        s: Annotated[State, Last(max(season, 2))],
        v: Vector,
    ) -> tuple[Value, Value, Value, Value]:
        """The method of Holt and Winters: a level, a trend and a season."""
        d = faded(b, v)
        of_then, next_one = s[season], s[season - 1]
        level = begun(x, l, d)
        l = smoothed(x, level, of_then, v)
        b = moved(l, level - d, d, v)
        c = sigmoid(v.s)
        s = c * (share(x, level) - 1 if multiplicative else x - level) + (1 - c) * of_then
        ahead = l + faded(b, v)
        h = ahead * (1 + next_one) if multiplicative else ahead + next_one
        return h, l, b, s

    equations = without_season if season == 1 else with_season
    kinds = "_multiplicative" * multiplicative + "_damped" * damped
    equations.__name__ = "holt" + kinds if season == 1 else f"holt_winters_{season}" + kinds
    # Half of a level's error is taken at once, an eighth of a trend's and of a season's.
    start = {"v.l": 0.0, "v.b": -2.0, "v.s": -2.0, "v.d": 4.0}
    used = {"v.l", "v.b"} | ({"v.s"} if season > 1 else set()) | ({"v.d"} if damped else set())
    begins = {name: value for name, value in start.items() if name in used}
    return cell(source=SMOOTHING, start=begins)(equations)


ES_RNN = (
    "Smyl 2020, A hybrid method of exponential smoothing and recurrent neural networks for time "
    "series forecasting, equations 3 and 4"
)


def level_and_season_with(season: int) -> Cell:
    """Return the cell that takes level and season out of series for an ES-RNN: the method of Holt
    and Winters without a trend, whose season multiplies.

    The smoothing weights of the level and of the season are inputs, ``a`` and ``b``, so that each
    sequence of a batch may have its own, and each step: a of 1 begins anew. Inputs are as wide as
    the hidden state. The outputs are the level ``h`` after each step, and the season ``s`` of the
    step a season later; without a season, the level alone.

    Args:
        season: its steps, from 2 on; 1 for none.

    Raises:
        SettingError: there is no such season.
    """
    _check_season(season)

    def level_of(y: Annotated[Input, "H"], a: Annotated[Input, "H"], h: State) -> Value:
        """A level."""
        return a * y + (1 - a) * h

    def level_and_season(
        y: Annotated[Input, "H"],
        a: Annotated[Input, "H"],
        b: Annotated[Input, "H"],
        h: State,
        s: Annotated[State, Last(max(season, 2))],
    ) -> tuple[Value, Value, Value, Value]:
        """A level and a season."""
        of_then = s[season]
        h = a * y / of_then + (1 - a) * h
        s = b * y / h + (1 - b) * of_then
        return h, s, h, s

    equations = level_of if season == 1 else level_and_season
    equations.__name__ = "level" if season == 1 else f"level_and_season_{season}"
    return cell(source=ES_RNN)(equations)
