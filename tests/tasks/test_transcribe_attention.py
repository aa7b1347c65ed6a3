"""The task ``transcribe`` with a decoder that looks at what was heard."""

import base64
import io
import json
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

import conveyor
from conveyor.cli.app import app
from conveyor.compiler.show import program_of
from conveyor.data.audio_file import wave_bytes
from conveyor.errors import SettingError
from conveyor.inside.inspect_run import inspect_run
from conveyor.networks.ctc import ctc_loss, steps_needed
from conveyor.pages import frame as page_frame
from conveyor.tasks.run import Run
from conveyor.tasks.transcribe.heard_sequence import heard_sequence
from conveyor.tasks.transcribe.label_writer import EDGE
from conveyor.tasks.transcribe.recogniser import Heard as HeardText
from conveyor.tasks.transcribe.recogniser import Recogniser
from conveyor.tasks.transcribe.scored_recordings import ScoredRecordings
from conveyor.tasks.transcribe.spoken_language import SpokenLanguage
from conveyor.tasks.transcribe.transcribe_report import sections
from conveyor.tasks.transcribe.transcribe_settings import TranscribeSettings
from conveyor.tasks.transcribe.transcribing import FREQUENT, Transcribing
from conveyor.tasks.word_edits import WordEdits
from tests.heard import Heard
from tests.spoken import RATE, spoken, write_spoken

QUICK: dict[str, Any] = {
    "hidden": 16, "layers": 1, "bands": 16, "dropout": 0.0, "augment": 0.0, "epochs": 1,
    "batch": 8, "learning_rate": 0.01, "unit": "word", "attention": "location",
}  # fmt: skip


def prepared(source: Path, **values: Any) -> Transcribing:
    return Transcribing.prepare(source, TranscribeSettings.of({**QUICK, **values}), Heard())


