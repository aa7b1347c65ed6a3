"""Baselines of the library statsforecast: exponential smoothing and the optimised Theta method.

Both are fitted to every past anew, some milliseconds to a tenth of a second each.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conveyor.errors import SettingError
from conveyor.tasks.forecast.baselines import Numbers, Pasts

# By the names that tables give them; each with its class in the library.
_CLASSES = {"DOTM": "DynamicOptimizedTheta", "AutoETS": "AutoETS"}


def check_installed(names: Sequence[str]) -> None:
    """Check that the library of some baselines is installed.

    Args:
        names: of those of the library.

    Raises:
        SettingError: it is not.
    """
    if names:
        _models()


def statistical(name: str) -> Callable[[Pasts], Numbers]:
    """Return the baseline of a name, which returns forecasts [origins, horizon, targets]: NaN for
    those of a past that it cannot be fitted to.

    Args:
        name: of those of the library.

    Raises:
        SettingError: the library is not installed.
    """
    model_of = getattr(_models(), _CLASSES[name])

    def forecasts(pasts: Pasts) -> Numbers:
        answers = np.full((len(pasts.origins), pasts.horizon, pasts.columns.shape[1]), np.nan)
        for number, origin in enumerate(pasts.origins):
            for target, past in enumerate(pasts.columns[:origin].T):
                model = model_of(season_length=pasts.season)
                # A series that is too short or too plain for a model is that of a user.
                try:
                    answer = model.forecast(y=np.ascontiguousarray(past), h=pasts.horizon)["mean"]
                except (ArithmeticError, ValueError, RuntimeError, IndexError):
                    continue
                answers[number, :, target] = answer
        return answers

    return forecasts


def _models() -> Any:
    try:
        from statsforecast import models  # noqa: PLC0415  # an extra, half a second to import
    except ImportError as error:
        raise SettingError(
            f"{' and '.join(_CLASSES)} are of the library statsforecast, which is not installed. "
            "Install it with: pip install 'conveyor[baselines]'"
        ) from error
    return models
