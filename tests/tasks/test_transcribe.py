"""The task ``transcribe``: what it must learn, what must not change its answers, and what it says
of bad data."""

import io
import json
import math
import shutil
import wave as wave_files
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
import torch
from typer.testing import CliRunner

import conveyor
from conveyor.cli.app import app
from conveyor.compiler.show import program_of
from conveyor.data.audio_file import wave_bytes
from conveyor.data.recordings import read_recordings
from conveyor.errors import DataError, RunError, SettingError
from conveyor.inside.inspect_run import inspect_run
from conveyor.networks.ctc import collapse
from conveyor.networks.prefix_beam_search import Transcript, prefix_beam_search
from conveyor.tasks.run import Run
from conveyor.tasks.speller import Speller
from conveyor.tasks.transcribe.nearest_recording import NearestRecording, outline
from conveyor.tasks.transcribe.recogniser import Recogniser
from conveyor.tasks.transcribe.scored_recordings import ScoredRecordings
from conveyor.tasks.transcribe.spoken_language import SpokenLanguage
from conveyor.tasks.transcribe.transcribe_report import sections
from conveyor.tasks.transcribe.transcribe_settings import TranscribeSettings
from conveyor.tasks.transcribe.transcribing import FREQUENT, NEAREST, Transcribing
from conveyor.tasks.word_edits import WordEdits, edits
from tests.heard import Heard
from tests.spoken import RATE, spoken, texts, tone, write_spoken

QUICK: dict[str, Any] = {
    "hidden": 16,
    "layers": 1,
    "bands": 16,
    "dropout": 0.0,
    "augment": 0.0,
    "epochs": 1,
    "batch": 8,
    "learning_rate": 0.01,
    "unit": "word",
}


def prepared(source: Any, **values: Any) -> tuple[Transcribing, Heard]:
    """Return the task on a source, and what was said."""
    heard = Heard()
    return Transcribing.prepare(source, TranscribeSettings.of({**QUICK, **values}), heard), heard


def untrained(task: Transcribing, cell: str = "lstm") -> Recogniser:
    """Return a network of a task that has learned nothing, and whose numbers are not all alike."""
    torch.manual_seed(0)
    network = task.network(program_of(cell), task.settings.network).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return network


def recogniser(run: Run) -> Recogniser:
    """Return the network of a run."""
    assert isinstance(run.model, Recogniser)
    return run.model


@pytest.fixture(scope="module")
def spoken_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest of recordings."""
    folder = tmp_path_factory.mktemp("spoken")
    write_spoken(folder, 64, speaker=[("an", "bình")[n // 8 % 2] for n in range(64)])
    return folder


@pytest.fixture(scope="module")
def run(spoken_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has learned to tell tones apart, from the left to the right."""
    folder = tmp_path_factory.mktemp("run")
    return conveyor.fit(
        "transcribe",
        spoken_folder / "manifest.csv",
        out=folder / "run",
        say=Heard(),
        **{**QUICK, "epochs": 16, "bidirectional": False, "lookahead": 60},
    )


# What it must learn ----------------------------------------------------------------------------


def test_it_learns_what_is_said(run: Run) -> None:
    (scores,) = run.metrics["scores"]
    rows = scores["rows"]
    assert rows["lstm"]["wer"] < 0.5 * rows[FREQUENT]["wer"]
    assert 0 < run.metrics["blank_share"] < 1
    assert run.metrics["words"] > 8


def test_every_cell_can_be_the_recogniser(spoken_folder: Path) -> None:
    task, _ = prepared(spoken_folder / "manifest.csv", bidirectional=False)
    for cell in ("gru", "mgu", "qrnn_f"):
        network = untrained(task, cell)
        loss = network.loss(task.train.__getitems__([0, 1, 2])).value
        loss.backward()  # type: ignore[no-untyped-call]
        assert bool(loss.isfinite())


def test_the_loss_is_that_of_each_recording_alone(spoken_folder: Path) -> None:
    task, _ = prepared(spoken_folder / "manifest.csv")
    network = untrained(task)
    with torch.no_grad():
        loss = network.loss(task.train.__getitems__([0, 3, 5, 7]))
        each = [network.loss(task.train[number]) for number in (0, 3, 5, 7)]
    assert loss.count == sum(one.count for one in each)
    total = sum(float(one.value) * one.count for one in each)
    assert float(loss.value) == pytest.approx(total / loss.count, rel=1e-5)


