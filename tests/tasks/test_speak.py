"""The task ``speak``: what it must learn, what must not change its answers, and what it says of bad
data."""

import csv
import hashlib
import io
import math
import re
import shutil
import wave as wave_files
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

import conveyor
from conveyor.cli.app import app
from conveyor.data.audio_file import read_sound, wave_bytes
from conveyor.data.recordings import read_recordings
from conveyor.errors import DataError, RunError, SettingError
from conveyor.inside.inspect_run import inspect_run
from conveyor.networks import LogMel
from conveyor.pages.words import Words
from conveyor.tasks.framed_recordings import hash_by_size
from conveyor.tasks.results import Results
from conveyor.tasks.settings import options_of
from conveyor.tasks.settings_file import read_toml
from conveyor.tasks.speak.cepstral_distortion import cepstra, distortion, warped
from conveyor.tasks.speak.listener import Listener
from conveyor.tasks.speak.prepared_speech import prepare_speech
from conveyor.tasks.speak.speak_results import MEAN, RESYNTHESISED, TRUE
from conveyor.tasks.speak.speak_settings import SpeakData, SpeakSettings
from conveyor.tasks.speak.speaking import Speaking
from conveyor.tasks.speak.speaking_options import SpeakingOptions
from conveyor.tasks.speak.speech_baselines import KnownSayings, stretched
from conveyor.tasks.speak.spoken_examples import SpokenExamples
from conveyor.tasks.speak.true_speech import Nearness, Saying, TrueSpeech
from conveyor.tasks.speak.voice import Voice
from conveyor.tasks.transcribe.transcribe_settings import TranscribeSettings
from conveyor.tasks.write.writing_options import WritingOptions
from tests.heard import Heard
from tests.resumed import assert_same_fit
from tests.sung import PITCH, RATE, TONES, fit_voice, peaks, sung, write_sung

