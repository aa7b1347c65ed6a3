"""``conveyor.fit``, ``resume`` and ``load``: every task from Python, as from the command line."""

import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars as pl
import pyarrow
import pytest
import torch

import conveyor
from conveyor.errors import DataError, RunError, SettingError
from conveyor.tasks.task import Task
from conveyor.tasks.task_registry import TASKS, find
from tests.captioned import write_captioned
from tests.handwritten import write_handwriting
from tests.pairs import write_dictionary, write_pairs
from tests.reviews import write_reviews
from tests.sequences import write_digits, write_music
from tests.series import write_series, write_verses
from tests.spoken import write_spoken
from tests.sung import write_sung
from tests.tagged import write_conllu
from tests.talks import write_talks
from tests.word_texts import write_worlds


def silent(line: str) -> None:
    """Say nothing."""


def digits(folder: Path) -> Path:
    write_digits(folder, train=5010, test=30)
    return folder


# A source of every task, and settings that make it quick.
SOURCES: dict[str, Callable[[Path], Any]] = {
    "forecast": lambda folder: write_series(folder / "series.csv"),
    "text": lambda folder: write_verses(folder / "verses.txt"),
    "music": lambda folder: write_music(folder / "music.json"),
    "pixels": digits,
    "classify": lambda folder: write_reviews(folder / "reviews.csv"),
    "tag": lambda folder: write_conllu(folder / "train.conllu"),
    "chat": lambda folder: write_talks(folder / "talks.txt"),
    "translate": lambda folder: write_pairs(folder / "pairs.tsv"),
    "pronounce": lambda folder: write_dictionary(folder / "words.dict"),
    "words": lambda folder: write_worlds(folder / "worlds.txt"),
    "transcribe": lambda folder: write_spoken(folder / "spoken", 24),
    "speak": lambda folder: write_sung(folder / "sung", 24),
    "sound": lambda folder: write_sung(folder / "sung", 8),
    "write": lambda folder: write_handwriting(folder / "hand.jsonl"),
    "caption": lambda folder: write_captioned(folder / "pictures", 24),
    "draw": digits,
    "vrnn": lambda folder: write_music(folder / "music.json"),
    "storn": lambda folder: write_music(folder / "music.json"),
    "classic": lambda folder: "adding",
}
QUICK: dict[str, dict[str, Any]] = {
    "forecast": {"target": "value", "horizon": 3, "history": 7, "members": 2},
    "text": {"batch": 4, "chunk": 20, "embedding": 4},
    "music": {},
    "pixels": {},
    "classify": {"embedding": 4},
    "tag": {"words": 4, "characters": 2, "syllables": 3},
    "chat": {"embedding": 4},
    "translate": {"embedding": 4},
    "pronounce": {"embedding": 4},
    "words": {"dim": 4},
    "transcribe": {"layers": 1, "bands": 8, "unit": "word"},
    "speak": {"layers": 2, "bands": 8, "letter_size": 4, "prenet": 4},
    "sound": {"batch": 4, "chunk": 100, "embedding": 4},
    "write": {"layers": 2, "window": 2, "components": 2},
    "caption": {"size": 16, "channels": 24, "embedding": 4, "blind_steps": 2},
    "draw": {"latent": 2, "glimpses": 2, "latent_draws": 2, "batch": 500},
    "vrnn": {"hidden": 4, "latent": 2, "head_units": 3, "latent_draws": 2},
    "storn": {"latent": 2, "latent_draws": 2},
    "classic": {"steps": 10, "examples": 60},
}
QUICK_FORECAST: dict[str, Any] = {
    **QUICK["forecast"], "hidden": 4, "epochs": 1, "members": 1, "refit": False, "say": silent
}  # fmt: skip


def width_of(task: str) -> dict[str, Any]:
    """Return the setting of a small cell, for tasks that have one."""
    return {"hidden": 4} if find(task).settings.has_cell() else {}


def fit(task: str, folder: Path, **settings: Any) -> conveyor.Run:
    """Fit a small network of a task for two epochs."""
    folder.mkdir(exist_ok=True)
    quick = {**width_of(task), "epochs": 2, **QUICK[task], **settings}
    return conveyor.fit(task, SOURCES[task](folder), out=folder / "run", say=silent, **quick)


