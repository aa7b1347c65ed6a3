"""Tables of one series, as tests read them."""

from collections.abc import Sequence
from typing import Any

from conveyor.data.grouped_table import read_groups
from conveyor.data.table import Table


def read_table(data: Any, targets: Sequence[str], **options: Any) -> Table:
    """The only series of a table; see ``read_groups``."""
    (table,) = read_groups(data, targets, (), **options).tables
    return table