QUICK: dict[str, Any] = {
    "hidden": 40, "letter_size": 16, "speaker_size": 4, "window": 3, "reduction": 3, "prenet": 32,
    "bands": 32, "batch": 8, "epochs": 20, "learning_rate": 0.02,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    return fit_voice(tmp_path_factory.mktemp("speak"), **QUICK)


def source_of(run: conveyor.Run) -> Path:
    return run.folder.parent / "sung" / "manifest.csv"


def model_of(run: conveyor.Run) -> Voice:
    assert isinstance(run.model, Voice)
    return run.model


def prepared(source: Any, **values: Any) -> tuple[Speaking, Heard]:
    """Return the task on a source, and what was said."""
    heard = Heard()
    return Speaking.prepare(source, SpeakSettings.of({**QUICK, **values}), heard), heard


def test_a_resumed_run_is_the_uninterrupted_one(run: conveyor.Run, tmp_path: Path) -> None:
    values = {**QUICK, "hidden": 6, "dropout": 0.2, "epochs": 2}
    source = source_of(run)
    whole = conveyor.fit("speak", source, out=tmp_path / "a", say=Heard(), **values)
    stopped = conveyor.fit(
        "speak", source, out=tmp_path / "b", say=Heard(), **{**values, "minutes": 1e-4}
    )
    resumed = conveyor.resume(tmp_path / "b", source, say=Heard(), minutes=60.0)
    one, other = model_of(whole).state_dict(), model_of(resumed).state_dict()
    assert not torch.equal(model_of(stopped).state_dict()["head.weight"], one["head.weight"])
    assert_same_fit(other, one)
    assert_same_fit(resumed.speak("ae").samples.tolist(), whole.speak("ae").samples.tolist())


# What it learns ------------------------------------------------------------------------------


@pytest.mark.parametrize("speaker", list(PITCH))
@pytest.mark.parametrize("text", ["ae", "oae", "eoea", "aoaeo"])
def test_it_sings_the_letters_that_it_is_given(run: conveyor.Run, text: str, speaker: str) -> None:
    """Each letter's tone in its place, in the speaker's pitch; five letters were never heard in a
    row."""
    sound = run.speak(text, speaker=speaker)
    assert sound.rate == RATE
    for peak, letter in zip(peaks(sound.samples, len(text)), text, strict=True):
        assert peak == pytest.approx(PITCH[speaker] * TONES[letter], rel=0.15)
    true = len(sung(text))
    assert len(sound.samples) == pytest.approx(true, rel=0.2)


def test_it_beats_the_mean_recording(run: conveyor.Run) -> None:
    (scores,) = run.metrics["scores"]
    mcd = {name: row["mcd"] for name, row in scores["rows"].items()}
    assert set(mcd) == {"lstm", MEAN, TRUE, RESYNTHESISED}
    assert mcd[TRUE] < mcd[RESYNTHESISED] < mcd["lstm"] < mcd[MEAN]
    assert scores["wins"]
    assert run.metrics["finished"] == 1
    assert run.metrics["came_to_the_last_letter"] == 1


def test_the_window_walks_along_the_text(run: conveyor.Run) -> None:
    spoken = model_of(run).speak("eoae")
    places = spoken.window.argmax(1)
    assert (places.diff() >= 0).all()
    assert set(places.tolist()) >= {0, 1, 2, 3}
    assert spoken.finished


def test_a_seed_speaks_the_same_and_another_otherwise(run: conveyor.Run) -> None:
    one, same, other = (run.speak("aeo", seed=seed).samples for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert one.tolist() != other.tolist()


# What must not change its answers ------------------------------------------------------------


def test_steps_are_the_sequence_and_padding_changes_no_bit(run: conveyor.Run) -> None:
    model, examples = model_of(run), prepared(source_of(run))[0].prepared.parts[2]
    batch = examples.__getitems__([0, 1, 2])
    far = batch._replace(
        frames=torch.cat([batch.frames, torch.full((7, 3, 32), 7.0)]),
        letters=torch.cat([batch.letters, batch.letters[:1]]),
    )
    with torch.no_grad():
        one, other = model.losses(batch), model.losses(far)
        assert torch.equal(one.frames[one.counted], other.frames[other.counted])
        assert torch.equal(one.stops[one.counted], other.stops[other.counted])
        for place in range(3):
            alone = model.losses(examples.__getitems__([place]))
            torch.testing.assert_close(
                alone.frames[alone.counted], one.frames[one.counted[:, place], place]
            )
    # What is spoken step by step is what a call on the sequence says of the same frames.
    forget, model.prenet.dropout = model.prenet.dropout, 0.0
    spoken = model.speak("aeo", speaker="bob")
    letters = model.encode("aeo")
    with torch.no_grad():
        steps, counts = model.steps(spoken.frames.unsqueeze(1), torch.tensor([len(spoken.frames)]))
        who = torch.tensor([model.speaker_number("bob")])
        said = model(steps, counts, letters.unsqueeze(1), torch.tensor([4]), who)
    model.prenet.dropout = forget
    torch.testing.assert_close(said[..., :-1], steps, rtol=1e-3, atol=1e-3)
    stops = (said[:, 0, -1] > 0).tolist()
    assert stops == [False] * (len(stops) - 1) + [True]


def test_frames_are_grouped_with_silence_behind_the_end(run: conveyor.Run) -> None:
    model = model_of(run)
    frames = torch.randn(7, 2, 32)
    steps, counts = model.steps(frames, torch.tensor([7, 4]))
    assert counts.tolist() == [3, 2]
    assert steps.shape == (3, 2, 96)
    torch.testing.assert_close(steps[1, 0], model.normalised(frames[3:6, 0]).flatten())
    silence = model.normalised(torch.full((32,), math.log(model.frames.floor)))
    torch.testing.assert_close(steps[1, 1].view(3, 32)[0], model.normalised(frames[3, 1]))
    torch.testing.assert_close(steps[1, 1].view(3, 32)[1:], silence.expand(2, -1))
    torch.testing.assert_close(steps[2, 0].view(3, 32)[1:], silence.expand(2, -1))


def test_a_run_is_saved_whole(run: conveyor.Run) -> None:
    loaded = conveyor.load(run.folder)
    for options in ({}, {"speaker": "bob", "seed": 3}):
        np.testing.assert_array_equal(
            run.speak("oa", **options).samples, loaded.speak("oa", **options).samples
        )
    assert loaded.model.names == ("ann", "bob")


def test_a_run_with_the_earlier_names_of_sizes_is_read(run: conveyor.Run, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(run.folder, folder)
    for name, quote in (("model.json", '"'), ("settings.toml", "")):
        text = (folder / name).read_text(encoding="utf-8")
        for now, before in (
            ("letter_size", "letters"), ("speaker_size", "speakers"), ("prenet_dropout", "forget"),
        ):  # fmt: skip
            assert text.count(f"{quote}{now}{quote}") == 1
            text = text.replace(f"{quote}{now}{quote}", f"{quote}{before}{quote}")
        (folder / name).write_text(text, encoding="utf-8")
    loaded = conveyor.load(folder)
    np.testing.assert_array_equal(run.speak("oa").samples, loaded.speak("oa").samples)
    assert read_toml(folder / "settings.toml") == read_toml(run.folder / "settings.toml")


def test_the_command_writes_a_wave_file(run: conveyor.Run, tmp_path: Path) -> None:
    out = tmp_path / "oa.wav"
    words = ["generate", str(run.folder), "--text", "oa", "--speaker", "bob", "--out", str(out)]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    expected = run.speak("oa", speaker="bob")
    assert out.read_bytes() == wave_bytes(expected.samples, RATE)
    with wave_files.open(io.BytesIO(CliRunner().invoke(app, words[:-2]).stdout_bytes)) as file:
        assert file.getframerate() == RATE
        assert file.getnframes() == len(expected.samples)
    for wrong, error in (
        (["--text", "axe"], r"the run has never heard 'x' spoken\. It can speak aeo"),
        (["--text", "ae", "--speaker", "bop"], r"speaker bop: Did you mean 'bob'"),
        (["--text", "!"], r"there is nothing to speak. Give letters or digits"),
        ([], r"there is nothing to speak. Give text hello"),
        (["--text", "ae", "--bias", "1"], "bias"),
    ):
        ended = CliRunner().invoke(app, ["generate", str(run.folder), *wrong])
        assert ended.exit_code != 0
        said = f"{ended.exception} {ended.output}".replace("--", "").replace("=", " ")
        assert re.search(error, said.replace("'bop'", "bop").replace("'hello'", "hello")), said


def test_other_tasks_do_not_speak(run: conveyor.Run) -> None:
    assert run.speaks
    with pytest.raises(RunError, match="of speak makes is sound, which"):
        next(iter(run.generate(text="ae")))
    with pytest.raises(SettingError, match="takes no"):
        run.speak("ae", bias=1)


# How it is scored ----------------------------------------------------------------------------


def brute_force(costs: Any) -> tuple[float, int]:
    """The least sum over all paths, by recursion."""

    @cache
    def best(row: int, column: int) -> tuple[float, int]:
        if row == column == 0:
            return float(costs[0, 0]), 1
        before = [
            best(r, c)
            for r, c in ((row - 1, column), (row, column - 1), (row - 1, column - 1))
            if r >= 0 and c >= 0
        ]
        total, pairs = min(before)
        return total + float(costs[row, column]), pairs + 1

    return best(costs.shape[0] - 1, costs.shape[1] - 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (3, 7), (7, 3), (6, 6)])
def test_time_is_warped_as_by_trying_all_paths(shape: tuple[int, int]) -> None:
    costs = np.random.default_rng(sum(shape)).random(shape)
    total, pairs = warped(costs)
    expected = brute_force(costs)
    assert total == pytest.approx(expected[0])
    assert pairs == expected[1]
    # Of equal ways the one with fewer pairs.
    assert warped(np.zeros(shape)) == (0, max(shape))


def test_distortion_is_in_decibels() -> None:
    draw = torch.Generator().manual_seed(0)
    frames = torch.randn(9, 40, generator=draw)
    one = cepstra(frames)
    assert distortion(one, one) == pytest.approx(0, abs=1e-6)
    # Louder is the same; slower is the same.
    assert distortion(one, cepstra(frames + 2)) == pytest.approx(0, abs=1e-6)
    assert distortion(one, cepstra(frames.repeat_interleave(2, 0))) == pytest.approx(0, abs=1e-6)
    shifted = one.copy()
    shifted[:, 3] += 0.25
    assert distortion(one[:1], shifted[:1]) == pytest.approx(10 / math.log(10) * math.sqrt(2) / 4)
    # A wave over the bands of so many decibels: the root of its mean square is that by sqrt 2.
    bands = torch.arange(40)
    ripple = math.log(10) / 10 * 3 * torch.cos(math.pi * 5 * (bands + 0.5) / 40)
    apart = distortion(cepstra(frames[:1]), cepstra(frames[:1] + ripple))
    assert apart == pytest.approx(3 / math.sqrt(2), rel=1e-5)
    # What is 50 decibels below the loudest and what is 60 below are pauses alike.
    quiet = torch.zeros(2, 40)
    quiet[0, :20] = 20.0
    assert distortion(cepstra(quiet), cepstra(quiet - 2 * (quiet == 0).float())) == pytest.approx(0)


def known(texts: Iterable[str], names: Iterable[str], frames: list[torch.Tensor]) -> KnownSayings:
    texts, names = list(texts), list(names)
    return KnownSayings(examples_of(texts, names, frames))


def examples_of(texts: list[str], names: list[str], frames: list[torch.Tensor]) -> SpokenExamples:
    nothing = [torch.zeros(1, dtype=torch.long)] * len(texts)
    numbers = torch.zeros(len(texts), dtype=torch.long)
    files = [Path(f"{n}.wav") for n in range(len(texts))]
    return SpokenExamples(frames, nothing, numbers, texts, names, files, list(map(str, files)))


def test_the_mean_recording_is_of_the_same_or_the_nearest_saying() -> None:
    frames = [torch.full((length, 2), float(length)) for length in (2, 4, 6, 8)]
    sayings = known(["on", "on", "off", "one"], ["a", "a", "a", "b"], frames)
    assert sayings.nearest("on", "a") == [0, 1]
    assert torch.equal(sayings.mean("on", "a"), torch.full((3, 2), 3.0))
    assert sayings.nearest("one", "a") == [3]  # the same text by another
    assert sayings.nearest("of", "a") == [2]  # no one says it: one letter from off
    assert sayings.same("one", "a") == []
    assert [len(each) for each in sayings.same("on", "a")] == [2, 4]


def test_frames_are_stretched_along_lines() -> None:
    frames = torch.tensor([[0.0], [2.0], [6.0]])
    assert stretched(frames, 5).flatten().tolist() == [0, 1, 2, 4, 6]
    assert stretched(frames, 2).flatten().tolist() == [0, 6]
    assert stretched(frames[:1], 3).flatten().tolist() == [0, 0, 0]


def test_true_recordings_are_near_those_learned_or_each_other() -> None:
    frames = LogMel(rate=RATE, window=400, hop=100, bands=20)
    draw = torch.Generator().manual_seed(0)
    several = [torch.randn(5, 20, generator=draw) for _ in range(4)]
    true = TrueSpeech(frames, examples_of(["x", "x", "y"], ["a"] * 3, several[:3]))
    (both, none) = true.true_nearness.distortion
    assert both == pytest.approx(distortion(cepstra(several[0]), cepstra(several[1])))
    assert math.isnan(none)
    assert true.true_nearness.over() == (both, 0.0)
    learned = replace(true, known=known(["x", "y"], ["a", "a"], [several[3], several[2]]))
    first, second = learned.true_nearness.distortion
    assert second == pytest.approx(0, abs=1e-6)
    assert first == pytest.approx(
        min(distortion(cepstra(several[3]), cepstra(several[n])) for n in (0, 1))
    )
    assert Nearness([math.nan], [math.nan]).over() == (None, None)


def test_other_recordings_are_scored_in_the_letters_of_the_run(
    run: conveyor.Run, tmp_path: Path
) -> None:
    heard = Heard()
    again = run.evaluate(source_of(run), say=heard)
    assert again.scores[0].as_json() == run.metrics["scores"][0]
    assert "its test set is scored" in heard.text
    rows = [("0.wav", "ae", "ann"), ("1.wav", "ox", "ann"), ("2.wav", "oe", "carl")]
    for name, text, _ in rows:
        soundfile.write(tmp_path / name, sung(text.replace("x", "a")), RATE)
    with (tmp_path / "other.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("audio", "text", "speaker"), *rows])
    heard = Heard()
    results = run.evaluate(tmp_path / "other.csv", say=heard)
    assert "a speaker or a letter that no training recording has: 1.wav" in heard.text
    assert "(2 recordings)" in heard.text
    (scores,) = results.scores
    assert list(scores.rows) == ["lstm", TRUE, RESYNTHESISED]
    assert scores.rows[TRUE][0] is None
    assert scores.value("lstm") < 6


def test_no_speaker_is_left_out_of_a_score_for_the_order_of_a_table() -> None:
    frames = LogMel(rate=RATE, window=400, hop=100, bands=20)

    def scored(names: list[str]) -> list[Saying]:
        texts = [f"text {n}" for n in range(len(names))]
        examples = examples_of(texts, names, [torch.zeros(2, 20)] * len(names))
        true = TrueSpeech(frames, examples)
        assert true.saying_count == len(names)
        assert len({saying.text for saying in true.sayings}) == len(true.sayings)
        assert [saying.numbers for saying in true.sayings] == sorted(
            [int(saying.text.split()[1])] for saying in true.sayings
        )
        assert true.sayings == TrueSpeech(frames, examples).sayings
        return true.sayings

    for count in (121, 122, 240, 1000):
        sayings = scored(["ann", "bob"] * (count // 2) + ["ann"] * (count % 2))
        assert Counter(saying.name for saying in sayings) == {"ann": 60, "bob": 60}
    rare = scored(["ann"] * 500 + ["bob"] + ["carl"] * 40)
    assert Counter(saying.name for saying in rare) == {"ann": 79, "bob": 1, "carl": 40}
    assert len(scored([str(n) for n in range(300)])) == 120
    assert len(scored(["ann"] * 120)) == 120


def remark_of(results: Results) -> Words:
    remark = results.scores[0].remark
    assert remark is not None
    return remark


def test_how_many_of_the_texts_are_scored_is_said(
    run: conveyor.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run.evaluate(source_of(run), say=lambda line: None)
    assert "are scored, drawn" not in remark_of(whole).en
    count = whole.details["sayings"]
    assert whole.details["sayings_in_all"] == count > 4
    monkeypatch.setattr("conveyor.tasks.speak.true_speech.MOST", 4)
    results = run.evaluate(source_of(run), say=lambda line: None)
    assert results.details["sayings"] == 4
    assert results.details["sayings_in_all"] == count
    assert f"4 of {count} pairs of text and speaker are scored" in remark_of(results).en
    assert f"4 trong {count}" in remark_of(results).vi
    assert set(results.details["mcd_by_speaker"]) == {"ann", "bob"}


def test_other_parts_of_the_same_recordings_are_other_data(run: conveyor.Run) -> None:
    source = source_of(run)
    with source.open(newline="", encoding="utf-8") as file:
        heads, *rows = csv.reader(file)
    turned = {"train": "test", "test": "train", "validation": "train"}
    other = source.with_name("turned.csv")
    with other.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heads, *([a, b, turned[part], c] for a, b, part, c in rows)])
    heard = Heard()
    results = run.evaluate(other, say=heard)
    assert "this is the data of the run" not in heard.text
    assert results.details["leaks"] == 60
    assert "60 recordings of these 60 were learned from" in heard.text
    renamed = source.with_name("renamed.csv")
    with renamed.open("w", newline="", encoding="utf-8") as file:
        names = {"ann": "bob", "bob": "ann"}
        csv.writer(file).writerows([heads, *([a, b, part, names[c]] for a, b, part, c in rows)])
    heard = Heard()
    run.evaluate(renamed, say=heard)
    assert "this is the data of the run" not in heard.text


def test_what_is_counted_as_learned_from_is_what_the_run_has_heard(
    run: conveyor.Run, tmp_path: Path
) -> None:
    """Not what the training set holds now: here two recordings have changed places."""
    folder = tmp_path / "again"
    shutil.copytree(source_of(run).parent, folder)
    size = {n: (folder / f"{n}.wav").stat().st_size for n in range(80)}
    places = ((n, m) for n in range(7, 80, 8) for m in range(0, 80, 8) if size[n] == size[m])
    tested, other = (folder / f"{n}.wav" for n in next(places))
    first, second = tested.read_bytes(), other.read_bytes()
    tested.write_bytes(second)
    other.write_bytes(first)
    heard = Heard()
    results = run.evaluate(folder / "manifest.csv", say=heard)
    assert "the data of the run" not in heard.text
    assert "the test set is scored" in heard.text
    assert results.details["leaks"] == 1
    assert "1 recording of these 10 was learned from" in heard.text


def test_recordings_that_are_left_out_are_not_counted_as_learned_from(
    run: conveyor.Run, tmp_path: Path
) -> None:
    rows = [("0.wav", "ae", "ann"), ("1.wav", "ox", "ann"), ("2.wav", "oe", "carl")]
    for name, text, _ in rows[:1]:
        soundfile.write(tmp_path / name, sung(text, seed=99), RATE)
    # Both are heard in training, under a text and a name that the run does not know.
    for name, number in (("1.wav", 0), ("2.wav", 2)):
        shutil.copy(source_of(run).parent / f"{number}.wav", tmp_path / name)
    with (tmp_path / "other.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("audio", "text", "speaker"), *rows])
    heard = Heard()
    results = run.evaluate(tmp_path / "other.csv", say=heard)
    assert results.details["leaks"] == 0
    assert "learned from" not in heard.text


def test_a_run_is_scored_without_its_recogniser_where_that_is_gone(tmp_path: Path) -> None:
    source, quiet = write_sung(tmp_path / "sung", 24), Heard()
    ears = conveyor.fit(
        "transcribe", source, out=tmp_path / "ears", say=quiet,
        hidden=4, layers=1, bands=8, epochs=1, batch=16,
    )  # fmt: skip
    values = {**QUICK, "epochs": 1, "recogniser": str(ears.folder)}
    voice = conveyor.fit("speak", source, out=tmp_path / "voice", say=quiet, **values)
    keys = ["mcd", "length_off", "recognised_wer"]
    heard = Heard()
    # Nothing is asked for: that of the run judges.
    results = voice.evaluate(source, say=heard)
    assert [metric.key for metric in results.scores[0].metrics] == keys
    assert results.scores[0].as_json() == voice.metrics["scores"][0]
    ears.folder.rename(tmp_path / "moved")
    for data in (source, write_sung(tmp_path / "others", 16)):
        heard = Heard()
        results = voice.evaluate(data, say=heard)
        assert [metric.key for metric in results.scores[0].metrics] == keys[:2]
        assert "the recogniser of the run is left out" in heard.text
        assert str(ears.folder) in heard.text
        heard = Heard()
        results = voice.evaluate(data, say=heard, recogniser=str(tmp_path / "moved"))
        assert [metric.key for metric in results.scores[0].metrics] == keys
        assert "left out" not in heard.text
    with pytest.raises(RunError, match="ears"):
        voice.evaluate(source, say=quiet, recogniser=str(ears.folder))


class ByPeaks:
    """A listener that tells ann's letters by their tones."""

    def texts(self, waves: Any, rate: int) -> list[str]:
        """Return the letters of each sound."""
        answers = []
        for samples in waves:
            count = round(len(samples) / rate / 0.125)
            near = [
                min(TONES, key=lambda letter: abs(math.log(peak / TONES[letter])))
                for peak in peaks(samples, count)
            ]
            answers.append("".join(near))
        return answers


def test_a_listener_judges_what_is_spoken(run: conveyor.Run, tmp_path: Path) -> None:
    """Of a recogniser that hears everything, and of one that has learned nothing."""
    task = prepared(source_of(run))[0]
    listener: Any = ByPeaks()
    scored = task._scored(model_of(run), listener)
    true = scored.true.heard(scored.true.true_waves, listener)
    assert true is not None
    assert scored.edits is not None
    said = [saying.text for saying in scored.sayings for _ in range(saying.sounds)]
    assert true.pairs == [[(text, text)] for text in said]
    # Each sound stands beside what was to be said in it.
    heard = [
        listener.texts([wave.numpy()], RATE)[0] for several in scored.waves for wave in several
    ]
    assert scored.edits.pairs == [[pair] for pair in zip(said, heard, strict=True)]
    assert sum(one == other for one, other in zip(said, heard, strict=True)) > 0.7 * len(said)
    transcriber = conveyor.fit(
        "transcribe", source_of(run), out=tmp_path / "ears", say=lambda line: None,
        hidden=4, layers=1, bands=8, epochs=1, batch=16,
    )  # fmt: skip
    results = run.evaluate(
        source_of(run), say=lambda line: None, recogniser=str(transcriber.folder)
    )
    (scores,) = results.scores
    assert [metric.key for metric in scores.metrics] == ["mcd", "length_off", "recognised_wer"]
    assert all(row[2] is not None and row[2] > 0.3 for row in scores.rows.values())
    with pytest.raises(RunError, match="a run of the task speak hears nothing"):
        Listener(run.folder)


def test_the_report_lets_one_listen(run: conveyor.Run) -> None:
    page = run.report().read_text(encoding="utf-8")
    for part in ("Listen", "Nghe thử", "Alignment", "Largest distortion", "Speakers"):
        assert part in page
    assert page.count("<audio controls") > 12
    assert "undefined" not in page


def test_a_look_inside_has_a_letter_at_each_step(run: conveyor.Run) -> None:
    model, source = model_of(run), source_of(run)
    sequence = run.read(source, row=3)
    text = sequence.title.en
    assert "".join(dict.fromkeys(sequence.labels)) == "".join(dict.fromkeys(text))
    with torch.no_grad():
        output = model.recurrent(sequence.inputs)[0]
        nearness = sequence.answer(output.expand(-1, 2, -1))
    task = prepared(source)[0]
    place = task.train.places.index("2.wav (line 4)")
    losses = model.losses(task.train.__getitems__([place]))
    torch.testing.assert_close(nearness[1], -losses.frames.sum())
    with pytest.raises(DataError, match="a run keeps no recording"):
        run.read()
    inspect_run(run, source)


# What it says of bad data --------------------------------------------------------------------


def manifest(folder: Path, rows: Sequence[tuple[str, ...]], heads: tuple[str, ...]) -> Path:
    for number, (name, text, *_) in enumerate(rows):
        letters = "".join(c for c in text.lower() if c in TONES) or "a"
        soundfile.write(folder / name, sung(letters, seed=number), RATE)
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heads, *rows])
    return folder / "rows.csv"


Rows = list[tuple[str, ...]]


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([("0.wav", "a"), ("1.wav", "e")], "there are 2 recordings; expected three or more"),
        ([("0.wav", "!"), ("1.wav", "?"), ("2.wav", "-")], "no text holds a letter or a digit"),
    ],
)
def test_data_that_cannot_be_used(tmp_path: Path, rows: Rows, error: str) -> None:
    with pytest.raises(DataError, match=error):
        prepared(manifest(tmp_path, rows, ("audio", "text")))


def test_letters_and_speakers_that_no_training_recording_has_are_told(tmp_path: Path) -> None:
    rows = [(f"{n}.wav", "ae", "train", "ann") for n in range(5)]
    rows += [("5.wav", "ea", "validation", "ann"), ("6.wav", "eo", "validation", "ann")]
    rows += [
        ("7.wav", "e", "test", "ann"),
        ("8.wav", "a", "test", "bob"),
        ("9.wav", "…", "test", "ann"),
    ]
    source = manifest(tmp_path, rows, ("audio", "text", "part", "speaker"))
    task, heard = prepared(source)
    assert [len(part) for part in task.prepared.parts] == [5, 1, 1]
    assert "6.wav (line 8) (1 recording)" in heard.text
    assert "8.wav (line 10) (1 recording)" in heard.text
    assert "holds no letter or digit: 1 recording" in heard.text
    strange = [*rows[:7], ("8.wav", "a", "test", "bob")]
    with pytest.raises(DataError, match="the test set of 8 recordings is empty"):
        prepared(manifest(tmp_path, strange, ("audio", "text", "part", "speaker")))


def test_without_speakers_there_is_one_voice(tmp_path: Path) -> None:
    rows = [(f"{n}.wav", "ae" if n % 2 else "ea") for n in range(10)]
    source = manifest(tmp_path, rows, ("audio", "text"))
    run = conveyor.fit("speak", source, say=lambda line: None, **{**QUICK, "epochs": 1})
    assert model_of(run).names == ("",)
    assert model_of(run).speak("ae", longest=6).frames.shape[0] <= 6
    with pytest.raises(DataError, match="name no speakers"):
        run.speak("ae", speaker="ann")


def test_a_text_that_never_ends_is_cut_off(run: conveyor.Run) -> None:
    model = model_of(run)
    bias = model.head.bias
    with torch.no_grad():
        kept = bias[-1].clone()
        bias[-1] = -100.0
        spoken = model.speak("ae")
        bias[-1] = kept
    assert not spoken.finished
    assert len(spoken.frames) >= 60
    assert model.speak("ae").finished


def test_a_word_is_a_label_where_it_is_asked_for(tmp_path: Path) -> None:
    """Phones between blanks, for one."""
    rows = [(f"{n}.wav", "AH0 EH1" if n % 2 else "EH1 AH0") for n in range(10)]
    task, _ = prepared(manifest(tmp_path, rows, ("audio", "text")), unit="word", lower=False)
    assert task.prepared.learned.speller.labels == ("AH0", "EH1")
    assert {len(letters) for letters in task.train.letters} == {3}


def test_options_of_one_name_say_which_is_a_column() -> None:
    """A fit names columns, and ``generate`` says what is spoken and by whom."""
    fit, made = options_of(SpeakData), options_of(SpeakingOptions)
    for name, said in (("text", "spoken"), ("speaker", "Who speaks")):
        assert "column" in fit[name].help
        assert "column" not in made[name].help
        assert said in made[name].help
    # Of options that several tasks have, the help shows one sentence: it has to fit all.
    assert made["text"].help == options_of(WritingOptions)["text"].help
    assert SpeakSettings.of({}).data.bands == 60
    assert TranscribeSettings.of({}).data.bands == 40


def test_settings_fit_each_other() -> None:
    with pytest.raises(SettingError, match="layers=1: the layer that looks at the text"):
        SpeakSettings.of({"layers": 1})
    with pytest.raises(SettingError, match="prenet_dropout"):
        SpeakSettings.of({"prenet_dropout": 1.0})


def test_a_recogniser_that_is_none_is_told_before_anything_is_learned(
    run: conveyor.Run, tmp_path: Path
) -> None:
    for folder, error in ((tmp_path, "model.json|is no run"), (run.folder, "hears nothing")):
        with pytest.raises(RunError, match=error):
            prepared(source_of(run), recogniser=str(folder))


def test_sound_of_another_rate_is_resampled(tmp_path: Path) -> None:
    source = write_sung(tmp_path, 10)
    soundfile.write(tmp_path / "0.wav", sung("ae"), 4 * RATE)
    heard = Heard()
    prepare_speech(source, SpeakSettings.of(QUICK), heard)
    assert "32,000 samples a second: resampled to 8,000" in heard.text
    assert read_sound(tmp_path / "0.wav").rate == 4 * RATE


def test_parts_and_speakers_are_of_the_hash_of_recordings_where_there_are_any(
    tmp_path: Path,
) -> None:
    """A source without them has the hash that it had before they counted."""
    rows: Rows = [(f"{n}.wav", "ae", part, "ann") for n, part in enumerate(("train", "test"))]
    heads = ("audio", "text", "part", "speaker")

    def hashed(column_count: int, several: Rows) -> str:
        cut = [row[:column_count] for row in several]
        return hash_by_size(read_recordings(manifest(tmp_path, cut, heads[:column_count])))

    plain = hashed(2, rows)
    digest = hashlib.sha256()
    for name, text, *_ in rows:
        digest.update(f"{name}\0{(tmp_path / name).stat().st_size}\0{text}\n".encode())
    assert plain == digest.hexdigest()
    other_part = [(*rows[0][:2], "test", "ann"), rows[1]]
    other_name = [(*rows[0][:3], "bob"), rows[1]]
    hashes = [plain, hashed(3, rows), hashed(3, other_part), hashed(4, rows), hashed(4, other_name)]
    assert len(set(hashes)) == len(hashes)
