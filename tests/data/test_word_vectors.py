"""Files of word vectors, in all the forms that people have."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from conveyor.data.word_vectors import read_word_vectors
from conveyor.errors import DataError

LINES = ("the 1 2 3", "film -1 .5 2e-1", "a b 4 5 6", "7 8 9 10", "Hà 0 0 1")


def written(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


@pytest.mark.parametrize("head", ["", "5 3", "999 3"])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n"])
def test_word2vec_glove_and_fasttext(head: str, end: str, tmp_path: Path) -> None:
    lines = [head] * bool(head) + list(LINES)
    vectors = read_word_vectors(
        written(tmp_path / "v.txt", *lines, end=end), ["The", "film", "a b", "7", "Hà", "none"]
    )
    assert vectors.features == 3
    found = {word: vector.tolist() for word, vector in vectors.of.items()}
    assert found == {
        "The": [1, 2, 3],
        "film": np.array([-1, 0.5, 0.2], np.float32).tolist(),
        "a b": [4, 5, 6],
        "7": [8, 9, 10],
        "Hà": [0, 0, 1],
    }


def test_of_a_word_that_stands_twice_the_first_counts(tmp_path: Path) -> None:
    path = written(tmp_path / "v.vec", "A 1 1", "a 2 2", "a 3 3", "A 4 4")
    found = read_word_vectors(path, ["a", "A"]).of
    assert {word: vector[0] for word, vector in found.items()} == {"a": 2, "A": 1}


def test_a_word_is_found_however_its_letters_are_typed(tmp_path: Path) -> None:
    path = written(tmp_path / "v.vec", "e\u0302\u0301 1 2", "x\u00a0y 3 4")  # ế in three signs
    assert set(read_word_vectors(path, ["\u1ebf", "x\u00a0y"]).of) == {"\u1ebf", "x\u00a0y"}


def test_a_packed_file(tmp_path: Path) -> None:
    path = tmp_path / "v.txt.gz"
    path.write_bytes(gzip.compress(b"a 1 2\nb 3 4\n"))
    assert set(read_word_vectors(path, ["b"]).of) == {"b"}
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(DataError, match="cannot be read"):
        read_word_vectors(path, ["b"])


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ((), "the file is empty"),
        (("5 3",), "no word with numbers"),
        (("the film was fine", "it was"), "line 1: there is no word with numbers"),
        (("a 1 2", "b 3 4 ", "", "c 5"), "line 4.*no word with numbers|line 4: behind 'c' stand 1"),
        ((*[f"w{n} 1 2" for n in range(30)], "c 5"), "line 31: behind 'c' stand 1 .*expected 2"),
        ((*[f"w{n} 1 2" for n in range(30)], "a 5 x"), "line 31: behind 'a'"),
        (("b 1 2", "a nan 1"), "line 2: a number of 'a' is not finite"),
        (("b 1 2", "a 1e60 1"), "line 2: a number of 'a' is not finite"),
        (("b 1 2", "a \0 1"), "line 2: this is no text; word2vec's binary form"),
    ],
)
def test_a_file_that_is_none(lines: tuple[str, ...], text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=text):
        read_word_vectors(written(tmp_path / "v.vec", *lines), ["a"])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"v\.vec"):
        read_word_vectors(tmp_path / "v.vec", ["a"])
