"""What a tagger says of a file, in the form of that file, and of single lines."""

from collections.abc import Sequence
from pathlib import Path

from conveyor.data.column_file import filled_columns
from conveyor.data.conllu import filled_conllu
from conveyor.data.tagged_sentences import COLUMNS, CONLLU, TaggedSentences, words_of
from conveyor.tasks.tag.tagger import TaggedWords, Tagger

# In a line it joins the syllables of a word where words hold blanks.
_JOINS = "_"


def words_in(line: str, network: Tagger) -> list[str]:
    """Return the words of a line: between tabs where it has one, else between blanks. Where the
    words of the training set hold blanks, an underline stands for one."""
    if "\t" in line:
        return [word.strip() for word in line.split("\t") if word.strip()]
    words = words_of(line)
    if _hold_blanks(network):
        words = [word.replace(_JOINS, " ").strip() or word for word in words]
    return words


def as_line(words: Sequence[str]) -> str:
    """Return words as a line that ``words_in`` reads."""
    return " ".join(word.replace(" ", _JOINS) for word in words)


def _hold_blanks(network: Tagger) -> bool:
    return any(" " in word for word in network.reader.words.known)


def in_line(answer: TaggedWords, *, scores: bool) -> str:
    """Return what is said of a sentence as a line: its tags, and behind a tab its intent."""
    tags = [_scored(tag, chance, scores) for tag, chance in _pairs(answer)]
    if answer.intent is None or answer.intent_probability is None:
        return " ".join(tags)
    return f"{' '.join(tags)}\t{_scored(answer.intent, answer.intent_probability, scores)}"


def _pairs(answer: TaggedWords) -> list[tuple[str, float]]:
    return list(zip(answer.tags, answer.probabilities, strict=True))


def _scored(name: str, chance: float, scores: bool) -> str:
    return f"{name}={chance:.4f}" if scores else name


def in_file(
    path: Path,
    read: TaggedSentences,
    answers: Sequence[TaggedWords],
    tags: str | None,
    *,
    scores: bool,
) -> str:
    """Return the text of a file with what is said of it: in CoNLL-U the column of tags is filled,
    in columns there is one more, and of sentences in lines there is a line of tags for each.

    Args:
        path: the file.
        read: what was read from it.
        answers: of each sentence.
        tags: the column of CoNLL-U that is filled.
        scores: whether probabilities are added.
    """
    said = [answer.tags for answer in answers]
    if read.form == CONLLU:

        def remark(sentence: int, word: int) -> str:
            return f"Probability={answers[sentence].probabilities[word]:.4f}"

        return filled_conllu(path, tags, said, remark if scores else None)
    if read.form == COLUMNS:
        chances = [[f"{each:.4f}" for each in answer.probabilities] for answer in answers]
        return filled_columns(path, said, chances if scores else None)
    return "".join(f"{in_line(answer, scores=scores)}\n" for answer in answers)
