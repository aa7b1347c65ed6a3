"""The task ``caption`` on videos: what it must learn from the order of frames, what must not change
its answers, how a run is used, and what it says of bad data."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import conveyor
from conveyor.cli.app import app
from conveyor.errors import DataError, RunError, SettingError
from conveyor.inside.inspect_run import inspect_run
from conveyor.networks.s2vt import S2VT
from conveyor.serving.served_page import served_page
from conveyor.tasks.caption.caption_examples import Seen
from conveyor.tasks.caption.caption_report import sections
from conveyor.tasks.caption.caption_results import BLIND, FREQUENT, NEAREST_VIDEO, SHUFFLED
from conveyor.tasks.caption.caption_settings import CaptionSettings
from conveyor.tasks.caption.captioner import Captioner
from conveyor.tasks.caption.captioning import Captioning
from conveyor.tasks.caption.nearest_picture import nearest_pictures, outlines
from conveyor.tasks.caption.prepared_captions import statistics_of
from conveyor.tasks.caption.scored_captions import ScoredCaptions
from conveyor.tasks.run import Run
from tests.captioned import drawn, moved, untrained, write_captioned, write_moving
from tests.heard import Heard
from tests.resumed import assert_same_fit

QUICK: dict[str, Any] = {
    "hidden": 48,
    "embedding": 24,
    "channels": 24,
    "size": 8,
    "shift": 0,
    "dropout": 0.0,
    "coverage": 0.0,
    "epochs": 1,
    "batch": 8,
    "learning_rate": 0.005,
    "blind_steps": 4,
}


def prepared(source: Any, **values: Any) -> tuple[Captioning, Heard]:
    """Return the task on a source, and what was said."""
    heard = Heard()
    return Captioning.prepare(source, CaptionSettings.of({**QUICK, **values}), heard), heard


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of videos and captions."""
    return write_moving(tmp_path_factory.mktemp("moving"), 150)


@pytest.fixture(scope="module", params=["looking", "s2vt"])
def run(
    request: pytest.FixtureRequest, table: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """A run that has learned which way a square moves."""
    out = tmp_path_factory.mktemp("run") / request.param
    values = {**QUICK, "epochs": 18, "blind_steps": 30, "decoder": request.param}
    return conveyor.fit("caption", table, out=out, say=Heard(), **values)


def captioner(run: Run) -> Captioner:
    """Return the network of a run."""
    assert isinstance(run.model, Captioner)
    return run.model


# What it must learn ----------------------------------------------------------------------------


def test_it_learns_what_moves_where(run: Run) -> None:
    (scores,) = run.metrics["scores"]
    rows = scores["rows"]
    assert set(rows) == {"lstm", FREQUENT, NEAREST_VIDEO, BLIND, SHUFFLED}
    assert rows["lstm"]["exact"] >= 0.9
    assert rows[SHUFFLED]["exact"] < rows["lstm"]["exact"] - 0.2
    assert run.metrics["nats_a_symbol"] < 0.6 * run.metrics["blind"]["nats_a_symbol"]


def test_frames_in_another_order_are_said_otherwise(run: Run, tmp_path: Path) -> None:
    """A video that is played backwards moves the other way."""
    frames = moved("red", "left", 900)
    for name, video in (("on", frames), ("back", frames[::-1])):
        np.save(tmp_path / f"{name}.npy", video)
    answer = run.predict([tmp_path / "on.npy", tmp_path / "back.npy"], say=Heard())
    assert list(answer["written"]) == ["a red square moves left", "a red square moves right"]


@pytest.mark.parametrize("decoder", ["looking", "s2vt"])
@pytest.mark.parametrize("cell", ["gru", "lstm_peephole"])
def test_every_cell_can_learn(table: Path, decoder: str, cell: str) -> None:
    task, _ = prepared(table, decoder=decoder)
    assert task.next_command == ("predict", "new.mp4")
    network = untrained(task, cell).train()
    batch = task.train.__getitems__([0, 1, 2])
    optimizer = network.optimizer(0.01)
    losses = []
    for _ in range(12):
        loss = network.loss(batch)
        optimizer.zero_grad()
        loss.minimised.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.value.detach()))
    assert losses[-1] < 0.8 * losses[0]
    unused = [name for name, each in network.named_parameters() if each.grad is None]
    assert not unused


