"""Reports on music, digits and classic tasks: their numbers, computed otherwise."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from conveyor.data.music import KEYS, next_notes
from conveyor.data.pixels import Images, pixels
from conveyor.networks.readout import Readout, losses_of_each, mean_loss
from conveyor.tasks.classic.classic_settings import ClassicData, ClassicSettings
from conveyor.tasks.classic.classic_task import ClassicTask
from conveyor.tasks.music.music_report import nats_by_step
from conveyor.tasks.music.music_settings import MusicSettings
from conveyor.tasks.music.polyphonic_music import PolyphonicMusic
from conveyor.tasks.pixels.pixel_by_pixel import PixelByPixel
from conveyor.tasks.pixels.pixel_report import mean_probability_of_the_true
from conveyor.tasks.pixels.pixel_settings import PixelSettings
from conveyor.tasks.sequence_costs import SequenceCosts
from tests.sequences import write_digits, write_music


def silent(line: str) -> None:
    """Say nothing."""


def costs(values: list[float], counts: list[float]) -> SequenceCosts:
    return SequenceCosts(
        torch.tensor(values, dtype=torch.float64), torch.tensor(counts, dtype=torch.float64)
    )


def pieces() -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randint(0, 2, (length, KEYS), generator=draw).float() for length in (9, 4, 6, 3)]


def test_the_mean_is_over_steps_and_its_interval_over_sequences() -> None:
    some = costs([1.0, 8.0, 3.0], [1.0, 4.0, 2.0])
    assert some.mean == pytest.approx(12 / 7)
    assert some.of_each.tolist() == [1.0, 2.0, 1.5]
    assert some.interval is not None
    # All 27 samples of three sequences, each with the same chance, are drawn here.
    means = sorted(
        sum(some.costs[i].item() for i in drawn) / sum(some.counts[i].item() for i in drawn)
        for drawn in np.ndindex(3, 3, 3)
    )
    assert some.interval[0] == pytest.approx(means[0])
    assert some.interval[1] == pytest.approx(means[-1])
    assert costs([3.0], [1.0]).interval is None


def test_a_difference_may_be_chance_unless_nearly_all_samples_agree() -> None:
    draw = np.random.default_rng(0)
    hard = draw.normal(10, 20, 200)  # what is hard for one is hard for the other, too
    ours = costs((hard + 1).tolist(), [1.0] * 200)
    assert not ours.may_be_chance(costs((hard + draw.normal(0, 1, 200)).tolist(), [1.0] * 200))
    assert ours.may_be_chance(costs((hard + draw.normal(1, 1, 200)).tolist(), [1.0] * 200))
    assert ours.may_be_chance(ours)
    # A single sequence that is the whole task is no sample of others.
    assert not costs([3.0], [1.0]).may_be_chance(costs([3.1], [1.0]))


@pytest.mark.parametrize("wanted", ["symbols", "class"])
def test_losses_of_sequences_add_up_to_the_mean(wanted: str) -> None:
    batch = next_notes(pieces())
    answers = torch.randn(8, 4, KEYS, generator=torch.Generator().manual_seed(1))
    if wanted == "class":
        batch = batch._replace(targets=batch.targets.argmax(-1))
    each = losses_of_each(answers, batch, wanted)
    assert each.shape == (4,)
    mean = float(mean_loss(answers, batch, wanted))
    assert float(each.sum() / batch.lengths.sum()) == pytest.approx(mean, rel=1e-5)
    alone = next_notes(pieces()[3:])
    if wanted == "symbols":
        one = losses_of_each(answers[:2, 3:], alone, wanted)
        assert float(one) == pytest.approx(float(each[3]), rel=1e-6)


def test_nats_over_time_are_means_over_the_pieces_that_go_on() -> None:
    torch.manual_seed(0)
    network = Readout("lstm", KEYS, 3, KEYS, wanted="symbols", last=False)
    expected = []
    with torch.no_grad():
        several = (next_notes(pieces()), next_notes([*pieces(), *pieces()[1:]]))
        means, more = (nats_by_step(asked, network(asked)) for asked in several)
        for step in range(8):
            nats = []
            for piece in pieces():
                if len(piece) - 1 > step:
                    logits = network(next_notes([piece]))[step, 0].double()
                    true = piece[step + 1].double()
                    rate = logits.sigmoid()
                    nats.append(float(-(true * rate.log() + (1 - true) * (1 - rate).log()).sum()))
            expected.append(sum(nats) / len(nats))
    # The last steps are those of one piece of four: a quarter.
    assert means.tolist() == pytest.approx(expected, rel=1e-5)
    assert len(more) == 5


def test_the_probability_after_some_pixels_is_that_of_a_shorter_sequence() -> None:
    torch.manual_seed(0)
    network = Readout("gru", 1, 3, 10, wanted="class", last=True)
    asked = Images(torch.randint(0, 256, (5, 2, 3)), torch.tensor([3, 1, 4, 1, 5]))
    order = torch.tensor([5, 0, 3, 1, 4, 2])
    means = mean_probability_of_the_true(network, asked, order, 4)
    batch = pixels(Images(*(tensor[:4] for tensor in asked)), order)
    with torch.no_grad():
        for read in range(1, 7):
            cut = batch._replace(inputs=batch.inputs[:read], lengths=torch.full((4,), read))
            true = network(cut).softmax(-1).gather(1, batch.targets[:, None])
            assert float(means[read - 1]) == pytest.approx(float(true.mean()), rel=1e-5)


def test_the_report_of_digits(tmp_path: Path) -> None:
    write_digits(tmp_path, train=5010, test=30)
    task = PixelByPixel(tmp_path, PixelSettings(), silent)
    torch.manual_seed(0)
    network = Readout("lstm", 1, 2, 10, wanted="class", last=True)
    results = task.results(network)
    (scores,) = results.scores
    answers = network(task._batches_of(task.asked)(torch.arange(30))).argmax(-1)
    wrong = float((answers != task.asked.labels).double().mean())
    assert scores.rows["lstm"] == (wrong,)
    assert "95 % interval over images" in scores.verdict.en
    drawn = {section.title.en: section.body for section in results.draw()}
    assert list(drawn) == ["Confusion matrix", "Worst mistakes", "When the network decides"]
    said, true = int(answers[0]), int(task.asked.labels[0])
    count = int(((answers == said) & (task.asked.labels == true)).sum())
    row = drawn["Confusion matrix"].split('<th scope="row">')[1 + true]
    assert row.split("<td")[1 + said].split(">", 1)[1].startswith(f"{count}<")


def test_the_report_of_music(tmp_path: Path) -> None:
    task = PolyphonicMusic(write_music(tmp_path / "music.json"), MusicSettings(), silent)
    torch.manual_seed(0)
    network = Readout("lstm", KEYS, 2, KEYS, wanted="symbols", last=False)
    results = task.results(network)
    with torch.no_grad():
        mean = float(network.loss(next_notes(task.music.test)).value)
    assert results.scores[0].rows["lstm"][0] == pytest.approx(mean, rel=1e-5)
    assert not math.isnan(results.details["interval"][0])
    drawn = {section.title.en: section.body for section in results.draw()}
    assert list(drawn) == ["Predictions", "Nats over time", "Hardest to predict"]
    nats = task.costs_of(task.test_answers(network)).of_each
    hardest = int(nats.argmax())
    title = f"piece {hardest + 1}: {float(nats[hardest]):.2f} nats per step"
    assert title in drawn["Hardest to predict"].split("</h3>")[0]


@pytest.mark.parametrize(
    ("name", "steps"),
    [("adding", 6), ("copying", 3), ("temporal_order", None), ("reber", None), ("cosine", 20)],
)
def test_the_report_of_a_classic_task(name: str, steps: int | None) -> None:
    data = ClassicData(name=name, steps=steps, examples=40)
    task = ClassicTask(ClassicSettings(data=data), silent)
    torch.manual_seed(0)
    network = Readout("lstm", task.inputs, 3, task.outputs, wanted=task.wanted, last=task.last)
    results = task.results(network)
    single = name == "cosine"
    assert ("interval" in results.details) != single
    task_section, examples = results.draw()
    assert task.classic.about.en in task_section.body
    with torch.no_grad():
        answers = network(task.asked)
    if name == "adding":
        pair = f"{float(task.asked.targets[0, 0]):.3f}", f"{float(answers[0, 0]):.3f}"
        assert all(number in examples.body for number in pair)
    elif name == "copying":
        nats = float(task.costs_of(answers).of_each[1])
        assert f"sequence 2: nats per step {nats:.3g}" in examples.body
