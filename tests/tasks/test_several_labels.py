"""Several labels of a text: what is read, what is learned, what is said, and how it is scored."""

import csv
import itertools
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

import conveyor
from conveyor.errors import DataError, RunError, SettingError
from conveyor.tasks.classify.classification import FREQUENT_LABELS, Classification
from conveyor.tasks.classify.classifier import Classifier
from conveyor.tasks.classify.classify_settings import ClassifySettings
from conveyor.tasks.classify.label_scores import LabelTable, frequent_labels, micro_f1, row_of
from conveyor.tasks.classify.logistic_regression import LogisticRegression
from conveyor.tasks.classify.several import LEAST_OF_A_LABEL, Several, best_thresholds
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION
from conveyor.tasks.run import Run
from tests.heard import Heard

SAYS = {"food": ("soup", "bread"), "price": ("cheap", "bill"), "staff": ("waiter", "slow")}
QUICK: dict[str, Any] = {
    "hidden": 8,
    "embedding": 8,
    "dropout": 0.0,
    "word_dropout": 0.0,
    "unknown": 0.0,
    "learning_rate": 0.03,
    "batch": 16,
    "epochs": 8,
    "bidirectional": False,
}


def comments(count: int = 120, seed: int = 0) -> list[tuple[str, tuple[str, ...]]]:
    """Return different texts and their labels, none to three: a word tells each."""
    draw = random.Random(seed)
    made: dict[str, tuple[str, ...]] = {}
    while len(made) < count:
        labels = tuple(label for label in SAYS if draw.random() < 0.4)
        words = draw.choices(["the", "it", "was", "and", "so", "we"], k=draw.randint(2, 5))
        for label in labels:
            words.insert(draw.randrange(len(words)), draw.choice(SAYS[label]))
        made.setdefault(" ".join(words), labels)
    return list(made.items())


def write_cells(path: Path, separator: str = ";") -> Path:
    """Write a table with labels in a cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [(text, separator.join(labels)) for text, labels in comments()]
        csv.writer(file).writerows([("review", "about"), *rows])
    return path


def prepared(source: Any, **values: Any) -> tuple[Classification, Heard]:
    """Return the task on a source, and what was said."""
    heard = Heard()
    return Classification.prepare(source, ClassifySettings.of(values), heard), heard


def model(run: Run) -> Classifier:
    """Return the network of a run."""
    assert isinstance(run.model, Classifier)
    return run.model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has learned."""
    folder = tmp_path_factory.mktemp("several")
    source = write_cells(folder / "comments.csv")
    return conveyor.fit(
        "classify",
        source,
        out=folder / "run",
        say=Heard(),
        label="about",
        label_separator=";",
        **QUICK,
    )


# What is read ----------------------------------------------------------------------------------


def _columns(path: Path) -> tuple[Any, dict[str, Any]]:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [
            (text, *(["0", "1"][name in labels] for name in SAYS)) for text, labels in comments()
        ]
        csv.writer(file).writerows([("review", *SAYS), *rows])
    return path, {"label_columns": tuple(SAYS)}


def _lines(path: Path) -> tuple[Any, dict[str, Any]]:
    path = path.with_suffix(".txt")
    path.write_text(
        "".join(
            f"{''.join(f'__label__{name} ' for name in labels)}{text}\n"
            for text, labels in comments()
        ),
        encoding="utf-8",
    )
    return path, {}


SOURCES: dict[str, Any] = {
    "cells": lambda path: (write_cells(path), {"label": "about", "label_separator": ";"}),
    "cells parted by a word": lambda path: (
        write_cells(path, " and "),
        {"label": "about", "label_separator": " and "},
    ),
    "the column is guessed": lambda path: (write_cells(path), {"label_separator": ";"}),
    "columns of 0 and 1": _columns,
    "lines of fastText": _lines,
    "a list in Python": lambda path: ([(text, list(each)) for text, each in comments()], {}),
}


@pytest.mark.parametrize("name", SOURCES)
def test_all_sources_give_the_same_examples(name: str, tmp_path: Path) -> None:
    source, values = SOURCES[name](tmp_path / "comments.csv")
    task, heard = prepared(source, **values)
    assert task.prepared.classes == tuple(SAYS)
    assert task.metric.key == "micro_f1"
    wanted = dict(comments())
    seen = 0
    for part in task.prepared.parts:
        for text, row in zip(part.shown, part.targets.tolist(), strict=True):
            assert tuple(n for n, one in zip(SAYS, row, strict=True) if one) == wanted[text]
            seen += 1
    assert seen == len(wanted)
    none = sum(not labels for labels in wanted.values())
    assert f"{none} texts have no label: none holds there" in heard.text


