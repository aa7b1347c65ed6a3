"""Loading a model from files that anybody may have written: our error, or a model that works."""

import hashlib
import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import conveyor
from conveyor.data.text import Vocabulary
from conveyor.data.timeline import Step
from conveyor.errors import RunError
from conveyor.networks.kept_arrays import kept_file
from conveyor.tasks import saved
from conveyor.tasks.forecast.band_memory import BandMemory, memories_stored, stored_memories
from conveyor.tasks.forecast.forecast_frame import Bands
from conveyor.tasks.forecast.forecaster import Forecaster
from conveyor.tasks.forecast.seasons import Wave
from conveyor.tasks.forecast.series_panel import Panel
from conveyor.tasks.forecast.tail import Tail
from conveyor.tasks.text.language_model import LanguageModel
from tests.forecasters import PLAIN, frame_of, panel_of
from tests.kinds import LONG


@pytest.fixture
def forecast_run(tmp_path: Path) -> Path:
    """An untrained forecaster of a daily series, saved."""
    seasonal = replace(PLAIN, figures=((1.0, -1.0),), waves=(Wave(365.25, (1.0, 0, 0, 0.5)),))
    frame = frame_of(
        seasonal, past=("z",), history=4, horizon=2, season=1, step=Step(seconds=86400),
        time_format="%Y-%m-%d", time="day", origin="2020-01-01",
        bands=Bands((((0.5,), (1.0,)),), 12.0),
    )  # fmt: skip
    model = Forecaster("gru", frame, hidden=2, dropout=0.1)
    panel = Panel(np.full((4, 1), 1.0), np.full((4, 1), 2.0), np.zeros((4, 0)))
    model.tails = (Tail(panel, "2020-01-04", 4),)
    saved.save(tmp_path, "forecast", model, {"rows": 9, "digest": "digest"})
    return tmp_path


@pytest.fixture
def text_run(tmp_path: Path) -> Path:
    """An untrained language model of four characters, saved."""
    model = LanguageModel("gru", Vocabulary.of("\nabế"), hidden=2, embedding=3)
    saved.save(tmp_path, "text", model)
    return tmp_path


def _works(run: Path) -> bool:
    """Whether a run loads; if so, that it does what it is for."""
    try:
        model: Any = conveyor.load(run).model
    except RunError as error:
        if "\n" in str(error):
            raise
        return False
    if isinstance(model, LanguageModel):
        "".join(model.generate("", 3)).encode()
        return True
    frame, tail = model.frame, model.tail_of(0)
    panel = tail.panel if tail else panel_of(frame, frame.history)
    assert np.isfinite(model.forecasts(panel, [len(panel)])).all()
    times = model.future_times(tail.last_time if tail else "", frame.horizon)
    "".join(times).encode()
    return True


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


JUNK: list[Any] = [
    None, True, -1, 0, 1, 0.5, 10**12, 2**53, 2**70, -(2**70), 10**400, 1e308, 1e-320,
    float("nan"), float("inf"), "", "x", "\0", "\ud800", "%Y%Y", "%", "%Q", "x" * 5000, [], [None],
    [0], ["a", "a"], [[]], {}, {"a": 1}, _nested(500),
]  # fmt: skip


def variants(value: Any) -> Iterator[Any]:
    """All that differ from it in one place, at any depth."""
    yield from JUNK
    if isinstance(value, dict):
        yield {**value, "more": 1}
        for key in value:
            yield {name: each for name, each in value.items() if name != key}
            yield from ({**value, key: each} for each in variants(value[key]))
    elif isinstance(value, list) and value:
        yield from (value[1:], value[:-1], [*value, value[-1]], value[::-1])
        for at in sorted({0, len(value) - 1}):
            yield from ([*value[:at], each, *value[at + 1 :]] for each in variants(value[at]))