def untrained(task: Transcribing, cell: str = "lstm") -> Recogniser:
    """Return a network that has learned nothing, and whose numbers are not all alike."""
    torch.manual_seed(0)
    network = task.network(program_of(cell), task.settings.network).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def recogniser(run: Run) -> Recogniser:
    assert isinstance(run.model, Recogniser)
    return run.model


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spoken(tmp_path_factory.mktemp("spoken"), 64)


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has learned to tell tones apart, by attention and CTC."""
    folder = tmp_path_factory.mktemp("run") / "run"
    values = {**QUICK, "epochs": 24, "joint": 0.3}
    return conveyor.fit("transcribe", table, out=folder, say=Heard(), **values)


# What it learns --------------------------------------------------------------------------------


def test_it_learns_what_is_said(run: Run) -> None:
    rows = run.metrics["scores"][0]["rows"]
    assert rows["lstm"]["wer"] < 0.5 * rows[FREQUENT]["wer"]
    assert 0 < run.metrics["blank_share"] < 1


def test_it_looks_from_the_left_to_the_right(run: Run) -> None:
    """At the sounds themselves: each tone of 0.12 s has 0.06 s of silence before it."""
    network, errors = recogniser(run), []
    for seed, text in enumerate(("do mi sol", "mi", "sol do", "mi sol", "do")):
        sound = torch.from_numpy(spoken(text, seed=seed).astype(np.float32))
        heard = network.hear([network.frames(sound)], beam=4)[0]
        assert heard.looked is not None
        assert len(heard.looked) == len(heard.labels) + 1  # and the end
        torch.testing.assert_close(heard.looked.sum(1), torch.ones(len(heard.looked)))
        if heard.text == text:
            places = heard.looked.argmax(1)[:-1].tolist()
            assert places == sorted(places)
            seconds = [place * network.step_seconds for place in places]
            errors += [abs(one - 0.12 - 0.18 * n) for n, one in enumerate(seconds)]
    assert len(errors) >= 5
    assert sum(errors) / len(errors) < 0.12


@pytest.mark.parametrize("cell", ["gru", "mgu", "qrnn_f"])
@pytest.mark.parametrize("joint", [0.0, 0.3])
def test_every_cell_can_write(table: Path, cell: str, joint: float) -> None:
    network = untrained(prepared(table, joint=joint, bidirectional=False), cell)
    loss = network.loss(prepared(table).train.__getitems__([0, 1, 2])).value
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    assert all(bool(each.isfinite().all()) for each in (loss, *gradients))


# The loss ---------------------------------------------------------------------------------------


@torch.no_grad()
def by_hand(network: Recogniser, frames: torch.Tensor, labels: Sequence[int]) -> float:
    """Return log P of labels and the end of one recording, step by step."""
    assert network.writer is not None
    output, steps = network.heard(frames.unsqueeze(1), torch.tensor([len(frames)]))
    decoder = network.writer.decoder
    state, total, read = decoder.begin(output, lengths=steps), 0.0, EDGE
    for label in (*labels, EDGE):
        chances, state = decoder.step(state, torch.tensor([read]))
        total += float(chances[0, label])
        read = label
    return total


@pytest.mark.parametrize("attention", ["location", "bahdanau"])
def test_the_loss_is_what_each_recording_says_of_its_labels_and_the_end(
    table: Path, attention: str
) -> None:
    task = prepared(table, attention=attention)
    network, numbers = untrained(task), [0, 1, 2, 3, 4, 5]
    batch = task.train.__getitems__(numbers)
    assert len(set(batch.lengths.tolist())) > 1
    count = int(batch.label_lengths.sum())
    with torch.no_grad():
        loss = network.loss(batch)
        pairs = [(task.train.frames[n], task.train.labels[n].tolist()) for n in numbers]
        total = sum(by_hand(network, *pair) for pair in pairs)
    assert loss.count == count
    assert float(loss.value) == pytest.approx(-total / count, rel=1e-5)
    assert network.head is None
    with pytest.raises(SettingError, match=r"without CTC\. Fit it with joint=0\.3"):
        network(batch.frames, batch.lengths)


def test_the_joint_loss_is_its_share_of_both(table: Path) -> None:
    task = prepared(table, joint=0.25)
    network, batch = untrained(task), task.train.__getitems__([0, 3, 5, 7])
    alone = untrained(prepared(table))
    state = network.state_dict()
    alone.load_state_dict({name: state[name] for name in state if not name.startswith("head.")})
    with torch.no_grad():
        logits = network(batch.frames, batch.lengths)
        steps = network.steps(batch.lengths)
        ctc = float(ctc_loss(logits, batch.labels, steps, batch.label_lengths).sum())
        attention = float(alone.loss(batch).value)
        joint = float(network.loss(batch).value)
    learns = torch.autograd.grad(network.loss(batch).value, list(network.parameters()))
    assert all(bool(each.abs().sum() > 0) for each in learns)  # both heads, too
    count = int(batch.label_lengths.sum())
    assert joint == pytest.approx(0.75 * attention + 0.25 * ctc / count, rel=1e-5)


@pytest.mark.parametrize("stack", [1, 4])
def test_it_sees_a_second_around_where_it_has_looked(table: Path, stack: int) -> None:
    """As in the paper, whose steps are of 10 ms, for 100 to either side."""
    network = untrained(prepared(table, stack=stack))
    assert network.writer is not None
    assert network.writer.decoder.attention.reach == 100 // stack


# What is written --------------------------------------------------------------------------------


def every_text(network: Recogniser, most: int) -> list[tuple[int, ...]]:
    labels = range(1, len(network.speller.labels) + 1)
    return [each for count in range(most + 1) for each in product(labels, repeat=count)]


@pytest.mark.parametrize("joint", [0.0, 0.4])
@pytest.mark.parametrize("speaks", [False, True])
def test_the_best_of_all_texts_is_written(table: Path, joint: float, speaks: bool) -> None:
    """With a beam that keeps all of them: by what attention, CTC and a text model say together, per
    length as the search counts it."""
    task = prepared(table, joint=joint)
    network, frames = untrained(task), task.train.frames[0]
    steps = int(network.steps(torch.tensor(len(frames))))
    network.sizes = replace(network.sizes, pace=1.5 / steps)  # two labels and the end
    language = SpokenLanguage(lambda texts: [-3.0 * ("mi" in text) for text in texts], 0.5, 0.7)
    spoken_by = language if speaks else None
    every = every_text(network, 2)

    def score(labels: tuple[int, ...]) -> float:
        attention = by_hand(network, frames, labels)
        total, bonus = (1 - joint) * attention, 0.0
        if joint:
            if steps_needed(labels) > steps:
                return -np.inf
            (chances,) = network.log_probabilities([frames])
            said = torch.tensor([labels], dtype=torch.long).T
            counts = torch.tensor([steps]), torch.tensor([len(labels)])
            total -= joint * float(ctc_loss(chances.unsqueeze(1), said, *counts))
        if speaks:
            text = network.speller.decode(labels)
            total, bonus = total + 0.5 * -3.0 * ("mi" in text), 0.7 * len(labels)
        return total / ((5 + len(labels) + 1) / 6) + bonus

    order = sorted(every, key=lambda labels: -score(labels))
    (best,) = network.hear_several([frames], beam=32, n_best=3, language=spoken_by)
    assert [each.labels for each in best] == order[:3]
    assert [each.score for each in best] == pytest.approx(
        [score(labels) for labels in order[:3]], abs=1e-4
    )
    assert best[0].log_probability == pytest.approx(
        by_hand(network, frames, best[0].labels), abs=1e-4
    )


@pytest.mark.parametrize("joint", [0.0, 0.4])
def test_a_text_model_that_does_not_count_changes_nothing(table: Path, joint: float) -> None:
    task = prepared(table, joint=joint)
    network, frames = untrained(task), task.train.frames[:12]
    silent = SpokenLanguage(lambda texts: [-9.0 * len(text) for text in texts], 0.0, 0.0)
    answers = network.hear_several(frames, beam=4, n_best=3)
    others = network.hear_several(frames, beam=4, n_best=3, language=silent)
    assert len({len(each[0].labels) for each in answers}) > 1
    for one, other in zip(answers, others, strict=True):
        assert [each.labels for each in one] == [each.labels for each in other]
        assert [each.score for each in one] == pytest.approx([each.score for each in other])


def test_a_text_that_is_cut_off_has_one_log_probability(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end counts, too, wherever the number is shown."""
    task = prepared(table)
    network, frames = untrained(task), task.train.frames[0]
    assert network.writer is not None
    head: Any = network.writer.decoder.head
    with torch.no_grad():
        head.bias[EDGE] = -30
    heard = network.hear([frames], beam=2)[0]
    assert heard.looked is not None
    assert len(heard.looked) == len(heard.labels)  # it never wrote the end
    expected = pytest.approx(by_hand(network, frames, heard.labels), abs=1e-3)
    assert heard.log_probability == expected
    assert network.looked([frames], [torch.tensor(heard.labels)])[0][0] == expected
    monkeypatch.setattr("conveyor.tasks.transcribe.heard_sequence.BEAM", 2)
    sequence = heard_sequence(network, frames, "a recording")
    inputs: Any = sequence.inputs
    with torch.no_grad():
        answer = sequence.answer(network.encoder.read(inputs)[0])
    assert float(answer) == expected


