"""The task ``classify``: what it must learn, what must not change its answers, and what it says of
bad data."""

import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

import conveyor
from conveyor.compiler.show import program_of
from conveyor.data.padded import padded
from conveyor.errors import ConveyorError, DataError, RunError, SettingError
from conveyor.tasks.classify import class_results
from conveyor.tasks.classify.class_examples import ClassExamples
from conveyor.tasks.classify.classification import Classification
from conveyor.tasks.classify.classifier import Classifier
from conveyor.tasks.classify.classify_settings import POOLINGS, ClassifySettings
from conveyor.tasks.classify.text_reader import TextReader
from conveyor.tasks.drawn_parts import (
    TEST,
    TRAIN,
    VALIDATION,
    Leaks,
    drawn_parts,
    leaks_of,
)
from conveyor.tasks.run import Run
from tests.heard import Heard
from tests.reviews import reviews, write_reviews, write_table

QUICK: dict[str, Any] = {"hidden": 4, "embedding": 4, "epochs": 1}


def prepared(source: Any, **values: Any) -> tuple[Classification, Heard]:
    """Return the task on a source, and what was said."""
    heard = Heard()
    return Classification.prepare(source, ClassifySettings.of(values), heard), heard


def untrained(task: Classification, cell: str = "lstm") -> Classifier:
    """Return a network of a task that has learned nothing."""
    torch.manual_seed(0)
    return task.network(program_of(cell), task.settings.network).eval()


