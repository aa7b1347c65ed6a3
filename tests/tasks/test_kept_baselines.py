"""A run keeps what its baselines have learned: they answer of other data as they did of the test
set."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import conveyor
from conveyor.errors import RunError
from conveyor.networks.crf import Transitions
from conveyor.tasks.classify import simple_classes
from conveyor.tasks.classify.bag_of_words import BagOfWords
from conveyor.tasks.classify.classification import Classification
from conveyor.tasks.classify.classify_settings import ClassifySettings
from conveyor.tasks.classify.simple_classes import SimpleClasses
from conveyor.tasks.pairs.word_dictionary import WordDictionary
from conveyor.tasks.pronounce.letter_sounds import LetterSounds
from conveyor.tasks.run import Run
from conveyor.tasks.tag import feature_crf
from conveyor.tasks.tag.feature_crf import FeatureCRF
from tests.heard import Heard
from tests.pairs import write_dictionary, write_pairs
from tests.reviews import reviews, write_table
from tests.tagged import write_conllu

SMALL: dict[str, Any] = {"hidden": 4, "epochs": 1}
# What says that a baseline is missing.
MISSING = "not scored here"


def reviews_file(path: Path, count: int, seed: int) -> Path:
    """Write labelled texts."""
    return write_table(path, reviews(count, seed=seed), "review", "mood")


def series_file(path: Path, count: int, seed: int) -> Path:
    """Write series that rise or fall, with noise; labelled up or down."""
    draw = np.random.default_rng(seed)
    rows = []
    for name in range(count):
        slope = 0.2 if name % 2 else -0.2
        for step in range(6):
            value = f"{slope * step + draw.normal():.3f}"
            rows.append((str(name), str(step), value, "up" if name % 2 else "down"))
    return write_table(path, rows, "series", "time", "a", "state")


def labels_file(path: Path, count: int, seed: int) -> Path:
    """Write texts of several labels."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        labels = [name for name in ("food", "price") if draw.random() < 0.5]
        rows.append((f"it was {' '.join(labels)} w{number} w{draw.integers(9)}", ";".join(labels)))
    return write_table(path, rows, "review", "about")


# Of each task: what writes its data, how many examples, its settings, and the baselines that learn
# and are kept.
KEPT: dict[str, tuple[str, Any, int, dict[str, Any], set[str]]] = {
    "classify": ("classify", reviews_file, 60, {"embedding": 4}, {"word pairs regression"}),
    "characters": (
        "classify",
        reviews_file,
        60,
        {"embedding": 4, "unit": "char"},
        {"character triples regression"},
    ),
    "series": (
        "classify",
        series_file,
        40,
        {"by": "series", "order": "time"},
        {"summary regression", "nearest class mean"},
    ),
    "labels": (
        "classify",
        labels_file,
        80,
        {"embedding": 4, "label_separator": ";"},
        {"word pairs regression"},
    ),
    "tag": (
        "tag",
        lambda path, count, seed: write_conllu(path, count, seed=seed),
        30,
        {"words": 4, "characters": 2, "syllables": 2},
        {"feature CRF"},
    ),
    "translate": ("translate", write_pairs, 50, {"embedding": 4}, {"word dictionary"}),
    "pronounce": ("pronounce", write_dictionary, 60, {"embedding": 4}, {"letter by letter"}),
}
ENDINGS = {"tag": ".conllu", "translate": ".tsv", "pronounce": ".dict"}


