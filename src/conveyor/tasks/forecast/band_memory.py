"""What a run keeps of the errors of its bands, so that they go on moving with what comes."""

from dataclasses import dataclass, replace

from conveyor.data.bounds import LARGEST
from conveyor.errors import SettingError

Errors = tuple[tuple[tuple[float, ...], ...], ...]


@dataclass(frozen=True)
class BandMemory:
    """The state of the adaptive bands of a series, see ``AdaptiveBands``.

    Attributes:
        outside: of each level, the share that may lie outside.
        errors: of each step ahead and each level, the latest errors, the oldest first.
        moved: of each of the last rows, the horizon of whose forecasts is not over, and of each
            step ahead and each level, how far the bands moved.
    """

    outside: tuple[float, ...]
    errors: Errors
    moved: Errors = ()

    def __post_init__(self) -> None:
        both = (*self.errors, *self.moved)
        numbers = [number for rows in both for row in rows for number in row]
        usable = all(abs(number) < LARGEST for number in (*numbers, *self.outside))
        levels = len(self.outside)
        widths = {len(step) for step in self.errors} | {len(s) for row in self.moved for s in row}
        lengths = {len(row) for row in self.moved} | {len(self.errors)}
        if not usable or widths - {levels} or len(lengths) > 1:
            raise SettingError("the kept errors of bands do not fit each other.")

    def __deepcopy__(self, memo: object) -> "BandMemory":
        """Return the memory itself, which never changes."""
        return self

    def scaled(self, factor: float) -> "BandMemory":
        """Return the same memory in other units: each error times a factor."""
        errors, moved = (
            tuple(tuple(tuple(factor * number for number in two) for two in one) for one in kept)
            for kept in (self.errors, self.moved)
        )
        return replace(self, errors=errors, moved=moved)

    def latest(self, most: int) -> "BandMemory":
        """Return the memory with the latest errors of each step and level, ``most`` of them."""
        errors = tuple(tuple(level[-most:] for level in step) for step in self.errors)
        return replace(self, errors=errors)