def answer_its_question(run: conveyor.Run) -> None:
    """Ask a run what the page of a service asks it."""
    kind: Any = find(run.task).task
    if kind.question.__func__ is Task.question.__func__:  # type: ignore[attr-defined]
        with pytest.raises(RunError, match="answers nothing"):
            run.question()
        return
    question = run.question()
    if question.kind == "lines":
        assert len(run.predict([question.example], say=silent)) == 1
        assert len(list(run.answers([question.example, question.example]))) == 2
    elif question.kind == "prompt":
        assert "".join(run.generate(question.example, 5))
    elif question.kind == "conversation":
        talk = run.chat()
        talk.say(question.example)
        assert talk.turns[0] == question.example
    elif question.kind == "file":
        files = (path for path in sorted(run.folder.parent.rglob("*")) if path != run.folder)
        file = next(path for path in files if path.suffix in question.endings)
        assert len(run.predict(file, say=silent)) == 1
    elif question.kind == "speech":
        assert run.speaks
    else:
        assert len(run.predict(say=silent))


@pytest.mark.parametrize("task", [entry.name for entry in TASKS])
def test_every_task_is_fitted_saved_loaded_evaluated_and_resumed(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Seconds of sound that a report draws, sample by sample.
    monkeypatch.setattr("conveyor.tasks.sound.sound_report._ANEW", 0.2)
    run = fit(task, tmp_path)
    names = {"model.json", "model.safetensors", "settings.toml", "metrics.json", "report.html"}
    assert names <= {path.name for path in run.folder.iterdir()}
    loaded = conveyor.load(run.folder)
    assert loaded.task == task
    assert not loaded.model.training
    for name, weight in run.model.state_dict().items():
        assert torch.equal(weight, loaded.model.state_dict()[name])
    (scores,) = run.metrics["scores"]
    assert len(scores["rows"]) > 1  # a baseline stands beside it
    source = SOURCES[task](tmp_path)
    options = {"all_rows": True} if task == "forecast" else {}
    results = loaded.evaluate(source, say=silent, **options)
    assert next(iter(results.scores[0].rows)) == next(iter(scores["rows"]))
    if task not in ("forecast", "text"):  # they score other rows than the fit did
        assert results.scores[0].as_json() == scores
    answer_its_question(loaded)
    same = conveyor.resume(run.folder, source, **width_of(task), say=silent)  # as it was
    assert same.metrics["scores"] == [scores]
    more = conveyor.resume(run.folder, source, epochs=3, say=silent)
    assert len(more.metrics["fit"]["curve"]) == 3
    if task != "classic":  # the learning rate falls along the epochs that were asked for at first
        short = fit(task, tmp_path / "short", epochs=1)
        assert short.metrics["fit"]["curve"][0][0] == more.metrics["fit"]["curve"][0][0]


def test_frames_and_arrays_go_in_and_frames_of_their_kind_come_out(tmp_path: Path) -> None:
    path = write_series(tmp_path / "series.csv")
    frame = pl.read_csv(path)
    run, same = (conveyor.fit("forecast", source, **QUICK_FORECAST) for source in (path, frame))
    assert run.predict().equals(same.predict())
    assert isinstance(run.predict(frame, say=silent), pl.DataFrame)


@pytest.mark.parametrize(
    ("converted", "kind"),
    [(pl.DataFrame.to_pandas, pandas.DataFrame), (pl.DataFrame.to_arrow, pyarrow.Table)],
    ids=["pandas", "pyarrow"],
)
def test_a_frame_of_another_library_gives_frames_of_that_library(
    tmp_path: Path, converted: Callable[[pl.DataFrame], Any], kind: type[Any]
) -> None:
    frame = pl.read_csv(write_series(tmp_path / "series.csv"))
    run = conveyor.fit("forecast", converted(frame), **QUICK_FORECAST)
    polars_run = conveyor.fit("forecast", frame, **QUICK_FORECAST)
    prediction = run.predict(converted(frame), say=silent)
    assert isinstance(prediction, kind)
    assert pl.DataFrame(prediction).equals(polars_run.predict(frame, say=silent))


def test_an_array_is_a_source_and_histories_are_answered(tmp_path: Path) -> None:
    values = np.sin(np.arange(200.0))
    run = conveyor.fit("forecast", values, **{**QUICK_FORECAST, "target": "all"})
    quantiles = run.predict(np.zeros((2, run.frame.history, 1)))
    assert quantiles.shape == (2, 3, 1, 3)


def test_a_cell_of_ones_own() -> None:
    @conveyor.cell
    def mine(x: conveyor.cells.Input, h: conveyor.cells.State, W: conveyor.cells.Matrix) -> Any:
        """Half of the state stays."""
        return 0.5 * h + W @ x

    run = conveyor.fit(
        "classic", "adding", steps=6, examples=20, epochs=1, hidden=3, cell=mine, say=silent
    )
    assert conveyor.load(run.folder).recurrent.program.name == "mine"


def test_what_cannot_be(tmp_path: Path) -> None:
    path = write_series(tmp_path / "series.csv")
    for settings, says in (
        ({"targt": "value"}, "no setting 'targt'. Did you mean 'target'"),
        ({}, "target is missing: the column to forecast"),
        ({"target": "value", "horizon": 0}, "horizon is 0; expected 1 or more"),
        ({"target": "value", "hidden": "many"}, "hidden is 'many'; expected int"),
    ):
        with pytest.raises(SettingError, match=says):
            conveyor.fit("forecast", path, say=silent, **settings)
    with pytest.raises(SettingError, match="Did you mean 'forecast'"):
        conveyor.fit("forcast", path)
    with pytest.raises(DataError, match="a smaller history or horizon"):  # in Python's words
        conveyor.fit("forecast", path, target="value", horizon=90, say=silent)
    run = fit("forecast", tmp_path / "a")
    with pytest.raises(RunError, match=r"generates nothing\. Use conveyor predict"):
        run.generate("a")
    with pytest.raises(SettingError, match=r"takes no tim here\. Did you mean 'time'"):
        run.predict(tim="a")
    with pytest.raises(SettingError, match="hidden cannot change"):
        conveyor.resume(run.folder, path, hidden=5)
    with pytest.raises(RunError, match="exists already"):
        fit("forecast", tmp_path / "a")
    for task in (
        "forecast",
        "text",
        "music",
        "pixels",
        "classify",
        "tag",
        "chat",
        "translate",
        "pronounce",
        "transcribe",
        "speak",
        "sound",
        "write",
        "caption",
        "draw",
        "vrnn",
        "storn",
    ):
        with pytest.raises(DataError, match="is given no data; expected "):
            conveyor.fit(task)
    with pytest.raises(DataError, match=r"no row comes after them: there is nothing to score"):
        run.evaluate(say=silent)
    text = fit("text", tmp_path / "b")
    with pytest.raises(DataError, match=r"is given no data; expected a text in UTF-8"):
        text.evaluate()
    with pytest.raises(RunError, match=r"predicts nothing\. Use conveyor generate"):
        text.predict()
    with pytest.raises(SettingError, match="takes no time here"):
        text.evaluate(tmp_path / "b" / "verses.txt", time="a")
    with pytest.raises(AttributeError):
        text.nothing_of_that_name  # noqa: B018


def test_a_temporary_folder_goes_with_its_run(tmp_path: Path) -> None:
    path = write_series(tmp_path / "series.csv")
    options = {name: value for name, value in QUICK_FORECAST.items() if name != "horizon"}
    run = conveyor.fit("forecast", path, **options)
    folder = run.folder.parent
    assert run.report().is_file()
    del run
    gc.collect()
    assert not folder.exists()
    before = set(Path(tempfile.gettempdir()).glob("conveyor-*"))
    with pytest.raises(DataError):
        conveyor.fit("forecast", path, horizon=500, **options)
    assert set(Path(tempfile.gettempdir()).glob("conveyor-*")) <= before


def test_a_resumed_run_keeps_its_language(tmp_path: Path) -> None:
    run = fit("classify", tmp_path, language="vi")
    assert '<html lang="vi">' in run.report().read_text(encoding="utf-8")
    source = SOURCES["classify"](tmp_path)
    more = conveyor.resume(run.folder, source, epochs=3, say=silent)
    assert '<html lang="vi">' in more.report().read_text(encoding="utf-8")
    more = conveyor.resume(run.folder, source, epochs=4, language="en", say=silent)
    assert '<html lang="en">' in more.report().read_text(encoding="utf-8")
