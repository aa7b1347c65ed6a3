"""The task ``caption``: what it must learn, what must not change its answers, and what it says of
bad data."""

import json
from dataclasses import replace
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
from conveyor.networks.search import Hypothesis
from conveyor.tasks.caption.attention_pictures import shaded
from conveyor.tasks.caption.caption_reading import CaptionReading
from conveyor.tasks.caption.caption_report import sections
from conveyor.tasks.caption.caption_results import BLIND, FREQUENT, NEAREST
from conveyor.tasks.caption.caption_scores import CaptionScores, bleu_to
from conveyor.tasks.caption.caption_settings import CaptionSettings
from conveyor.tasks.caption.captioner import Captioner
from conveyor.tasks.caption.captioning import Captioning
from conveyor.tasks.caption.nearest_picture import nearest_pictures, outlines
from conveyor.tasks.caption.scored_captions import ScoredCaptions
from conveyor.tasks.pairs.bleu import bleu_counts
from conveyor.tasks.run import Run
from tests.captioned import drawn, untrained, write_captioned
from tests.heard import Heard
from tests.resumed import assert_same_fit

QUICK: dict[str, Any] = {
    "hidden": 48,
    "embedding": 24,
    "channels": 24,
    "size": 16,
    "shift": 0,
    "dropout": 0.0,
    "epochs": 1,
    "batch": 8,
    "learning_rate": 0.005,
    "blind_steps": 4,
}


def prepared(source: Any, **values: Any) -> tuple[Captioning, Heard]:
    """Return the task on a source, and what was said."""
    heard = Heard()
    return Captioning.prepare(source, CaptionSettings.of({**QUICK, **values}), heard), heard


def captioner(run: Run) -> Captioner:
    """Return the network of a run."""
    assert isinstance(run.model, Captioner)
    return run.model


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of pictures and captions."""
    return write_captioned(tmp_path_factory.mktemp("captioned"), 90)


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has learned to tell squares apart."""
    out = tmp_path_factory.mktemp("run") / "run"
    settings = {**QUICK, "epochs": 11, "coverage": 0.0}
    return conveyor.fit("caption", table, out=out, say=Heard(), **{**settings, "blind_steps": 30})


# What it must learn ----------------------------------------------------------------------------


def test_it_learns_what_is_shown(run: Run) -> None:
    (scores,) = run.metrics["scores"]
    rows = scores["rows"]
    assert rows["lstm"]["exact"] > 0.7
    assert rows["lstm"]["bleu_4"] > rows[FREQUENT]["bleu_4"]
    assert set(rows) == {"lstm", FREQUENT, NEAREST, BLIND}


def test_who_sees_nothing_is_worse(run: Run) -> None:
    blind = run.metrics["blind"]
    assert run.metrics["nats_a_symbol"] < 0.6 * blind["nats_a_symbol"]
    assert blind["caption"].startswith("a ")


@pytest.mark.parametrize("attention", ["soft", "hard", "none"])
@pytest.mark.parametrize("cell", ["gru", "lstm_peephole"])
def test_every_cell_and_attention_can_learn(table: Path, attention: str, cell: str) -> None:
    task, _ = prepared(table, attention=attention)
    network = untrained(task, cell).train()
    batch = task.train[0]
    optimizer = network.optimizer(0.01)
    losses = []
    for _ in range(12):
        loss = network.loss(batch)
        optimizer.zero_grad()
        loss.minimised.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.value.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_hard_attention_expects_what_it_gets(table: Path) -> None:
    """The baseline of REINFORCE is a running mean of log p, and is part of what is resumed."""
    task, _ = prepared(table, attention="hard")
    network = untrained(task).train()
    assert network.state_dict()["expected"] == 0
    loss = network.loss(task.train[0])
    assert float(network.expected) == pytest.approx(-0.1 * loss.value.item(), rel=1e-4)


def test_what_is_minimised_has_the_term_of_the_paper(table: Path) -> None:
    task, _ = prepared(table)
    network = untrained(task).train()
    network.sizes = replace(network.sizes, shift=0, coverage=0.7, bag=0.0)
    batch = task.train.__getitems__([0, 1, 2])
    loss = network.loss(batch)
    looked = network.look(network.annotations(batch.seen), batch.captions[:-1])
    by_hand = sum(
        float((1 - looked.weights[: length - 1, n].sum(0)).square().sum().detach())
        for n, length in enumerate(batch.lengths.tolist())
    )
    assert loss.penalty is not None
    assert loss.penalty.item() == pytest.approx(0.7 * by_hand / loss.count, rel=1e-4)