# What must not change its answers --------------------------------------------------------------


@pytest.mark.parametrize("decoder", ["looking", "s2vt"])
def test_what_stands_at_padding_changes_no_loss(table: Path, decoder: str) -> None:
    task, _ = prepared(table, decoder=decoder, coverage=0.5)
    network = untrained(task).train()
    batch = task.train.__getitems__(list(range(8)))
    counts = batch.seen.frames
    assert len(set(counts.tolist())) > 1
    values = batch.seen.values.clone()
    values[torch.arange(values.shape[1]) >= counts[:, None]] = 77
    values = torch.cat([values, torch.full_like(values[:, :2], 200)], 1)
    one = network.loss(batch)
    other = network.loss(batch._replace(seen=Seen(values, counts)))
    assert torch.equal(one.value, other.value)
    assert one.penalty is not None
    assert other.penalty is not None
    torch.testing.assert_close(one.penalty, other.penalty)


@pytest.mark.parametrize("decoder", ["looking", "s2vt"])
def test_videos_together_are_captioned_as_each_alone(table: Path, decoder: str) -> None:
    task, _ = prepared(table, decoder=decoder)
    network, shown = untrained(task), task.prepared.shown[0]
    together = [best[0] for best in network.write(shown, beam=2)][:6]
    for row, expected in enumerate(together):
        alone = network.captioned(network.hypotheses(shown.seen([row]), beam=2)[0][0])
        assert alone.symbols == expected.symbols
        assert alone.log_probability == pytest.approx(expected.log_probability, abs=1e-4)


def test_attention_is_to_true_frames(table: Path) -> None:
    task, _ = prepared(table)
    network, shown = untrained(task), task.prepared.shown[0]
    rows = [int(shown.values.frames[number]) for number in shown.numbers]  # type: ignore[index]
    short = rows.index(min(rows))
    both = shown.seen([short, rows.index(max(rows))])
    looked = network.look(network.annotations(both), torch.tensor([[2, 3], [3, 2]]))
    assert not looked.weights[:, 0, min(rows) :].any()
    torch.testing.assert_close(looked.weights.sum(-1), torch.ones(2, 2))


def test_all_frames_of_a_video_are_moved_alike(table: Path) -> None:
    task, _ = prepared(table, shift=2)
    network = untrained(task).train()
    batch = task.train.__getitems__([0, 1])
    still = batch.seen.values[:, :1].expand(-1, 4, -1, -1, -1)
    annotations: list[torch.Tensor] = []
    network.encoder.register_forward_pre_hook(lambda _, inputs: annotations.append(inputs[0]))
    torch.manual_seed(1)
    network.annotations(Seen(still, torch.tensor([4, 4])))
    (given,) = annotations
    for frame in range(1, 4):
        assert torch.equal(given[:, frame], given[:, 0])


def test_means_are_of_true_frames(table: Path) -> None:
    task, _ = prepared(table)
    shown = task.prepared.shown[0]
    parts = [shown.seen([row]).values[0].double().flatten(0, 2) for row in range(len(shown))]
    pixels = torch.cat(parts)
    mean, deviation = statistics_of(shown)
    torch.testing.assert_close(mean.double(), pixels.mean(0), rtol=1e-5, atol=0)
    torch.testing.assert_close(deviation.double(), pixels.std(0, correction=0), rtol=1e-4, atol=0)


def test_the_nearest_video(table: Path) -> None:
    task, _ = prepared(table)
    train, _, test = task.prepared.shown
    known, asked = outlines(train), outlines(test)
    assert known.shape[1] == 8 * 8 * 8 * 3
    by_hand = [int(((known - each) ** 2).sum(1).argmin()) for each in asked]
    assert nearest_pictures(train, test) == by_hand
    assert nearest_pictures(train, train) == list(range(len(train)))