# What must not change its answers --------------------------------------------------------------


def test_a_batch_answers_as_each_alone(spoken_folder: Path) -> None:
    task, _ = prepared(spoken_folder / "manifest.csv")
    network = untrained(task)
    frames = task.train.frames[:9]
    together = network.log_probabilities(frames)
    for one, each in zip(together, frames, strict=True):
        alone = network.log_probabilities([each])[0]
        torch.testing.assert_close(one, alone, rtol=1e-4, atol=1e-5)


def test_lookahead_reads_so_many_frames_and_no_more(spoken_folder: Path) -> None:
    task, _ = prepared(spoken_folder / "manifest.csv", bidirectional=False, lookahead=50, stack=2)
    network = untrained(task)
    assert (network.sizes.lookahead, network.width) == (5, 7)
    frames = task.train.frames[0]
    before = network.log_probabilities([frames])[0]
    step = 4
    last = step * 2 + 7  # the frames that this step reads end before it
    changed = frames.clone()
    changed[last:] += 3
    after = network.log_probabilities([changed])[0]
    torch.testing.assert_close(after[: step + 1], before[: step + 1])
    changed[last - 1] += 3
    after = network.log_probabilities([changed])[0]
    assert not torch.equal(after[step], before[step])
    torch.testing.assert_close(after[:step], before[:step])
    assert network.latency == pytest.approx(0.025 + 6 * 0.010)


def test_another_microphone_changes_nothing_where_recordings_are_centred(
    spoken_folder: Path,
) -> None:
    task, _ = prepared(spoken_folder / "manifest.csv")
    network = untrained(task)
    assert network.sizes.centre
    frames, curve = task.train.frames[0], torch.linspace(-2, 3, task.prepared.frames.bands)
    one, other = network.log_probabilities([frames, frames + curve])
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    assert not untrained(
        prepared(spoken_folder / "manifest.csv", bidirectional=False)[0]
    ).sizes.centre


@pytest.mark.parametrize("stack", [1, 3])
def test_any_cutting_of_the_sound_gives_the_same_text(spoken_folder: Path, stack: int) -> None:
    task, _ = prepared(spoken_folder / "manifest.csv", bidirectional=False, stack=stack)
    network = untrained(task)
    sound = spoken("do mi sol mi", seed=9).astype(np.float32)
    frames = network.frames(torch.from_numpy(sound))
    chances = network.log_probabilities([frames])[0]
    expected = network.decoded(chances, beam=1)
    assert len(expected.labels) > 3
    draw = np.random.default_rng(0)
    for count in (0, 1, 5, 60):
        cuts = sorted(draw.integers(0, len(sound), size=count))
        stream = network.stream()
        parts = [stream.push(sound[a:b]) for a, b in pairwise([0, *cuts, len(sound)])]
        parts.append(stream.finish())
        assert tuple(stream.labels) == expected.labels
        assert "".join(parts) == stream.text == expected.text


def test_a_stream_writes_before_the_end(run: Run) -> None:
    sound = spoken("do mi sol do", seed=5).astype(np.float32)
    stream = run.stream()
    halves = np.array_split(sound, 2)
    first = stream.push(halves[0])
    assert first
    assert stream.text == first
    stream.push(halves[1])
    stream.finish()
    whole = recogniser(run).hear([recogniser(run).frames(torch.from_numpy(sound))], beam=1)[0].text
    assert stream.text == whole
    stream.restart()
    assert (stream.text, stream.labels) == ("", [])
    stream.push(sound)
    stream.finish()
    assert stream.text == whole


def test_a_stream_of_another_rate_is_resampled_as_it_comes(run: Run) -> None:
    sound = spoken("do mi sol", rate=16_000, seed=5).astype(np.float32)
    texts = []
    for size in (100, 999, len(sound)):
        stream = recogniser(run).stream(16_000)
        for at in range(0, len(sound), size):
            stream.push(sound[at : at + size])
        stream.finish()
        texts.append(stream.text)
    assert len(set(texts)) == 1
    assert texts[0]