# What must not change its answers --------------------------------------------------------------


def test_pictures_together_are_captioned_as_each_alone(table: Path) -> None:
    task, _ = prepared(table)
    network, shown = untrained(task), task.prepared.shown[0]
    together = network.hypotheses(shown.seen(range(6)), beam=3, n_best=2)
    for number in range(6):
        (alone,) = network.hypotheses(shown.seen([number]), beam=3, n_best=2)
        for one, other in zip(together[number], alone, strict=True):
            assert one.tokens == other.tokens
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)


def test_attention_adds_up(run: Run, table: Path) -> None:
    network = captioner(run)
    task, _ = prepared(table)
    weights, gates = network.attention_while(task.prepared.shown[0].seen([0]), (2, 3))
    assert weights.shape == (3, 16)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    assert 0 < float(gates.min()) <= float(gates.max()) < 1


def test_a_run_is_loaded_as_it_was_saved(run: Run, table: Path) -> None:
    loaded = conveyor.load(run.folder)
    one = run.predict(table, say=Heard(), scores=True)
    other = loaded.predict(table, say=Heard(), scores=True)
    assert one.equals(other)


def test_resumed_it_is_the_uninterrupted_run(table: Path, tmp_path: Path) -> None:
    values = {**QUICK, "attention": "hard", "shift": 2, "dropout": 0.2, "seed": 3}
    whole = conveyor.fit(
        "caption", table, out=tmp_path / "a", say=Heard(), **{**values, "epochs": 2}
    )
    folder = tmp_path / "b"
    conveyor.fit("caption", table, out=folder, say=Heard(), **{**values, "epochs": 2})
    for name in ("model.json", "model.safetensors", "metrics.json", "report.html"):
        (folder / name).unlink()
    last = sorted((folder / "checkpoints").iterdir())
    assert last
    resumed = conveyor.resume(folder, table, say=Heard())
    assert_same_fit(resumed.model.state_dict(), whole.model.state_dict())


# Using a run -----------------------------------------------------------------------------------


def test_a_picture_a_folder_and_a_list(run: Run, tmp_path: Path) -> None:
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.fromarray(drawn(colour, "left", 7)).resize((50, 70)).save(tmp_path / f"{name}.jpg")
    heard = Heard()
    one = run.predict(tmp_path / "a.jpg", say=heard, n_best=3, scores=True, explain=True)
    assert one.columns == [
        "picture",
        *(
            name + end
            for end in ("", "_2", "_3")
            for name in ("written", "log_probability", "attention")
        ),
    ]
    assert one["written"][0] == "a red square at the left"
    assert one["log_probability"][0] > one["log_probability_2"][0]
    first = one["attention"][0].split()[0]
    assert first.startswith("a<")
    folder = run.predict(tmp_path, say=heard)
    both = run.predict([tmp_path / "a.jpg", tmp_path / "b.jpg"], say=heard)
    assert folder["written"].to_list() == list(both["written"])
    assert both["written"][1] == "a blue square at the left"


def test_a_table_keeps_its_rows(run: Run, tmp_path: Path) -> None:
    Image.fromarray(drawn("red", "left", 7)).save(tmp_path / "a.png")
    table = pl.DataFrame({"file": ["a.png", "a.png"], "written": ["x", "y"]})
    table.write_csv(tmp_path / "t.csv")
    answer = run.predict(tmp_path / "t.csv", say=Heard())
    assert answer["written"].to_list() == ["x", "y"]
    assert answer["written (2)"].to_list() == ["a red square at the left"] * 2


def test_the_column_of_pictures_is_that_of_the_run(run: Run, table: Path, tmp_path: Path) -> None:
    """Where it was named when the run was fitted, ``predict`` has no option for it."""
    renamed = tmp_path / "t.csv"
    pl.read_csv(table).rename({"image": "photo"}).write_csv(table.parent / "photos.csv")
    task, _ = prepared(table.parent / "photos.csv", image="photo")
    assert task.fitted_on()["image"] == "photo"
    Image.fromarray(drawn("red", "left", 7)).save(tmp_path / "a.png")
    pl.DataFrame({"file": ["no.png"], "photo": ["a.png"]}).write_csv(renamed)
    options = CaptionReading()
    answer = Captioning.predict(
        captioner(run), renamed, fitted_on={"image": "photo"}, options=options, say=Heard()
    ).answer
    assert answer["written"].to_list() == ["a red square at the left"]


