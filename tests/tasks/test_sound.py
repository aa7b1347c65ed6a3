"""Sound, sample by sample: the network, the linear prediction beside it, and the task."""

import csv
import math
import shutil
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

import conveyor
from conveyor.cli.app import app
from conveyor.data.mu_law import LEVELS, mu_law_levels, mu_law_samples
from conveyor.errors import DataError, RunError, SettingError
from conveyor.tasks.sound.prepared_sound import SoundPart, prepare_sound
from conveyor.tasks.sound.sample_baselines import ORDER, Histogram, LinearPrediction
from conveyor.tasks.sound.sample_model import BEGIN, SampleModel
from conveyor.tasks.sound.scored_sound import ScoredSound, SoundBaselines
from conveyor.tasks.sound.sound_settings import SoundSettings
from tests.sung import write_sung

Levels = NDArray[np.uint8]


def silent(line: str) -> None:
    """Say nothing."""


def hums(count: int = 3, samples: int = 700) -> list[Levels]:
    """Return recordings of two tones that grow louder, with noise."""
    draw = np.random.default_rng(5)
    time = np.arange(samples)
    several = []
    for number in range(count):
        wave = np.sin(0.2 * time) + 0.5 * np.sin(0.31 * time + number)
        loud = np.linspace(0.05, 0.5, samples)
        several.append(mu_law_levels(loud * wave + 0.01 * draw.normal(size=samples)))
    return several


# The baselines.


def predictions(model: LinearPrediction, levels: Levels) -> list[int]:
    """Return the level of each prediction, sample by sample."""
    wave = [float(each) for each in mu_law_samples(levels)]
    answer = []
    for place in range(len(wave)):
        before = [wave[place - k] if place >= k else 0.0 for k in range(1, ORDER + 1)]
        sum_ = sum(a * x for a, x in zip(model.weights.tolist(), before, strict=True))
        answer.append(int(mu_law_levels(np.array([sum_]))[0]))
    return answer


def class_at(model: LinearPrediction, levels: Levels, predicted: list[int], place: int) -> int:
    """Return how loud the last 16 differences were, as a class."""
    last = [abs(int(levels[p]) - predicted[p]) for p in range(max(place - 16, 0), place)]
    return sum(bound <= sum(last) / 16 for bound in model.bounds.tolist())


@pytest.mark.parametrize("by_loudness", [False, True])
def test_linear_prediction_gives_levels_the_probabilities_of_its_equation(
    by_loudness: bool,
) -> None:
    model = LinearPrediction.of(hums(), by_loudness=by_loudness)
    levels = hums(4, 120)[3]
    predicted = predictions(model, levels)
    nats = model.nats(levels)
    for place in (0, 1, 15, 16, 17, 60, 119):
        counts = model.counts[class_at(model, levels, predicted, place)] + 0.5
        shares = [counts[level - predicted[place] + 255] for level in range(LEVELS)]
        chance = shares[int(levels[place])] / sum(shares)
        assert nats[place] == pytest.approx(-math.log(chance), rel=1e-12)
    assert len(model.counts) == (16 if by_loudness else 1)


def test_probabilities_of_all_levels_add_up_to_one() -> None:
    model = LinearPrediction.of(hums(), by_loudness=True)
    levels = hums(4, 40)[3]
    for place in (0, 20, 39):
        total = 0.0
        for level in range(LEVELS):
            other = levels[: place + 1].copy()
            other[place] = level
            total += math.exp(-model.nats(other)[place])
        assert total == pytest.approx(1, rel=1e-12)


def test_its_weights_make_the_squared_error_least() -> None:
    recordings = hums()
    model = LinearPrediction.of(recordings, by_loudness=False)
    rows, now = [], []
    for levels in recordings:
        wave = np.concatenate([np.zeros(ORDER), mu_law_samples(levels).astype(np.float64)])
        for place in range(ORDER, len(wave)):
            rows.append(wave[place - ORDER : place][::-1])
            now.append(wave[place])
    best = np.linalg.lstsq(np.array(rows), np.array(now), rcond=None)[0]

    def error(weights: NDArray[np.float64]) -> float:
        return float(((np.array(rows) @ weights - np.array(now)) ** 2).sum())

    # A millionth of the energy is added, so that silence can be solved.
    assert error(model.weights) <= error(best) * 1.001