def test_each_part_has_its_share_of_each_label() -> None:
    source = [(f"text {n}", ["often"] + (["rare"] if n % 10 == 0 else [])) for n in range(200)]
    task, _ = prepared(source)
    rare = [
        int(task.prepared.parts[part].targets[:, 1].sum()) for part in (TRAIN, VALIDATION, TEST)
    ]
    assert rare == [16, 2, 2]


def test_cells_that_look_like_several_labels_are_told(tmp_path: Path) -> None:
    _, heard = prepared(write_cells(tmp_path / "comments.csv"), text="review", label="about")
    assert "look like several in one cell; --label-separator" in heard.text or (
        "look like several in one cell; label_separator" in heard.text
    )


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    path, values = _columns(tmp_path / "columns.csv")
    path.write_text(path.read_text().replace(",1,0,", ",maybe,0,", 1))
    with pytest.raises(DataError, match=r"line .*'maybe'; expected 1 where the label holds"):
        prepared(path, **values)
    with pytest.raises(SettingError, match="Yes or no of one column is label='food'"):
        prepared(path, label_columns=("food",))
    with pytest.raises(DataError, match="all labels are 'a'"):
        prepared([("x", ["a"]), ("y", ["a"]), ("z", [])])
    with pytest.raises(SettingError, match="balance"):
        prepared([(text, list(each)) for text, each in comments()], balance=True)
    for wrong, said in (
        ({"label_separator": ""}, "is empty"),
        ({"label_separator": ";", "by": ("series",)}, "one label each"),
        ({"label_separator": ";", "label_columns": ("a", "b")}, "both say where labels are"),
        ({"label": "x", "label_columns": ("a", "b")}, "both say where labels are"),
        ({"label_columns": ("a", "b", "a")}, "names a column twice"),
    ):
        with pytest.raises(SettingError, match=said):
            ClassifySettings.of(wrong)


def test_a_separator_that_parts_nothing_is_told(tmp_path: Path) -> None:
    path = write_cells(tmp_path / "comments.csv")
    with pytest.raises(DataError, match=r"no label holds '\|', but \d+ hold ';'. Give label_sep"):
        prepared(path, label="about", label_separator="|")
    with pytest.raises(DataError, match=r"list: no label holds '\|', but"):
        prepared([(text, ";".join(each)) for text, each in comments()], label_separator="|")
    path.write_text(path.read_text().replace(";", "+"))
    _, heard = prepared(path, label="about", label_separator="|")
    assert "no label holds '|': each text has one label" in heard.text
    assert "hold ';'" not in heard.text
    few = [(f"text {n}", ["a;b", "a", "b", "c"][n % 4]) for n in range(40)]
    _, heard = prepared(few, label_separator="|")
    assert "no label holds '|': each text has one label (10 hold ';')" in heard.text
    task, heard = prepared(few, label_separator=";")
    assert task.prepared.classes == ("a", "b", "c")
    assert "no label holds" not in heard.text


def test_a_column_that_holds_for_no_text_is_told(tmp_path: Path) -> None:
    path, _ = _columns(tmp_path / "columns.csv")
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], *(row[:-1] + "0" for row in rows[1:])]))
    task, heard = prepared(path, label_columns=tuple(SAYS))
    assert "columns.csv: staff holds for no text; it is left out" in heard.text
    assert "price holds for no text" not in heard.text
    assert task.prepared.classes == ("food", "price")


def test_labels_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    texts = [(text, [name.replace("oo", "o;o") for name in each]) for text, each in comments()]
    with pytest.raises(DataError, match=r"item \d+: the label 'fo;od' holds ';'.*label_separator"):
        prepared(texts)
    task, _ = prepared(texts, label_separator="|")
    assert task.prepared.classes == ("fo;od", "price", "staff")
    lines, _ = _lines(tmp_path / "lines.csv")
    lines.write_text(lines.read_text().replace("__label__food", "__label__fo;od"))
    with pytest.raises(DataError, match=r"line \d+: the label 'fo;od' holds ';'"):
        prepared(lines)
    path, _ = _columns(tmp_path / "columns.csv")
    path.write_text(path.read_text().replace("food", "fo;od", 1))
    with pytest.raises(DataError, match=r"the label 'fo;od' holds ';'.*Rename the column"):
        prepared(path, label_columns=("fo;od", "price", "staff"))


# How it is scored ------------------------------------------------------------------------------


def test_scores_by_hand() -> None:
    targets = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0]])
    said = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]).bool()
    # Four labels hold, three are said, two of them are right.
    micro, macro, exact, hamming = row_of(said, targets)
    assert micro == pytest.approx(2 * 2 / (4 + 3))
    assert macro == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert exact == pytest.approx(2 / 4)
    assert hamming == pytest.approx(3 / 12)
    table = LabelTable.of(said, targets)
    assert table.precision.tolist() == [1.0, 0.5, 0.0]
    assert table.recall.tolist() == [0.5, 1.0, 0.0]
    assert table.support.tolist() == [2, 1, 1]


