"""Finds the group of rows that a user names."""

from collections.abc import Sequence

from conveyor.data.group_names import group_label
from conveyor.errors import DataError, did_you_mean
from conveyor.tasks.forecast.forecast_frame import ForecastFrame


def chosen_group(frame: ForecastFrame, asked: str | None, groups: Sequence[int]) -> int:
    """Return the place of the group of that name among ``groups``; the first one without a name.

    Raises:
        DataError: none has the name.
    """
    if asked is None:
        return 0
    labels = [group_label(frame.groups[group]) for group in groups]
    if asked not in labels:
        raise DataError(f"there is no series {asked!r}. {did_you_mean(asked, labels)}")
    if labels.count(asked) > 1:
        raise DataError(
            f"{labels.count(asked)} series are called {asked!r} where the values of "
            f"{' and '.join(frame.group_columns)} are joined. Give a table with one of them only."
        )
    return labels.index(asked)
