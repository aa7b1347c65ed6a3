"""What a user says about a table that its numbers and dates do not show."""

from dataclasses import dataclass

from conveyor.data.time_text import zone_of
from conveyor.data.timeline import step_of_frequency
from conveyor.errors import SettingError

# What rows of the same time and series can become: one with the sum of their targets and the mean
# of their other numbers, one with the mean of all, or the last of them.
DUPLICATES = ("sum", "mean", "last")


@dataclass(frozen=True)
class TableReading:
    """How texts of a table are read. What is not set is decided by the column itself.

    Attributes:
        decimal: the decimal mark, "." or ","; empty if the numbers show it.
        missing: numbers that stand for a missing value.
        day_first: whether dates such as 02/03/2024 begin with the day.
        duplicates: what rows of the same time and series become, of ``DUPLICATES``; empty for an
            error.
        timezone: the zone whose clocks times are of, as Europe/Berlin; empty if the times show it.
        units: of columns, what their numbers are of, which later tables must agree with.
        frequency: the step of the rows, see ``step_of_frequency``; empty if the times show it.
        time_format: of the times of a run's table, see ``write_time``; dates that can be read in
            several ways are read in its order. Empty without a run.
    """

    decimal: str = ""
    missing: tuple[float, ...] = ()
    day_first: bool = False
    duplicates: str = ""
    timezone: str = ""
    frequency: str = ""
    units: tuple[tuple[str, str], ...] = ()
    time_format: str = ""

    def __post_init__(self) -> None:
        if self.decimal not in {"", ".", ","}:
            raise SettingError(f"decimal is {self.decimal!r}; expected a point or a comma.")
        if self.duplicates not in {"", *DUPLICATES}:
            raise SettingError(
                f"duplicates is {self.duplicates!r}; expected one of {', '.join(DUPLICATES)}."
            )
        zone_of(self.timezone)
        step_of_frequency(self.frequency)


BY_EVIDENCE = TableReading()
