"""Texts that are read in blocks, and numbers in a file."""

import gzip
import unicodedata
from pathlib import Path

import pytest
import torch

from conveyor.data import text_blocks
from conveyor.data.number_file import NumberFile
from conveyor.data.text import Chunks, read_text
from conveyor.data.text_blocks import TextBlocks
from conveyor.errors import DataError
from tests.series import VERSES

TEXT = unicodedata.normalize("NFD", VERSES).replace("\n", "\r\n") * 9


@pytest.fixture(params=[4, 5, 7, 64])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of some bytes are large, and are read some bytes at a time."""
    monkeypatch.setattr(text_blocks, "LARGE", 8)
    monkeypatch.setattr(text_blocks, "BLOCK", request.param)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_blocks_are_the_text_in_normal_form(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "k.txt"
    path.write_bytes(TEXT.encode(encoding))
    blocks = TextBlocks.of_file(path)
    assert blocks.large
    assert "".join(blocks) == read_text(path) == VERSES * 9
    assert len(list(blocks)) > 2
    assert all(block[0].isspace() and not block[-1].isspace() for block in list(blocks)[1:-1])


@pytest.mark.usefixtures("small_blocks")
def test_a_packed_file_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "k.txt.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    assert "".join(TextBlocks.of_file(path)) == VERSES * 9
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"k\.txt\.gz: it cannot be read"):
        list(TextBlocks.of_file(path))


@pytest.mark.usefixtures("small_blocks")
def test_parts_are_those_of_the_whole_text(tmp_path: Path) -> None:
    path = tmp_path / "k.txt"
    path.write_text(VERSES * 9)
    blocks, whole = TextBlocks.of_file(path), TextBlocks.of_text(VERSES * 9)
    for first, last in ((0, 50), (50, 61), (61, 900), (17, 17), (0, 0)):
        for words in (False, True):
            part = "".join(blocks.part(first, last, words=words))
            assert part == "".join(whole.part(first, last, words=words))
            if not words:
                assert part == (VERSES * 9)[first:last]
    assert blocks.beginning(70) == (VERSES * 9)[:70]
    assert whole.beginning(70) == VERSES * 9
    # "Trăm năm trong": a word that would be cut belongs to the part where it begins.
    assert "".join(whole.part(0, 6, words=True)) == "Trăm năm"
    assert "".join(whole.part(6, 12, words=True)) == " trong"


@pytest.mark.usefixtures("small_blocks")
def test_a_byte_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "k.txt"
    path.write_bytes(b"abc def\nghi \xff jkl")
    with pytest.raises(DataError, match=r"k\.txt, line 2: byte 0xff is not UTF-8"):
        list(TextBlocks.of_file(path))
    path.write_text(" \n" * 20)
    with pytest.raises(DataError, match="the file is empty"):
        list(TextBlocks.of_file(path))


def test_a_file_of_this_size_is_held(tmp_path: Path) -> None:
    path = tmp_path / "k.txt"
    path.write_text(VERSES)
    assert not TextBlocks.of_file(path).large
    with pytest.raises(DataError, match="there is no such file"):
        TextBlocks.of_file(tmp_path / "other.txt")


@pytest.mark.parametrize("below", [2, 256, 257, 70_000])
def test_numbers_come_back_from_a_file(below: int) -> None:
    numbers = torch.randint(below, (1000,), generator=torch.Generator().manual_seed(0))
    numbers[0] = below - 1
    file = NumberFile((numbers[first : first + 300] for first in range(0, 1000, 300)), below)
    assert len(file) == 1000
    for part in (slice(0, 1000), slice(0, 1), slice(299, 301), slice(990, 2000), slice(5, 5)):
        assert torch.equal(file[part], numbers[part])
    for ours, theirs in zip(Chunks(file, 4, 30), Chunks(numbers, 4, 30), strict=True):
        assert all(torch.equal(*each) for each in zip(ours, theirs, strict=True))
