"""Dialogues are read from lines and tables as people have them."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from conveyor.data.dialogue_columns import DialogueColumns
from conveyor.data.dialogues import read_contexts, read_dialogues
from conveyor.data.token_vocabulary import TokenVocabulary
from conveyor.data.tokens import Tokenizer
from conveyor.data.turns import TurnTokenizer, joined_turns, turns_of
from conveyor.errors import DataError


def turns(source: Any, **columns: Any) -> list[list[str]]:
    """Return the turns of the dialogues of a source."""
    return [each.turns for each in read_dialogues(source, DialogueColumns(**columns)).dialogues]


def test_the_context_is_the_last_turns_of_the_same_dialogue() -> None:
    """Written out by hand: five turns, and then two, of which two are read."""
    replies = read_dialogues([["a", "b", "c", "d", "e"], ["x", "y"]]).replies(2)
    pairs = list(zip(replies.sources, replies.targets or [], strict=True))
    assert pairs == [
        ("a", "b"),
        ("a <turn> b", "c"),
        ("b <turn> c", "d"),
        ("c <turn> d", "e"),
        ("x", "y"),
    ]
    assert replies.groups == ["a", "a", "a", "a", "x"]
    assert replies.places == [
        *(f"item 1, turn {number}" for number in (2, 3, 4, 5)),
        "item 2, turn 2",
    ]
    assert read_dialogues([["a", "b", "c"]]).replies(1).sources == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a __eou__ b __eou__\nc __eou__ d\n", [["a", "b"], ["c", "d"]]),
        ("a <turn> b\t1\t0 0\nc <turn> d\t1\t0 0\n", [["a", "b"], ["c", "d"]]),
        ("a\tb\tc\nd\te\n", [["a", "b", "c"], ["d", "e"]]),
        ("a\nb\n\n\nc\nd\n", [["a", "b"], ["c", "d"]]),
        ("\ufeffa __eou__  b  b \r\n", [["a", "b b"]]),
    ],
)
def test_lines(tmp_path: Path, text: str, expected: list[list[str]]) -> None:
    path = tmp_path / "talks.txt"
    path.write_text(text, encoding="utf-8", newline="")
    assert turns(path) == expected


def test_a_table_of_utterances_is_put_in_order() -> None:
    frame = pl.DataFrame(
        {
            "conversation_id": [7, 7, 2, 7, 2],
            "turn": [2, 1, 1, 3, 2],
            "speaker": ["b", "a", "a", "a", "b"],
            "text": ["two", "one", "eins", "three", "zwei"],
        }
    )
    assert turns(frame) == [["one", "two", "three"], ["eins", "zwei"]]
    told = read_dialogues(frame).notes[-1]
    assert told.startswith(
        "an utterance a row, in column text, dialogues by column conversation_id"
    )
    assert turns(frame, dialogue=("conversation_id",), said="text") == turns(frame)


def test_a_table_of_questions_and_answers_is_joined_where_one_begins_with_the_other() -> None:
    frame = pl.DataFrame(
        {
            "dialogue": ["1", "1", "2", "2"],
            "said": ["a", "b ", "x", "z"],
            "reply": ["b", "c", "y", "w"],
        }
    )
    assert turns(frame) == [["a", "b", "c"], ["x", "y", "z", "w"]]
    plain = pl.DataFrame({"from": ["hi", "bye"], "to": ["hello", "see you"]})
    assert turns(plain) == [["hi", "hello"], ["bye", "see you"]]


def test_parts_are_those_of_dialogues() -> None:
    frame = pl.DataFrame(
        {
            "dialogue": [1, 1, 2, 2],
            "text": ["a", "b", "c", "d"],
            "part": ["train", "train", "test", "test"],
        }
    )
    replies = read_dialogues(frame, DialogueColumns(part="part")).replies(3)
    assert replies.parts == [0, 2]
    mixed = frame.with_columns(part=pl.Series(["train", "test", "test", "test"]))
    with pytest.raises(DataError, match="of different parts"):
        read_dialogues(mixed, DialogueColumns(part="part"))


def test_what_is_odd_is_told() -> None:
    read = read_dialogues([["a", "b"], ["alone"], ["", "also alone", " "], ["a", "b"], ["a", "c"]])
    notes = read.replies(3).notes
    assert notes == [
        "list: 2 dialogues have one turn and are left out, the first item 2, turn 1",
        "list: 1 dialogue stands here more than once; all that begin alike are in the same part",
    ]


@pytest.mark.parametrize(
    ("source", "columns", "message"),
    [
        ([], {}, "the list is empty"),
        (["a", "b"], {}, "expected dialogues, lists of texts"),
        ([["a", 3]], {}, "expected dialogues, lists of texts"),
        (pl.DataFrame({"a": ["x"]}), {}, "there are no two columns of texts"),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), {"said": "b", "reply": "b"}, "too"),
        (
            pl.DataFrame({"dialogue": [1, 1], "turn": [0, 0], "text": ["x", "y"]}),
            {},
            "dialogue 1 has turn 0 already, at row 1. Name all columns that tell dialogues apart: "
            "dialogue='NAME' dialogue=",
        ),
        (
            pl.DataFrame({"dialogue": [1, 1], "turn": ["first", "2"], "text": ["x", "y"]}),
            {},
            "there is no number",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(source: Any, columns: Any, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read_dialogues(source, DialogueColumns(**columns))


def test_files_that_hold_no_dialogues(tmp_path: Path) -> None:
    path = tmp_path / "talks.txt"
    path.write_text("a\nb\nc\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"this is one dialogue of 3 turns; expected more.* <turn> or TABs"
    ):
        read_dialogues(path)
    path.write_text("a __eou__\nb __eou__\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"no dialogue has two turns\. .* by __eou__, <turn> or TABs"
    ):
        read_dialogues(path).replies(3)
    path.write_bytes(b"a __eou__ b\nc __eou__ \xe9\n")
    with pytest.raises(DataError, match=r"line 2: byte 10 \(0xe9\) is not UTF-8"):
        read_dialogues(path)
    path.write_text("a __eou__ b\n", encoding="utf-8")
    with pytest.raises(DataError, match="lines have no column text"):
        read_dialogues(path, DialogueColumns(said="text"))


def test_contexts_are_lines_rows_or_texts(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    path.write_text("a __eou__ b\n\nc\n", encoding="utf-8")
    assert read_contexts(path).sources == ["a <turn> b", "", "c"]
    assert read_contexts([" a  b <turn>"]).sources == ["a b"]
    frame = pl.DataFrame({"number": [1, 2], "said": ["x", "y"]})
    assert read_contexts(frame).sources == ["x", "y"]
    with pytest.raises(DataError, match="expected texts"):
        read_contexts([3])


def test_turns_are_tokens_between_those_of_each() -> None:
    assert turns_of(joined_turns(["a b", "c"])) == ["a b", "c"]
    cut = TurnTokenizer.of(Tokenizer("char"))
    assert cut.tokens("ab __eou__ c") == ["a", "b", "<turn>", "c"]
    known = TokenVocabulary.of([cut.tokens("a <turn> a")], cut)
    again = TokenVocabulary.described(known.description(), "here")
    assert again.encode("a <turn> b").tolist() == known.encode("a <turn> b").tolist()
    # Seen once, a token is not known where two are asked for.
    assert TokenVocabulary.of([["a", "b", "a"]], Tokenizer(), least=2).known == ("a",)