def test_shuffled_frames_are_the_same_frames(table: Path) -> None:
    from dataclasses import replace  # noqa: PLC0415

    task, _ = prepared(table)
    shown = task.prepared.shown[2]
    other = replace(shown, shuffled=True)
    together = other.seen(range(len(shown)))
    for row in range(len(shown)):
        plain, mixed = (each.seen([row]).values[0] for each in (shown, other))
        count = len(plain)
        assert torch.equal(mixed, together.values[row, :count])
        sums = [sorted(frame.long().sum().item() for frame in each) for each in (plain, mixed)]
        assert sums[0] == sums[1]
    assert not torch.equal(shown.seen(range(9)).values, other.seen(range(9)).values)


def test_a_run_is_loaded_and_scored_as_it_was(run: Run, table: Path) -> None:
    loaded, heard = conveyor.load(run.folder), Heard()
    one = run.predict(table, say=Heard(), scores=True)
    assert one.equals(loaded.predict(table, say=Heard(), scores=True))
    scores = run.evaluate(table, say=heard).scores[0]
    assert "this is the data of the run" in heard.text
    assert scores.as_json()["rows"] == run.metrics["scores"][0]["rows"]
    other = write_moving(table.parent / "other", 6, seed=5_000)
    heard = Heard()
    results = run.evaluate(other, say=heard)
    assert results.count.en == "6 videos"
    assert set(results.scores[0].rows) == {"lstm", SHUFFLED}


def test_videos_of_the_same_names_and_sizes_are_other_data(
    run: Run, table: Path, tmp_path: Path
) -> None:
    (tmp_path / table.name).write_bytes(table.read_bytes())
    for path in table.parent.glob("*.npy"):
        np.save(tmp_path / path.name, 255 - np.load(path))
    heard = Heard()
    results = run.evaluate(tmp_path / table.name, say=heard)
    assert "the data of the run" not in heard.text
    assert results.count.en == "150 videos"


@pytest.mark.parametrize("decoder", ["looking", "s2vt"])
def test_resumed_it_is_the_uninterrupted_run(tmp_path: Path, decoder: str) -> None:
    table = write_moving(tmp_path / "moving", 30)
    values = {**QUICK, "decoder": decoder, "dropout": 0.2, "shift": 1, "epochs": 2}
    whole = conveyor.fit("caption", table, out=tmp_path / "a", say=Heard(), **values)
    folder = tmp_path / "b"
    conveyor.fit("caption", table, out=folder, say=Heard(), **values)
    for name in ("model.json", "model.safetensors", "metrics.json", "report.html"):
        (folder / name).unlink()
    resumed = conveyor.resume(folder, table, say=Heard())
    assert_same_fit(resumed.model.state_dict(), whole.model.state_dict())


# Using a run -----------------------------------------------------------------------------------


def test_videos_of_any_kind_are_captioned(run: Run, tmp_path: Path) -> None:
    frames = moved("blue", "right", 77)
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=50)
    (tmp_path / "clip").mkdir()
    for number, image in enumerate(images):
        image.save(tmp_path / "clip" / f"{number}.png")
    heard = Heard()
    for name in ("a.gif", "clip"):
        answer = run.predict(tmp_path / name, say=heard, n_best=2)
        assert list(answer["written"]) == ["a blue square moves right"]
        assert answer["picture"][0].endswith(name)
    assert "1 video, of which 16 frames are read at most" in heard.text
    both = run.predict(tmp_path, say=heard)
    assert list(both["written"]) == ["a blue square moves right"] * 2


def test_the_served_page_offers_what_the_run_can_do(run: Run) -> None:
    question = run.question()
    assert len(set(question.endings)) == len(question.endings)
    page = served_page(run, question, "en")
    looks = captioner(run).sizes.decoder != "s2vt"
    assert ('data-option="explain"' in page) == looks
    assert 'data-option="beam"' in page


def test_arrays_whose_white_is_one_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("video,caption\n" + "".join(f"{n}.npy,a b\n" for n in range(5)))
    for number in range(5):
        video = moved("red", "left", number)
        np.save(tmp_path / f"{number}.npy", video / 255 if number < 2 else video)
    _, heard = prepared(tmp_path / "a.csv")
    said = "2 arrays without a number above 1: there 1 is white, and not 255; of 3 others, 255 is"
    assert said in heard.text