@pytest.mark.parametrize("kind", ["forecast_run", "text_run"])
def test_any_change_of_a_description_is_refused_or_harmless(
    request: pytest.FixtureRequest, kind: str
) -> None:
    """Some of all changes, drawn: all take a minute."""
    run: Path = request.getfixturevalue(kind)
    assert _works(run)
    changes = list(variants(json.loads((run / "model.json").read_text())))
    assert len(changes) > 1000
    refused = 0
    for changed in random.Random(0).sample(changes, len(changes) // (8 if LONG else 16)):
        (run / "model.json").write_text(json.dumps(changed))
        refused += not _works(run)
    assert refused > (100 if LONG else 50)


def _edit(run: Path, **changed: Any) -> None:
    described = json.loads((run / "model.json").read_text())
    (run / "model.json").write_text(json.dumps({**described, **changed}))


@pytest.mark.parametrize(
    "vocabulary",
    [
        [], ["\ufffd"], ["a", "b", "c", "d", "e"], ["\ufffd", "a", "a", "b", "c"], "\ufffdabcd",
        ["\ufffd", "a", "b", "c", 5], ["\ufffd", "a", "b", "c", "de"],
        ["\ufffd", "", "b", "c", "d"],
        ["\ufffd", "a", "b", "c", None], {"\ufffd": 0, "a": 1}, None, 5,
        ["\ufffd", "a", "b", "c", "\ud800"], ["a", "\ufffd", "b", "c", "d"],
    ],
)  # fmt: skip
def test_a_vocabulary_that_is_none_is_refused(text_run: Path, vocabulary: Any) -> None:
    _edit(text_run, vocabulary=vocabulary)
    with pytest.raises(RunError):
        conveyor.load(text_run)


@pytest.mark.parametrize("written", ["", "x", "%", "%Q", "%Y%Y", "%H", "%d", "\ud800%Y", "%m-%d"])
def test_a_time_format_that_is_none_is_refused(forecast_run: Path, written: str) -> None:
    described = json.loads((forecast_run / "model.json").read_text())
    _edit(forecast_run, frame={**described["frame"], "time_format": written})
    with pytest.raises(RunError):
        conveyor.load(forecast_run)


def _as_earlier(run: Path) -> dict[str, Any]:
    """Store a run as earlier versions did: all of its numbers in its description, which is
    returned."""
    described = json.loads((run / "model.json").read_text())
    file = run / described.pop("kept_in")
    kept = {name: array.tolist() for name, array in load_file(file).items()}
    file.unlink()
    described["format"] = 1
    described["frame"]["bands"]["moved"] = kept["kept/frame/bands/moved"]
    (times,) = described.pop("kept_rows")["times"]
    ((group, first, learned, *_),) = kept["kept/kept_rows/numbers"]
    columns = {name: kept[f"kept/kept_rows/{name}"] for name in ("targets", "past", "known")}
    described["tails"] = [
        {**columns, "first": first, "last_time": times, "group": group, "learned": learned}
    ]
    described["memories"] = []
    (run / "model.json").write_text(json.dumps(described))
    return dict(described)


def _assert_same_tails(model: Any, expected: Any) -> None:
    assert len(model.tails) == len(expected.tails)
    for tail, other in zip(model.tails, expected.tails, strict=True):
        assert (tail.last_time, tail.learned, tail.group) == (
            other.last_time,
            other.learned,
            other.group,
        )
        for name in ("targets", "past", "known"):
            np.testing.assert_array_equal(getattr(tail.panel, name), getattr(other.panel, name))


def test_runs_of_earlier_versions_are_loaded(forecast_run: Path) -> None:
    """With all numbers in their description; and before there were groups."""
    before = conveyor.load(forecast_run).model
    described = _as_earlier(forecast_run)
    model = conveyor.load(forecast_run).model
    assert model.frame == before.frame
    _assert_same_tails(model, before)
    (tail,) = described.pop("tails")
    del tail["group"], tail["learned"]
    del described["frame"]["groups"], described["frame"]["group_columns"]
    for stored in (tail, None):
        (forecast_run / "model.json").write_text(json.dumps({**described, "tail": stored}))
        model = conveyor.load(forecast_run).model
        assert model.frame == before.frame
        if stored:
            _assert_same_tails(model, before)
        else:
            assert model.tails == ()


@pytest.mark.parametrize("group", [-1, 1])
def test_kept_rows_of_no_group_are_an_error(forecast_run: Path, group: int) -> None:
    described = _as_earlier(forecast_run)
    _edit(forecast_run, tails=[{**described["tails"][0], "group": group}])
    with pytest.raises(RunError, match="the kept history does not fit"):
        conveyor.load(forecast_run)


def _keep(run: Path, **changed: Any) -> None:
    """Change arrays that a run keeps, with the right name of their file."""
    path = run / json.loads((run / "model.json").read_text())["kept_in"]
    tensors = load_file(path)
    for name, array in changed.items():
        if array is None:
            del tensors[f"kept/{name.replace('__', '/')}"]
        else:
            tensors[f"kept/{name.replace('__', '/')}"] = torch.as_tensor(array)
    save_file(tensors, path)
    name = kept_file(path.read_bytes())
    path.rename(run / name)
    _edit(run, kept_in=name)


COLUMN = torch.ones(4, 1, dtype=torch.float64)


@pytest.mark.parametrize(
    "changed",
    [
        {"kept_rows__numbers": torch.tensor([[1, 0, 4, 0, 4, 4]])},  # of no group
        {"kept_rows__numbers": torch.tensor([[0, 0, 4, 1, 4, 4]])},  # at no time
        {"kept_rows__numbers": torch.tensor([[0, 0, 4, 0, 5, 5]])},  # more rows than there are
        {"kept_rows__numbers": torch.tensor([[0, 0, 4, 0, 4, 3]])},  # fewer that are known ahead
        {"kept_rows__numbers": torch.tensor([[0, 2**60, 4, 0, 4, 4]])},
        {"kept_rows__numbers": torch.ones(1, 6)},
        {"kept_rows__targets": None},
        {"kept_rows__targets": COLUMN * 1e300},
        {"kept_rows__past": COLUMN.expand(4, 2).clone()},
        {"kept_rows__more": COLUMN, "kept_rows__past": None},
        {"frame__bands__moved": COLUMN},
        {"frame__bands__moved": None},
        {"nowhere__at_all": COLUMN},
        {"frame__rows": COLUMN},
    ],
)
def test_kept_numbers_that_do_not_fit_are_refused(
    forecast_run: Path, changed: dict[str, Any]
) -> None:
    assert _works(forecast_run)
    _keep(forecast_run, **changed)
    with pytest.raises(RunError):
        conveyor.load(forecast_run)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("frame__rows", "keeps kept/frame/rows, which the description holds, too"),
        ("nowhere__at_all", "keeps kept/nowhere/at_all, for which the description has no place"),
    ],
)
def test_an_array_has_a_place_of_its_own(forecast_run: Path, name: str, text: str) -> None:
    _keep(forecast_run, **{name: COLUMN})
    with pytest.raises(RunError, match=text):
        conveyor.load(forecast_run)


