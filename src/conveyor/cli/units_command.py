"""``conveyor units``: which units of a language model track quotes, lines, brackets or tones."""

from pathlib import Path
from typing import Annotated

import typer

from conveyor.cli.found_run import find_run
from conveyor.cli.options import OUTPUT, Spoken
from conveyor.signals import leaving_at_once

# Of so many properties the page shows the text.
SHOWN = 6


def units(
    run: Annotated[Path, typer.Argument(help="A run folder that conveyor fit text made.")],
    text: Annotated[
        Path, typer.Argument(help="A text: of the file that the run was fitted on, its test set.")
    ],
    *,
    whole: Annotated[
        bool, typer.Option("--whole", help="Read the whole file, not its test set.")
    ] = False,
    language: Spoken = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write here; else units.html in the run's folder.", rich_help_panel=OUTPUT
        ),
    ] = None,
) -> None:
    """Search a language model for units that track a property of the text: the inside of quotes
    and brackets, the place in a line, tones. Each is scored on text that it was not chosen by."""
    from rich.table import Table

    from conveyor.cli.output import console, remark, say
    from conveyor.pages.words import Words, language_of, number_text

    spoken = language_of(language)
    with leaving_at_once():
        from conveyor.inspect.tracking import SHIFTS
        from conveyor.pages.units_page import UnitRow, write_units
        from conveyor.tasks.run import UNITS

    search = find_run(run, text).search_units(text, whole=whole, say=remark)
    rows = [
        UnitRow(
            one.name,
            one.unit,
            one.tracking.score,
            one.tracking.control,
            one.tracking.tracks,
            one.symbols,
            one.values,
        )
        for one in search.tracked
    ]
    table = Table(box=None, pad_edge=False)
    for column in Words("property", "tính chất"), Words("unit", "đơn vị"):
        table.add_column(getattr(column, spoken))
    for column in Words("correlation", "tương quan"), Words("best control", "đối chứng tốt nhất"):
        table.add_column(getattr(column, spoken), justify="right")
    for row in rows:
        numbers = number_text(row.score, "+.2f"), number_text(row.control, ".2f")
        table.add_row(
            *(getattr(words, spoken) for words in (row.name, row.unit, *numbers)),
            style="bold" if row.tracks else None,
        )
    console.print(table)
    if search.skipped:
        names = ", ".join(getattr(name, spoken) for name in search.skipped)
        remark(f"these change too seldom in this text: {names}")
    name = run.resolve().name
    title = Words(
        f"What units of ‘{name}’ track", f"Các đơn vị trong mạng ‘{name}’ theo dõi điều gì"
    )
    notes = [
        Words(
            f"For each property the table shows which of {search.units:,} states (of all units "
            f"and layers, c and h apart) goes with it best. It was chosen by the first half of "
            f"{search.count.en}; the correlation is that in the second half: 1 or -1 is always "
            "together, 0 not at all. A control is the same property, shifted in time, with the "
            "state that is best for it: it shows how well chance alone does. Blue: better than "
            f"all {SHIFTS} controls.",
            f"Với mỗi tính chất, bảng cho biết trạng thái nào khớp nhất trong số {search.units} "
            "trạng thái (của mọi đơn vị và tầng, c và h tính riêng). Nó được chọn trên nửa đầu của "
            f"{search.count.vi}; hệ số tương quan tính trên nửa sau: 1 "
            "hay -1 là luôn đi cùng nhau, 0 là không liên quan. Đối chứng là chính tính chất ấy "
            "nhưng bị dịch chuyển theo thời gian, với trạng thái khớp nhất với nó: chỉ nhờ ngẫu "
            f"nhiên thì khớp được đến đâu. Màu xanh: tốt hơn cả {SHIFTS} đối chứng.",
        ),
        Words(
            "In the texts below a letter is blue where the state is above its average, orange "
            "where it is below.",
            "Trong các đoạn văn bên dưới, chữ có màu xanh là nơi trạng thái cao hơn trung bình của "
            "nó, màu cam là nơi thấp hơn.",
        ),
    ]
    path = out or run / UNITS
    write_units(path, title, rows, notes, shown=SHOWN, language=spoken)
    say(f"wrote {path}")
