"""What the scores of the task ``draw`` say: fitting and evaluating, wins and chance."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conveyor
from conveyor.errors import RunError
from conveyor.tasks.draw.draw_results import results_of
from conveyor.tasks.draw.draw_settings import DrawSettings
from conveyor.tasks.draw.drawing_task import Drawing
from conveyor.tasks.latent.latent_examples import SequenceExamples
from conveyor.tasks.latent.latent_model import LatentModel
from conveyor.tasks.latent.method_nats import MethodNats
from conveyor.tasks.latent.scored_sequences import ScoredSequences
from tests.tasks.test_draw_task import QUICK, SIDE, Heard, write_bars

SHORT: dict[str, Any] = {**QUICK, "epochs": 12, "learning_rate": 0.02}
MEAN = "mean of each pixel"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    """A short fit, which cannot be distinguished from its autoencoder."""
    folder = tmp_path_factory.mktemp("short")
    source = write_bars(folder / "bars", seed=1)
    return conveyor.fit("draw", source, out=folder / "run", say=Heard(), **SHORT)


def source_of(run: conveyor.Run) -> Path:
    return run.folder.parent / "bars"


def evaluated(run: conveyor.Run, record: dict[str, Any] | None = None) -> Any:
    """The scores of the run's own data, as ``evaluate`` has them.

    Args:
        run: the run.
        record: what it was fitted on; None for what it holds.
    """
    kind: Any = Drawing
    fitted_on = record_of(run) if record is None else record
    settings = DrawSettings.of(SHORT)
    options: dict[str, Any] = {"settings": settings, "options": None, "say": Heard()}
    results = kind.evaluate(run.model, source_of(run), fitted_on=fitted_on, **options)
    return results.scores[0]


def record_of(run: conveyor.Run) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run.folder / "model.json").read_text())["fitted_on"]
    return record


def scored_of(run: conveyor.Run) -> ScoredSequences:
    model = run.model
    assert isinstance(model, LatentModel)
    data = Drawing.read_data(source_of(run), DrawSettings.of({"side": SIDE}).data, model.kind)
    return ScoredSequences(model, SequenceExamples(data.parts[2]), 3)


def test_evaluating_says_what_fitting_said(run: conveyor.Run) -> None:
    (fitted,) = run.metrics["scores"]
    assert "variational autoencoder cannot be distinguished" in fitted["verdict"]
    scores = evaluated(run)
    assert scores.as_json()["verdict"] == fitted["verdict"]
    assert scores.as_json()["wins"] == fitted["wins"]
    assert "variational autoencoder" in scores.alike


def test_runs_of_earlier_builds_keep_the_mean_alone(run: conveyor.Run) -> None:
    record = record_of(run)
    del record["without_nats"]
    scores = evaluated(run, record)
    assert scores.rows["variational autoencoder"][0] == pytest.approx(record["without"])
    assert "variational autoencoder" not in scores.alike


@pytest.mark.parametrize("kept", [[1.0], "nats", None])
def test_a_record_of_other_nats_is_corrupt(run: conveyor.Run, kept: Any) -> None:
    with pytest.raises(RunError, match="is corrupt: without_nats"):
        evaluated(run, {**record_of(run), "without_nats": kept})


def test_a_win_over_any_baseline_may_be_chance(run: conveyor.Run) -> None:
    """Of a method without a network, too, whose nats are known picture by picture."""
    scored = scored_of(run)
    ours = np.array(scored.nats)
    by_chance = ours + np.where(np.arange(len(ours)) % 2, -5.0, 5.001)
    surely = ours + 1.0
    for nats, alike in ((by_chance, (MEAN,)), (surely, ())):
        method = MethodNats(float(nats.mean()), tuple(nats.tolist()))
        scores = results_of(scored, {MEAN: method}, None).scores[0]
        assert scores.alike == alike
        assert scores.wins == (not alike)
        assert ("The difference may be due to chance" in scores.verdict.en) == bool(alike)