def fitted(folder: Path, source: Any, **values: Any) -> tuple[Run, Heard]:
    """Return a run, and what was said."""
    heard = Heard()
    run = conveyor.fit("classify", source, out=folder, say=heard, **{**QUICK, **values})
    return run, heard


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on reviews of one epoch, read in one direction."""
    folder = tmp_path_factory.mktemp("reviews")
    return fitted(folder / "run", write_reviews(folder / "reviews.csv"), bidirectional=False)[0]


def series_table(path: Path, *, gap: bool = False) -> Path:
    """Write 40 series of two columns: one rises, the other is noise; labelled up or down."""
    draw = np.random.default_rng(0)
    rows: list[tuple[str, ...]] = []
    for number in range(40):
        slope = 1 if number % 2 else -1
        for step in range(draw.integers(3, 7)):
            value = "" if gap and step == 1 else f"{slope * step + 0.1 * draw.normal():.4f}"
            rows.append((f"s{number}", f"{step}", value, f"{draw.normal():.4f}", "du"[number % 2]))
    random.Random(0).shuffle(rows)  # the column of steps puts them in order
    return write_table(path, rows, "series", "time", "a", "b", "state")


# What it must learn ----------------------------------------------------------------------------


def learn(task: Classification, steps: int, rate: float = 0.03) -> Classifier:
    """Return a network that was trained on the whole training set for some steps."""
    network = untrained(task)
    adam = torch.optim.Adam(network.parameters(), rate)
    batch = task.train.__getitems__(range(len(task.train)))
    for _ in range(steps):
        adam.zero_grad()
        network.train().loss(batch).value.backward()  # type: ignore[no-untyped-call]
        adam.step()
    return network.eval()


def test_the_first_word_is_remembered_over_a_long_text() -> None:
    draw = random.Random(0)
    pairs = []
    for number in range(200):
        first = "ab"[number % 2]
        rest = draw.choices(["a", "b", "c", "d"], k=draw.randint(1, 25))
        pairs.append((" ".join([first, *rest]), first))
    task, _ = prepared(
        pairs, hidden=16, embedding=8, bidirectional=False, pooling="last", dropout=0.0,
        word_dropout=0.0,
    )  # fmt: skip
    network = learn(task, 120)
    assert task.score(network) == 1.0
    # A bag of words cannot know what came first.
    assert task.baselines()["most frequent class"] < 0.75


@pytest.mark.parametrize("pooling", POOLINGS[1:])
def test_neither_padding_nor_the_batch_changes_an_answer(pooling: str) -> None:
    task, _ = prepared(reviews(40), pooling=pooling, hidden=6, embedding=5)
    network = untrained(task)
    sequences = task.train.sequences
    together = network.log_probabilities(sequences)
    alone = torch.cat([network.log_probabilities([each]) for each in sequences])
    turned = network.log_probabilities(sequences[::-1]).flip(0)
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=0)
    torch.testing.assert_close(turned, together, atol=1e-6, rtol=0)
    inputs, lengths = padded(sequences[:5])
    with torch.no_grad():
        longer = torch.cat([inputs, torch.full((50, 5), 3)])  # whatever stands there
        answers = [network(each, lengths) for each in (inputs, longer)]
    torch.testing.assert_close(*answers, atol=1e-6, rtol=0)


def test_the_maximum_is_of_true_steps_also_where_all_are_negative() -> None:
    task, _ = prepared(reviews(20), pooling="max", hidden=3, embedding=3)
    network = untrained(task, "gru")
    with torch.no_grad():
        network.head.weight.fill_(1.0)
        output = -torch.rand(4, 2, 6) - 0.1
        pooled = network.encoder.pool(output, torch.tensor([2, 4]))
    assert pooled.lt(0).all()
    assert torch.equal(pooled[0], output[:2, 0].amax(0))


# A verdict after every word --------------------------------------------------------------------


@pytest.mark.parametrize("pooling", POOLINGS[1:])
def test_the_verdict_after_a_word_is_that_on_the_text_so_far(pooling: str) -> None:
    task, _ = prepared(reviews(30), pooling=pooling, bidirectional=False, hidden=6, embedding=5)
    network = untrained(task, "gru")
    text = "a lovely film with awful actors"
    for count, (token, verdict) in enumerate(network.verdicts(text), 1):
        words = text.split()[:count]
        assert token == words[-1]
        (whole,) = network.log_probabilities([network.encoded(" ".join(words))]).exp()
        assert verdict.probabilities == pytest.approx(whole.tolist(), abs=1e-6)
        assert verdict.label == network.classes[int(whole.argmax())]


def test_the_verdict_after_a_row_is_that_on_the_series_so_far(tmp_path: Path) -> None:
    path = series_table(tmp_path / "s.csv", gap=True)
    task, _ = prepared(path, by="series", order="time", bidirectional=False, hidden=5)
    network, nan = untrained(task), float("nan")
    values = np.array([[nan, 1.0], [2.0, 0.5], [nan, nan], [4.0, -1.0]])
    stream = network.stream()
    for count in range(1, 5):
        verdict = stream.read(values[count - 1])
        (whole,) = network.log_probabilities([network.encoded(values[:count])]).exp()
        assert verdict.probabilities == pytest.approx(whole.tolist(), abs=1e-6)


def test_who_reads_from_the_end_has_no_verdict_before_it() -> None:
    task, _ = prepared(reviews(20), hidden=3, embedding=3)
    with pytest.raises(SettingError, match="bidirectional=False"):
        untrained(task).stream()


# Parts -----------------------------------------------------------------------------------------


def test_a_split_keeps_shares_of_classes_and_no_text_in_two_parts() -> None:
    draw = random.Random(1)
    keys = [f"t{draw.randrange(150)}" for _ in range(400)]
    targets = [int(key[1:]) % 3 for key in keys]
    parts = drawn_parts(keys, targets, [None] * 400, (0.6, 0.2, 0.2), seed=0)
    of_part = [
        {key for key, part in zip(keys, parts, strict=True) if part == wanted}
        for wanted in (TRAIN, VALIDATION, TEST)
    ]
    assert sum(map(len, of_part)) == len(set(keys))
    for wanted in (VALIDATION, TEST):
        for target in range(3):
            of_class = {key for key in keys if int(key[1:]) % 3 == target}
            assert len(of_part[wanted] & of_class) == pytest.approx(0.2 * len(of_class), abs=1)
    again = drawn_parts(keys, targets, [None] * 400, (0.6, 0.2, 0.2), seed=0)
    other = drawn_parts(keys, targets, [None] * 400, (0.6, 0.2, 0.2), seed=1)
    assert parts == again != other
    assert leaks_of(keys, parts) == Leaks(validation=0, test=0)
    assert leaks_of(["a", "b", "a", "b", "c"], [0, 0, 2, 1, 2]) == Leaks(validation=1, test=1)


def test_the_same_text_with_two_labels_is_in_one_part() -> None:
    keys = [str(number // 2) for number in range(200)]
    parts = drawn_parts(keys, [0, 1] * 100, [None] * 200, (0.6, 0.2, 0.2), seed=0)
    assert parts[::2] == parts[1::2]
    assert set(parts) == {TRAIN, VALIDATION, TEST}


def test_rare_classes_are_trained_on_and_sizes_still_add_up() -> None:
    keys = [str(number) for number in range(120)]
    targets = [number // 2 for number in range(120)]  # 60 classes of two
    parts = drawn_parts(keys, targets, [None] * 120, (0.8, 0.1, 0.1), seed=0)
    assert {target for target, part in zip(targets, parts, strict=True) if part == TRAIN} == set(
        range(60)
    )
    assert parts.count(VALIDATION) == pytest.approx(12, abs=2)
    assert parts.count(TEST) == pytest.approx(12, abs=2)


def test_given_parts_stay_and_only_missing_ones_are_drawn(tmp_path: Path) -> None:
    test = write_reviews(tmp_path / "test.csv", 20, seed=5)
    task, _ = prepared(write_reviews(tmp_path / "a.csv", 90), test=str(test))
    assert [len(part) for part in task.prepared.parts] == [80, 10, 20]
    rows = [(*row, ("train", "dev", "Test")[number % 3]) for number, row in enumerate(reviews(30))]
    path = write_table(tmp_path / "parts.csv", rows, "review", "mood", "part")
    task, _ = prepared(path, part="part")
    assert task.asked.shown == [text for text, _, part in rows if part == "Test"]
    assert len(task.validation) == 10


def test_leaks_are_told_and_taken_out_if_asked(tmp_path: Path) -> None:
    train = write_reviews(tmp_path / "a.csv", 40)
    other = [*reviews(10, seed=9), (reviews(40)[0][0].upper(), "good"), reviews(40)[1]]
    test = write_table(tmp_path / "b.csv", other, "review", "mood")
    _, heard = prepared(train, test=str(test))
    assert "1 text of the test set and 0 of the validation set stand in the" in heard.text
    _, heard = prepared(train, test=str(test), lower=True)  # then capitals tell nothing apart
    assert "2 texts of the test set" in heard.text
    task, heard = prepared(train, test=str(test), dedupe=True)
    assert "1 text of the training set left out, as asked" in heard.text
    assert sum(len(part) for part in task.prepared.parts) == 51


# Where texts come from -------------------------------------------------------------------------


def folders(folder: Path) -> Path:
    for number, (text, label) in enumerate(reviews(30)):
        file = folder / "texts" / label / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "texts"


def folders_of_parts(folder: Path) -> Path:
    for number, (text, label) in enumerate(reviews(30)):
        file = folder / "parts" / ("train", "test")[number % 3 == 0] / label / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "parts"


def fast_text(folder: Path) -> Path:
    lines = [f"__label__{label} {text}\n" for text, label in reviews(30)]
    (folder / "lines.txt").write_text("".join(lines))
    return folder / "lines.txt"


def tabs(folder: Path) -> Path:
    """Quotes and number signs as people write them."""
    lines = [f'#{text} "so\t{label}\n' for text, label in reviews(30)]
    (folder / "tabs.tsv").write_text("review\tmood\n" + "".join(lines))
    return folder / "tabs.tsv"


SOURCES: dict[str, Callable[[Path], Any]] = {
    "frame": lambda folder: pl.DataFrame(reviews(30), schema=["review", "mood"], orient="row"),
    "pairs": lambda folder: reviews(30),
    "folders": folders,
    "folders of parts": folders_of_parts,
    "lines of fastText": fast_text,
    "tabs": tabs,
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources_of_texts(name: str, tmp_path: Path) -> None:
    task, _ = prepared(SOURCES[name](tmp_path))
    assert task.prepared.classes == ("bad", "good")
    assert sum(len(part) for part in task.prepared.parts) == 30
    shown = {text for part in task.prepared.parts for text in part.shown}
    expected = {f'#{text} "so' if name == "tabs" else text for text, _ in reviews(30)}
    assert shown == expected
    if name == "folders of parts":
        assert len(task.asked) == 10


def test_columns_are_guessed_and_said_or_asked_for(tmp_path: Path) -> None:
    rows = [
        (str(number), text, label, f"{number}.5")
        for number, (text, label) in enumerate(reviews(20))
    ]
    path = write_table(tmp_path / "t.csv", rows, "id", "review", "mood", "price")
    _, heard = prepared(path)
    assert "labels: column mood" in heard.text
    assert "texts: column review" in heard.text
    more = [(*row, "again " + row[1]) for row in rows]
    path = write_table(tmp_path / "u.csv", more, "id", "review", "mood", "price", "answer")
    with pytest.raises(DataError, match="several columns may be the text: review, answer"):
        prepared(path)


def test_series_are_put_in_order_scaled_and_missing_values_are_marked(tmp_path: Path) -> None:
    path = series_table(tmp_path / "s.csv", gap=True)
    task, heard = prepared(path, by="series", order="time", label="state")
    assert "columns: a, b" in heard.text
    reader = task.prepared.reader
    assert reader.names == ("a", "b", "a missing")  # type: ignore[union-attr]
    known = torch.cat([each[:, 1] for each in task.train.sequences])
    assert float(known.mean()) == pytest.approx(0, abs=1e-5)
    assert float(known.std(correction=0)) == pytest.approx(1, abs=1e-5)
    first = task.train.sequences[0]
    assert first[:2, 2].tolist() == [0, 1]
    assert first[1, 0] == first[0, 0]  # what is missing is the last value before it
    assert set(task.baselines()) == {
        "summary regression", "nearest class mean", "most frequent class"
    }  # fmt: skip
    assert task.baselines()["summary regression"] == 1.0  # the last value tells


# A run -----------------------------------------------------------------------------------------


def test_predictions_are_columns_beside_those_of_the_table(run: Run) -> None:
    heard = Heard()
    frame = pl.DataFrame({"predicted": [1, 2], "review": ["a lovely film", None]})
    answer = run.predict(frame, scores=True, explain=True, say=heard)
    assert answer.columns == [
        "predicted", "review", "predicted (2)", "probability", "probability of bad",
        "probability of good", "explanation",
    ]  # fmt: skip
    assert "1 row holds no text, the first row 2" in heard.text
    both = answer["probability of bad"] + answer["probability of good"]
    assert both.to_list() == pytest.approx([1, 1])
    assert answer["probability of bad"][1] == pytest.approx(run.prior[0])  # knows nothing else
    assert answer["explanation"][0].split()[::2] == ["a", "lovely", "film"]
    texts = ["a lovely film", "awful"]
    assert run.predict(texts) == run.predict(pl.DataFrame({"review": texts}))["predicted"].to_list()


def test_lines_are_answered_one_by_one(run: Run) -> None:
    asked: list[str] = []

    def lines() -> Iterable[str]:
        for line in ("a great film", "", "dull"):
            asked.append(line)
            yield line

    answers = run.answers(lines(), scores=True)
    label, share, *scores = next(answers).split("\t")
    assert len(asked) == 1  # the answer does not wait for the next line
    assert label in run.classes
    assert 0.5 <= float(share) <= 1
    assert [each.partition("=")[0] for each in scores] == ["bad", "good"]
    assert next(answers) == ""
    assert len(list(answers)) == 1


def test_a_run_is_scored_on_its_test_part_or_on_all_of_other_data(run: Run, tmp_path: Path) -> None:
    source, heard = run.folder.parent / "reviews.csv", Heard()
    own = run.evaluate(source, say=heard)
    assert "its test set is scored" in heard.text
    assert [own.scores[0].as_json()] == run.metrics["scores"]
    rows = [*reviews(20, seed=7), reviews(60)[0], ("a quiet film", "neutral")]
    heard = Heard()
    other = run.evaluate(write_table(tmp_path / "o.csv", rows, "review", "mood"), say=heard)
    assert other.count.en == "22 texts"
    assert "1 example of 1 class that the run does not know (neutral)" in heard.text
    assert "learned from" in heard.text
    assert other.answers is not None
    assert other.answers()["label"].to_list()[-1] == "neutral"
    missing = pl.DataFrame({"text": ["a"], "mood": ["good"]})
    with pytest.raises(DataError, match="there is no column 'review'"):
        run.evaluate(missing, say=heard)


@pytest.mark.parametrize("chance", [0.5, 0.01])
def test_a_difference_that_may_be_chance_is_no_win(
    run: Run, chance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_results, "mcnemar", lambda ours, theirs: chance)
    (scores,) = run.evaluate(run.folder.parent / "reviews.csv", say=Heard()).scores
    assert scores.best_baseline == "word pairs regression"
    alike = chance > 0.05
    assert ("cannot be distinguished" in scores.verdict.en) == alike
    assert ("By McNemar's test p = 0.50." in scores.verdict.en) == alike
    assert not (scores.wins and alike)


def test_what_speaks_for_an_answer(run: Run) -> None:
    explained = run.explain("a lovely film")
    assert explained.steps == ("a", "lovely", "film")
    assert explained.label in run.classes
    with torch.no_grad():
        at_zero = run.of_vectors(torch.zeros(3, 1, 4))[0]
    number = run.classes.index(explained.label)
    gained = np.log(explained.probability) - float(at_zero[number])
    assert sum(explained.weights) == pytest.approx(gained, abs=1e-3)


def test_inspect_reads_a_text(run: Run) -> None:
    read = run.read(text="a lovely film")
    assert read.labels == ("a", "lovely", "film")
    output = run.recurrent(read.inputs)[0]
    (answer,) = run.log_probabilities([run.encoded("a lovely film")])
    assert float(read.answer(output).detach()) == pytest.approx(float(answer.max()), abs=1e-5)
    source = run.folder.parent / "reviews.csv"
    assert run.read(source, row=3).title.en == reviews(60)[2][0]
    assert run.read().labels  # what the run keeps
    with pytest.raises(DataError, match=r"there are 60 texts\. Give a number from 1 to 60"):
        run.read(source, row=61)
    with pytest.raises(DataError, match="holds no word"):
        run.read(text=" ")


def test_a_run_on_series(tmp_path: Path) -> None:
    path = series_table(tmp_path / "s.csv")
    run, _ = fitted(tmp_path / "run", path, by="series", order="time", label="state")
    assert run.metrics["scores"][0]["rows"].keys() == {
        "lstm", "summary regression", "nearest class mean", "most frequent class"
    }  # fmt: skip
    answer = run.predict(pl.read_csv(path).drop("state"), scores=True)
    assert len(answer) == 40
    with pytest.raises(RunError, match="series of numbers, not lines"):
        next(run.answers(["a"]))
    assert run.read().main.shape[1:] == (1, 2)
    assert run.evaluate(path, say=Heard()).scores[0].as_json() == run.metrics["scores"][0]


# Bad input: one sentence each -------------------------------------------------------------------


def table_of(*rows: tuple[str, ...]) -> Callable[[Path], Any]:
    """Return what writes a table of reviews and further rows."""

    def write(folder: Path) -> Path:
        return write_table(folder / "t.csv", [*reviews(20), *rows], "review", "mood")

    return write


def latin(folder: Path) -> Path:
    path = folder / "latin.csv"
    path.write_bytes("review,mood\nfine,good\ncrème,good\n".encode("latin-1"))
    return path


def text_of(name: str, text: str) -> Callable[[Path], Any]:
    """Return what writes a file."""

    def write(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write


REFUSED: dict[str, tuple[Callable[[Path], Any], dict[str, Any], str]] = {
    "no such column": (table_of(), {"text": "reviw"}, "no column 'reviw'. Did you mean 'review'"),
    "no such label": (table_of(), {"label": "mod"}, "no column 'mod'. Did you mean 'mood'"),
    "one class": (
        lambda folder: [(word, "good") for word in "abcdefghijkl"], {},
        "all labels are 'good'; there is nothing to tell apart",
    ),
    "Latin-1": (latin, {}, "latin.csv, line 3: byte \\d .0xe8. is not UTF-8. Save"),
    "a label behind the text": (
        text_of("l.txt", "__label__a x\n__label__a y __label__b\n"), {},
        "line 2: the label __label__b is not at its beginning",
    ),
    "no labels in lines": (text_of("l.txt", "x\ny\n"), {}, "no line begins with __label__"),
    "an empty folder": (lambda folder: folder, {}, "there is no text; expected a folder for each"),
    "only blanks": (
        text_of("t.csv", "review,mood\n ,good\n,bad\n"), {"text": "review", "label": "mood"},
        "there is no text with a label",
    ),
    "numbers as labels": (
        lambda folder: pl.DataFrame(
            {"review": ["a b c"] * 150, "price": [float(number) for number in range(150)]}
        ),
        {"label": "price"}, "column price: there are 150 different numbers; expected labels",
    ),
    "no such part": (
        lambda folder: write_table(
            folder / "t.csv", [(*row, "learn") for row in reviews(9)], "review", "mood", "part"
        ),
        {"part": "part"}, "line 2, column part: 'learn' is no part; expected train",
    ),
    "too few for three parts": (
        lambda folder: reviews(3), {}, "set of 3 texts is empty. Give more of them"
    ),
    "a list of texts": (lambda folder: ["a", "b"], {}, "the list holds 'a'; expected pairs"),
    "a label for a row": (
        text_of("s.csv", "s,t,v,y\n1,1,2,a\n1,2,3,b\n2,1,1,a\n"), {"by": "s", "label": "y"},
        "line 3, column y: 'b' differs from 'a' of line 2, a row of the same series",
    ),
    "a step twice": (
        text_of("s.csv", "s,t,v,y\n1,1,2,a\n1,1,3,a\n2,1,1,b\n"),
        {"by": "s", "label": "y", "order": "t"},
        "line 3, column t: series 1 has '1' twice, also on line 2",
    ),
    "a series without a name": (
        text_of("s.csv", "s,v,y\n1,2,a\n,3,a\n2,1,b\n"), {"by": "s", "label": "y"},
        "line 3, column s: there is no value, so that the row belongs to no series",
    ),
    "a column that is no number": (
        text_of("s.csv", "s,v,y\n1,2,a\n1,x,a\n2,1,b\n"), {"by": "s", "label": "y", "columns": "v"},
        "line 3, column v: 'x' is not a number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_learned_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    make, values, says = REFUSED[name]
    with pytest.raises(ConveyorError, match=says):
        prepared(make(tmp_path), **values)


TOLD: dict[str, tuple[Callable[[Path], Any], dict[str, Any], str]] = {
    "empty texts": (
        table_of(("", "good"), ("...", "bad"), (" ", "bad")), {},
        "2 rows without text are left out, the first line 22",
    ),
    "no label": (
        table_of(("a b", "")), {}, "1 text without a label is left out, the first line 22"
    ),
    "a class seen once": (table_of(("c d", "odd")), {}, "1 class with a single example.*: odd"),
    "labels that look alike": (
        table_of(("c d", "Good"), ("d e", "Good"), ("e f", "Good")), {},
        "labels 'Good' and 'good' differ in capitals or spaces only",
    ),
    "the same text with two labels": (
        table_of((reviews(20)[0][0], "bad")), {}, "1 text has different labels"
    ),
    "a long text": (
        table_of(("word " * 10_000, "good")), {},
        "of 1 text longer than 1,000 words .up to 10,000. the rest is not read",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_what_is_odd_is_told(name: str, tmp_path: Path) -> None:
    make, values, says = TOLD[name]
    task, heard = prepared(make(tmp_path), **values)
    assert [line for line in heard.lines if re.search(says, line)], heard.text
    assert max(task.train.lengths) <= 1000


def test_a_text_of_ten_thousand_words_is_read_if_asked(run: Run) -> None:
    task, _ = prepared([*reviews(20), ("fine " * 10_000, "good")], longest=20_000, hidden=3)
    lengths = [length for part in task.prepared.parts for length in part.lengths]
    assert max(lengths) == 10_000
    assert untrained(task).log_probabilities([torch.full((10_000,), 2)]).isfinite().all()
    assert run.predict(["fine " * 10_000])[0] in run.classes


def test_settings_that_do_not_fit_each_other() -> None:
    for values, says in (
        ({"by": "s", "text": "t"}, "sequences are texts, or series of numbers"),
        ({"order": "t"}, "order is of series of numbers, which by names"),
        ({"part": "p", "test": "t.csv"}, "part and test both say what is tested"),
        ({"pooling": "sum"}, "pooling is 'sum'"),
        ({"split": (0.5, 0.5, 0.5)}, "fractions must add up to 1"),
    ):
        with pytest.raises(SettingError, match=says):
            ClassifySettings.of(values)


def test_few_examples_get_more_epochs() -> None:
    for count, epochs in ((100, 60), (4000, 12), (100_000, 8)):
        training = ClassifySettings.of({}).training
        assert training.with_epochs(count, most=False).epochs == epochs
    given = ClassifySettings.of({"epochs": 3}).training
    assert given.with_epochs(100, most=True).epochs == 3


def test_examples_are_read_as_batches() -> None:
    sequences: list[Tensor] = [torch.tensor([2, 3, 4]), torch.tensor([5])]
    examples = ClassExamples(sequences, torch.tensor([1, 0]), ["a", "b"], ["1", "2"])
    batch = examples.__getitems__([1, 0])
    assert batch.inputs.tolist() == [[5, 2], [0, 3], [0, 4]]
    assert (batch.lengths.tolist(), batch.targets.tolist()) == ([1, 3], [0, 1])
    assert examples.by_length().shown == ["b", "a"]


# Units, vectors and weights --------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["subword", "syllable"])
def test_a_unit_that_is_no_word(unit: str, tmp_path: Path) -> None:
    if unit == "subword":
        pytest.importorskip("sentencepiece", reason="the extra text is not installed")
    source = write_reviews(tmp_path / "r.csv")
    run, heard = fitted(tmp_path / "run", source, unit=unit, vocabulary=40)
    vocabulary = run.reader.vocabulary
    assert vocabulary.tokenizer.unit == unit
    assert 20 < len(vocabulary.known) <= 40
    # Texts are known by their words, whatever the network reads.
    assert run.metrics["scores"][0]["rows"].keys() >= {"word pairs regression"}
    again = conveyor.load(tmp_path / "run")
    texts = ["a dull film", "lovely, it was lovely"]
    assert again.predict(texts, say=heard) == run.predict(texts, say=heard)
    scored = again.evaluate(source, say=heard)
    assert scored.scores[0].metrics == run.evaluate(source, say=heard).scores[0].metrics
    other = write_table(tmp_path / "o.csv", reviews(30), "review", "mood")
    assert "30" in again.evaluate(other, say=heard).count.en


def test_sub_words_need_room_for_every_character(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece", reason="the extra text is not installed")
    source = write_reviews(tmp_path / "r.csv")
    with pytest.raises(SettingError, match="vocabulary is 5; the text has"):
        fitted(tmp_path / "run", source, unit="subword", vocabulary=5)


def vector_file(path: Path, words: dict[str, tuple[float, ...]]) -> Path:
    """Write vectors as word2vec does."""
    lines = [f"{word} {' '.join(map(str, numbers))}\n" for word, numbers in words.items()]
    path.write_text(f"{len(words)} 3\n" + "".join(lines))
    return path


@pytest.mark.parametrize("further", [False, True])
def test_a_network_begins_with_the_vectors_of_a_file(further: bool, tmp_path: Path) -> None:
    words: dict[str, tuple[float, ...]] = {
        "dull": (1, 2, 3),
        "GREAT": (9, 9, 9),
        "film": (0.5, 0.25, 4),
    }
    vectors = vector_file(tmp_path / "v.vec", words)
    task, heard = prepared(reviews(60), vectors=str(vectors), embedding=50, learn_vectors=further)
    reader = task.prepared.reader
    assert isinstance(reader, TextReader)
    known = len(reader.vocabulary.known)
    assert f"vectors of 3 numbers for {200 / known:.1f} % of the words that are known" in heard.text
    network, trained = untrained(task), learn(task, 2)
    dull, film, boring = reader.vocabulary.numbers(["dull", "film", "boring"]).tolist()
    before, after = (each.state_dict()["encoder.embedding.weight"] for each in (network, trained))
    assert before.shape[1] == 3  # as many as the file has, whatever the settings say
    assert before[dull].tolist() == [1, 2, 3]
    assert before[film].tolist() == [0.5, 0.25, 4]
    assert torch.equal(before[[dull, film]], after[[dull, film]]) != further
    assert not torch.equal(before[boring], after[boring])  # it has none in the file, and learns one
    assert before[0].tolist() == after[0].tolist() == [0, 0, 0]


def test_a_run_that_began_with_vectors_needs_no_file_afterwards(tmp_path: Path) -> None:
    vectors = vector_file(tmp_path / "v.vec", {"dull": (1, 2, 3), "film": (0, 1, 0)})
    source = write_reviews(tmp_path / "r.csv")
    run, _ = fitted(tmp_path / "run", source, vectors=str(vectors))
    dull = run.reader.vocabulary.numbers(["dull"])
    assert run.encoder.embedding.weight[dull].tolist() == [[1, 2, 3]]
    vectors.unlink()
    assert conveyor.load(tmp_path / "run").predict(["dull film"]) == run.predict(["dull film"])


def test_vectors_that_do_not_fit_the_texts(tmp_path: Path) -> None:
    vectors = vector_file(tmp_path / "v.vec", {"phim": (1, 2, 3)})
    with pytest.raises(DataError, match=r"vector for none of the words.*language.*unit, lower"):
        prepared(reviews(60), vectors=str(vectors))
    with pytest.raises(SettingError, match="vectors are of words"):
        ClassifySettings.of({"by": ("series",), "vectors": "v.vec"})
    with pytest.raises(DataError, match="no such file"):
        prepared(reviews(60), vectors="nowhere.vec")


def test_classes_of_equal_weight() -> None:
    """The loss is that of a training set in which each class stands as often as the others."""
    texts = [(text, label) for text, label in reviews(200) if label == "good"][:60]
    texts += [(text, label) for text, label in reviews(200) if label == "bad"][:20]
    plain, _ = prepared(texts)
    task, _ = prepared(texts, balance=True)
    network = untrained(task)
    batch = task.train.__getitems__(range(len(task.train)))
    losses = network.head.losses(network(batch.inputs, batch.lengths), batch.targets)
    means = [losses[batch.targets == number].mean() for number in range(2)]
    torch.testing.assert_close(network.loss(batch).value, sum(means) / 2)
    assert not torch.isclose(network.loss(batch).value, untrained(plain).loss(batch).value)
    assert plain.prepared.prior == task.prepared.prior  # what is answered without a word