@pytest.mark.parametrize("attention", ["location", "none"])
def test_a_beam_holds_something(table: Path, attention: str) -> None:
    network = untrained(prepared(table, attention=attention))
    for beam, n_best in ((0, 1), (2, 0)):
        with pytest.raises(SettingError, match="is 0; expected"):
            network.hear_several([torch.zeros(9, 16)], beam=beam, n_best=n_best)
    with pytest.raises(SettingError, match="beam is 0; expected"):
        network.hear([torch.zeros(9, 16)], beam=0)


def test_a_batch_answers_as_each_alone(table: Path) -> None:
    task = prepared(table, joint=0.3)
    network, frames = untrained(task), task.train.frames[:7]
    for heard, each in zip(network.hear(frames, beam=3), frames, strict=True):
        alone = network.hear([each], beam=3)[0]
        assert heard.labels == alone.labels
        assert heard.looked is not None
        assert alone.looked is not None
        torch.testing.assert_close(heard.looked, alone.looked)
    for (chance, looked), each, labels in zip(
        network.looked(frames, task.train.labels[:7]), frames, task.train.labels, strict=False
    ):
        assert chance == pytest.approx(by_hand(network, each, labels.tolist()), abs=1e-3)
        assert looked.shape == (len(labels) + 1, int(network.steps(torch.tensor(len(each)))))


