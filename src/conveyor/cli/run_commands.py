"""``conveyor predict``, ``evaluate``, ``update`` and ``generate``: the commands that use a run."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from conveyor.cli.found_run import find_run
from conveyor.cli.options import OUTPUT, Spoken, given_values, options_by_task, with_options
from conveyor.errors import DataError, SettingError, counted, named, visible
from conveyor.tasks.task_registry import TASKS

if TYPE_CHECKING:
    from conveyor.data.audio_file import Sound

RunFolder = Annotated[Path, typer.Argument(help="A run folder that conveyor fit made.")]

# How tasks read data with a fitted network, and how they write. A task that does not have an option
# raises an error that names it.
_READING = options_by_task({entry.name: entry.reading for entry in TASKS})
_UPDATING = options_by_task({entry.name: entry.updating for entry in TASKS})
_WRITING = options_by_task({entry.name: entry.writing for entry in TASKS})
# There is nothing to choose rows from where only the end of a table is read, and no truth.
_OF_SCORING = ("all_rows", "label", "labels", "intent", "recogniser")
_PREDICTING = [setting for setting in _READING if setting.name not in _OF_SCORING]
# What is scored is not written.
_OF_WRITING = ("scores", "explain", "n_best", "horizon", "paths")
_EVALUATING = [setting for setting in _READING if setting.name not in _OF_WRITING]

# Given instead of a file: lines are read as they come, and each is answered at once.
LINES = Path("-")


def _predict(
    context: typer.Context,
    run: RunFolder,
    data: Annotated[
        Path | None,
        typer.Argument(
            help="What is predicted from; a dash reads lines or sound; else a forecast is of the "
            "run's data."
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the answer here, not to the screen: answer.csv, or a table as .xlsx or "
            ".parquet.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option(
            help="Write a page with charts here, next.html, or a picture, next.png.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    language: Spoken = None,
) -> None:
    """Write what a run answers as CSV: the next steps with their quantiles, or the class of each
    row; of a file of sentences that file with tags; of a recording what is said. A dash instead of
    a file reads lines, or hears sound, and answers at once."""
    from conveyor.cli.output import remark, say
    from conveyor.data.files import write_output
    from conveyor.data.table_file import check_table_file, in_file
    from conveyor.pages.words import language_of

    options = given_values(context, _PREDICTING)
    if data == LINES:
        fitted = find_run(run)
        answer = _answer_sound if fitted.hears else _answer_lines
        answer(fitted, options, out, chart)
        return
    if data is not None and " " in data.name and not data.suffix and not data.exists():
        raise DataError(
            f"{data}: there is no such file. A text is given through a pipe: echo '{data}' | "
            f"conveyor predict {run} -"
        )
    ending = "" if out is None else out.suffix.lower()
    check_table_file(ending)
    frame = find_run(run, data).predict(
        data, chart=chart, language=language_of(language), say=remark, **options
    )
    if chart is not None:
        remark(f"wrote {chart}")
    # A text is a file as it is to be written.
    is_text = isinstance(frame, str)
    check_table_file(ending, text=is_text)
    if out is None:
        sys.stdout.write(frame if is_text else frame.write_csv())
    else:
        write_output(out, frame.encode() if is_text else in_file(frame, ending))
        wrote = counted(frame.count("\n"), "line") if is_text else counted(len(frame), "row")
        say(f"wrote {wrote} to {out}")


def _check_screen(out: Path | None, chart: Path | None) -> None:
    """Check that what comes through a pipe is answered on the screen.

    Raises:
        SettingError: a file is asked for.
    """
    if out is not None or chart is not None:
        name = "--out" if out is not None else "--chart"
        raise SettingError(f"{name} is of files; lines are answered on the screen. Leave it out.")


def _answer_sound(run: Any, options: dict[str, Any], out: Path | None, chart: Path | None) -> None:
    """Write what is said in the sound of the standard input, while it comes."""
    from conveyor.cli.output import remark

    _check_screen(out, chart)
    terminal = sys.stdout.isatty()
    for text in run.hear(sys.stdin.buffer, say=remark, **options):
        sys.stdout.write(visible(text) if terminal else text)
        sys.stdout.flush()
    sys.stdout.write("\n")
    sys.stdout.flush()


def _answer_lines(run: Any, options: dict[str, Any], out: Path | None, chart: Path | None) -> None:
    """Answer the lines of the standard input, each as soon as it is there."""
    _check_screen(out, chart)
    terminal = sys.stdout.isatty()
    for answer in run.answers(lines_of_input(), **options):
        sys.stdout.write(f"{visible(answer) if terminal else answer}\n")
        sys.stdout.flush()


def lines_of_input() -> Iterator[str]:
    """Yield the lines of the standard input. One that is not in UTF-8 is told and is empty, so that
    those after it are answered, too, each in its place.

    Raises:
        DataError: at the end, if there was such a line.
    """
    from conveyor.cli.output import remark

    unread: list[int] = []
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            # A mark of the order of bytes, which some programs write before the first line.
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            wrong = error.object[error.start]
            remark(f"line {number:,}: byte {error.start:,} (0x{wrong:02x}) is not UTF-8")
            unread.append(number)
            text = ""
        yield text.rstrip("\r\n")
    if unread:
        raise DataError(
            f"{counted(len(unread), 'line')} could not be read (the first: line {unread[0]:,}) and "
            f"{'has' if len(unread) == 1 else 'have'} no answer. Give text in UTF-8."
        )


def _evaluate(
    context: typer.Context,
    run: RunFolder,
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Data of the kind that the run was fitted on. Of a forecast it may be left out: "
            "then the rows that the run keeps are scored."
        ),
    ] = None,
) -> None:
    """Score a run on other data, beside baselines: of a table, the rows that come after those it
    was fitted on."""
    from conveyor.cli.output import console, say, score_table

    results = find_run(run, data).evaluate(data, say=say, **given_values(context, _EVALUATING))
    console.print(score_table(results.scores))
    for scores in results.scores:
        say(scores.verdict.en)


def _update(
    context: typer.Context,
    run: RunFolder,
    data: Annotated[
        Path, typer.Argument(help="A table of later rows, with or without those of the run.")
    ],
) -> None:
    """Take new rows into a run without fitting it again: its next forecast begins after them, and
    its bands move by how far off its forecasts of them were."""
    from conveyor.cli.output import console, say, score_table

    results = find_run(run, data).update(data, say=say, **given_values(context, _UPDATING))
    if results is None:
        say("no forecast of these rows has reached its horizon yet: there is nothing to score")
    else:
        console.print(score_table(results.scores))
        for scores in results.scores:
            say(scores.verdict.en)
    say(f"The report is still that of the fit. Charts: conveyor predict {run} --chart next.html")


def _generate(
    context: typer.Context,
    run: RunFolder,
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="Write it here, not to the screen.", rich_help_panel=OUTPUT),
    ] = None,
) -> None:
    """Go on writing from a prompt, each character as soon as it is drawn; write a text by hand, as
    SVG; speak it, or draw sound, as a wave file; or draw sequences, as music, pictures or rows.
    What would move a terminal is spelled there; a file or pipe gets the text as it is."""
    from conveyor.data.files import write_output
    from conveyor.data.text import normal

    prompt = context.params["prompt"]
    fitted, options = find_run(run), given_values(context, _WRITING)
    if fitted.speaks:
        _put_out(out, fitted.speak(**options))
        return
    if out is not None:
        content = fitted.generate_file(out, **options)
        if content is not None:
            write_output(out, content)
            return
    pieces = fitted.generate(**options)
    if out is not None:
        write_output(out, (normal(prompt) + "".join(pieces) + "\n").encode())
        return
    terminal = sys.stdout.isatty()
    first = next(pieces, "")
    for text in itertools.chain([normal(prompt) + first], pieces):
        sys.stdout.write(visible(text) if terminal else text)
        sys.stdout.flush()
    sys.stdout.write("\n")


def _put_out(out: Path | None, sound: "Sound") -> None:
    """Write a sound where it is asked for, as a wave file.

    Raises:
        SettingError: that is a terminal, or a file of another kind.
    """
    from conveyor.data.audio_file import wave_bytes
    from conveyor.data.files import write_output

    if out is not None and out.suffix.lower() not in ("", ".wav"):
        raise SettingError(
            f"{out}: sound is written as a wave file. Give {named('out', out.stem + '.wav')}."
        )
    data = wave_bytes(sound.samples, sound.rate)
    if out is not None:
        write_output(out, data)
        return
    if sys.stdout.isatty():
        raise SettingError(
            f"this is sound, which a terminal cannot show. Give {named('out', 'sound.wav')}."
        )
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


predict = with_options(_predict, _PREDICTING)
update = with_options(_update, _UPDATING)
evaluate = with_options(_evaluate, _EVALUATING)
generate = with_options(_generate, _WRITING)