@pytest.mark.parametrize("case", KEPT)
def test_baselines_answer_of_a_file_as_they_did_of_the_test_set(case: str, tmp_path: Path) -> None:
    task, write, count, settings, kept = KEPT[case]
    ending = ENDINGS.get(case, ".csv")
    source = write(tmp_path / f"train{ending}", count, 0)
    test = write(tmp_path / f"later{ending}", count // 2, 7)
    run = conveyor.fit(
        task, source, out=tmp_path / "run", say=Heard(), test=str(test), **SMALL, **settings
    )
    (fitted,) = run.metrics["scores"]
    heard = Heard()
    (scores,) = conveyor.load(tmp_path / "run").evaluate(test, say=heard).scores
    rows = scores.as_json()["rows"]
    assert kept <= set(rows)
    assert rows == {name: fitted["rows"][name] for name in rows}
    learned_elsewhere = {"nearest training source"} if case == "translate" else set()
    assert set(fitted["rows"]) - set(rows) == learned_elsewhere
    assert (MISSING in heard.text) == bool(learned_elsewhere)


@pytest.mark.parametrize("case", ["classify", "tag"])
def test_a_run_holds_no_text_of_its_baselines(case: str, tmp_path: Path) -> None:
    """Hashes stand for the runs of words, and for features."""
    if case == "classify":
        described: Any = BagOfWords.of([["a", "lovely", "film"]], 2).description()
    else:
        field = FeatureCRF.fit([["Lan", "ngủ"]], [torch.tensor([0, 1])], 2)
        described = field.description()
    kinds = {type(value) for value in described.values()} - {int, np.ndarray}
    assert kinds == ({str} if case == "classify" else set())
    assert described.get("reads", "words") == "words"
    assert all(
        value.dtype in (np.int64, np.float64)
        for value in described.values()
        if isinstance(value, np.ndarray)
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on reviews."""
    folder = tmp_path_factory.mktemp("kept")
    source = reviews_file(folder / "reviews.csv", 60, 0)
    return conveyor.fit("classify", source, out=folder / "run", say=Heard(), embedding=4, **SMALL)


def evaluated(run: Run, source: Path, fitted_on: Mapping[str, Any]) -> tuple[set[str], str]:
    """Return the rows of scores of other data with such a record, and what was said."""
    heard = Heard()
    results = Classification.evaluate(
        run.model,  # type: ignore[arg-type]
        source,
        settings=ClassifySettings.of({"text": "review", "label": "mood"}),
        fitted_on=fitted_on,
        options=None,
        say=heard,
    )
    return set(results.scores[0].rows), heard.text


def test_a_run_of_an_earlier_version_says_what_is_missing(run: Run, tmp_path: Path) -> None:
    later = reviews_file(tmp_path / "later.csv", 20, 3)
    stored = json.loads((run.folder / "model.json").read_text(encoding="utf-8"))["fitted_on"]
    del stored["simple"]
    rows, said = evaluated(run, later, stored)
    assert "word pairs regression" not in rows
    assert "word pairs regression is not scored here: what it has learned is not kept" in said


def test_a_regression_that_is_too_large_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simple_classes, "MOST_KEPT", 10)
    monkeypatch.setattr(feature_crf, "MOST_KEPT", 10)
    source = reviews_file(tmp_path / "reviews.csv", 40, 0)
    run = conveyor.fit("classify", source, out=tmp_path / "run", say=Heard(), embedding=4, **SMALL)
    heard = Heard()
    results = run.evaluate(reviews_file(tmp_path / "later.csv", 20, 3), say=heard)
    assert "word pairs regression" not in results.scores[0].rows
    assert MISSING in heard.text
    assert not list(run.folder.glob("kept-*"))
    assert FeatureCRF.fit([["Lan"]], [torch.tensor([0])], 2).description() is None


def test_a_class_that_the_run_does_not_know_is_never_said(run: Run, tmp_path: Path) -> None:
    rows = [*reviews(20, seed=3), ("a quiet film", "neutral")]
    later = write_table(tmp_path / "later.csv", rows, "review", "mood")
    results = run.evaluate(later, say=Heard())
    without = run.evaluate(rows[:-1], say=Heard())
    right, all_right = (
        each.scores[0].rows["word pairs regression"][0] for each in (results, without)
    )
    assert right is not None
    assert all_right is not None
    assert right == pytest.approx(all_right * 20 / 21)


# What a changed file may hold, and what is said.
CORRUPT: dict[str, tuple[Any, str]] = {
    "no record": (["a"], "its regression reads None"),
    "another reader": ({"features": {"reads": "pictures"}}, "its regression reads 'pictures'"),
    "no runs": ({"features": {"reads": "words", "longest": 2}}, "'runs' is missing"),
    "no length": (
        {"features": {"reads": "words", "runs": np.zeros(1, np.int64), "weights": np.zeros(1)}},
        "longest is None; expected 1 or more",
    ),
    "other weights": (
        {
            "features": {
                "reads": "words",
                "longest": 1,
                "runs": np.zeros(1, np.int64),
                "weights": np.zeros(1),
            },
            "weights": np.zeros((2, 2)),
        },
        "'weights' is missing or does not fit",
    ),
}


@pytest.mark.parametrize("case", CORRUPT)
def test_a_corrupt_record_of_a_regression_is_an_error(case: str) -> None:
    described, text = CORRUPT[case]
    with pytest.raises(RunError, match=text):
        SimpleClasses.described(described, 2)


def test_corrupt_records_of_other_baselines_are_errors() -> None:
    for described in (["a"], {"a": 1}):
        with pytest.raises(RunError, match="corrupt: the dictionary"):
            WordDictionary.described(described)
        with pytest.raises(RunError, match="corrupt: the sounds of letters"):
            LetterSounds.described(described)
    allowed: Transitions | None = None
    with pytest.raises(RunError, match="'features' is missing"):
        FeatureCRF.described({}, 2, allowed)
    with pytest.raises(RunError, match="'weights' is missing"):
        FeatureCRF.described({"features": np.zeros(1, np.int64)}, 2, allowed)