def test_a_table_names_a_film_that_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("video,caption\na.wmv,a b\nb.wmv,a c\nc.wmv,b\n")
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.wmv").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match=r"a\.wmv: this is no picture .* Videos are read of \.mp4"):
        prepared(tmp_path / "a.csv")


def test_a_picture_is_a_video_of_one_frame(run: Run, tmp_path: Path) -> None:
    Image.fromarray(moved("red", "left", 5)[0]).save(tmp_path / "a.png")
    answer = run.predict(tmp_path / "a.png", say=Heard())
    assert answer["written"][0].startswith("a red square moves")


def test_the_command_line(run: Run, table: Path) -> None:
    ran = CliRunner().invoke(app, ["predict", str(run.folder), str(table.parent / "000.npy")])
    assert ran.exit_code == 0
    assert "square moves" in ran.stdout.splitlines()[1]


def test_where_it_looked_is_said(run: Run, table: Path) -> None:
    path = table.parent / "000.npy"
    if isinstance(captioner(run).decoder, S2VT):
        with pytest.raises(RunError, match="looks at none of them"):
            run.predict(path, say=Heard(), explain=True)
        return
    said = run.predict(path, say=Heard(), explain=True)["attention"][0]
    word, share = said.split()[:2]
    assert word.split("<")[0] == "a"
    assert 1 <= int(word.split("<")[1]) <= 6
    assert 0 < float(share) <= 1


def test_a_look_inside_sees_what_the_network_did(run: Run, table: Path) -> None:
    """The answer of the outputs that the layer gives from its start is the caption's log p."""
    read = run.read(table, say=Heard(), row=3)
    assert read.layer is not None
    output = read.layer(read.inputs)[0]
    answer = run.predict(table, say=Heard(), scores=True)
    assert read.answer(output).item() == pytest.approx(answer["log_probability"][2], abs=1e-4)
    assert " ".join(read.answers[:-1]) == answer["written"][2]
    assert inspect_run(run, table, say=Heard(), row=3).contributions is not None


def test_the_report_shows_frames(run: Run) -> None:
    page = run.report().read_text(encoding="utf-8")
    for words in ("Control: shuffled frames", "Khi xáo thứ tự khung hình", "frames shuffled"):
        assert words in page
    assert page.count('class="film"') > 5
    looks = not isinstance(captioner(run).decoder, S2VT)
    assert (page.count('class="frame"') > 20) == looks
    assert ("Attention" in page) == looks


@pytest.mark.parametrize("attention", ["hard", "none"])
def test_other_attention_to_frames(table: Path, attention: str) -> None:
    task, _ = prepared(table, attention=attention)
    scored = ScoredCaptions(untrained(task), task.prepared.shown[2], 2)
    page = "".join(part.title.en + part.body for part in sections(scored))
    assert ("hard attention" in page) == (attention == "hard")
    assert "Control: shuffled frames" in page


# Which data are videos -------------------------------------------------------------------------


def gif(path: Path, count: int, seed: int = 0) -> None:
    images = [Image.fromarray(frame) for frame in moved("red", "left", seed, count)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=40)