def test_counts_by_loudness_are_better_where_loudness_changes() -> None:
    # Sixteen classes have hundreds of counts each.
    known, asked = hums(3, 20_000), hums(4, 20_000)[3]
    plain = LinearPrediction.of(known, by_loudness=False).nats(asked).mean()
    adapted = LinearPrediction.of(known, by_loudness=True).nats(asked).mean()
    histogram = Histogram.of(known).nats(asked).mean()
    assert adapted < plain < histogram


def test_long_recordings_are_predicted_as_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = hums(1)[0]
    model = LinearPrediction.of(hums(), by_loudness=True)
    whole = model.nats(levels)
    monkeypatch.setattr("conveyor.tasks.sound.sample_baselines._AT_ONCE", 100)
    assert (LinearPrediction.of(hums(), by_loudness=True).nats(levels) == whole).all()


def test_silence_has_a_prediction() -> None:
    silence = np.full(500, 128, np.uint8)
    assert LinearPrediction.of([silence], by_loudness=True).nats(silence).mean() < 0.5


def test_a_histogram_counts() -> None:
    model = Histogram.of([np.array([3, 3, 7], np.uint8)])
    nats = model.nats(np.array([3, 7, 9], np.uint8))
    assert nats.tolist() == pytest.approx([-math.log(k / 131) for k in (2.5, 1.5, 0.5)])


def test_baselines_are_kept_as_plain_data() -> None:
    recordings = hums()
    part = SoundPart(["a", "b", "c"], recordings, ["a", "b", "c"])
    beside = SoundBaselines.of(part)
    again = SoundBaselines.described(beside.description())
    ours, theirs = beside.nats(recordings), again.nats(recordings)
    assert ours.keys() == theirs.keys()
    assert all((a == b).all() for name in ours for a, b in zip(ours[name], theirs[name]))  # noqa: B905


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: kept.pop("linear"),
        lambda kept: kept.update(histogram=[1, 2]),
        lambda kept: kept["adapted"].update(weights=["a"]),
        lambda kept: kept["adapted"].update(bounds=[[1.0]]),
        lambda kept: kept["linear"].update(counts=None),
    ],
)
def test_corrupt_baselines_are_an_error(change: Callable[[dict[str, Any]], Any]) -> None:
    kept = SoundBaselines.of(SoundPart(["a"], hums(1), ["a"])).description()
    change(kept)
    with pytest.raises(RunError, match="corrupt"):
        SoundBaselines.described(kept)


# The network.


def model(cell: str = "gru", layers: int = 1) -> SampleModel:
    torch.manual_seed(3)
    return SampleModel(cell, 8000, hidden=6, layers=layers, embedding=4)


def nats_by_loops(network: SampleModel, levels: Levels) -> list[float]:
    """Return the nats of each sample, a step at a time."""
    network.eval()
    answer, state, before = [], None, BEGIN
    with torch.no_grad():
        for level in levels.tolist():
            logits, state = network(torch.tensor([[before]]), state)
            answer.append(-float(torch.log_softmax(logits[0, 0].double(), -1)[level]))
            before = level
    return answer


