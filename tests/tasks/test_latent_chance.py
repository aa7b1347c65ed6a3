"""What may be due to chance between a network with latent values and another method."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import conveyor
from conveyor.networks.latent_sequences import Drawn
from conveyor.tasks.latent.kinds import read_sequences
from conveyor.tasks.latent.latent_examples import SequenceExamples
from conveyor.tasks.latent.latent_results import results_of
from conveyor.tasks.latent.latent_settings import LatentDataSettings
from conveyor.tasks.latent.method_nats import MethodNats, nats_of
from conveyor.tasks.latent.scored_sequences import ScoredSequences
from tests.heard import Heard
from tests.tasks.test_latent import QUICK, write_coins


def scored(nats: list[float], lengths: list[int], *, per_sequence: bool) -> ScoredSequences:
    """Sequences that a network has given so many nats, without a network."""
    nothing = Drawn(torch.zeros(1), torch.zeros(1), torch.zeros(1))
    network: Any = SimpleNamespace(
        kind=SimpleNamespace(per_sequence=per_sequence),
        scored=lambda examples, draws: [(nothing, -value) for value in nats],
    )

    class Examples:
        def __init__(self) -> None:
            self.lengths = lengths

        def __len__(self) -> int:
            return len(lengths)

    examples: Any = Examples()
    return ScoredSequences(network, examples, 1)


def test_a_long_sequence_weighs_as_many_steps_as_it_has() -> None:
    """The network is better on ten short sequences and worse on a long one. Samples without the
    long one and samples with it disagree."""
    lengths = [10] * 10 + [2_000]
    ours = [-10.0] * 10 + [200.0]
    zeros = [0.0] * 11
    assert scored(ours, lengths, per_sequence=False).may_be_chance(zeros)
    assert not scored([-10.0] * 10 + [-1.0], lengths, per_sequence=False).may_be_chance(zeros)


@pytest.mark.parametrize("per_sequence", [False, True])
def test_a_difference_is_chance_where_its_samples_lie_on_both_sides(per_sequence: bool) -> None:
    draw = np.random.default_rng(3)
    lengths = draw.integers(5, 40, 30).tolist()
    counts = np.ones(30) if per_sequence else np.array(lengths)
    for shift in np.linspace(-1, 1, 9):
        apart = (draw.normal(shift, 1, 30) * counts).tolist()
        samples = draw.integers(30, size=(4_000, 30))
        means = np.array(apart)[samples].sum(1) / counts[samples].sum(1)
        low, high = np.quantile(means, (0.025, 0.975))
        # Where an end of the interval is as near to 0 as its samples vary, either answer is right.
        if min(abs(low), abs(high)) > 0.05:
            sequences = scored(apart, lengths, per_sequence=per_sequence)
            assert sequences.may_be_chance([0.0] * 30) == (low < 0 < high)


def test_the_interval_is_of_the_nats_of_a_step() -> None:
    """A sample that has a long sequence twice has more steps."""
    draw = np.random.default_rng(4)
    lengths = draw.integers(5, 400, 30)
    nats = draw.normal(7, 1, 30) * lengths
    samples = draw.integers(30, size=(20_000, 30))
    ends = np.quantile(nats[samples].sum(1) / lengths[samples].sum(1), (0.025, 0.975))
    interval = scored(nats.tolist(), lengths.tolist(), per_sequence=False).interval
    # The ends of 1,000 samples move by some hundredths of the width.
    assert interval == pytest.approx(tuple(ends), abs=0.15 * (ends[1] - ends[0]))


def test_of_one_sequence_nobody_knows() -> None:
    assert scored([3.0], [5], per_sequence=False).may_be_chance([300.0])


def test_methods_have_the_nats_of_each_piece(tmp_path: Path) -> None:
    data = read_sequences(write_coins(tmp_path / "coins.json"), LatentDataSettings())
    pieces = [data.parts[2][0], data.parts[2][1][:3], data.parts[2][2][:5]]
    (method,) = nats_of(data.kind, data.baselines, pieces).values()
    assert sum(method.each) / 16 == pytest.approx(method.mean, rel=1e-12)
    (alone,) = nats_of(data.kind, data.baselines, pieces[1:2]).values()
    assert alone.mean * 3 == pytest.approx(method.each[1], rel=1e-12)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    """A short fit of pieces of eight steps."""
    folder = tmp_path_factory.mktemp("short")
    source = write_coins(folder / "coins.json")
    return conveyor.fit("storn", source, out=folder / "run", say=Heard(), **QUICK, epochs=2)


def test_evaluating_knows_what_may_be_chance_as_fitting_does(run: conveyor.Run) -> None:
    results = run.evaluate(run.folder.parent / "coins.json", say=Heard())
    assert results.scores[0].as_json() == run.metrics["scores"][0]
    record = json.loads((run.folder / "model.json").read_text())["fitted_on"]
    assert len(record["without_nats"]) == 20
    assert sum(record["without_nats"]) / 160 == pytest.approx(record["without"])


def test_a_win_that_may_be_chance_is_none(run: conveyor.Run) -> None:
    model: Any = run.model
    data = read_sequences(run.folder.parent / "coins.json", LatentDataSettings())
    sequences = ScoredSequences(model, SequenceExamples(data.parts[2]), 3)
    ours = np.array(sequences.nats)
    by_chance = ours + np.where(np.arange(len(ours)) % 2, -5.0, 5.001)
    for nats, alike in ((by_chance, ("coin",)), (ours + 1.0, ())):
        method = MethodNats(float(nats.mean()) / 8, tuple(nats.tolist()))
        scores = results_of(sequences, {"coin": method}, None).scores[0]
        assert scores.alike == alike
        assert scores.wins == (not alike)
        assert ("The difference may be due to chance" in scores.verdict.en) == bool(alike)
