"""Texts in any unit, from a file to scores per character."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import conveyor
from conveyor.compiler.show import program_of
from conveyor.data import text_blocks
from conveyor.data.text import read_text
from conveyor.data.text_pieces import Pieces
from conveyor.errors import DataError, SettingError
from conveyor.tasks.kneser_ney import KneserNey
from conveyor.tasks.text import language_modelling, prepared_text
from conveyor.tasks.text.language_modelling import LanguageModelling
from conveyor.tasks.text.text_settings import TextSettings
from tests.series import VERSES

# Of many syllables, so that there is something to cut.
TEXT = "\n".join(
    f"{a} {b} {c}," for a in ("ta", "anh", "Thúy") for b in ("đi", "mua") for c in ("hoa", "lá")
)
TEXT = (TEXT + "\n" + VERSES) * 6
UNITS = ("char", "word", "syllable", "subword")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "k.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def settings(unit: str, **values: Any) -> TextSettings:
    if unit == "subword":
        values = {"vocabulary": 90, **values}
    return TextSettings.of(
        {"unit": unit, "hidden": 6, "embedding": 5, "batch": 4, "chunk": 20, **values}
    )


def task(source: Path, unit: str, say: Any = lambda line: None) -> LanguageModelling:
    return LanguageModelling.prepare(source, settings(unit), say)


def chunks(text: LanguageModelling) -> list[Any]:
    return [text.train[number] for number in range(len(text.train))]


def network(text: LanguageModelling) -> Any:
    torch.manual_seed(0)
    return text.network(program_of("lstm"), text.settings.network).eval()


@pytest.mark.parametrize("unit", UNITS)
def test_parts_are_the_text(source: Path, unit: str) -> None:
    text = task(source, unit).text
    parts = (text.known, text.checked, text.asked)
    assert sum(part.characters for part in parts) == len(TEXT) == text.characters
    whole = [text.vocabulary.symbols[n] for n in torch.cat([part.numbers[:] for part in parts])]
    if unit == "char":
        assert "".join(whole) == TEXT
        assert text.sample == TEXT[round(0.95 * len(TEXT)) :][: prepared_text.SAMPLE_KEPT]
    assert parts[0].unknown == 0 or unit == "word"
    # No word is cut: the test set begins with a blank, as the validation set does.
    assert unit == "char" or text.sample[0].isspace()


@pytest.mark.parametrize("unit", UNITS)
def test_scores_are_per_character_in_every_unit(source: Path, unit: str) -> None:
    """nats · symbols / characters; the perplexity is that of a symbol."""
    text = task(source, unit)
    model = network(text)
    (scores,) = text.results(model).scores
    asked = text.text.asked
    characters = asked.characters
    nats, bits, perplexity = scores.rows["lstm"]
    assert nats is not None
    assert bits is not None
    assert perplexity is not None
    assert nats == pytest.approx(math.log(perplexity) * len(asked) / characters)
    assert bits == pytest.approx(nats / math.log(2))
    assert text.score(model) == pytest.approx(nats)
    assert dict(text.baselines()) == {
        label: pytest.approx(row[0]) for label, row in scores.rows.items() if label != "lstm"
    }
    known = text.text.known.numbers[:].numpy()
    smoothed = KneserNey(known, 5, len(text.vocabulary)).nats(asked.numbers[:].numpy())
    assert scores.rows["5-gram"][0] == pytest.approx(smoothed * len(asked) / characters)
    assert [metric.name for metric in scores.metrics][:2] == [
        "nats per character",
        "bits per character",
    ]
    assert text.loss == f"nats per {text.vocabulary.unit_name}"


@pytest.mark.parametrize("unit", UNITS)
def test_a_uniform_model_has_the_logarithm_of_the_vocabulary(source: Path, unit: str) -> None:
    text = task(source, unit)
    results = LanguageModelling.evaluate(
        network(text), source, settings=text.settings, fitted_on=None, options=None,
        say=lambda line: None,
    )  # fmt: skip
    nats, _, perplexity = results.scores[0].rows["uniform"]
    assert perplexity == pytest.approx(len(text.vocabulary))
    whole = text.vocabulary.encode(read_text(source))
    assert nats == pytest.approx(math.log(len(text.vocabulary)) * len(whole) / len(TEXT))


def test_words_that_are_not_known_are_told_and_remarked(source: Path) -> None:
    source.write_text(TEXT + "\n".join(f"w{n} ta" for n in range(60)), encoding="utf-8")
    said: list[str] = []
    text = task(source, "word", said.append)
    share = text.text.asked.unknown_share
    assert share > 0.2
    assert any(f"{100 * share:.1f} % of the test set are unknown" in line for line in said)
    results = text.results(network(text))
    assert f"{100 * share:.1f} % of these words are unknown" in results.scores[0].verdict.en
    assert results.details["unknown"]["test"] == share
    assert (
        "unknown and count"
        not in task(source, "syllable")
        .results(network(task(source, "syllable")))
        .scores[0]
        .verdict.en
    )


def test_a_large_vocabulary_for_a_short_text_is_told(source: Path) -> None:
    source.write_text(" ".join(f"w{n} w{n}" for n in range(200)), encoding="utf-8")
    said: list[str] = []
    task(source, "word", said.append)
    assert any("are many for so short a text: unit='subword'" in line for line in said)


def test_a_text_too_short_for_a_unit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("một hai ba bốn " * 3, encoding="utf-8")
    with pytest.raises(DataError, match=r"the test set has 1 word; expected 2 or more"):
        task(tmp_path / "s.txt", "word")


def test_characters_have_no_vocabulary_to_choose(source: Path) -> None:
    with pytest.raises(SettingError, match=r"vocabulary is of words.*Leave it out"):
        LanguageModelling.prepare(source, settings("char", vocabulary=100), print)


@pytest.mark.parametrize("unit", UNITS)
def test_a_text_too_large_to_be_held_is_the_same(
    source: Path, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in blocks and kept in a file, it gives the same numbers, network and scores."""
    held = task(source, unit)
    monkeypatch.setattr(text_blocks, "LARGE", 100)
    monkeypatch.setattr(text_blocks, "BLOCK", 64)
    # Sub-words are learned from the first blocks of a large text alone.
    monkeypatch.setattr("conveyor.data.text_pieces.MOST_LEARNED_FROM", 10**6)
    said: list[str] = []
    large = task(source, unit, said.append)
    assert "is large: it is read in blocks" in said[0]
    assert large.digest == held.digest
    if unit != "subword":  # the library sees other lines
        assert large.vocabulary == held.vocabulary
        for ours, theirs in zip(chunks(large), chunks(held), strict=True):
            assert all(torch.equal(*each) for each in zip(ours, theirs, strict=True))
        assert large.results(network(large)).scores == held.results(network(held)).scores
    monkeypatch.setattr(prepared_text, "MOST_HELD", 50)
    assert task(source, unit).text.asked.characters <= 60