def test_a_short_sound_is_heard(run: Run) -> None:
    for count in (1, 10, 199, 200, 300):
        sound = np.full(count, 0.01, dtype=np.float32)
        stream = run.stream()
        stream.push(sound)
        stream.finish()
        frames = recogniser(run).frames(torch.from_numpy(sound))
        assert stream.text == recogniser(run).hear([frames], beam=1)[0].text


def test_a_network_that_reads_from_the_end_has_no_stream(spoken_folder: Path) -> None:
    task, _ = prepared(spoken_folder / "manifest.csv")
    with pytest.raises(SettingError, match="bidirectional=False"):
        untrained(task).stream()


def test_what_is_saved_answers_the_same(run: Run) -> None:
    again = conveyor.load(run.folder)
    frames = [recogniser(run).frames(torch.from_numpy(spoken("mi do").astype(np.float32)))]
    assert torch.equal(
        recogniser(again).log_probabilities(frames)[0], recogniser(run).log_probabilities(frames)[0]
    )
    described = json.loads((run.folder / "model.json").read_text())
    assert described["frames"]["rate"] == RATE
    assert described["frames"]["floor"] == 1e-6
    assert described["speller"]["labels"] == ["do", "mi", "sol"]


# What it answers ---------------------------------------------------------------------------------


def test_one_recording_a_folder_and_a_table_are_predicted_from(
    run: Run, spoken_folder: Path, tmp_path: Path
) -> None:
    heard = Heard()
    one = run.predict(spoken_folder / "7.wav", say=heard, scores=True)
    assert one.columns == ["recording", "written", "log_probability", "score"]
    soundfile.write(tmp_path / "a.flac", spoken("do do"), RATE)
    soundfile.write(tmp_path / "b.wav", spoken("sol", rate=16_000), 16_000)
    folder = run.predict(tmp_path, say=heard)
    assert folder["recording"].to_list() == [str(tmp_path / "a.flac"), str(tmp_path / "b.wav")]
    assert "1 recording has 16,000 samples a second: resampled to 8,000" in heard.text
    table = run.predict(spoken_folder / "manifest.csv", say=heard)
    assert table.columns == ["audio", "text", "part", "speaker", "written"]
    assert table["written"][7] == one["written"][0]


def test_it_can_be_evaluated_on_other_recordings(run: Run, tmp_path: Path) -> None:
    heard = Heard()
    for name, text in (("a", "do mi"), ("b", "sol")):
        soundfile.write(tmp_path / f"{name}.wav", spoken(text, seed=77), RATE)
        (tmp_path / f"{name}.txt").write_text(f"{text.upper()}!\n")
    results = run.evaluate(tmp_path, say=heard)
    assert results.count.en == "2 recordings"
    assert results.details["words"] == 3
    results = run.evaluate(tmp_path, say=heard, beam=1)
    assert results.details["beam"] == 1
    (tmp_path / "a.txt").write_text("do re")
    run.evaluate(tmp_path, say=heard)
    assert "the run has never learned to write 're'" in heard.text


def test_on_its_own_data_the_test_part_is_scored_again(run: Run, spoken_folder: Path) -> None:
    heard = Heard()
    results = run.evaluate(spoken_folder / "manifest.csv", say=heard)
    assert "this is the data of the run" in heard.text
    assert [results.scores[0].as_json()] == run.metrics["scores"]


def test_recordings_that_were_learned_from_are_told(run: Run, spoken_folder: Path) -> None:
    heard = Heard()
    frame = run.predict(spoken_folder / "manifest.csv", say=heard)
    paths = str(spoken_folder) + "/" + frame["audio"]
    results = run.evaluate(frame.drop("part").with_columns(audio=paths)[1:], say=heard)
    assert results.details["leaks"] == 55
    assert "55 recordings of these 63 were learned from" in heard.text


def test_other_parts_of_the_same_recordings_are_other_data(
    run: Run, spoken_folder: Path, tmp_path: Path
) -> None:
    """Recordings that were learned from are no test set for being called so, and are told."""
    folder = tmp_path / "turned"
    shutil.copytree(spoken_folder, folder)
    turned = {"train": "test", "test": "train", "validation": "train"}
    table = pl.read_csv(folder / "manifest.csv")
    table.with_columns(pl.col("part").replace(turned)).write_csv(folder / "manifest.csv")
    heard = Heard()
    results = run.evaluate(folder / "manifest.csv", say=heard)
    assert "this is the data of the run" not in heard.text
    count = int((table["part"] == "train").sum())
    assert results.details["leaks"] == count
    assert f"{count} recordings of these {count} were learned from" in heard.text