def test_arrays_beside_the_weights_in_one_file_are_read(forecast_run: Path) -> None:
    """As an earlier build stored them, in format 3; an update gives them a file of their own."""
    before = conveyor.load(forecast_run).model
    described = json.loads((forecast_run / "model.json").read_text())
    file = forecast_run / described.pop("kept_in")
    path = forecast_run / "model.safetensors"
    save_file({**load_file(path), **load_file(file)}, path)
    file.unlink()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    text = json.dumps({**described, "format": 3, "weights_sha256": digest})
    (forecast_run / "model.json").write_text(text)
    _assert_same_tails(conveyor.load(forecast_run).model, before)


@pytest.mark.parametrize("name", ["../kept-0.safetensors", "model.safetensors", 3, ["a"]])
def test_a_file_of_arrays_has_the_name_of_one(forecast_run: Path, name: Any) -> None:
    _edit(forecast_run, kept_in=name)
    with pytest.raises(RunError, match=r"model.json is corrupt: kept_in is"):
        conveyor.load(forecast_run)


def test_errors_of_kept_arrays_name_their_file(forecast_run: Path) -> None:
    (path,) = forecast_run.glob("kept-*")
    packed = path.read_bytes()
    path.write_bytes(packed[:-8] + bytes(8))
    with pytest.raises(RunError, match=f"{path.name} is not the file that model.json was written"):
        conveyor.load(forecast_run)
    path.write_bytes(packed[:-8])
    with pytest.raises(RunError, match=f"{path.name} is corrupt or truncated"):
        conveyor.load(forecast_run)
    path.unlink()
    with pytest.raises(RunError, match=f"holds no {path.name}"):
        conveyor.load(forecast_run)
    path.write_bytes(packed)
    _keep(forecast_run, kept_rows__targets=None)
    with pytest.raises(RunError, match=r"of the arrays that the run keeps, 'targets' is missing"):
        conveyor.load(forecast_run)


class _Killed(BaseException):
    pass


def _longer_by_a_row(model: Any) -> Any:
    """Change the rows that a forecaster keeps, as an update does."""
    (tail,) = model.tails
    panel = Panel(np.full((5, 1), 3.0), np.full((5, 1), 2.0), np.zeros((5, 0)))
    model.tails = (replace(tail, panel=panel, last_time="2020-01-05"),)
    return model


