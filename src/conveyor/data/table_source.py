"""How the file of a table is named: by its ending, and of a workbook with one of its sheets."""

from pathlib import Path

# The endings of workbooks of Excel, old or new, and of LibreOffice.
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")

# Between a workbook and the name of its sheet.
SHEET_MARK = "#"


def is_workbook(source: str) -> bool:
    """Return whether a source is a workbook, perhaps with the name of a sheet after a mark."""
    return Path(split_source(source)[0]).suffix.lower() in WORKBOOKS


def split_source(source: str) -> tuple[str, str]:
    """Return the file of a source, and the sheet; empty where none is named.

    >>> split_source("sales.xlsx#North"), split_source("sales.xlsx")
    (('sales.xlsx', 'North'), ('sales.xlsx', ''))
    """
    # The first mark after such an ending: a sheet's own name may hold others.
    marks = [place for place, letter in enumerate(source) if letter == SHEET_MARK]
    for place in marks:
        if Path(source[:place]).suffix.lower() in WORKBOOKS:
            return source[:place], source[place + 1 :]
    return source, ""