def test_sound_of_a_pipe_is_heard(run: Run) -> None:
    sound = spoken("do mi sol", seed=3).astype(np.float32)
    heard = Heard()
    text = "".join(run.hear(io.BytesIO(wave_bytes(sound, RATE)), say=heard))
    whole = recogniser(run).hear([recogniser(run).frames(torch.from_numpy(sound))], beam=1)[0].text
    assert text == whole
    assert "real-time factor" in heard.text
    assert "105 ms of sound after its step begins" in heard.text
    # What is written while it comes is not searched for, and that is told.
    assert "it is the most probable one, as with beam=1" in heard.text
    raw = (sound * 32_768).astype("<i2").tobytes()
    assert "".join(run.hear(io.BytesIO(raw), say=heard, raw=RATE)) == whole
    with pytest.raises(DataError, match="no wave file"):
        list(run.hear(io.BytesIO(raw), say=heard))
    with pytest.raises(DataError, match="holds no sample"):
        list(run.hear(io.BytesIO(wave_bytes(sound[:0], RATE)), say=heard))


def test_the_command_hears_a_pipe(run: Run) -> None:
    sound = spoken("do mi sol", seed=3).astype(np.float32)
    ran = CliRunner().invoke(
        app,
        ["predict", str(run.folder), "-"],
        input=wave_bytes(sound, RATE),
        catch_exceptions=False,
    )
    assert ran.exit_code == 0
    whole = recogniser(run).hear([run.frames(torch.from_numpy(sound))], beam=1)[0].text
    assert ran.stdout == f"{whole}\n"
    assert "real-time factor" in ran.stderr
    with pytest.raises(SettingError, match="--out is of files"):
        CliRunner().invoke(
            app,
            ["predict", str(run.folder), "-", "--out", "a.txt"],
            input=wave_bytes(sound, RATE),
            catch_exceptions=False,
        )


def test_lines_are_not_answered(run: Run) -> None:
    with pytest.raises(RunError, match="answers no lines"):
        list(run.answers(["do"]))


def test_the_report_lets_listen(run: Run) -> None:
    page = run.report().read_text(encoding="utf-8")
    assert page.count("<audio") >= 3
    assert page.count('class="pixels"') == page.count("<audio")
    assert "data:audio/wav;base64," in page
    assert "Người nói" in page
    with wave_files.open(io.BytesIO(wave_bytes(np.zeros(9, np.float32), RATE))) as file:
        assert (file.getframerate(), file.getnframes()) == (RATE, 9)


def test_what_was_said_is_not_translated(spoken_folder: Path) -> None:
    """One and lowest are words of the pages, which have Vietnamese names."""
    task, _ = prepared(spoken_folder / "manifest.csv")
    test = task.prepared.parts[2]
    examples = replace(test, texts=["one lowest"] * len(test), speakers=["one", "median"] * 4)
    page = "".join(each.body for each in sections(ScoredRecordings(untrained(task), examples, 1)))
    for word in ("one", "lowest", "median"):
        assert f'<th scope="row">{word}</th>' in page


def test_what_was_answered_is_kept(run: Run) -> None:
    lines = (run.folder / "test.csv").read_text().splitlines()
    assert lines[0] == "recording,said,written,word_edits,words,log_probability,speaker"
    assert len(lines) == 9


def test_a_look_inside(run: Run, spoken_folder: Path) -> None:
    sequence = run.read(spoken_folder / "7.wav")
    assert sequence.labels[:2] == ("0.00 s", "0.03 s")
    assert len(sequence.inputs) == len(sequence.labels) == len(sequence.answers)
    output, _ = recogniser(run).encoder.read(sequence.main)
    sound = torch.from_numpy(soundfile.read(spoken_folder / "7.wav", dtype="float32")[0])
    heard = recogniser(run).hear([recogniser(run).frames(sound)], beam=64)
    assert float(sequence.answer(output).detach()) == pytest.approx(
        heard[0].log_probability, abs=1e-3
    )
    with pytest.raises(DataError, match="keeps no recording"):
        run.read()
    with pytest.raises(DataError, match="there are 64 recordings"):
        run.read(spoken_folder / "manifest.csv", row=65)