def test_pictures_and_videos_together(tmp_path: Path) -> None:
    """What is a video is seen by the file, and told; with one frame all are pictures."""
    rows = ["file,caption"]
    for number in range(12):
        gif(tmp_path / f"{number}.gif", 1 if number % 3 == 0 else 5, number)
        rows.append(f"{number}.gif,a square number {number % 2}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    task, heard = prepared(tmp_path / "t.csv", frames=4)
    assert "8 of 12 are videos, of which 4 frames are read at most, evenly apart" in heard.text
    assert "4 pictures among them: videos of one frame" in heard.text
    assert untrained(task).sizes.frames == 4
    counts = task.prepared.store.values.frames
    assert counts is not None
    assert sorted(counts.tolist()) == [1] * 4 + [4] * 8
    stills, heard = prepared(tmp_path / "t.csv", frames=1)
    assert "8 files hold several pictures: the first is read" in heard.text
    assert untrained(stills).sizes.frames == 0


def test_a_run_of_pictures_reads_the_first_frame(tmp_path: Path) -> None:
    table = write_captioned(tmp_path / "pictures", 30)
    settings = {**QUICK, "size": 16, "blind_steps": 0}
    run = conveyor.fit("caption", table, out=tmp_path / "run", say=Heard(), **settings)
    gif(tmp_path / "a.gif", 5)
    heard = Heard()
    assert len(run.predict(tmp_path / "a.gif", say=heard)) == 1
    assert "1 file holds several pictures: the first is read" in heard.text
    np.save(tmp_path / "a.npy", moved("red", "left"))
    assert len(run.predict(tmp_path / "a.npy", say=heard)) == 1


def test_s2vt_reads_no_pictures(tmp_path: Path) -> None:
    task, _ = prepared(write_captioned(tmp_path, 12), decoder="s2vt", size=16)
    with pytest.raises(SettingError, match="decoder is s2vt, which reads frames"):
        untrained(task)
    with pytest.raises(SettingError, match="S2VT looks at nothing"):
        CaptionSettings.of({"decoder": "s2vt", "attention": "hard"})


def test_s2vt_reads_numbers_of_frames(tmp_path: Path) -> None:
    """What others' networks made of frames comes in the places of a file of numbers."""
    table = write_captioned(tmp_path, 30)
    numbers = np.random.default_rng(0).standard_normal((30, 5, 4)).astype(np.float32)
    np.savez(tmp_path / "a.npz", features=numbers)
    task, _ = prepared(table, features=str(tmp_path / "a.npz"), decoder="s2vt")
    network = untrained(task)
    shown = task.prepared.shown[2]
    assert len(list(network.write(shown, beam=2))) == len(shown)


# Bad input -------------------------------------------------------------------------------------


def bad(folder: Path) -> Path:
    """Return a table of videos two of which cannot be read."""
    table = write_moving(folder, 30)
    (folder / "011.npy").write_bytes((folder / "011.npy").read_bytes()[:60])
    np.save(folder / "012.npy", np.zeros((0, 8, 8, 3), dtype=np.uint8))
    return table


def test_a_broken_video_stops_before_training(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"011\.npy: .*skip_broken"):
        prepared(bad(tmp_path))


def test_broken_videos_are_left_out_and_named(tmp_path: Path) -> None:
    task, heard = prepared(bad(tmp_path), skip_broken=True)
    assert "011.npy" in heard.text
    assert "012.npy: the video has no frames" in heard.text
    assert sum(map(len, task.prepared.shown)) == 28


def test_videos_of_one_frame(tmp_path: Path) -> None:
    """They can be learned from, and there is no order that could be shuffled."""
    table = write_moving(tmp_path, 20)
    for number in range(20):
        path = tmp_path / f"{number:03d}.npy"
        np.save(path, np.load(path)[:1])
    task, _ = prepared(table)
    network = untrained(task)
    shown = task.prepared.shown[2]
    scored = ScoredCaptions(network, shown, 2)
    assert scored.shuffled == scored.texts


def test_too_many_frames_are_refused(table: Path) -> None:
    with pytest.raises(DataError, match=r"fewer frames, or a smaller size"):
        prepared(table, size=256, frames=1000)


def test_a_table_keeps_its_rows(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", moved("red", "left", 7))
    pl.DataFrame({"video": ["a.npy", "a.npy"]}).write_csv(tmp_path / "t.csv")
    answer = run.predict(tmp_path / "t.csv", say=Heard())
    assert list(answer["written"]) == ["a red square moves left"] * 2


def test_pictures_as_frames_are_no_pictures_of_their_own(tmp_path: Path) -> None:
    """A picture of a folder that is a video is not captioned by itself."""
    folder = tmp_path / "all"
    for number in range(12):
        (folder / f"clip{number}").mkdir(parents=True)
        for frame, pixels in enumerate(moved("red", "left", number)):
            Image.fromarray(pixels).save(folder / f"clip{number}" / f"{frame}.png")
        (folder / f"clip{number}.txt").write_text("a red square moves left\n")
    task, heard = prepared(folder)
    assert "12 videos" in heard.text
    assert sum(map(len, task.prepared.shown)) == 12
    Image.fromarray(drawn("red", "left")).save(folder / "alone.png")
    with pytest.raises(DataError, match=r"there is no alone\.txt"):
        prepared(folder)
