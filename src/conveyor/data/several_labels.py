"""How data say several labels of one text."""

from dataclasses import dataclass

# Labels in a cell are put together by this where nothing else parts them.
SEPARATOR = ";"


@dataclass(frozen=True)
class SeveralLabels:
    """How data say several labels of a text.

    Attributes:
        separator: what parts the labels of a cell; None for one label in a cell.
        columns: of 0 and 1, each of the label whose name it has; none for a column of labels.
        several: whether there are several; None to find out by the data.
    """

    separator: str | None = None
    columns: tuple[str, ...] = ()
    several: bool | None = None

    @property
    def asked(self) -> bool:
        """Whether a separator or columns are named."""
        return self.separator is not None or bool(self.columns)

    @property
    def joint(self) -> str:
        """What labels are put together by."""
        return SEPARATOR if self.separator is None else self.separator
