"""Readers of sentences with tags: what is read, what is left out, and what is said of bad files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conveyor.data.column_file import filled_columns
from conveyor.data.conllu import filled_conllu, read_conllu
from conveyor.data.slot_files import companion_of, read_lines, read_slots
from conveyor.data.tag_schemes import Scheme, as_iob2, scheme_of
from conveyor.data.tagged_files import read_tagged, read_untagged
from conveyor.errors import DataError


def conllu_line(number: object, word: str, tag: str, xpos: str = "X") -> str:
    return f"{number}\t{word}\t{word}\t{tag}\t{xpos}\t_\t0\troot\t_\t_"


CONLLU = "\n".join(
    [
        "# sent_id = 1",
        conllu_line(1, "Bùi Văn Luyến", "PROPN"),
        conllu_line("2-3", "vámonos", "_"),
        conllu_line(2, "vamos", "VERB"),
        conllu_line(3, "nos", "PRON"),
        conllu_line("3.1", "left", "_"),
        "",
        "",
        "# a sentence after two empty lines; no line feed at the end of the file",
        conllu_line(1, "#", "SYM"),
    ]
)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def test_conllu_is_read_at_tabs_without_ranges_and_empty_words(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conllu", CONLLU)
    read = read_conllu(path)
    assert [s.words for s in read.sentences] == [["Bùi Văn Luyến", "vamos", "nos"], ["#"]]
    assert [s.tags for s in read.sentences] == [["PROPN", "VERB", "PRON"], ["SYM"]]
    assert [s.lines for s in read.sentences] == [[2, 4, 5], [10]]
    assert read.notes == [
        f"{path}: 1 line of a word that is left out (1.1) is left out",
        f"{path}: 1 line of several words written as one (1-2) is left out",
    ]
    assert read_conllu(path, "xpos").sentences[1].tags == ["X"]
    assert read_conllu(path, "5").sentences[1].tags == ["X"]
    assert read_conllu(path, tagged=False).sentences[0].tags == []
    with pytest.raises(DataError, match=r"tags is upso: .*Did you mean 'upos'"):
        read_conllu(path, "upso")


def test_line_ends_of_windows_and_of_unicode(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conllu", CONLLU.replace("\n", "\r\n").replace("nos", "n\u2028s"))
    read = read_tagged(path)
    assert read.sentences[0].words[-1] == "n\u2028s"
    assert read.sentences[1].tags == ["SYM"]


def test_a_filled_file_has_other_tags_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conllu", CONLLU)
    said = [["A", "B", "C"], ["D"]]
    filled = write(tmp_path / "b.conllu", filled_conllu(path, None, said))
    assert [s.tags for s in read_conllu(filled).sentences] == said
    before, after = CONLLU.split("\n"), filled.read_text().split("\n")
    assert after[len(before) :] == ["", ""]
    for old, new in zip(before, after, strict=False):
        assert old.split("\t")[:3] == new.split("\t")[:3]
        assert old.split("\t")[4:] == new.split("\t")[4:]
    text = filled_conllu(path, "xpos", said, lambda sentence, word: f"P={sentence}.{word}")
    lines = [line.split("\t") for line in text.splitlines() if "\t" in line]
    assert [line[9] for line in lines] == ["P=0.0", "_", "P=0.1", "P=0.2", "_", "P=1.0"]
    assert [line[4] for line in lines] == ["A", "X", "B", "C", "X", "D"]


CONLL = (
    "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n# NN O O\n"
    "-DOCSTART- -X- -X- O\n\nPeter NNP B-NP B-PER"
)


def test_columns_between_blanks_or_tabs(tmp_path: Path) -> None:
    path = write(tmp_path / "eng.train", CONLL)
    read = read_tagged(path)
    assert [s.words for s in read.sentences] == [["EU", "rejects"], ["#"], ["Peter"]]
    assert [s.tags for s in read.sentences] == [["B-ORG", "O"], ["O"], ["B-PER"]]
    assert [s.lines[0] for s in read.sentences] == [3, 6, 9]
    assert read.notes[0].endswith("2 documents (-DOCSTART-)")
    assert "tags are in column 4, the last (another one: tags=2)" in read.notes[1]
    assert read_tagged(path, tags="2").sentences[0].tags == ["NNP", "VBZ"]
    tabs = write(tmp_path / "a.tsv", "# made by hand\nHồ Chí Minh\tB-PER\nnói\tO\n")
    assert read_tagged(tabs).sentences[0].words == ["Hồ Chí Minh", "nói"]
    filled = filled_columns(path, [["A", "B"], ["C"], ["D"]], [["1", "2"], ["3"], ["4"]])
    assert "EU NNP B-NP B-ORG A 1\nrejects VBZ B-VP O B 2\n\n# NN O O C 3\n" in filled
    assert filled.startswith("-DOCSTART- -X- -X- O\n")


def slots(folder: Path, words: str, tags: str, intents: str | None = None) -> Any:
    files = [write(folder / "seq.in", words), write(folder / "seq.out", tags)]
    if intents is not None:
        files.append(write(folder / "label", intents))
    return read_slots(*files)


def test_sentences_tags_and_intents_in_files_of_their_own(tmp_path: Path) -> None:
    read = slots(tmp_path, "to  Boston\u00a0MA\n\nhow far\n", "O B-to\n\nO O\n", "flight\n\nfar\n")
    assert [s.words for s in read.sentences] == [["to", "Boston\u00a0MA"], ["how", "far"]]
    assert [s.intent for s in read.sentences] == ["flight", "far"]
    assert read.notes[0].endswith("1 line without a word is left out, the first 2")
    assert len(read_lines(tmp_path / "seq.in").sentences) == 3
    assert len(read_untagged(tmp_path / "seq.in", "lines").sentences) == 3


def test_where_further_files_have_their_tags() -> None:
    train, labels = Path("a/train/seq.in"), Path("a/train/seq.out")
    assert companion_of(Path("a/dev/seq.in"), train, labels) == Path("a/dev/seq.out")
    assert companion_of(Path("a/dev.in"), Path("a/train.in"), Path("a/train.out")) == Path(
        "a/dev.out"
    )


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no UTF-8": (
        lambda f: _bytes(f, b"a\tO\nHu\xe9\tO\n"),
        r"line 2: byte 2 \(0xe9\) is not UTF-8",
    ),
    "empty": (lambda f: read_tagged(write(f / "a.conllu", "\n\n")), "the file is empty"),
    "spaces for tabs": (
        lambda f: read_tagged(write(f / "a.conllu", CONLLU.replace("\t", " "))),
        r"a\.conllu, line 2: there is 1 column; .* There are spaces where tabs should be",
    ),
    "nine columns": (
        lambda f: read_conllu(write(f / "a.conllu", CONLLU[:-2])),
        "line 10: there are 9 columns; expected the 10 of CoNLL-U",
    ),
    "no number": (
        lambda f: read_conllu(write(f / "a.conllu", conllu_line("x", "a", "A"))),
        "line 1: the word's number is 'x'",
    ),
    "no tag": (
        lambda f: read_conllu(write(f / "a.conllu", conllu_line(1, "a", "_"))),
        "line 1: the word a has no tag in column upos",
    ),
    "one column": (
        lambda f: read_tagged(write(f / "a.txt", "a\nb\n")),
        "one column only; .* name it: labels",
    ),
    "another width": (
        lambda f: read_tagged(write(f / "a.txt", "a O\nb\tO\nc O O\n")),
        "line 3: there are 3 columns; expected a word and its tag in 2 columns, as in line 1",
    ),
    "no such column": (
        lambda f: read_tagged(write(f / "a.txt", "a O\n"), tags="3"),
        "tags is 3, and .* has 2 columns without names.*from 2 to 2",
    ),
    "fewer lines of tags": (
        lambda f: slots(f, "a b\nc\n", "O O\n"),
        r"seq\.in has 2 lines and .*seq\.out 1; expected as many",
    ),
    "fewer tags": (
        lambda f: slots(f, "a b\nc d\n", "O O\nO\n"),
        r"seq\.out, line 2: there is 1 tag for 2 words of seq\.in",
    ),
    "no intent": (lambda f: slots(f, "a\nb\n", "O\nO\n", "x\n\n"), "label, line 2: it is empty"),
    "intent alone": (
        lambda f: read_tagged(write(f / "a.txt", "a O\n"), intent="label"),
        "Give labels, too",
    ),
    "a folder": (read_tagged, "is a folder; expected a file"),
    "no pairs": (lambda f: read_tagged([(["a"], ["A"]), "b"]), "item 2 of the list is 'b'"),
    "a pair of other lengths": (
        lambda f: read_tagged([(["a", "b"], ["A"])]),
        "item 1 of the list has 2 words and 1 tag",
    ),
}


def _bytes(folder: Path, data: bytes) -> Any:
    (folder / "a.txt").write_bytes(data)
    return read_tagged(folder / "a.txt")


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_said_with_its_line(name: str, tmp_path: Path) -> None:
    read, said = BAD[name]
    with pytest.raises(DataError, match=said):
        read(tmp_path)


# Schemes ---------------------------------------------------------------------------------------


def test_schemes_are_told_apart() -> None:
    assert scheme_of([["NOUN", "O"]]) == Scheme("plain")
    assert scheme_of([["O", "O"]]) == Scheme("plain")
    assert scheme_of([["B-x", "I-x", "O", "B-y", "B-y"]]) == Scheme("IOB2")
    assert scheme_of([["O"], ["I-x", "B-x", "I-y", "O"]]) == Scheme("IOB1", (1, 0), 2)
    assert scheme_of([["S-x", "O", "B-x", "E-x"]]) == Scheme("IOBES")
    assert scheme_of([["B-x", "O", "I-x"], ["I-y"]]) == Scheme("mixed", (0, 2), 2)


@pytest.mark.parametrize(
    ("tags", "iob2"),
    [
        # IOB1: only the second of two spans of a type that touch begins with B.
        ("I-x I-x B-x O I-y I-x", "B-x I-x B-x O B-y B-x"),
        ("B-x I-x E-x S-x S-x O B-y E-y", "B-x I-x I-x B-x B-x O B-y I-y"),
        # After the end of a span the next begins, also where its first tag is not B.
        ("B-x E-x I-x E-x S-x E-x", "B-x I-x B-x I-x B-x B-x"),
        ("B-x I-x O B-x B-x", "B-x I-x O B-x B-x"),
        ("O I-x I-y", "O B-x B-y"),
    ],
)
def test_tags_become_iob2(tags: str, iob2: str) -> None:
    assert as_iob2(tags.split()) == iob2.split()
    assert as_iob2(iob2.split()) == iob2.split()