# With a text model -----------------------------------------------------------------------------


CHANCES = {"": {"do": 0.2, "mi": 0.2, "sol": 0.6}, "do": {"do": 0.1, "mi": 0.8, "sol": 0.1}}


def likes(texts: Sequence[str]) -> list[float]:
    """A text model by hand: each word's probability depends on the word before it."""
    return [
        sum(math.log(CHANCES.get(a, {}).get(b, 1 / 3)) for a, b in pairwise(["", *words]))
        for words in map(str.split, texts)
    ]


def test_a_text_model_chooses_among_what_is_heard(spoken_folder: Path) -> None:
    task, _ = prepared(spoken_folder / "manifest.csv")
    network = untrained(task)
    assert task.prepared.speller.labels == ("do", "mi", "sol")
    chances = torch.log_softmax(torch.tensor([[0.0, 1.0, 1.1, 0.9], [2.0, 0, 0, 0]]), -1)
    assert network.decoded(chances, beam=64).text == "mi"
    for weight, bonus in ((1.0, 0.0), (0.5, 2.0)):
        language = SpokenLanguage(likes, weight, bonus)
        heard = network.decoded(chances, beam=64, language=language)
        every = prefix_beam_search(chances, beam=64, n_best=13)
        speller = task.prepared.speller

        def score(
            one: Transcript, weight: float = weight, bonus: float = bonus, speller: Any = speller
        ) -> float:
            said = likes([speller.decode(one.labels)])[0]
            return one.log_probability + weight * said + bonus * len(one.labels)

        assert heard.labels == max(every, key=score).labels
    assert network.decoded(chances, beam=64, language=SpokenLanguage(likes, 1.0)).text == "sol"


def test_a_run_of_text_is_a_text_model(run: Run, spoken_folder: Path, tmp_path: Path) -> None:
    lines = texts(200)
    (tmp_path / "said.txt").write_text("\n".join(lines) + "\n")
    quick: dict[str, Any] = {"hidden": 8, "embedding": 4, "epochs": 2, "batch": 4, "chunk": 20}
    text = conveyor.fit("text", tmp_path / "said.txt", out=tmp_path / "t", say=Heard(), **quick)
    model: Any = text.model
    # As the model itself reads: symbol after symbol.
    logits, _ = model(model.vocabulary.encode("\ndo mi").unsqueeze(1))
    chances = logits[:, 0].log_softmax(-1)
    expected = sum(
        float(chances[n, number].detach())
        for n, number in enumerate(model.vocabulary.encode("do mi").tolist())
    )
    one, empty, same = model.log_probabilities(["do mi", "", "do mi"])
    assert (one, empty) == (pytest.approx(expected, abs=1e-4), 0)
    assert same == pytest.approx(one)
    options: dict[str, Any] = {
        "text_model": str(tmp_path / "t"),
        "text_weight": 0.3,
        "label_bonus": 1.0,
    }
    frame = run.predict(spoken_folder / "7.wav", say=Heard(), **options)
    assert frame["written"][0]
    with pytest.raises(RunError, match="gives texts no probability"):
        run.predict(spoken_folder / "7.wav", say=Heard(), text_model=str(run.folder))
    with pytest.raises(SettingError, match="chooses among whole texts"):
        list(run.hear(io.BytesIO(wave_bytes(tone("do"), RATE)), say=Heard(), **options))


# Scores ------------------------------------------------------------------------------------------


def test_word_errors_by_hand() -> None:
    said = ["one two three", "one", "", "two two"]
    written = ["one too three", "", "one", "two two"]
    both = WordEdits.of(said, written)
    assert both.counts.tolist() == [[1, 0, 0, 3], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 2]]
    assert both.rate() == pytest.approx(3 / 6)
    assert both.rate([3]) == 0
    assert both.rate([2]) is None
    assert both.letter_rate == pytest.approx((1 + 3 + 3) / (13 + 3 + 0 + 7))
    assert both.wrong_share == 0.75
    assert {(a, b) for a, b, _ in both.confusions()} == {
        ("two", "too"),
        ("one", None),
        (None, "one"),
    }
    assert WordEdits.of([""], ["x"]).rate() is None
    assert WordEdits.of(["a"], ["b c d"]).rate() == 3


