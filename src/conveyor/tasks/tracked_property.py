"""Which units of a network track properties of what it reads."""

from dataclasses import dataclass

from conveyor.inspect.tracking import Tracking
from conveyor.pages.words import Words


@dataclass(frozen=True)
class TrackedProperty:
    """A property, and the unit that tracks it best.

    Args:
        name: of the property, in words.
        place: where the unit is, in words: its state, and its layer where there are several.
        tracking: the unit, its score and the control.
        symbols: the beginning of the half that it was scored on, a symbol for each step.
        values: how far the unit is above its mean at each of these steps, from -1 to 1.
    """

    name: Words
    place: Words
    tracking: Tracking
    symbols: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def unit(self) -> Words:
        """Where the unit is, and its number."""
        number = self.tracking.unit
        return Words(f"{self.place.en}, unit {number}", f"{self.place.vi}, đơn vị {number}")


@dataclass(frozen=True)
class UnitSearch:
    """What a search for units came to.

    Args:
        tracked: a property each, the best score first.
        skipped: the properties that change too seldom in what was read.
        steps: how many were read.
        units: how many units were searched.
        count: ``steps`` in words: "20,000 characters".
    """

    tracked: tuple[TrackedProperty, ...]
    skipped: tuple[Words, ...]
    steps: int
    units: int
    count: Words