@pytest.mark.parametrize("renamed", [0, 1, 2, 3])
def test_a_killed_update_leaves_a_run_that_loads(
    forecast_run: Path, renamed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after so many of its files were renamed: with the old rows or the new ones."""
    weights = (forecast_run / "model.safetensors").read_bytes()
    model = _longer_by_a_row(conveyor.load(forecast_run).model)
    rename, count = Path.replace, 0

    def killed(path: Path, target: Path) -> Path:
        nonlocal count
        if count == renamed:
            raise _Killed
        count += 1
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        try:
            saved.save(forecast_run, "forecast", model, {"rows": 9, "digest": "digest"})
        except _Killed:
            assert renamed < 3
    (tail,) = conveyor.load(forecast_run).model.tails
    assert tail.last_time == ("2020-01-05" if renamed == 3 else "2020-01-04")
    assert len(tail.panel) == (5 if renamed == 3 else 4)
    assert (forecast_run / "model.safetensors").read_bytes() == weights
    saved.save(forecast_run, "forecast", model, {"rows": 9, "digest": "digest"})
    (tail,) = conveyor.load(forecast_run).model.tails
    assert len(tail.panel) == 5


def test_a_run_loads_while_it_is_updated(forecast_run: Path) -> None:
    old = conveyor.load(forecast_run).model
    new = _longer_by_a_row(conveyor.load(forecast_run).model)
    over = threading.Event()

    def update() -> None:
        while not over.is_set():
            for model in (new, old):
                saved.save(forecast_run, "forecast", model)

    writer = threading.Thread(target=update)
    writer.start()
    try:
        rows = {len(conveyor.load(forecast_run).model.tails[0].panel) for _ in range(60)}
    finally:
        over.set()
        writer.join()
    assert rows == {4, 5}
    assert len([*forecast_run.glob("kept-*")]) == 1


def test_what_bands_know_is_kept_of_each_series() -> None:
    """Of each step and level as many errors as there are, and movements of as many rows."""
    one = BandMemory(
        (0.2, 0.05), (((1.0, 2.0), ()), ((), (3.0,)), ((4.0,), (5.0, 6.0, 7.0))),
        (((0.1, 0.2), (0.3, 0.4), (0.5, 0.6)),),
    )  # fmt: skip
    other = BandMemory((0.3, 0.1), (((8.0,), (9.0,)), ((), ()), ((), (10.0, 11.0))))
    for memories in ((one, other), (other, one), (other, other)):
        stored = stored_memories(memories)
        assert memories_stored(stored, 2, 3, 2, "model.json") == memories
        stored["errors"] = stored["errors"][1:]
        with pytest.raises(RunError, match="the kept errors of bands do not fit"):
            memories_stored(stored, 2, 3, 2, "model.json")


def test_a_missing_value_is_kept(forecast_run: Path) -> None:
    missing = COLUMN.clone()
    missing[1] = torch.nan
    _keep(forecast_run, kept_rows__past=missing)
    kept = conveyor.load(forecast_run).model.tails[0].panel.past[:, 0]
    assert np.isnan(kept).tolist() == [False, True, False, False]
    _keep(forecast_run, kept_rows__past=missing * torch.inf)
    with pytest.raises(RunError, match="no finite number"):
        conveyor.load(forecast_run)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_no_finite_numbers_are_refused(forecast_run: Path, wrong: float) -> None:
    """Even where the checksum is right."""
    path = forecast_run / "model.safetensors"
    weights = load_file(path)
    weights["members.0.head.bias"][1] = wrong
    save_file(weights, path)
    _edit(forecast_run, weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(RunError, match=r"head.bias holds what is no finite number"):
        conveyor.load(forecast_run)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _sparse(path: Path) -> None:
    """A file of a terabyte that takes no place."""
    with path.open("wb") as file:
        file.write(b"\x10" + bytes(7) + b'{"a":1}         ')
        file.truncate(10**12)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("make", [_pipe, _zeros, _sparse, Path.mkdir])
def test_what_does_not_end_neither_hangs_nor_fills_memory(
    forecast_run: Path, name: str, make: Callable[[Path], None]
) -> None:
    (forecast_run / name).unlink()
    make(forecast_run / name)
    with pytest.raises(RunError, match=f"{name} is corrupt"):
        conveyor.load(forecast_run)


def test_a_missing_file_and_a_link_to_none_are_told_apart(forecast_run: Path) -> None:
    for name in ("model.safetensors", "model.json"):
        (forecast_run / name).unlink()
        with pytest.raises(RunError, match=f"holds no {name}"):
            conveyor.load(forecast_run)
    (forecast_run / "model.json").symlink_to(forecast_run / "nowhere")
    with pytest.raises(RunError, match=r"model.json is corrupt"):
        conveyor.load(forecast_run)


def test_a_loaded_model_can_be_moved(forecast_run: Path, text_run: Path) -> None:
    for run in (forecast_run, text_run):
        conveyor.load(run).to("cpu")