def test_it_is_scored_again_as_it_was(run: Run, table: Path) -> None:
    heard = Heard()
    scores = run.evaluate(table, say=heard).scores[0]
    assert "this is the data of the run" in heard.text
    assert scores.as_json()["rows"] == run.metrics["scores"][0]["rows"]


def test_other_data_are_scored_whole(run: Run, table: Path, tmp_path: Path) -> None:
    other = write_captioned(tmp_path / "new", 12, seed=500)
    heard = Heard()
    results = run.evaluate(other, say=heard)
    assert results.count.en == "12 pictures"
    assert list(results.scores[0].rows) == ["lstm"]
    # One of the pictures was learned from.
    task, _ = prepared(table)
    place = task.prepared.shown[0].places[0].split(" (", maxsplit=1)[0]
    (other.parent / "000.png").write_bytes((table.parent / place).read_bytes())
    heard = Heard()
    assert run.evaluate(other, say=heard).details["leaks"] == 1
    assert "1 picture of these 12 was learned from" in heard.text


def test_the_command_line(run: Run, table: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["predict", str(run.folder), str(table.parent / "000.png")])
    assert ran.exit_code == 0
    assert "a " in ran.stdout.splitlines()[1]
    ran = CliRunner().invoke(app, ["predict", str(run.folder), str(tmp_path / "none.png")])
    assert isinstance(ran.exception, DataError)
    assert "there is no such file" in str(ran.exception)


def test_a_look_inside_sees_what_the_network_did(run: Run, table: Path) -> None:
    """The answer of the outputs that the layer gives from its start is the caption's log p."""
    network = captioner(run)
    heard = Heard()
    read = run.read(table, say=heard, row=3)
    assert read.layer is not None
    output = read.layer(read.inputs)[0]
    answer = run.predict(table, say=heard, scores=True)
    assert read.answer(output).item() == pytest.approx(answer["log_probability"][2], abs=1e-4)
    assert " ".join(read.answers[:-1]) == answer["written"][2]
    look = inspect_run(run, table, say=heard, row=3)
    assert look.contributions is not None
    assert network.recurrent.learn_start is False
    with pytest.raises(DataError, match="keeps no picture"):
        run.read(say=heard)


# The report ------------------------------------------------------------------------------------


def test_the_report_shows_pictures_and_where_it_looked(run: Run) -> None:
    page = run.report().read_text(encoding="utf-8")
    for words in ("Attention", "Mạng nhìn vào đâu", "Control: a blind network", "β"):
        assert words in page
    assert page.count("data:image/png") > 20


@pytest.mark.parametrize(("attention", "said"), [("hard", "hard attention"), ("none", "Examples")])
def test_the_report_says_how_it_looks(table: Path, attention: str, said: str) -> None:
    task, _ = prepared(table, attention=attention)
    scored = ScoredCaptions(untrained(task), task.prepared.shown[2], 2, leaks=1)
    parts = list(sections(scored))
    page = "".join(part.title.en + part.body for part in parts)
    assert said in page
    assert ("Attention" in page) == (attention == "hard")
    assert "are also in the training set" in page


def test_bright_places_are_those_that_were_looked_at() -> None:
    pixels = np.full((8, 8, 3), 200, dtype=np.uint8)
    weights = [0.0] * 16
    weights[6], weights[9] = 0.7, 0.3
    drawn_pixels = shaded(pixels, weights, (4, 4))
    cells = drawn_pixels.reshape(4, 24, 4, 24, 3)[:, 12, :, 12, 0]
    assert cells[1, 2] == 200
    assert cells[0, 0] == 50
    assert 50 < cells[2, 1] < 200
    framed = (drawn_pixels == (255, 190, 0)).all(-1).reshape(4, 24, 4, 24).any((1, 3))
    assert framed.tolist() == [[False] * 4, [False, False, True, False], *[[False] * 4] * 2]


# Scores ----------------------------------------------------------------------------------------


def test_bleu_is_not_smoothed() -> None:
    counts = bleu_counts(["the cat the cat"], [["the cat is on the mat"]]).sum(0)
    # 1-grams: the twice, cat once of 4; 2-grams: the cat once of 3; brevity exp(1 - 6/4).
    brevity = np.exp(1 - 6 / 4)
    assert float(bleu_to(counts, 1)) == pytest.approx(100 * brevity * 3 / 4)
    assert float(bleu_to(counts, 2)) == pytest.approx(100 * brevity * (3 / 4 / 3) ** 0.5)
    assert float(bleu_to(counts, 4)) == 0