def test_edits_are_the_fewest() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        one, other = ("".join(draw.choice(list("ab"), size=draw.integers(0, 6))) for _ in range(2))
        pairs = edits(one, other)
        assert "".join(a or "" for a, _ in pairs) == one
        assert "".join(b or "" for _, b in pairs) == other
        assert sum(a != b for a, b in pairs) == _fewest(one, other)


def _fewest(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    return min(
        _fewest(one[1:], other) + 1,
        _fewest(one, other[1:]) + 1,
        _fewest(one[1:], other[1:]) + (one[0] != other[0]),
    )


def test_the_nearest_recording_is_found_whatever_its_loudness_and_length() -> None:
    frames = [torch.randn(30, 8, generator=torch.Generator().manual_seed(n)) for n in range(5)]
    nearest = NearestRecording(frames)
    louder = [each + 2.5 for each in frames]
    assert nearest.find(louder) == [0, 1, 2, 3, 4]
    slower = [each.repeat_interleave(2, 0) for each in frames]
    assert nearest.find(slower) == [0, 1, 2, 3, 4]
    assert len(NearestRecording(frames * 900).numbers) <= 2000
    assert outline(frames[0][:1]).shape == outline(frames[0]).shape


# Texts -------------------------------------------------------------------------------------------


def test_texts_are_normalised() -> None:
    speller = Speller("char", True)
    cases = {
        "  Hello,  World! ": "hello world",
        "it's 5 o'clock": "it's 5 o'clock",
        "'quoted'": "quoted",
        "a - b, well-known": "a b well-known",
        "e\u0302\u0301": "ế",
        "?!": "",
        "हिन्दी": "हिन्दी",
    }
    for text, normal in cases.items():
        assert speller.normal(text) == normal, text
    assert Speller("word", False).normal("Hà Nội") == "Hà Nội"
    assert Speller("syllable", True).tokens("cà-phê sữa") == ["cà", "phê", "sữa"]
    assert Speller("word", True).tokens("cà-phê sữa") == ["cà-phê", "sữa"]


@pytest.mark.parametrize("unit", ["char", "word", "syllable"])
def test_texts_are_labels_and_texts_again(unit: str) -> None:
    texts = ["xin chào", "chào Huế", "xin xin"]
    speller = Speller(unit, True).of_texts(texts)
    for text in texts:
        labels = speller.encode(text)
        assert 0 not in labels
        assert speller.decode(labels) == text.lower()
    assert speller.unknown("xin bạn") == (["bạn"] if unit != "char" else ["b", "ạ"])
    again = Speller.described(speller.description(), "model.json")
    assert again == speller
    with pytest.raises(RunError, match=r"model\.json: speller"):
        Speller.described({**speller.description(), "labels": ["a", "a"]}, "model.json")


# Data, good and bad ------------------------------------------------------------------------------


def test_parts_speakers_and_rates_are_told(spoken_folder: Path) -> None:
    task, heard = prepared(spoken_folder / "manifest.csv")
    assert [len(part) for part in task.prepared.parts] == [48, 8, 8]
    assert task.settings.data.rate == 8000
    assert "2 of 2 speakers of the test set are learned from, too" in heard.text
    assert set(task.baselines()) == {FREQUENT, NEAREST}


def test_people_are_kept_apart(spoken_folder: Path) -> None:
    task, heard = prepared(
        _manifest(spoken_folder, "who.csv", [f"p{n % 5}" for n in range(64)]),
        by_speaker=True,
    )
    speakers = [set(part.speakers) for part in task.prepared.parts]
    assert not speakers[0] & speakers[2]
    assert not speakers[0] & speakers[1]
    assert task.prepared.shared_speakers == 0
    assert "strangers" not in heard.text


def _manifest(folder: Path, name: str, speakers: list[str]) -> Path:
    """Write a manifest without parts."""
    rows = zip(texts(len(speakers)), speakers, strict=True)
    lines = [f"{number}.wav,{text},{speaker}" for number, (text, speaker) in enumerate(rows)]
    path = folder / name
    path.write_text("\n".join(["audio,text,speaker", *lines]) + "\n", encoding="utf-8")
    return path


def _folder(folder: Path, names: dict[str, str]) -> Path:
    """Write a recording with a text beside it for each name."""
    folder.mkdir(exist_ok=True)
    for number, (name, text) in enumerate(names.items()):
        soundfile.write(folder / f"{name}.wav", spoken("do mi", seed=number), RATE)
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


SIX = {name: "do mi" if n % 2 else "mi do" for n, name in enumerate("abcdef")}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("audio;text\na.wav;do\nb.wav;mi\nc.wav;do\n", None),
        ("\ufeffaudio\ttext\r\na.wav\tdo\r\nb.wav\tmi\r\nc.wav\tdo\r\n", None),
        ('path,sentence\n"a.wav","do, mi"\nb.wav,mi\nc.wav,do\n', None),
        ("audio,text\n.\\a.wav,do\nb.wav,mi\nc.wav,do\n", None),
        ("audio,text\na.wav,do\nx.wav,mi\n", r"line 3: there is no file .*x\.wav"),
        ("audio,text\na.wav,do\n,mi\n", "line 3: no recording is named"),
        ("audio,text\na.wav,do\nb.wav,mi\na.wav,do\n", "a.wav at line 2 and line 4"),
        ("audio,text\na.wav,do\n.,mi\n", "line 3: .* is a folder"),
        ("audio,words said\na.wav,do\n", "which column holds the texts.* audio, words said"),
        ("x,text\na.wav,do\n", "which column holds the recordings"),
        ("audio,text\na.wav,?\nb.wav,!\nc.wav,\n", "no text holds a letter"),
        ("audio,text\na.wav,do\nb.wav,mi\n", "there are 2 recordings; expected three"),
    ],
)
def test_manifests_good_and_bad(tmp_path: Path, content: str, match: str | None) -> None:
    folder = _folder(tmp_path / "x", SIX)
    (folder / "m.csv").write_bytes(content.encode())
    if match is None:
        task, _ = prepared(folder / "m.csv", split=(0.34, 0.33, 0.33))
        assert sum(map(len, task.prepared.parts)) == 3
    else:
        with pytest.raises(DataError, match=match):
            prepared(folder / "m.csv")


