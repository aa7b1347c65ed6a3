"""Reads dialogues: lines of turns, or a table of utterances or of questions and answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from conveyor.data.dialogue_columns import DialogueColumns
from conveyor.data.labelled_texts import as_texts, parts_of
from conveyor.data.paired_texts import PairedTexts, is_table, lines_of, plain
from conveyor.data.raw_table import RawTable, is_nameless, is_row_number, read_raw
from conveyor.data.turns import END_OF_TURN, TURN, joined_turns, turns_of
from conveyor.errors import DataError, counted, named

# What columns are taken for where nobody names them, in small letters.
_NAMES = {
    "dialogue": ("dialogue", "dialog", "conversation", "thread"),
    "turn": ("turn", "turn_number", "utterance_number", "position"),
    "said": ("said", "question", "text", "utterance", "message", "prompt", "line"),
    "reply": ("reply", "answer", "response"),
}
_IDS = ("", "_id", "_number", "_no")


@dataclass(frozen=True)
class Dialogue:
    """The turns of a dialogue, one or more, how errors name each, and its part, 0 to 2."""

    turns: list[str]
    places: list[str]
    part: int | None = None


@dataclass(frozen=True)
class Dialogues:
    """Dialogues in the order of their source.

    Attributes:
        name: of the source.
        dialogues: each of one turn or more.
        columns: that were read, where there is a table.
        notes: for the user.
    """

    name: str
    dialogues: list[Dialogue]
    columns: DialogueColumns = field(default_factory=DialogueColumns)
    notes: list[str] = field(default_factory=list)

    def replies(self, most: int) -> PairedTexts:
        """Return each turn but the first of its dialogue as what becomes of the turns before.
        Dialogues that begin alike belong together.

        Args:
            most: turns before, of the same dialogue, at most.

        Raises:
            DataError: no dialogue has two turns.
        """
        sources, targets, places, parts, groups = [], [], [], [], []
        for dialogue in self.dialogues:
            turns = dialogue.turns
            for number in range(1, len(turns)):
                sources.append(joined_turns(turns[max(number - most, 0) : number]))
                targets.append(turns[number])
                places.append(dialogue.places[number])
                parts.append(dialogue.part)
                groups.append(turns[0])
        notes = list(self.notes)
        alone = [dialogue.places[0] for dialogue in self.dialogues if len(dialogue.turns) < 2]
        if not sources:
            raise DataError(
                f"{self.name}: no dialogue has two turns. A line holds a dialogue, its turns parted"
                f" by {END_OF_TURN}, {TURN} or TABs; or a turn, with an empty line after each "
                "dialogue."
            )
        if alone:
            what = counted(len(alone), "dialogue has one turn", "dialogues have one turn")
            left = "is" if len(alone) == 1 else "are"
            notes.append(f"{self.name}: {what} and {left} left out, the first {alone[0]}")
        again = len(self.dialogues) - len({tuple(each.turns) for each in self.dialogues})
        if again:
            how = "stands" if again == 1 else "stand"
            notes.append(
                f"{self.name}: {counted(again, 'dialogue')} {how} here more than once; all that "
                "begin alike are in the same part"
            )
        given = [part for part in parts if part is not None]
        return PairedTexts(
            self.name,
            sources,
            targets,
            places,
            given if len(given) == len(parts) else None,
            notes=notes,
            groups=groups,
        )


def read_dialogues(source: Any, columns: DialogueColumns | None = None) -> Dialogues:
    """Read dialogues.

    Args:
        source: a file of lines: a dialogue in each line, its turns parted by ``__eou__`` or by
            TABs; or a turn in each, with an empty line after each dialogue. Or a table (any file or
            data frame that ``read_raw`` reads) with an utterance in each row and a column that says
            of which dialogue, or with something said and a reply in each row. In Python also a list
            of dialogues, each a list of texts.
        columns: of a table; None guesses them.

    Raises:
        DataError: the source cannot be read, or has no such column.
    """
    columns = columns or DialogueColumns()
    if isinstance(source, list | tuple):
        return _of_list(source)
    if is_table(source):
        return _of_table(source, columns)
    for name, value in vars(columns).items():
        if value:
            shown = value if isinstance(value, str) else value[0]
            raise DataError(f"{source}: lines have no column {shown}. Leave out {named(name)}.")
    return _of_lines(Path(source))


def read_contexts(source: Any, said: str | None = None) -> PairedTexts:
    """Read what is to be replied to: a text in each line or row, in which ``__eou__`` or ``<turn>``
    part turns.

    Args:
        source: a file of lines, a table, or in Python a list of texts.
        said: the column of a table; None for the one with such a name, or the first.

    Raises:
        DataError: the source cannot be read, or has no such column.
    """
    if isinstance(source, list | tuple):
        wrong = next((each for each in source if not isinstance(each, str)), None)
        if wrong is not None or not source:
            shown = "nothing" if not source else f"{wrong!r:.60}"
            raise DataError(f"the list holds {shown}; expected texts.")
        places = [f"item {number:,}" for number in range(1, len(source) + 1)]
        return PairedTexts("list", list(map(_context, source)), None, places)
    if not is_table(source):
        lines = lines_of(Path(source))
        places = [f"line {number:,}" for number in range(1, len(lines) + 1)]
        return PairedTexts(str(source), list(map(_context, lines)), None, places)
    raw = read_raw(source, prose=True).with_names([said] if said else [])
    if said is None or said not in raw.frame.columns:  # later data need no such name
        left = _usable(raw, []) or list(raw.frame.columns)
        said = _known(left, "said") or left[0]
    texts = list(map(_context, as_texts(raw.column(said))))
    places = [raw.position(row) for row in range(len(raw.frame))]
    return PairedTexts(
        raw.name, texts, None, places, columns=(said, None), frame=raw.frame, notes=list(raw.notes)
    )


def _context(text: str) -> str:
    return joined_turns(turns_of(plain(text)))


def _of_list(source: Sequence[Any]) -> Dialogues:
    dialogues = []
    for number, each in enumerate(source, 1):
        place = f"item {number:,}"
        if not isinstance(each, list | tuple) or not all(isinstance(turn, str) for turn in each):
            raise DataError(f"the list holds {each!r:.60}; expected dialogues, lists of texts.")
        dialogues.append((each, [f"{place}, turn {turn}" for turn in range(1, len(each) + 1)]))
    if not dialogues:
        raise DataError("the list is empty; expected dialogues, lists of texts.")
    return Dialogues("list", _without_blanks(dialogues))


def _of_lines(path: Path) -> Dialogues:
    lines = lines_of(path)
    marked = any(END_OF_TURN in line or TURN in line for line in lines)
    if not marked and not any("\t" in line.strip() for line in lines):
        return Dialogues(str(path), _of_turn_lines(path, lines))
    dialogues = []
    for number, line in enumerate(lines, 1):
        # What stands behind a TAB beside marks says something of the dialogue, as its topic.
        turns = turns_of(line.partition("\t")[0]) if marked else line.split("\t")
        dialogues.append((turns, [f"line {number:,}, turn {n}" for n in range(1, len(turns) + 1)]))
    return Dialogues(str(path), _without_blanks(dialogues))


def _of_turn_lines(path: Path, lines: list[str]) -> list[Dialogue]:
    """Return dialogues of a turn in each line, an empty line after each dialogue."""
    dialogues: list[tuple[list[str], list[str]]] = [([], [])]
    for number, line in enumerate(lines, 1):
        if not line.strip():
            dialogues.append(([], []))
        else:
            dialogues[-1][0].append(line)
            dialogues[-1][1].append(f"line {number:,}")
    found = _without_blanks(dialogues)
    if len(found) == 1:
        raise DataError(
            f"{path}: this is one dialogue of {counted(len(found[0].turns), 'turn')}; expected "
            f"more of them. A line holds a dialogue, its turns parted by {END_OF_TURN}, {TURN} "
            "or TABs; or a turn, with an empty line after each dialogue."
        )
    return found


def _without_blanks(
    dialogues: Iterable[tuple[Sequence[str], list[str]]], part: int | None = None
) -> list[Dialogue]:
    """Return dialogues without the turns that are empty, and none of no turn."""
    kept = []
    for turns, places in dialogues:
        pairs = [
            (text, place)
            for turn, place in zip(turns, places, strict=True)
            if (text := " ".join(plain(turn).split()))
        ]
        if pairs:
            kept.append(Dialogue([text for text, _ in pairs], [place for _, place in pairs], part))
    return kept


def _usable(raw: RawTable, used: Sequence[str | None]) -> list[str]:
    """Return the columns that may hold texts."""
    return [
        name
        for name in raw.frame.columns
        if name not in used and not is_nameless(name) and not is_row_number(raw.frame[name])
    ]


def _known(columns: Sequence[str], what: str) -> str | None:
    """Return the column that has one of the usual names; None without."""
    for name in _NAMES[what]:
        for end in _IDS if what in ("dialogue", "turn") else ("",):
            for column in columns:
                if column.strip().lower().replace(" ", "_") == name + end:
                    return column
    return None


def _found(raw: RawTable, asked: DialogueColumns) -> DialogueColumns:
    """Return the columns of a table, of which those that are not named are guessed.

    Raises:
        DataError: there are too few.
    """
    free = [name for name in raw.frame.columns if name not in asked.names]
    known = _known(free, "dialogue")
    dialogue = asked.dialogue or ((known,) if known is not None else ())
    turn = asked.turn or (_known(free, "turn") if dialogue else None)
    left = _usable(raw, [*asked.names, *dialogue, turn])
    said = asked.said or _known(left, "said")
    reply = asked.reply or _known([name for name in left if name != said], "reply")
    others = [name for name in left if name not in (said, reply)]
    if said is None and others:
        said = others.pop(0)
    if reply is None and not dialogue and others:
        reply = others.pop(0)
    if said is None or (reply is None and not dialogue):
        raise DataError(
            f"{raw.name}: there are no two columns of texts; expected one of what was said and one "
            f"of replies, or one that says which dialogue a row is of: {named('dialogue', 'NAME')}."
        )
    if said == reply:
        raise DataError(f"{raw.name}: column {said} cannot be what was said and the reply, too.")
    return DialogueColumns(said=said, reply=reply, dialogue=dialogue, turn=turn, part=asked.part)


def _of_table(source: Any, asked: DialogueColumns) -> Dialogues:
    raw = read_raw(source, prose=True).with_names(asked.names)
    for name in asked.names:
        raw.column(name)
    columns = _found(raw, asked)
    notes = [*raw.notes, _told(columns, asked)] if columns != asked else list(raw.notes)
    rows = _in_order(raw, columns)
    said = as_texts(raw.column(columns.said or ""))
    replies = None if columns.reply is None else as_texts(raw.column(columns.reply))
    parts = None if columns.part is None else parts_of(raw, columns.part)
    dialogues: list[Dialogue] = []
    for group in rows:
        turns: list[str] = []
        places: list[str] = []
        for row in group:
            place = raw.position(row)
            # What is said in a row is often the reply of the row before.
            both = [said[row], *([] if replies is None else [replies[row]])]
            if replies is not None and turns and _alike(turns[-1], both[0]):
                both = both[1:]
            turns += both
            places += [place] * len(both)
        part = None if parts is None else parts[group[0]]
        if parts is not None and len({parts[row] for row in group}) > 1:
            raise DataError(
                f"{raw.name}, {raw.position(group[0])}: the rows of this dialogue are of different "
                f"parts. Give all of them the same in column {columns.part}."
            )
        dialogues += _without_blanks([(turns, places)], part)
    if not dialogues:
        raise DataError(f"{raw.name}: there is nothing said.")
    return Dialogues(raw.name, dialogues, columns, notes)


def _alike(one: str, other: str) -> bool:
    return plain(one).split() == plain(other).split()


def _told(columns: DialogueColumns, asked: DialogueColumns) -> str:
    """Return which columns were taken, and how to name others."""
    if columns.reply is None:
        text = f"an utterance a row, in column {columns.said}"
    else:
        text = f"said in column {columns.said}, replied in column {columns.reply}"
    if columns.dialogue:
        order = f", in the order of column {columns.turn}" if columns.turn else ""
        text += f", dialogues by column {' and '.join(columns.dialogue)}{order}"
    names = ("said", "reply", "dialogue")
    options = " ".join(named(name, "NAME") for name in names if not getattr(asked, name))
    return f"{text} (others: {options})"


def _in_order(raw: RawTable, columns: DialogueColumns) -> list[list[int]]:
    """Return the rows of each dialogue, in the order of their turns.

    Raises:
        DataError: a turn has no number, or two have the same.
    """
    rows = range(len(raw.frame))
    if not columns.dialogue:
        return [[row] for row in rows]
    groups: dict[tuple[str, ...], list[int]] = {}
    keys = [[text.strip() for text in as_texts(raw.column(name))] for name in columns.dialogue]
    for row, key in enumerate(zip(*keys, strict=True)):
        groups.setdefault(key, []).append(row)
    if columns.turn is None:
        return list(groups.values())
    numbers = raw.column(columns.turn).cast(pl.Float64, strict=False).to_list()
    for row in rows:
        if numbers[row] is None:
            raise DataError(
                f"{raw.name}, {raw.position(row)}, column {columns.turn}: there is no number; "
                "expected which turn of its dialogue it is."
            )
    for key, group in groups.items():
        seen = {numbers[row]: row for row in reversed(group)}
        again = next((row for row in group if seen[numbers[row]] != row), None)
        if again is not None:
            raise DataError(
                f"{raw.name}, {raw.position(again)}: dialogue {' '.join(key)} has turn "
                f"{numbers[again]:g} already, at {raw.position(seen[numbers[again]])}. Name all "
                f"columns that tell dialogues apart: {named('dialogue', 'NAME')} "
                f"{named('dialogue', columns.dialogue[0])}."
            )
    return [sorted(group, key=numbers.__getitem__) for group in groups.values()]
