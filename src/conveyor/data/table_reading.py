"""What a user says about a table that its numbers and dates do not show."""

from dataclasses import dataclass

from conveyor.errors import SettingError


@dataclass(frozen=True)
class TableReading:
    """How texts of a table are read. What is not said is told by the column itself.

    Attributes:
        decimal: the decimal mark, "." or ","; empty if the numbers show it.
        missing: numbers that stand for a missing value.
        day_first: whether dates such as 02/03/2024 begin with the day.
    """

    decimal: str = ""
    missing: tuple[float, ...] = ()
    day_first: bool = False

    def __post_init__(self) -> None:
        if self.decimal not in {"", ".", ","}:
            raise SettingError(f"decimal is {self.decimal!r}; expected a point or a comma.")


BY_EVIDENCE = TableReading()