def test_lines_of_json_are_a_manifest(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "x", SIX)
    lines = [json.dumps({"audio_filepath": f"{name}.wav", "text": t}) for name, t in SIX.items()]
    (folder / "m.jsonl").write_text("\n".join(lines) + "\n")
    task, _ = prepared(folder / "m.jsonl")
    assert sum(map(len, task.prepared.parts)) == 6
    (folder / "m.jsonl").write_text("no json\n")
    with pytest.raises(DataError, match=r"m\.jsonl: these are no lines of JSON"):
        prepared(folder / "m.jsonl")


def test_a_folder_with_and_without_texts(tmp_path: Path) -> None:
    task, _ = prepared(_folder(tmp_path / "x", SIX))
    assert set(task.train.texts) <= {"do mi", "mi do"}
    for path in (tmp_path / "x").glob("*.txt"):
        path.unlink()
    for number, path in enumerate(sorted((tmp_path / "x").glob("*.wav"))):
        path.rename(path.with_name(f"{'mi' if number % 2 else 'do'}_{number}.wav"))
    task, heard = prepared(tmp_path / "x")
    assert set(task.train.texts) == {"do", "mi"}
    assert "do_0.wav is 'do'" in heard.text
    (tmp_path / "x" / "do_0.txt").write_text("do")
    with pytest.raises(DataError, match=r"there is no do_2\.txt"):
        prepared(tmp_path / "x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there is no recording in this folder"):
        prepared(tmp_path / "empty")


def test_folders_that_are_parts(tmp_path: Path) -> None:
    for part, names in (("train", "abcd"), ("dev", "e"), ("test", "f")):
        (tmp_path / part).mkdir()
        _folder(tmp_path / part, {name: SIX[name] for name in names})
    task, _ = prepared(tmp_path)
    assert [len(part) for part in task.prepared.parts] == [4, 1, 1]


def test_a_broken_recording_is_named_before_training(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "x", SIX)
    (folder / "c.wav").write_bytes(b"no sound")
    with pytest.raises(DataError, match=r"c\.wav: it cannot be read.*skip_broken=True"):
        prepared(folder)
    task, heard = prepared(folder, skip_broken=True)
    assert sum(map(len, task.prepared.parts)) == 5
    assert "left out: " in heard.text
    assert "c.wav" in heard.text