def test_a_caption_is_right_that_is_one_of_several() -> None:
    scores = CaptionScores(["a b c d", "a b"], [["x", "a b c d"], ["a c"]])
    assert scores.row()[1] == 0.5
    assert scores.quality(0) > scores.quality(1)


def test_what_may_be_chance_is_no_victory() -> None:
    right = [[f"a b c d e {number}"] for number in range(40)]
    good = CaptionScores([texts[0] for texts in right], right)
    poor = CaptionScores(["a b c d x"] * 40, right)
    lucky = CaptionScores([right[0][0], *["a b c d x"] * 39], right)
    assert not good.may_equal(poor)
    assert lucky.row()[0] != poor.row()[0]
    assert lucky.may_equal(poor)


def test_the_nearest_picture(table: Path) -> None:
    task, _ = prepared(table)
    train, _, test = task.prepared.shown
    known, asked = outlines(train), outlines(test)
    by_hand = [int(((known - each) ** 2).sum(1).argmin()) for each in asked]
    assert nearest_pictures(train, test) == by_hand
    assert nearest_pictures(train, train) == list(range(len(train)))


def test_a_large_picture_is_compared_by_its_means() -> None:
    from conveyor.tasks.caption.nearest_picture import _shrunk  # noqa: PLC0415

    pixels = np.random.default_rng(0).random((48, 48, 3)).astype(np.float32)
    expected = pixels.reshape(16, 3, 16, 3, 3).mean((1, 3))
    np.testing.assert_allclose(_shrunk(pixels), expected, rtol=1e-5)


# Numbers of others' networks -------------------------------------------------------------------


def test_numbers_in_place_of_pictures(table: Path, tmp_path: Path) -> None:
    """In any order if they are named, in that of the pictures otherwise; the pictures themselves
    need not be there."""
    names = np.array([f"{number:03d}.png" for number in range(90)])
    numbers = np.random.default_rng(0).standard_normal((90, 2, 4)).astype(np.float32)
    order = np.random.default_rng(1).permutation(90)
    np.savez_compressed(tmp_path / "a.npz", features=numbers)
    np.savez(tmp_path / "b.npz", features=numbers[order], files=names[order])
    listed = tmp_path / "captions.csv"
    listed.write_bytes(table.read_bytes())
    one, _ = prepared(listed, features=str(tmp_path / "a.npz"))
    assert one.next_command == ("predict", "new.csv", "--features", "new.npz")
    np.savez(tmp_path / "c.npz", features=(100 * numbers).astype(np.uint8))
    bytes_, _ = prepared(listed, features=str(tmp_path / "c.npz"))
    assert outlines(bytes_.prepared.shown[2]).dtype == np.float32
    other, _ = prepared(listed, features=str(tmp_path / "b.npz"))
    for first, second in zip(one.prepared.shown, other.prepared.shown, strict=True):
        assert first.places == second.places
        torch.testing.assert_close(first.seen([0, 3]), second.seen([0, 3]))
    place = int(one.prepared.shown[2].places[0][:3])
    torch.testing.assert_close(
        one.prepared.shown[2].seen([0]).values[0], torch.tensor(numbers[place])
    )


def test_a_run_on_numbers_asks_for_such(table: Path, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).standard_normal((90, 2, 4)).astype(np.float32)
    path = tmp_path / "a.npz"
    np.savez(path, features=numbers)
    run = conveyor.fit(
        "caption", table, features=str(path), out=tmp_path / "run", say=Heard(), **QUICK
    )
    assert captioner(run).grid == (1, 2)
    answer = run.predict(table, features=str(path), say=Heard(), explain=True)
    assert len(answer) == 90
    with pytest.raises(RunError, match="learned from 4 numbers of 2 places"):
        run.predict(table, say=Heard())
    np.savez(tmp_path / "g.npz", features=numbers[:, :1])
    with pytest.raises(DataError, match="1 places of 4 numbers; this run reads 2 places of 4"):
        run.predict(table, features=str(tmp_path / "g.npz"), say=Heard())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda numbers: {"features": numbers[:-1]}, "there are 89 rows of numbers, and 90"),
        (lambda numbers: {"features": numbers * np.nan}, "NaN or infinity"),
        (
            lambda numbers: {"features": numbers, "files": np.array(["a.png"] * 90)},
            "named twice",
        ),
        (
            lambda numbers: {"features": numbers, "files": np.arange(90).astype(str)},
            r"no numbers of 000\.png",
        ),
    ],
    ids=["rows", "nan", "twice", "unnamed"],
)
def test_numbers_that_do_not_fit(table: Path, tmp_path: Path, change: Any, said: str) -> None:
    np.savez(tmp_path / "f.npz", **change(np.ones((90, 4), dtype=np.float32)))
    with pytest.raises(DataError, match=said):
        prepared(table, features=str(tmp_path / "f.npz"))