def test_a_label_that_no_text_has_does_not_count_in_the_mean() -> None:
    said = torch.tensor([[True, True], [False, False]])
    assert LabelTable.of(said, torch.tensor([[1, 0], [0, 0]])).macro_f1 == 1.0


def test_thresholds_are_the_best_that_there_are() -> None:
    """Against trying all of them."""
    draw = torch.Generator().manual_seed(0)
    for _ in range(20):
        said = (torch.rand(30, 2, generator=draw) * 10).round().double() / 10  # many are equal
        true = (torch.rand(30, 2, generator=draw) < 0.5).double()
        chosen = best_thresholds(said, true)
        for label in range(2):
            scores = [
                micro_f1(said[:, [label]] >= cut, true[:, [label]])
                for cut in [*said[:, label].tolist(), 1.1]
            ]
            mine = micro_f1(said[:, [label]] >= chosen[label], true[:, [label]])
            assert mine == pytest.approx(max(scores))


def test_a_rare_label_has_the_threshold_of_all() -> None:
    said = torch.linspace(0, 1, 40, dtype=torch.float64)[:, None].expand(-1, 2).clone()
    true = (said > 0.5).double()
    true[:, 1] = 0
    true[: LEAST_OF_A_LABEL - 1, 1] = 1  # chance: those that are least likely
    own, of_all = best_thresholds(said, true)
    assert own == pytest.approx(0.5, abs=0.03)
    said_of_all = said.flatten() >= of_all
    best = max(
        micro_f1((said.flatten() >= cut)[:, None], true.flatten()[:, None])
        for cut in said.flatten().tolist()
    )
    assert micro_f1(said_of_all[:, None], true.flatten()[:, None]) == pytest.approx(best)


def test_labels_hold_from_their_threshold_on() -> None:
    several = Several(";", (0.2, 0.7))
    said = several.holds(torch.tensor([[0.2, 0.69], [0.19, 0.7]], dtype=torch.float64))
    assert said.tolist() == [[True, False], [False, True]]


def test_the_commonest_labels_are_as_many_as_score_best() -> None:
    targets = torch.tensor([[1.0, 1, 0]] * 6 + [[1.0, 0, 1]] * 4)
    prior = targets.double().mean(0)
    best = max(
        micro_f1(torch.tensor(each).bool().expand(10, -1), targets)
        for each in itertools.product([0, 1], repeat=3)
    )
    said = frequent_labels(prior, targets, 10)
    assert said[0].tolist() == [True, True, False]
    assert micro_f1(said, targets) == pytest.approx(best)


def test_one_against_the_rest_is_a_regression_for_each_label() -> None:
    draw = torch.Generator().manual_seed(1)
    features = torch.randn(40, 5, generator=draw, dtype=torch.float64)
    targets = (features[:, :2] + torch.randn(40, 2, generator=draw) > 0).double()
    both = LogisticRegression.fit(features, targets, 2, 1.0)
    for label in range(2):
        # Of two classes, softmax regression whose penalty is shared by two opposite weights.
        single = LogisticRegression.fit(features, targets[:, label].long(), 2, 0.5)
        apart = single.weights[:, 1] - single.weights[:, 0]
        torch.testing.assert_close(both.weights[:, label], apart, atol=1e-4, rtol=0)
        chances = both.log_probabilities(features)[:, label]
        of_single = single.log_probabilities(features)[:, 1]
        torch.testing.assert_close(chances, of_single, atol=1e-4, rtol=0)


# What is said ----------------------------------------------------------------------------------


def test_each_label_is_learned_on_its_own(run: Run) -> None:
    rows = run.metrics["scores"][0]["rows"]
    assert list(rows)[1:] == ["word pairs regression", FREQUENT_LABELS]
    assert rows["lstm"]["micro_f1"] > rows[FREQUENT_LABELS]["micro_f1"] + 0.2
    assert run.predict(["the soup was cheap", "we and it", "so slow"]) == [
        "food;price",
        "",
        "staff",
    ]
    assert set(run.metrics["thresholds"]) == set(SAYS)
    several = model(run).several
    assert several is not None
    assert list(run.metrics["thresholds"].values()) == list(several.thresholds)