def test_a_text_has_an_end(table: Path) -> None:
    """A network that would write forever stops at twice the pace of the fastest recording."""
    task = prepared(table)
    network, frames = untrained(task), task.train.frames[:3]
    assert network.writer is not None
    fastest = max(
        len(labels) / int(network.steps(torch.tensor(len(each))))
        for labels, each in zip(task.train.labels, task.train.frames, strict=True)
    )
    assert network.sizes.pace == pytest.approx(2 * fastest)
    head: Any = network.writer.decoder.head
    with torch.no_grad():
        head.bias[EDGE] = -1e9
    for heard, each in zip(network.hear(frames, beam=2), frames, strict=True):
        steps = int(network.steps(torch.tensor(len(each))))
        assert len(heard.labels) == 1 + int(np.ceil(np.float32(steps * network.sizes.pace)))


@pytest.mark.parametrize("joint", [0.0, 0.3])
def test_only_ctc_needs_a_step_for_each_label(tmp_path: Path, joint: float) -> None:
    """A decoder alone learns and writes more labels than there are steps."""
    source = write_spoken(tmp_path, 24)
    frame = pl.read_csv(source)
    long = " ".join(["do"] * 60)
    texts = [long if n == 8 else text for n, text in enumerate(frame["text"])]
    frame.with_columns(text=pl.Series(texts)).write_csv(source)
    task = prepared(source, joint=joint)
    assert (long in task.train.texts) == (not joint)
    network = untrained(task)
    if joint:
        assert network.sizes.pace <= 1
        return
    number = task.train.texts.index(long)
    steps = int(network.steps(torch.tensor(len(task.train.frames[number]))))
    assert steps < 60
    assert network.sizes.pace == pytest.approx(2 * 60 / steps)
    network.train()
    network.augmentation.strength = 1.0
    assert bool(network.loss(task.train.__getitems__([number, 0])).value.isfinite())