@pytest.mark.parametrize("cell", ["gru", "lstm", "minimal_rnn"])
def test_nats_are_those_of_steps(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conveyor.tasks.sound.sample_model._AT_ONCE", 13)
    network, levels = model(cell), hums(1, 40)[0]
    # float32: 40 steps of numbers around 1.
    assert network.nats(levels) == pytest.approx(nats_by_loops(network, levels), abs=1e-4)


def test_a_loss_counts_samples_and_no_beginnings() -> None:
    network = model()
    first, second = hums(2, 30)
    levels = SoundPart(["a", "b"], [first, second], ["a", "b"]).joined()
    assert levels.tolist()[::31] == [BEGIN, BEGIN]
    read, following = levels[:-1, None].long(), levels[1:, None].long()
    loss = network.loss((read, following))
    assert loss.count == 60
    logits = torch.log_softmax(network(read)[0][:, 0], -1).detach()
    expected = [
        -float(logits[place, level])
        for place, level in enumerate(following[:, 0].tolist())
        if level != BEGIN
    ]
    assert float(loss.value.detach()) == pytest.approx(sum(expected) / 60, rel=1e-5)


def test_a_chunk_goes_on_where_the_one_before_ended() -> None:
    network = model("lstm")
    levels = torch.from_numpy(hums(1, 61)[0].astype(np.int64))[:, None]
    whole = network.loss((levels[:-1], levels[1:]))
    first = network.loss((levels[:20], levels[1:21]))
    second = network.loss((levels[20:60], levels[21:61]), first.state)
    both = (first.value.item() * 20 + second.value.item() * 40) / 60
    assert both == pytest.approx(whole.value.item(), rel=1e-5)
    assert not any(each.requires_grad for each in first.state)


@pytest.mark.parametrize(("cell", "layers"), [("gru", 1), ("lstm", 2)])
def test_what_is_drawn_has_the_probabilities_that_are_predicted(cell: str, layers: int) -> None:
    network, heard = model(cell, layers), hums(1, 25)[0]
    with torch.no_grad():
        network.head.weight.mul_(4)  # so that levels differ in how likely they are
        read = torch.tensor([BEGIN, *heard.tolist()])[:, None]
        logits = network(read)[0][-1, 0].double() / 0.7
    chances = torch.softmax(logits, -1).numpy()
    count = 1000
    drawn = [
        int(network.sampled(1, temperature=0.7, seed=seed, heard=heard)[0]) for seed in range(count)
    ]
    seen = np.bincount(drawn, minlength=LEVELS)
    # Pearson's statistic over cells of five expected or more; its deviation is sqrt(2 k).
    order = np.argsort(chances)
    groups = np.array_split(order, 12)
    expected = np.array([chances[group].sum() * count for group in groups])
    found = np.array([seen[group].sum() for group in groups])
    statistic = float(((found - expected) ** 2 / np.maximum(expected, 1)).sum())
    assert statistic < 12 + 5 * math.sqrt(24)
    likeliest = network.sampled(1, temperature=1e-3, heard=heard)
    assert likeliest.tolist() == [int(logits.argmax())]


def test_the_same_seed_draws_the_same_and_a_beginning_is_another_past() -> None:
    network = model()
    once = network.sampled(50, seed=4)
    assert once.dtype == np.uint8
    assert (network.sampled(50, seed=4) == once).all()
    assert (network.sampled(50, seed=5) != once).any()
    # What was drawn and is heard goes on as it would have.
    draws = np.random.default_rng(4).random(50)
    assert (network.sampled(20, seed=4) == once[:20]).all()
    assert len(draws) == 50
    assert network.sampled(0).shape == (0,)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_is_above_zero(temperature: float) -> None:
    with pytest.raises(SettingError, match="above 0"):
        model().sampled(1, temperature=temperature)


# The task.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sound")


@pytest.fixture(scope="module")
def sung(folder: Path) -> Path:
    return write_sung(folder / "sung", 30)


@pytest.fixture(scope="module")
def run(folder: Path, sung: Path) -> conveyor.Run:
    return conveyor.fit(
        "sound",
        sung,
        out=folder / "run",
        say=silent,
        hidden=16,
        epochs=3,
        batch=4,
        chunk=100,
        learning_rate=0.01,
    )


def command(*words: str) -> None:
    ended = CliRunner().invoke(app, words, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output


def network_of(run: conveyor.Run) -> SampleModel:
    assert isinstance(run.model, SampleModel)
    return run.model


def settings(**values: Any) -> SoundSettings:
    return SoundSettings.of({"batch": 2, "epochs": 1, **values})


def manifest(folder: Path, rows: list[tuple[str, str]]) -> Path:
    path = folder / "list.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("audio", "part"), *rows])
    return path


def test_it_learns_and_stands_beside_linear_prediction(run: conveyor.Run) -> None:
    metrics = run.metrics
    (scores,) = metrics["scores"]
    rows = {name: row["bits_per_sample"] for name, row in scores["rows"].items()}
    assert list(rows) == [
        "gru",
        "linear prediction by loudness",
        "linear prediction",
        "histogram",
    ]
    assert rows["gru"] < rows["histogram"] < 8.01
    assert metrics["rate"] == 8000
    page = run.report().read_text(encoding="utf-8")
    for heading in ("Listen", "Bits over time", "Bits by loudness", "Nghe thử"):
        assert heading in page
    assert page.count("<audio") == 3 + 2 * 3


def test_scores_are_means_over_samples(run: conveyor.Run, sung: Path) -> None:
    prepared = prepare_sound(sung, settings(), silent)
    part = prepared.parts[2]
    known = SoundBaselines.of(prepared.parts[0])
    network = network_of(run)
    scored = ScoredSound(network, part, known, 0)
    total = sum(sum(nats_by_loops(network, levels[:50])) for levels in part.levels)
    ours = sum(float(each[:50].sum()) for each in scored.ours)
    assert ours == pytest.approx(total, rel=1e-4)
    (scores,) = run.evaluate(sung, say=silent).scores
    everything = np.concatenate(scored.ours)
    assert scored.interval is not None
    low, high = scored.interval
    assert low < everything.mean() / math.log(2) < high
    assert scores.value("gru") == pytest.approx(everything.mean() / math.log(2), rel=1e-6)


def test_of_a_large_part_the_beginning_is_scored(
    run: conveyor.Run, sung: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conveyor.tasks.sound.scored_sound.MOST_SCORED", 3000)
    results = run.evaluate(sung, say=silent)
    assert results.details["samples"] == 3000
    assert "Only the first 3,000 samples are scored." in results.scores[0].verdict.en


def test_other_recordings_are_scored_beside_the_baselines_of_the_run(
    run: conveyor.Run, folder: Path
) -> None:
    other = folder / "other.wav"
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 3000)
    soundfile.write(other, noise, 8000)
    said: list[str] = []
    results = run.evaluate(other, say=said.append)
    assert results.details["samples"] == 3000
    assert results.details["leaks"] == 0
    assert set(results.scores[0].rows) >= {"linear prediction", "histogram"}
    # Noise cannot be guessed: what knows tones does worse than knowing nothing, 8 bits.
    assert results.scores[0].value("gru") > 8


def test_what_was_learned_from_is_told(run: conveyor.Run, sung: Path, folder: Path) -> None:
    copy = folder / "few"
    copy.mkdir()
    for file in sorted(sung.parent.glob("**/*.wav"))[:6]:
        shutil.copy(file, copy / file.name)
    said: list[str] = []
    results = run.evaluate(copy, say=said.append)
    assert 0 < results.details["leaks"] <= 6
    assert any("learned from" in line for line in said)


def test_one_long_recording_is_cut_in_time(folder: Path) -> None:
    path = folder / "long.wav"
    wave = 0.5 * np.sin(np.arange(10_000) * 0.1)
    soundfile.write(path, wave, 8000)
    said: list[str] = []
    prepared = prepare_sound(path, settings(split=(0.5, 0.2, 0.3)), said.append)
    assert [part.samples for part in prepared.parts] == [5000, 2000, 3000]
    whole = np.concatenate([levels for part in prepared.parts for levels in part.levels])
    assert len(whole) == 10_000
    stored = soundfile.read(path, dtype="float32")[0]
    assert (whole == mu_law_levels(stored)).all()
    assert any("cut in time" in line for line in said)


def test_a_table_names_parts(sung: Path, tmp_path: Path) -> None:
    files = sorted(sung.parent.glob("**/*.wav"))[:5]
    names = ["train", "train", "validation", "test", "test"]
    path = manifest(tmp_path, [(str(f), n) for f, n in zip(files, names, strict=True)])
    prepared = prepare_sound(path, settings(), silent)
    assert [len(part.levels) for part in prepared.parts] == [2, 1, 2]
    assert prepared.parts[2].names == [file.name for file in files[3:]]


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (1, "the validation set has 0 samples"),
        (0, "it holds no sample"),
    ],
)
def test_too_little_sound_is_an_error(tmp_path: Path, samples: int, says: str) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, np.zeros(samples), 8000)
    with pytest.raises(DataError, match=says):
        prepare_sound(path, settings(batch=1), silent)