def test_predictions_in_a_table_and_in_lines(run: Run) -> None:
    heard = Heard()
    table = run.predict(
        pl.DataFrame({"review": ["the soup was cheap", ""]}), scores=True, say=heard
    )
    thresholds = run.metrics["thresholds"]
    told = ", ".join(f"{name} {value:.4f}" for name, value in thresholds.items())
    assert f"labels hold from these probabilities on: {told}" in heard.text
    names = [f"probability of {name}" for name in SAYS]
    assert table.columns == ["review", "predicted", *names]
    assert table["predicted"][0] == "food;price"
    assert table[names].row(1) == pytest.approx(model(run).prior)
    chances = dict(zip(SAYS, table[names].row(0), strict=True))
    first, empty, none = run.answers(["the soup was cheap", "", "we and it"], scores=True)
    said = [f"{chances['food']:.4f};{chances['price']:.4f}"]
    assert first.split("\t") == [
        "food;price",
        *said,
        *(f"{name}={chance:.4f}" for name, chance in chances.items()),
    ]
    assert empty == ""
    assert none.split("\t")[:2] == ["", ""]


def test_a_text_without_words_has_the_labels_of_most_training_texts(run: Run) -> None:
    network = model(run)
    before = network.prior, network.several
    try:
        # Thresholds that shares reach would say other labels.
        network.several = Several(";", (0.1, 0.9, 0.9))
        for prior, said, told in (
            ((0.4, 0.3, 0.3), "", "no label, for none holds for more than half"),
            ((0.2, 0.6, 0.7), "price;staff", "what holds for more than half of the training"),
        ):
            network.prior, heard = prior, Heard()
            assert run.predict(["", "  "], say=heard) == [said, said]
            assert f"each gets {told}" in heard.text
            assert said in heard.text
            assert run.predict([""], explain=True)["predicted"].to_list() == [said]
    finally:
        network.prior, network.several = before


def test_what_speaks_for_each_label(run: Run) -> None:
    (line,) = run.answers(["the soup was cheap"], explain=True)
    explained = line.split("\t")[-1]
    assert explained.startswith("food: the ")
    assert " | price: the " in explained
    food = run.explain("the soup was cheap", "food")
    price = run.explain("the soup was cheap", "price")
    assert food.steps[max(range(4), key=food.weights.__getitem__)] == "soup"
    assert price.steps[max(range(4), key=price.weights.__getitem__)] == "cheap"
    with pytest.raises(SettingError, match="Did you mean 'price'"):
        run.explain("the soup", "prise")


def test_the_verdict_after_a_word_is_that_on_the_text_so_far(run: Run) -> None:
    words = ["the", "soup", "was", "cheap"]
    for number, (_, verdict) in enumerate(run.verdicts(" ".join(words)), 1):
        encoded = model(run).encoded(" ".join(words[:number]))
        chances = model(run).log_probabilities([encoded])[0].exp()
        assert verdict.probabilities == pytest.approx(chances.tolist(), abs=1e-6)
        assert verdict.labels == model(run).labels_of(chances, number)
        assert verdict.label == ";".join(verdict.labels)


def test_a_run_is_scored_again_and_on_other_data(run: Run, tmp_path: Path) -> None:
    heard = Heard()
    again = run.evaluate(write_cells(tmp_path / "comments.csv"), say=heard)
    assert "its test set is scored" in heard.text
    stored = run.metrics["scores"][0]["rows"]
    assert {name: row[0] for name, row in again.scores[0].rows.items()} == pytest.approx(
        {name: row["micro_f1"] for name, row in stored.items()}
    )
    other = [(text, list(labels)) for text, labels in comments(30, seed=5)]
    other.append(("the soup was odd", ["food", "odd"]))
    results = run.evaluate(other, say=heard)
    assert "1 class that the run does not know (odd) cannot be got right" in heard.text
    assert results.answers is not None
    table = results.answers()
    assert table["labels"][-1] == "food;odd"
    assert results.details["labels"]["odd"]["recall"] == 0
    assert list(results.scores[0].rows)[1:] == ["word pairs regression", FREQUENT_LABELS]
    for section in results.draw():
        assert section.body


def test_a_text_of_one_label_is_not_given_several(tmp_path: Path) -> None:
    source = [(f"{word} {n}", "ab"[n % 2]) for n in range(30) for word in ("x", "y")]
    single = conveyor.fit(
        "classify", source, out=tmp_path / "run", say=Heard(), **{**QUICK, "epochs": 1}
    )
    path = tmp_path / "more.txt"
    path.write_text("__label__a __label__b x 1\n", encoding="utf-8")
    with pytest.raises(DataError, match="2 labels, and the run gives a text one"):
        single.evaluate(path, say=Heard())


def test_a_run_is_inspected(run: Run) -> None:
    read = run.read(text="the soup was cheap")
    assert read.labels == ("the", "soup", "was", "cheap")


def test_a_model_with_thresholds_of_another_number_is_refused(run: Run) -> None:
    described = run.model.description()
    described["several"]["thresholds"] = [0.5]
    with pytest.raises(RunError, match="expected one for each class"):
        Classifier.described(run.model.recurrent.program, described, "model.json")