def test_with_ctc_there_is_a_step_for_each_label(tmp_path: Path) -> None:
    """Twice the pace of the fastest recording would be more than CTC can say."""
    task = prepared(write_spoken(tmp_path, 24), joint=0.3, stack=14)
    fastest = max(
        len(labels) / -(-len(each) // 14)
        for labels, each in zip(task.train.labels, task.train.frames, strict=True)
    )
    assert 2 * fastest > 1
    assert untrained(task).sizes.pace == 1
    alone = prepared(write_spoken(tmp_path, 24), stack=14)
    assert untrained(alone).sizes.pace == pytest.approx(2 * fastest)


def test_what_ctc_cannot_say_ranks_last(table: Path) -> None:
    """With fewer steps than a text needs: two alike need three."""
    network = untrained(prepared(table, joint=0.4))
    network.sizes = replace(network.sizes, pace=1.0)
    frames = torch.randn(2 * network.sizes.stack, 16)
    (answers,) = network.hear_several([frames], beam=64, n_best=64)
    assert {(1, 1), (2, 1)} <= {each.labels for each in answers}
    for each in answers:
        assert np.isfinite(each.score) == (steps_needed(each.labels) <= 2)
    finite = [bool(np.isfinite(each.score)) for each in answers]
    assert finite == sorted(finite, reverse=True)
    assert set(finite) == {True, False}


def test_a_recording_without_a_frame_says_nothing(table: Path) -> None:
    network = untrained(prepared(table))
    assert network.hear([torch.zeros(0, 16)], beam=2) == [HeardText("", (), 0.0, 0.0)]


def test_a_text_model_counts_where_recordings_are_scored(table: Path) -> None:
    """By CTC, too."""
    language = SpokenLanguage(lambda texts: [-9.0 * len(text) for text in texts], 1.0, 0.0)
    for attention in ("none", "location"):
        task = prepared(table, attention=attention)
        network, examples = untrained(task), task.prepared.parts[2]
        scored = ScoredRecordings(network, examples, 4, language=language)
        expected = [each.text for each in network.hear(examples.frames, beam=4, language=language)]
        plain = [each.text for each in network.hear(examples.frames, beam=4)]
        assert scored.texts == expected != plain
        quick = [each.text for each in network.hear(examples.frames, beam=1)]
        assert scored.best_path_edits.rate() == ScoredRecordings(network, examples, 1).edits.rate()
        assert ScoredRecordings(network, examples, 1).texts == quick


# Runs -------------------------------------------------------------------------------------------


def test_what_is_saved_answers_the_same(run: Run, table: Path) -> None:
    loaded = conveyor.load(run.folder)
    frames = prepared(table).train.frames[:4]
    for one, other in zip(
        recogniser(run).hear(frames, beam=4), recogniser(loaded).hear(frames, beam=4), strict=True
    ):
        assert (one.labels, one.log_probability) == (other.labels, other.log_probability)
    assert recogniser(loaded).sizes == recogniser(run).sizes


def test_a_recogniser_of_an_earlier_build_is_read(table: Path) -> None:
    """Its description and its weights know nothing of attention."""
    task = prepared(table, attention="none")
    network = untrained(task)
    description = json.loads(json.dumps(network.description()))
    for name in ("attention", "joint", "pace"):
        del description["network"][name]
    loaded = Recogniser.described(program_of("lstm"), description, "model.json").eval()
    state = network.state_dict()
    assert {name.split(".")[0] for name in state} == {"mean", "deviation", "encoder", "head"}
    loaded.load_state_dict(state)
    frames = task.train.frames[:2]
    for one, other in zip(
        network.log_probabilities(frames), loaded.log_probabilities(frames), strict=True
    ):
        assert torch.equal(one, other)


def test_predictions_have_answers_scores_and_places(run: Run, table: Path) -> None:
    options: dict[str, Any] = {"n_best": 2, "beam": 4, "scores": True, "explain": True}
    frame = run.predict(table.parent / "7.wav", say=Heard(), **options)
    names = ["written", "log_probability", "score", "attention"]
    assert frame.columns == ["recording", *names, *(f"{name}_2" for name in names)]
    assert frame["score"][0] > frame["score_2"][0]
    text, looked = frame["written"][0], frame["attention"][0].split("<")
    assert len(looked) == 1 + len(text.split())
    words, before = text.split(), -1.0
    for word, part in zip(words, looked[1:], strict=True):
        seconds, unit, share, *following = part.split()
        assert unit == "s"
        assert before <= float(seconds)
        assert 0 < float(share) <= 1
        before = float(seconds)
        assert following == words[words.index(word) + 1 :][:1] or len(set(words)) < len(words)
    with pytest.raises(SettingError, match="n_best is 9; expected 8 or less, the beam"):
        run.predict(table.parent / "7.wav", say=Heard(), n_best=9)


def test_ctc_says_where_it_hears_labels_too(table: Path, tmp_path: Path) -> None:
    values = {**QUICK, "attention": "none", "epochs": 12}
    ctc = conveyor.fit("transcribe", table, out=tmp_path / "run", say=Heard(), **values)
    frame = ctc.predict(table.parent / "7.wav", say=Heard(), n_best=3, explain=True)
    assert "written_3" in frame.columns
    text = frame["written"][0]
    assert frame["attention"][0].count("<") == len(text.split()) > 0


def test_it_is_evaluated_on_its_own_data_and_on_other(run: Run, table: Path) -> None:
    heard = Heard()
    results = run.evaluate(table, say=heard)
    assert results.details["wer_interval"] == run.metrics["wer_interval"]
    assert results.details["nats_a_label"] == pytest.approx(run.metrics["nats_a_label"])
    frame = pl.read_csv(table)
    paths = f"{table.parent}/" + frame["audio"]
    others = run.evaluate(frame.drop("part").with_columns(audio=paths)[1:], say=heard)
    assert others.details["leaks"] == 55


def test_a_text_model_counts_where_a_run_is_scored_on_its_own_data(
    run: Run, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on recordings of others: here it likes no word, so that nothing is written."""
    silent = SpokenLanguage(lambda texts: [-1e3 * len(text) for text in texts], 1.0, 0.0)
    monkeypatch.setattr(SpokenLanguage, "of_options", staticmethod(lambda options: silent))
    results = run.evaluate(table, say=Heard(), beam=64)
    assert FREQUENT in results.scores[0].rows
    test = prepared(table, joint=0.3).prepared.parts[2]
    written = recogniser(run).hear(test.frames, beam=64, language=silent)
    plain = recogniser(run).hear(test.frames, beam=64)
    assert [each.text for each in written] != [each.text for each in plain]
    expected = WordEdits.of(test.texts, [each.text for each in written]).counts.sum(0).tolist()
    assert [results.details[name] for name in ("other_words", "left_out", "put_in")] == expected[:3]


def test_sound_of_a_pipe_is_heard_at_its_end(run: Run) -> None:
    sound, heard = spoken("do mi sol", seed=3).astype(np.float32), Heard()
    text = "".join(run.hear(io.BytesIO(wave_bytes(sound, RATE)), say=heard))
    whole = recogniser(run).hear([recogniser(run).frames(torch.from_numpy(sound))], beam=8)[0]
    assert text == whole.text
    assert "one fitted without attention and with bidirectional=False writes while" in heard.text


def test_a_pipe_is_answered_with_one_text(run: Run) -> None:
    """What a table would have columns for is an error that names it, not dropped."""
    words = ["predict", str(run.folder), "-"]
    sound = wave_bytes(spoken("do", seed=3).astype(np.float32), RATE)
    for options, named in (
        (["--n-best", "3", "--explain", "--scores"], "--n-best 3, --scores, --explain: sound"),
        (["--explain"], "^--explain: sound that comes through a pipe is answered with one text"),
    ):
        with pytest.raises(SettingError, match=named):
            CliRunner().invoke(app, [*words, *options], input=sound, catch_exceptions=False)
    with pytest.raises(SettingError, match=r"^scores=True: sound"):
        run.hear(io.BytesIO(sound), scores=True)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_it_cannot_write_before_the_end(table: Path, bidirectional: bool) -> None:
    network = untrained(prepared(table, bidirectional=bidirectional))
    with pytest.raises(SettingError, match="looks at the whole recording while it writes"):
        network.stream()


def test_the_report_shows_where_it_looked(run: Run) -> None:
    page = run.report().read_text(encoding="utf-8")
    assert page.count("<audio") >= 3
    assert page.count("where the network looked in") == page.count("<audio")
    assert "A good map looks like a staircase" in page
    assert "CTC has a weight of 0.3" in page


def levels_of(page: str) -> np.ndarray[Any, Any]:
    """Return the levels of the first map of attention on a page, [rows, columns]."""
    alternative = page.index("where the network looked in")
    begin = page.index("base64,", alternative) + len("base64,")
    image, at, packed = base64.b64decode(page[begin : page.index('"', begin)]), 8, b""
    columns, rows = struct.unpack(">II", image[16:24])
    while at < len(image):
        (size,) = struct.unpack(">I", image[at : at + 4])
        if image[at + 4 : at + 8] == b"IDAT":
            packed += image[at + 8 : at + 8 + size]
        at += 12 + size
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(rows, 1 + columns)
    assert not lines[:, 0].any()  # no filter
    return lines[:, 1:]


def test_the_map_has_a_row_for_each_label_from_the_top(table: Path) -> None:
    """Named, the end, too; as wide as the frames: the last step may have fewer than others."""
    task = prepared(table, stack=3)
    network, examples = untrained(task), task.prepared.parts[2]
    scored = ScoredRecordings(network, examples, 1)
    numbers = [n for n, each in enumerate(examples.frames) if len(each) % 3]
    assert numbers
    for number, frames in enumerate(examples.frames):  # right ones, but for one
        labels, steps = examples.labels[number].tolist(), -(-len(frames) // 3)
        looked = torch.ones(len(labels) + 1, steps)
        scored.heard[number] = HeardText(examples.texts[number], tuple(labels), 0.0, 0.0, looked)
    number = numbers[0]
    steps = -(-len(examples.frames[number]) // 3)
    looked = torch.full((3, steps), 0.1)
    looked[0, 1], looked[1, 6], looked[2, steps - 1] = 0.9, 0.9, 0.9
    for ended in (True, False):
        scored.heard[number] = HeardText("sol mi", (3, 2), 0.0, 0.0, looked[: 2 + ended])
        page = next(iter(sections(scored))).body
        levels = levels_of(page)
        assert levels.shape == (2 + ended, len(examples.frames[number]))
        bright = [np.flatnonzero(row).tolist() for row in levels]
        last = list(range(3 * (steps - 1), len(examples.frames[number])))
        assert bright == [[3, 4, 5], [18, 19, 20], last][: 2 + ended]
        names = [network.speller.labels[label - 1] for label in (3, 2)]
        rows = re.search(r'<div class="rows">(.*?)</div>', page)
        assert rows is not None
        sides = re.findall(r'<span class="(left|right)">(.*?)</span>', rows[1])
        assert [side for side, _ in sides][:1] == ["right"]
        assert [text for _, text in sides][:2] == names
        assert ("kết thúc" in rows[1]) == ended
        place = 100 * 18 / len(examples.frames[number])
        assert f'left:{place:.1f}%">{names[1]}</span>' in page


def test_the_pixels_of_a_map_have_edges() -> None:
    style = (Path(page_frame.__file__).parent / "page.css").read_text(encoding="utf-8")
    rule = re.search(r"\.sound \.attended \.pixels \{(.*?)\}", style)
    assert rule is not None
    assert "image-rendering: pixelated" in rule[1]


def test_labels_that_were_looked_for_at_one_step_share_a_mark(table: Path) -> None:
    """Or they would be written over each other."""
    task = prepared(table)
    network, examples = untrained(task), task.prepared.parts[2]
    scored, looked = ScoredRecordings(network, examples, 1), torch.zeros(4, 20)
    looked[0, 3] = looked[1, 3] = looked[2, 9] = looked[3, 9] = 1
    scored.heard[0] = HeardText("sol do mi", (3, 1, 2), 0.0, 0.0, looked)
    page = "".join(each.body for each in sections(scored))
    first, second, third = (network.speller.labels[label - 1] for label in (3, 1, 2))
    assert f">{first} {second}</span>" in page
    assert f">{third}</span>" in page


def test_a_look_inside(run: Run, table: Path) -> None:
    sequence = run.read(table.parent / "7.wav")
    inputs: Any = sequence.inputs
    output, _ = recogniser(run).encoder.read(inputs)
    written = " ".join(filter(None, sequence.answers))
    sound = conveyor.load(run.folder).predict(table.parent / "7.wav", say=Heard(), scores=True)
    assert sorted(written.split()) == sorted(sound["written"][0].split())
    assert float(sequence.answer(output).detach()) == pytest.approx(
        sound["log_probability"][0], abs=1e-3
    )
    assert inspect_run(run, table.parent / "7.wav", say=Heard())


def test_a_resumed_run_is_the_uninterrupted_one(table: Path, tmp_path: Path) -> None:
    values = {**QUICK, "augment": 1.0, "dropout": 0.2, "hidden": 6, "epochs": 2, "joint": 0.3}
    whole = conveyor.fit("transcribe", table, out=tmp_path / "a", say=Heard(), **values)
    stopped = {**values, "minutes": 1e-4}
    conveyor.fit("transcribe", table, out=tmp_path / "b", say=Heard(), **stopped)
    resumed = conveyor.resume(tmp_path / "b", table, say=Heard(), minutes=60.0)
    one, other = recogniser(whole).state_dict(), recogniser(resumed).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_settings_that_do_not_fit(table: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="joint is the share of CTC beside a decoder"):
        TranscribeSettings.of({"joint": 0.3})
    with pytest.raises(SettingError, match="attention"):
        TranscribeSettings.of({"attention": "dot"})
    words = ["fit", "transcribe", str(table), "--joint", "0.3", "--out", str(tmp_path / "x")]
    with pytest.raises(SettingError, match="Leave it out, or give --attention location"):
        CliRunner().invoke(app, words, catch_exceptions=False)