def test_a_broken_recording_is_named_or_left_out(tmp_path: Path) -> None:
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", np.sin(np.arange(400) * 0.1 * number), 8000)
    (tmp_path / "bad.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(DataError, match=r"bad\.wav.*skip_broken"):
        prepare_sound(tmp_path, settings(), silent)
    said: list[str] = []
    prepared = prepare_sound(tmp_path, settings(skip_broken=True), said.append)
    assert sum(len(part.levels) for part in prepared.parts) == 4
    assert any("left out" in line and "bad.wav" in line for line in said)


def test_sound_of_another_rate_is_resampled(tmp_path: Path) -> None:
    for number in range(3):
        wave = np.stack([np.sin(np.arange(4410) * 0.01 * (number + 1))] * 2, 1)
        soundfile.write(tmp_path / f"{number}.wav", wave, 44_100)
    said: list[str] = []
    prepared = prepare_sound(tmp_path, settings(), said.append)
    assert prepared.rate == 16_000
    assert [part.samples for part in prepared.parts] == [1600, 1600, 1600]
    assert any("resampled to 16,000" in line for line in said)
    assert any("several channels" in line for line in said)


def test_commands_make_sound(run: conveyor.Run, sung: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.wav"
    command("generate", str(run.folder), "--seconds", "0.25", "--out", str(out))
    with wave.open(str(out)) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 2000)
    first = next(iter(sorted(sung.parent.glob("**/*.wav"))))
    command(
        "generate", str(run.folder), "--seconds", "0.1", "--prime", str(first), "--out", str(out)
    )
    begun, _ = soundfile.read(first, dtype="float32")
    longer, _ = soundfile.read(out, dtype="float32")
    assert len(longer) == len(begun) + 800
    # A step of µ-law at the loudest is a hundredth of it; a wave file has 16 bits.
    assert np.abs(longer[: len(begun)] - begun).max() < 0.02
    with pytest.raises(RunError, match="makes is sound"):
        run.generate()


def test_a_look_inside_begins_where_it_is_no_longer_silent(
    run: conveyor.Run, tmp_path: Path
) -> None:
    path = tmp_path / "late.wav"
    tone = 0.5 * np.sin(np.arange(3000) * 0.3)
    soundfile.write(path, np.concatenate([np.zeros(1000), tone]), 8000)
    read = run.read(path, say=silent)
    assert read.labels[0] == "125.12 ms"  # sample 1,001: the first of a sine is 0
    assert len(read.labels) == 800
    with torch.no_grad():
        output = run.model.recurrent(read.inputs)[0]
    levels = mu_law_levels(soundfile.read(path, dtype="float32")[0])[1001:1801]
    assert read.answer(output)[0].item() == pytest.approx(
        -nats_by_loops(network_of(run), levels)[-1], abs=1e-4
    )
    with pytest.raises(DataError, match="keeps no recording"):
        run.read(say=silent)


def test_what_a_run_draws_is_sound_of_its_rate(run: conveyor.Run) -> None:
    sound = run.speak(seconds=0.05, seed=3)
    assert (sound.rate, len(sound.samples)) == (8000, 400)
    with pytest.raises(SettingError, match="takes no text here"):
        run.speak("hello")


def test_of_a_recording_of_few_samples_no_empty_piece_is_left(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(np.arange(8000) * 0.1), 8000)
    soundfile.write(tmp_path / "b.wav", np.array([0.1, 0.2, 0.3]), 8000)
    run = conveyor.fit(
        "sound", tmp_path, out=tmp_path / "run", say=silent, hidden=4, epochs=1, batch=2
    )
    assert run.metrics["recordings"] == 1
    soundfile.write(tmp_path / "c.wav", np.array([0.1]), 96_000)
    said: list[str] = []
    prepare_sound(tmp_path, settings(), said.append)
    assert any("c.wav is shorter than a sample at 8,000" in line for line in said)


def test_a_recording_that_was_cut_is_known_when_it_comes_whole(tmp_path: Path) -> None:
    (tmp_path / "long").mkdir()
    (tmp_path / "mix").mkdir()
    wave = 0.5 * np.sin(np.arange(9000) * 0.1)
    soundfile.write(tmp_path / "long" / "long.wav", wave, 8000)
    options: dict[str, Any] = {"hidden": 4, "epochs": 1, "batch": 2, "say": silent}
    run = conveyor.fit("sound", tmp_path / "long", out=tmp_path / "run", **options)
    for name in ("long", "other"):
        soundfile.write(tmp_path / "mix" / f"{name}.wav", wave, 8000)
        wave = wave[::-1]
    said: list[str] = []
    assert run.evaluate(tmp_path / "mix", say=said.append).details["leaks"] == 1
    assert any("1 recording" in line and "learned from" in line for line in said)


def test_sound_is_written_as_a_wave_file_alone(run: conveyor.Run, tmp_path: Path) -> None:
    out = tmp_path / "f.mp3"
    ended = CliRunner().invoke(app, ["generate", str(run.folder), "--out", str(out)])
    assert isinstance(ended.exception, SettingError)
    assert "f.wav" in str(ended.exception)
    assert not out.exists()


def test_when_it_is_very_cold_the_likeliest_level_is_drawn() -> None:
    network = model()
    with torch.no_grad():
        likeliest = int(network(torch.tensor([[BEGIN]]))[0][0, 0].argmax())
    assert network.sampled(1, temperature=1e-300).tolist() == [likeliest]