def test_texts_too_long_for_their_recordings_are_named(tmp_path: Path) -> None:
    names = {f"n{n:02d}": "do mi" for n in range(30)}
    folder = _folder(tmp_path / "x", names)
    (folder / "n07.txt").write_text("do " * 40)
    task, heard = prepared(folder)
    assert sum(map(len, task.prepared.parts)) == 29
    assert "n07.wav (79 steps needed, " in heard.text
    for name in list(names)[:9]:
        (folder / f"{name}.txt").write_text("do " * 40)
    with pytest.raises(DataError, match=r"9 recordings are too short.*n00\.wav.*stack=1"):
        prepared(folder)


def test_odd_recordings_are_told(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "x", dict.fromkeys(SIX, "do mi"))
    soundfile.write(folder / "a.wav", np.stack([spoken("do mi")] * 2, 1), RATE)
    soundfile.write(folder / "b.wav", spoken("do mi", rate=44_100), 44_100)
    soundfile.write(folder / "c.wav", np.zeros(4000), RATE)
    task, heard = prepared(folder, rate=8000)
    assert "1 recording has 44,100 samples a second: resampled to 8,000" in heard.text
    assert "1 recording has several channels" in heard.text
    assert "in all recordings of the training set the same is said" in heard.text
    assert all(bool(frames.isfinite().all()) for frames in task.train.frames)


def test_what_is_never_said_in_training_is_told(tmp_path: Path) -> None:
    for part, text in (("train", "do mi"), ("val", "mi"), ("test", "do sol")):
        (tmp_path / part).mkdir()
        _folder(tmp_path / part, {f"{part}{n}": text for n in range(2)})
    task, heard = prepared(tmp_path)
    assert "never said in the training set, so that it cannot be written: 'sol'" in heard.text
    results = task.results(untrained(task))
    assert results.details["nats_a_label"] is None
    assert results.details["wer_interval"] is None or len(results.details["wer_interval"]) == 2


def test_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="lookahead"):
        TranscribeSettings.of({"lookahead": 100})
    assert TranscribeSettings.of({"lookahead": 100, "bidirectional": False}).network.lookahead
    folder = _folder(tmp_path / "x", SIX)
    with pytest.raises(DataError, match="who speaks"):
        prepared(folder, by_speaker=True)
    with pytest.raises(DataError, match="this is one recording"):
        prepared(folder / "a.wav")
    with pytest.raises(DataError, match=r"z\.wav: there is no such file"):
        read_recordings(folder / "z.wav", texts=False)


def test_collapsed_labels_are_what_is_written(spoken_folder: Path) -> None:
    task, _ = prepared(spoken_folder / "manifest.csv")
    network = untrained(task)
    chances = network.log_probabilities(task.train.frames[:3])
    for each in chances:
        path = each.argmax(-1).tolist()
        assert network.decoded(each, beam=1).labels == tuple(collapse(path))
        likely = network.decoded(each, beam=32)
        assert likely.log_probability >= network.decoded(each, beam=1).log_probability - 1e-4


def test_a_resumed_run_is_the_uninterrupted_one(spoken_folder: Path, tmp_path: Path) -> None:
    values = {**QUICK, "augment": 1.0, "dropout": 0.2, "hidden": 6, "epochs": 2}
    source = spoken_folder / "manifest.csv"
    whole = conveyor.fit("transcribe", source, out=tmp_path / "a", say=Heard(), **values)
    conveyor.fit(
        "transcribe", source, out=tmp_path / "b", say=Heard(), **{**values, "minutes": 1e-4}
    )
    resumed = conveyor.resume(tmp_path / "b", source, say=Heard(), minutes=60.0)
    frames = [recogniser(whole).frames(torch.from_numpy(tone("mi").astype(np.float32)))]
    assert torch.equal(
        recogniser(whole).log_probabilities(frames)[0],
        recogniser(resumed).log_probabilities(frames)[0],
    )


def test_the_page_that_looks_inside(run: Run, spoken_folder: Path) -> None:
    look = inspect_run(run, spoken_folder / "7.wav", say=Heard())
    assert look
