"""Tables as the content of files: CSV, workbooks and Parquet."""

import io
from importlib.util import find_spec

import polars as pl

from conveyor.errors import SettingError, named

# The endings of files that are not CSV.
WORKBOOK, PARQUET = ".xlsx", ".parquet"

# Files of spreadsheets that are not written.
_OTHER_BOOKS = (".xls", ".xlsm", ".xlsb", ".ods")

# Digits after the decimal point that a spreadsheet shows.
_DIGITS = 4


def check_table_file(ending: str, *, text: bool = False) -> None:
    """Check that a table can be written to a file.

    Args:
        ending: of the name of the file, as ".xlsx", in small letters.
        text: whether what is written is a text, which is no table.

    Raises:
        SettingError: it cannot.
    """
    if ending in _OTHER_BOOKS:
        raise SettingError(
            f"{named('out')} ends with {ending}, which is not written. Choose a name that ends "
            f"with {WORKBOOK} or .csv."
        )
    if text and ending in (WORKBOOK, PARQUET):
        raise SettingError(
            f"{named('out')} ends with {ending}, and the answer is a text, not a table. Choose "
            "a name that ends with .txt."
        )
    if ending == WORKBOOK and find_spec("xlsxwriter") is None:
        raise SettingError(
            f"{named('out')} ends with {WORKBOOK}: workbooks are written by xlsxwriter, which is "
            "not installed. Install it with: pip install 'conveyor[tables]', or choose a name that "
            "ends with .csv."
        )


def in_file(frame: pl.DataFrame, ending: str) -> bytes:
    """Return a table as a file of it holds it: a workbook or Parquet by its ending, otherwise CSV.

    Args:
        frame: the table.
        ending: that ``check_table_file`` has checked.
    """
    content = io.BytesIO()
    if ending == PARQUET:
        frame.write_parquet(content)
    elif ending == WORKBOOK:
        frame.write_excel(content, float_precision=_DIGITS, autofit=True)
    else:
        frame.write_csv(content)
    return content.getvalue()
