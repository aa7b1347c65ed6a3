"""Regularisers inside a cell, as arguments of layers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from conveyor.compiler.program import Program
from conveyor.compiler.regularise import Regularisers
from conveyor.errors import SettingError
from conveyor.layers.checks import check_probability


@dataclass(frozen=True)
class Regularisation:
    """What a layer was made with, see ``Recurrent``."""

    zoneout: float | Mapping[str, float] = 0.0
    recurrent_dropout: Mapping[str, float] | None = None
    variational_dropout: float = 0.0
    weight_dropout: float = 0.0
    clip: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        for name in ("zoneout", "recurrent_dropout", "clip"):  # copies: the caller may change them
            value = getattr(self, name)
            if isinstance(value, Mapping):
                object.__setattr__(self, name, dict(value))

    def of(self, program: Program) -> Regularisers:
        """Return what changes a cell.

        Args:
            program: the cell's.

        Raises:
            SettingError: a rate or a bound is out of its range, or the cell has no such name.
        """
        check_probability("weight_dropout", self.weight_dropout)
        dropped = {} if self.recurrent_dropout is None else self.recurrent_dropout
        bounds = {} if self.clip is None else self.clip
        for what, given in (("recurrent_dropout", dropped), ("clip", bounds)):
            if not isinstance(given, Mapping):
                raise SettingError(
                    f"{what} is {given!r}; expected numbers by name, as {{'c': 0.5}}."
                )
        zones = _zones(program, self.zoneout)
        for what, rate in (
            *((f"zoneout of {', '.join(names)}", rate) for names, rate in zones.items()),
            *((f"recurrent_dropout of {name}", rate) for name, rate in dropped.items()),
            ("variational_dropout", self.variational_dropout),
        ):
            check_probability(what, rate)
        for name, bound in bounds.items():
            is_number = isinstance(bound, int | float) and not isinstance(bound, bool)
            if not is_number or not 0 < bound < math.inf:
                raise SettingError(f"clip of {name} is {bound!r}; expected a number above 0.")
        how = Regularisers(
            tuple(zones.items()),
            tuple(dropped.items()),
            self.variational_dropout,
            tuple(bounds.items()),
        )
        how.masks(program)  # also a name that is given a rate of 0 must be there
        return replace(
            how,
            zoneout=tuple((names, rate) for names, rate in how.zoneout if rate),
            dropped=tuple((name, rate) for name, rate in how.dropped if rate),
        )


# What no regulariser changes.
NOTHING = Regularisation()


def _zones(program: Program, zoneout: float | Mapping[str, float]) -> dict[tuple[str, ...], float]:
    """Return the probabilities of zoneout by the states that share a mask."""
    if isinstance(zoneout, Mapping):
        return {(str(name),): rate for name, rate in zoneout.items()}
    # What is kept inside stays together: in an sLSTM c and n are in the scale that m says.
    together: dict[object, tuple[str, ...]] = {}
    for leaf in program.states:
        name = leaf.name.removesuffix("'")
        # A value of before is what it was; a counter counts.
        if name in program.counters or name in program.past:
            continue
        group = name if name == "h" else leaf.axes
        together[group] = (*together.get(group, ()), name)
    return dict.fromkeys(together.values(), zoneout)