# Bad input -------------------------------------------------------------------------------------


def broken(folder: Path) -> Path:
    """Return a table one of whose pictures is broken."""
    table = write_captioned(folder, 30)
    (folder / "011.png").write_bytes((folder / "011.png").read_bytes()[:60])
    return table


def test_a_broken_picture_stops_before_training(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"011\.png: .*skip_broken"):
        prepared(broken(tmp_path))


def test_a_broken_picture_is_left_out_and_named(tmp_path: Path) -> None:
    task, heard = prepared(broken(tmp_path), skip_broken=True)
    assert "left out: " in heard.text
    assert "011.png" in heard.text
    assert sum(map(len, task.prepared.shown)) == 29


def test_a_broken_picture_cannot_be_captioned(run: Run, tmp_path: Path) -> None:
    broken(tmp_path)
    with pytest.raises(DataError, match="broken and cannot be read") as raised:
        run.predict(tmp_path / "011.png", say=Heard())
    assert "skip" not in str(raised.value)


def captions(folder: Path, lines: list[str]) -> Path:
    """Return a table of captions of pictures that are there."""
    write_captioned(folder, 12)
    path = folder / "t.csv"
    path.write_text("image,caption\n" + "\n".join(lines), encoding="utf-8")
    return path


def test_pictures_without_a_caption_are_left_out(tmp_path: Path) -> None:
    lines = [f"{n:03d}.png,{'' if n == 3 else 'a cat'}" for n in range(12)]
    task, heard = prepared(captions(tmp_path, lines))
    assert "left out, for 1 picture has no caption: 003.png (line 5)" in heard.text
    assert sum(map(len, task.prepared.shown)) == 11
    assert "all captions of the training set are the same" in heard.text


def test_long_captions_and_unknown_words_are_told(tmp_path: Path) -> None:
    lines = [f"{n:03d}.png,{'word ' * 500}odd{n}" for n in range(12)]
    task, heard = prepared(captions(tmp_path, lines), longest=20)
    assert "more than 20 words" in heard.text
    assert "cannot be written: 'odd" in heard.text
    assert max(task.train.lengths) == 22


@pytest.mark.parametrize(
    ("lines", "values", "said"),
    [
        (["000.png,…"], {}, "there is 1 picture with a caption"),
        ([f"{n:03d}.png," for n in range(12)], {}, "no caption holds a word"),
        ([f"{n:03d}.png,w{n}" for n in range(12)], {"min_count": 2}, "no word of the captions"),
        (["000.png,a", "001.png,b", "000.png,c", "002.png,d"], {}, None),
    ],
)
def test_captions_that_do_not_do(
    tmp_path: Path, lines: list[str], values: dict[str, Any], said: str | None
) -> None:
    path = captions(tmp_path, lines)
    if said is None:
        task, _ = prepared(path, **values)
        assert sum(map(len, task.prepared.shown)) == 3
        return
    with pytest.raises(DataError, match=said):
        prepared(path, **values)


def test_settings_that_do_not_do() -> None:
    for values, said in (
        ({"size": 30}, "size is 30; expected a multiple of 4"),
        ({"channels": 30}, "channels is 30; expected a multiple of 24"),
        ({"attention": "sharp"}, "attention is 'sharp'"),
    ):
        with pytest.raises(SettingError, match=said):
            CaptionSettings.of(values)


def test_vietnamese_captions_are_put_into_one_form(tmp_path: Path) -> None:
    composed, apart = "mèo đỏ", "me\u0300o đo\u0309"
    lines = [f"{n:03d}.png,{composed if n % 2 else apart}" for n in range(12)]
    task, _ = prepared(captions(tmp_path, lines))
    assert set(task.prepared.reader.target.known) == {"mèo", "đỏ"}


def test_a_text_is_as_it_is_scored(table: Path) -> None:
    task, _ = prepared(table)
    network = untrained(task)
    tokens = tuple(task.train.captions[0][1:-1].tolist())
    text = network.captioned(Hypothesis(tokens, -1.0, -1.0, True)).text
    assert text in {each for texts in task.prepared.shown[0].references for each in texts}


def test_what_a_run_holds_is_plain(run: Run) -> None:
    description = json.loads((run.folder / "model.json").read_text(encoding="utf-8"))
    assert "square" in json.dumps(description)