def test_counting_models_count_the_end_of_a_large_text(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_modelling, "MOST_COUNTED", 300)
    text = task(source, "char")
    (scores,) = text.results(network(text)).scores
    assert "counted only the last 300 characters" in scores.verdict.en
    known = text.text.known.numbers[-300:].numpy()
    expected = KneserNey(known, 5, len(text.vocabulary)).nats(text.text.asked.numbers[:].numpy())
    assert scores.rows["5-gram"][0] == pytest.approx(expected)


def test_a_long_text_is_scored_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    model = KneserNey(draw.integers(5, size=400), 4, 5)
    asked = draw.integers(5, size=100)
    whole = model.nats(asked)
    for size in (1, 2, 7, 98, 99, 100):
        monkeypatch.setattr("conveyor.tasks.kneser_ney._AT_ONCE", size)
        assert model.nats(asked) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("unit", UNITS)
def test_a_run_writes_in_its_unit(source: Path, unit: str) -> None:
    model = network(task(source, unit))
    written = list(model.generate("ta đi", 30, seed=1))
    assert len(written) == 30
    again = "".join(model.generate("ta đi", 30, seed=1))
    assert again == "".join(written)
    vocabulary = model.vocabulary
    prompt = vocabulary.encode("ta đi").tolist()
    whole = vocabulary.encode("ta đi" + again).tolist()
    if unit != "word":  # two words of which the second has no space may be read as one
        assert 0 not in whole
        assert vocabulary.decode(whole) == "ta đi" + again
    assert whole[: len(prompt) - 1] == prompt[:-1]
    greedy = "".join(model.generate("ta", 10, top_k=1, temperature=3.0, seed=1))
    assert greedy == "".join(model.generate("ta", 10, top_k=1, temperature=0.1, seed=9))
    assert list(model.generate("", 3, seed=1))
    with pytest.raises(DataError, match="the prompt holds '☃'"):
        next(model.generate("ta ☃", 1))


def test_a_prompt_of_unknown_words_names_another_unit(source: Path) -> None:
    with pytest.raises(DataError, match=r"holds 'xa', which is none of the words.*'subword'"):
        next(network(task(source, "word")).generate("ta xa", 1))


@pytest.mark.parametrize("unit", UNITS)
def test_a_text_is_looked_at_in_its_unit(source: Path, unit: str) -> None:
    model = network(task(source, unit))
    said: list[str] = []
    read = model.read("ta đi\nqua", said.append)
    assert "".join(read.labels) == "ta đi\nqua"
    assert len(read.answers) == len(read.labels) == len(read.inputs)
    if unit == "word":
        assert said == []
    search = model and LanguageModelling.search_units(
        model, source, settings=settings(unit), whole=True, say=said.append
    )
    assert search.count.en.endswith({"char": "characters", "subword": "sub-words"}.get(unit, "s"))
    assert search.steps == len(model.vocabulary.encode(read_text(source)))


def test_a_run_in_python(source: Path, tmp_path: Path) -> None:
    run = conveyor.fit(
        "text", source, unit="syllable", hidden=8, embedding=8, tied=True, locked_dropout=True,
        dropout=0.2, activation_penalty=1.0, epochs=2, batch=4, chunk=10, out=tmp_path / "run",
        say=lambda line: None,
    )  # fmt: skip
    assert isinstance(run.vocabulary, Pieces)
    rows = run.metrics["scores"][0]["rows"]
    assert list(rows) == ["lstm", "5-gram", "3-gram", "unigram"]
    assert set(rows["lstm"]) == {"nats_per_character", "bits_per_character", "perplexity"}
    assert run.metrics["unit"] == "syllable"
    again = conveyor.load(tmp_path / "run")
    written = ["".join(each.generate("ta đi", 20, seed=2)) for each in (run, again)]
    assert written[0] == written[1]
