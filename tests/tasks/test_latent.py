"""The tasks ``vrnn`` and ``storn``: what they must learn, what must not change their answers, and
what they say of bad data."""

import json
import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

import conveyor
from conveyor.cli.app import app
from conveyor.data.music import KEYS
from conveyor.data.picture_file import read_picture
from conveyor.errors import DataError, RunError
from conveyor.inside.inspect_run import inspect_run
from conveyor.inspect.one_sequence import main_input
from conveyor.pages.pixel_image import colour_png
from conveyor.tasks.latent.kinds import read_sequences
from conveyor.tasks.latent.latent_examples import SequenceExamples
from conveyor.tasks.latent.latent_model import LatentModel
from conveyor.tasks.latent.latent_settings import LatentDataSettings
from conveyor.tasks.latent.picture_kind import PictureKind
from conveyor.tasks.latent.row_forecasts import crps
from conveyor.tasks.latent.table_kind import TableKind
from conveyor.tasks.vrnn.vrnn_settings import VRNNSettings
from conveyor.tasks.vrnn.vrnn_task import VariationalSequences, VRNNModel
from tests.handwritten import write_handwriting
from tests.heard import Heard
from tests.resumed import assert_same_fit
from tests.sequences import write_digits, write_music

QUICK: dict[str, Any] = {
    "hidden": 16,
    "latent": 2,
    "latent_draws": 5,
    "batch": 4,
    "learning_rate": 0.03,
}
DATA = LatentDataSettings()


def write_coins(path: Path, count: int = 64) -> Path:
    """Music in which a coin decides at each step which of two chords sounds: what one note is says
    which the others are, and nothing says which it will be."""
    draw = np.random.default_rng(0)
    chords = [[40, 44, 47, 52], [61, 65, 68, 73]]

    def piece() -> list[list[int]]:
        return [chords[int(side)] for side in draw.integers(2, size=8)]

    parts = {"train": count, "valid": 20, "test": 20}
    path.write_text(json.dumps({part: [piece() for _ in range(n)] for part, n in parts.items()}))
    return path


@pytest.fixture(scope="module", params=["vrnn", "storn"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    """A run that has learned coins."""
    folder = tmp_path_factory.mktemp(request.param)
    source = write_coins(folder / "coins.json")
    return conveyor.fit(
        request.param, source, out=folder / "run", say=Heard(), **QUICK, epochs=20, kl_warmup=100
    )


def model_of(run: conveyor.Run) -> LatentModel:
    assert isinstance(run.model, LatentModel)
    return run.model


def test_latent_values_say_what_the_output_cannot(run: conveyor.Run) -> None:
    """The keys of an output are told each on its own, so that a network without latent values has
    ln 2 for each of the eight keys of both chords. With them it is one coin, ln 2 in all."""
    (scores,) = run.metrics["scores"]
    rows = scores["rows"]
    ours, without = next(iter(rows.values())), rows["network without latent values"]
    coin = torch.tensor(2.0).log().item()
    assert without["nats"] == pytest.approx(8 * coin, abs=0.4)
    assert coin - 0.15 < ours["nats"] < 3 * coin
    assert ours["nats"] <= ours["bound"] + 0.05
    assert 0.5 * coin < ours["divergence"] < ours["bound"]
    assert scores["wins"]
    assert run.metrics["draws"] == 5
    assert len(run.metrics["divergence_by_step"]) == 8
    assert run.metrics["baseline"]["best_epoch"] > 0


def test_what_is_drawn_has_whole_chords(run: conveyor.Run) -> None:
    model = model_of(run)
    drawn = torch.stack(model.sample(20, 8, seed=3))
    low, high = drawn[..., 40 - 21], drawn[..., 61 - 21]
    assert float(((low + high) == 1).float().mean()) > 0.8
    assert 0.25 < float(low.mean()) < 0.75
    assert float((drawn[..., 44 - 21] == low).float().mean()) > 0.85
    assert [len(each) for each in model.sample(2, None, seed=0)] == [8, 8]


def test_scores_do_not_depend_on_what_is_scored_beside(run: conveyor.Run) -> None:
    model = model_of(run)
    data = read_sequences(run.folder.parent / "coins.json", DATA)
    several = [data.parts[2][0], data.parts[2][1][:3], data.parts[2][2][:5]]
    together = model.scored(SequenceExamples(several), draws=4)
    noise = model.sequences.noise
    for number, sequence in enumerate(several):
        with torch.no_grad():
            alone = model.sequences(
                sequence.unsqueeze(1).expand(-1, 4, -1), noise(len(sequence), 4, seed=number)
            )
        drawn, log_density = together[number]
        torch.testing.assert_close(drawn.bound, alone.bound[:, 0], rtol=1e-4, atol=1e-4)
        expected = float(alone.log_weight.logsumexp(0)) - np.log(4)
        assert log_density == pytest.approx(expected, abs=1e-3)


def test_a_run_is_evaluated_and_draws_files(run: conveyor.Run, tmp_path: Path) -> None:
    source, runner = run.folder.parent / "coins.json", CliRunner()
    heard = Heard()
    results = run.evaluate(source, say=heard)
    assert results.scores[0].as_json() == run.metrics["scores"][0]
    for ending in (".png", ".json", ".csv"):
        out = tmp_path / f"drawn{ending}"
        command = ["generate", str(run.folder), "--out", str(out), "--count", "3", "--steps", "6"]
        result = runner.invoke(app, command)
        assert result.exit_code == 0, result.output
        assert out.read_bytes() == run.generate_file(out, count=3, steps=6)
    pieces = json.loads((tmp_path / "drawn.json").read_text())["test"]
    assert [len(piece) for piece in pieces] == [6, 6, 6]
    assert pl.read_csv(tmp_path / "drawn.csv").columns == ["piece", "step", "note", "name"]
    assert read_picture(tmp_path / "drawn.png", 8).size == (6 * 8, 3 * KEYS * 4 + 2 * 4)
    lines = "".join(run.generate(count=2, steps=3)).split("\n")
    assert len(lines) == 7
    assert lines[3] == ""
    with pytest.raises(DataError, match=r"ends with \.json, \.csv, \.png; given was .*\.svg"):
        run.generate_file("x.svg")
    with pytest.raises(DataError, match="steps=1: a file of music holds pieces of 2 steps or more"):
        run.generate_file("x.json", steps=1)
    single, pair = run.generate_file("x.csv", steps=1), run.generate_file("x.json", steps=2)
    assert single is not None
    assert single.startswith(b"piece,step")
    assert pair is not None
    (tmp_path / "two.json").write_bytes(pair)
    assert run.evaluate(tmp_path / "two.json", say=Heard()).scores


def test_the_report_shows_samples_and_what_the_bound_is_made_of(run: conveyor.Run) -> None:
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    for title in ("Samples", "What the latent values contribute", "Hardest to predict"):
        assert title in report
    assert "Mạng sinh ra gì" in report
    assert "nats per step: this is what the latent values contribute" in report


def test_what_generates_can_be_looked_into(run: conveyor.Run) -> None:
    """The answer is the bound, with noise of zeros; of STORN without the divergence, which another
    layer has."""
    source, model = run.folder.parent / "coins.json", model_of(run)
    read = run.read(source, row=2, say=Heard())
    x = read_sequences(source, DATA).parts[2][1].float().unsqueeze(1)
    with torch.no_grad():
        drawn = model.sequences(x, torch.zeros(8, 1, 2))
    if isinstance(read.inputs, torch.Tensor):
        expected, first = -drawn.losses.sum(0), read.inputs
        assert first.shape == (8, 1, KEYS + 2)
    else:
        expected, first = -drawn.bound.sum(0), read.inputs["x"]
        torch.testing.assert_close(first, x)
    answer = read.answer_on(model.recurrent, first)
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(DataError, match="there are 20 pieces"):
        run.read(source, row=21, say=Heard())


def test_the_page_of_its_inside(run: conveyor.Run, tmp_path: Path) -> None:
    """A VRNN is shown beside itself before training, which reads all of its inputs, and beside two
    cells that read what it learns."""
    source = run.folder.parent / "coins.json"
    seen = inspect_run(run, source, say=Heard())
    names = list(seen.gradients)
    assert len(names) == 4
    read = run.read(source, say=Heard())
    layer = model_of(run).recurrent
    first = main_input(layer, read.inputs)
    with torch.no_grad():
        whole = read.answer_on(layer, first) - read.answer_on(layer, torch.zeros_like(first))
    # 32 points, over the corners of rectifiers.
    assert seen.contributions is not None
    assert abs(float(whole)) > 1
    assert float(seen.contributions.sum()) == pytest.approx(float(whole), rel=0.05, abs=0.02)
    assert seen.page.inputs is not None
    assert seen.page.inputs.values.shape[0] == 8
    if run.task == "vrnn":
        assert {"z", "prior", "divergence", "c"} <= set(seen.overviews[0].values)
    assert float((seen.gradients[names[0]] - seen.gradients[names[1]]).abs().max()) > 0.01


def test_the_weight_of_the_divergence_rises_and_the_loss_is_the_bound(tmp_path: Path) -> None:
    """While it is below 1, what is minimised is below the bound that is reported."""
    settings = VRNNSettings.of({**QUICK, "kl_warmup": 4})
    task = VariationalSequences.prepare(write_coins(tmp_path / "c.json", 10), settings, Heard())
    torch.manual_seed(0)
    network = task.network(None, settings.network).train()
    batch = task.train.__getitems__([0, 1])
    shares = []
    for step in range(6):
        torch.manual_seed(step)
        loss = network.loss(batch)
        torch.manual_seed(step)
        noise = torch.randn(8, 2, 2)
        drawn = network.sequences(batch.x, noise, batch.lengths)
        bound, divergence = drawn.bound.sum() / 16, drawn.divergence.sum() / 16
        torch.testing.assert_close(loss.value, bound)
        shares.append((1 + (loss.minimised - bound) / divergence).item())
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0], abs=1e-3)
    network.eval()
    assert network.loss(batch).penalty is None
    assert int(network.updates) == 6  # stored, so that a resumed fit goes on where it was


def test_resumed_it_is_the_uninterrupted_run(tmp_path: Path) -> None:
    """The weight of the divergence, too, goes on where it was."""
    source = write_coins(tmp_path / "c.json", 12)
    values = {**QUICK, "kl_warmup": 50, "dropout": 0.2, "epochs": 3, "plain": False}
    whole = conveyor.fit("vrnn", source, out=tmp_path / "a", say=Heard(), **values)
    folder = tmp_path / "b"
    stopped = {**values, "minutes": 1e-9}
    conveyor.fit("vrnn", source, out=folder, say=Heard(), **stopped)
    assert len(json.loads((folder / "metrics.json").read_text())["fit"]["curve"]) < 3
    for name in ("model.json", "model.safetensors", "metrics.json", "report.html"):
        (folder / name).unlink()
    resumed = conveyor.resume(folder, source, say=Heard(), minutes=10.0)
    assert_same_fit(resumed.model.state_dict(), whole.model.state_dict())


def test_epochs_are_compared_by_the_same_draws(tmp_path: Path) -> None:
    settings = VRNNSettings.of(QUICK)
    task = VariationalSequences.prepare(write_coins(tmp_path / "c.json", 10), settings, Heard())
    network = task.network(None, settings.network)
    batch = task.train.__getitems__([0, 1, 2])
    assert not torch.equal(network.train().loss(batch).value, network.loss(batch).value)
    assert torch.equal(network.eval().loss(batch).value, network.loss(batch).value)


# Other kinds of sequences ----------------------------------------------------------------------


def write_pictures(folder: Path, sizes: list[tuple[int, int]], *, grey: bool = False) -> Path:
    """Pictures that are bright on one side, no two of them the same."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (rows, columns) in enumerate(sizes):
        pixels = np.zeros((rows, columns, 3), np.uint8)
        pixels[:, : columns // 2] = (200, 200, 200) if grey else (250, 20, 20)
        pixels[0, 0] -= np.uint8(number)
        (folder / f"{number:02}.png").write_bytes(colour_png(pixels))
    return folder


def test_pictures_of_a_folder(tmp_path: Path) -> None:
    sizes = [(8, 8)] * 9 + [(4, 6)]
    folder = write_pictures(tmp_path / "pictures", sizes)
    data = read_sequences(folder, LatentDataSettings(side=8))
    assert [len(part) for part in data.parts] == [8, 1, 1]
    assert data.parts[0][0].shape == (8, 8)
    assert set(torch.cat(data.parts[0]).flatten().tolist()) == {0.0, 1.0}
    notes = " ".join(data.notes)
    assert "pictures of 2 sizes are resized to 8 × 8" in notes
    assert "10 pictures of 10 have colours, and are read in grey" in notes
    coloured = read_sequences(folder, LatentDataSettings(side=8, colours=True))
    assert coloured.parts[0][0].shape == (8, 24)
    assert "colours" not in " ".join(coloured.notes)
    grey = read_sequences(
        write_pictures(tmp_path / "grey", [(8, 8)] * 4, grey=True), LatentDataSettings(side=8)
    )
    assert not any("grey" in note or "resized" in note for note in grey.notes)
    # Each pixel is drawn with the probability of its light, the same in every run.
    again = read_sequences(folder, LatentDataSettings(side=8))
    assert all(torch.equal(a, b) for a, b in zip(data.parts[0], again.parts[0], strict=True))


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([(8, 8)], "has 1 picture"),
        ([], "has 0 pictures"),
    ],
)
def test_too_few_pictures(sizes: list[tuple[int, int]], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{said} .*expected 3 or more"):
        read_sequences(write_pictures(tmp_path / "few", sizes), DATA)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", [(8, 8)] * 3)
    (folder / "01.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"01\.png: this is no picture"):
        read_sequences(folder, DATA)


def test_digits_are_learned_and_drawn(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    write_digits(tmp_path / "mnist", train=60, test=8)
    data = read_sequences(tmp_path / "mnist", DATA)
    assert [len(part) for part in data.parts] == [50, 10, 8]
    run = conveyor.fit(
        "vrnn", tmp_path / "mnist", out=tmp_path / "run", say=Heard(), **QUICK, epochs=2
    )
    (scores,) = run.metrics["scores"]
    assert set(scores["rows"]) == {"vrnn", "network without latent values", "mean of each pixel"}
    loaded = conveyor.load(run.folder).model
    assert isinstance(loaded, VRNNModel)
    assert isinstance(loaded.kind, PictureKind)
    assert loaded.kind.description() == {"rows": 2, "columns": 3, "channels": 1}
    content = run.generate_file("x.png", count=9)
    assert content is not None
    # Two rows of pictures of 2 × 3 pixels, two pixels between them, each pixel four wide.
    assert read_picture(content, 4).size == (4 * (8 * 5 - 2), 4 * (2 * 4 - 2))
    # A mean of pixels is the closed form on counts.
    rate = (torch.stack(data.parts[0]).sum(0) + 1) / 52
    test = torch.stack(data.parts[2])
    nats = -torch.where(test > 0, rate, 1 - rate).log().sum((1, 2)).mean()
    assert scores["rows"]["mean of each pixel"]["nats"] == pytest.approx(float(nats), rel=1e-5)


def test_strokes_are_learned_and_drawn(tmp_path: Path) -> None:
    source = write_handwriting(tmp_path / "hand.jsonl", 30)
    run = conveyor.fit(
        "storn", source, out=tmp_path / "run", say=Heard(), **QUICK, components=3, epochs=2
    )
    content = run.generate_file("x.svg", count=2, steps=5)
    assert content is not None
    ElementTree.fromstring(content)
    assert "".join(run.generate(count=1, steps=4)).startswith("<svg")
    (scores,) = run.metrics["scores"]
    assert set(scores["rows"]) == {"storn of lstm", "network without latent values"}
    rows = run.generate_file("x.csv", count=2, steps=5)
    assert rows is not None
    assert pl.read_csv(rows).shape == (2 * 6, 5)


def test_strokes_that_are_not_finite_are_named(tmp_path: Path) -> None:
    lines = [json.dumps({"text": "a", "strokes": [[[0, 0], [1, 2], [2, 1]]]})] * 3
    lines[1] = lines[1].replace("[1, 2]", "[NaN, 2]")
    path = tmp_path / "hand.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"line 2, stroke 1, point 2 is \[nan, 2\.0\]"):
        read_sequences(path, DATA)
    path.write_text("\n".join(lines[:1]))
    with pytest.raises(DataError, match="has 1 text; expected three or more"):
        read_sequences(path, DATA)


def write_rows(path: Path, rows: int = 90) -> Path:
    steps = np.arange(rows)
    noise = np.random.default_rng(0).standard_normal((rows, 2))
    frame = pl.DataFrame(
        {
            "day": [f"2024-{1 + step // 28:02}-{1 + step % 28:02}" for step in steps.tolist()],
            "sun": 50 + 10 * np.sin(steps / 3) + noise[:, 0],
            "rain": 3 - np.sin(steps / 3) + 0.1 * noise[:, 1],
        }
    )
    frame.write_csv(path)
    return path


def test_rows_of_a_table_are_learned_and_drawn(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "days.csv")
    run = conveyor.fit("vrnn", source, out=tmp_path / "run", say=Heard(), **QUICK, rows=6, epochs=2)
    (scores,) = run.metrics["scores"]
    assert set(scores["rows"]) == {"vrnn", "network without latent values", "one Gaussian"}
    scored = run.metrics["crps"]
    assert set(scored) == {"vrnn", "network without latent values", "any row"}
    assert all(set(each) == {"sun", "rain"} for each in scored.values())
    assert 0.5 < scored["vrnn"]["sun"] < 20
    content = run.generate_file("x.csv", count=20, steps=6)
    assert content is not None
    drawn = pl.read_csv(content)
    assert drawn.columns == ["sequence", "step", "sun", "rain"]
    # In the units of the table.
    assert 40 < drawn["sun"].mean() < 60  # type: ignore[operator]
    data = read_sequences(source, LatentDataSettings(rows=6))
    assert [len(part) for part in data.parts] == [23, 1, 1]
    whole = pl.read_csv(source)["sun"].to_numpy()
    expected = (whole - whole[:72].mean()) / whole[:72].std()
    np.testing.assert_allclose(data.parts[2][0][:, 0], expected[81:87], rtol=1e-4)
    only = read_sequences(source, LatentDataSettings(rows=6, values=("rain",)))
    assert only.kind.width == 1


def test_the_score_of_drawn_futures_is_the_mean_distance_less_half_of_that_between_them() -> None:
    drawn, truth = np.random.default_rng(0).normal(size=(7, 3, 2)), np.ones((3, 2))
    pairs = [
        np.abs(one - other)
        for place, one in enumerate(drawn)
        for number, other in enumerate(drawn)
        if number != place
    ]
    expected = np.abs(drawn - truth).mean(0) - np.mean(pairs, 0) / 2
    np.testing.assert_allclose(crps(drawn, truth), expected)
    # Of a standard normal distribution at 0 it is (√2 - 1) / √π.
    many = np.random.default_rng(1).normal(size=(200_000, 1))
    assert crps(many, np.zeros(1)).item() == pytest.approx((2**0.5 - 1) / np.pi**0.5, abs=2e-3)


@pytest.mark.parametrize(
    ("change", "window", "said"),
    [
        (lambda frame: frame.with_columns(sun=pl.lit(3.0)), 6, "column sun: all values"),
        (lambda frame: frame, 60, "A sequence has 60 rows"),
        (
            lambda frame: frame.with_columns(
                sun=pl.when(pl.col("day") == "2024-02-03").then(None).otherwise("sun")
            ),
            6,
            "line 32, column sun: there is no value",
        ),
        (lambda frame: frame.select("day"), 6, "no column holds numbers"),
    ],
)
def test_tables_that_cannot_be_learned(change: Any, window: int, said: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "days.csv")
    change(pl.read_csv(path)).write_csv(path)
    with pytest.raises(DataError, match=said):
        read_sequences(path, LatentDataSettings(rows=window))


def test_files_that_are_no_music(tmp_path: Path) -> None:
    song = tmp_path / "song.mid"
    song.write_bytes(b"MThd")
    with pytest.raises(DataError, match=r"MIDI files are not read\. Write music as JSON"):
        read_sequences(song, DATA)
    song = tmp_path / "song.json"
    song.write_text('{"train": [[[500]]]}')
    with pytest.raises(DataError, match="expected lists of pieces under train, valid, test"):
        read_sequences(song, DATA)


def test_other_sequences_than_the_run_was_fitted_on_are_refused(
    run: conveyor.Run, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"fitted on pieces with 88 .*sequences with 2"):
        run.evaluate(write_rows(tmp_path / "days.csv", 600), say=Heard())


def test_music_of_others_is_scored_and_said_to_be_known(run: conveyor.Run, tmp_path: Path) -> None:
    heard = Heard()
    results = run.evaluate(write_music(tmp_path / "other.json"), say=heard)
    assert "network without latent values" not in results.scores[0].rows
    coins = json.loads((run.folder.parent / "coins.json").read_text())
    coins["test"] = coins["train"][:4]
    (tmp_path / "leak.json").write_text(json.dumps(coins))
    run.evaluate(tmp_path / "leak.json", say=heard)
    assert "4 pieces of these 4 were learned from" in heard.text


# Data of others -------------------------------------------------------------------------------


def test_a_table_of_others_is_scored_in_the_units_of_the_run(tmp_path: Path) -> None:
    """Whole, its columns by name, and beside the Gaussian of the run."""
    source = write_rows(tmp_path / "days.csv")
    run = conveyor.fit(
        "vrnn", source, out=tmp_path / "run", say=Heard(), **QUICK, rows=6, epochs=1, plain=False
    )
    later = write_rows(tmp_path / "later.csv", 50)
    frame = pl.read_csv(later).with_columns(sun=pl.col("sun") * 0.5 + 100)
    frame.select("rain", "sun").with_columns(more=pl.lit(2.5)).write_csv(later)
    heard = Heard()
    results = run.evaluate(later, say=heard)
    assert "all of this data is scored: 8 sequences" in heard.text
    assert len(results.answers()) == 8  # type: ignore[misc]
    known = pl.read_csv(source)[:72].select("sun", "rain").to_numpy()
    rows = frame.select("sun", "rain").to_numpy()[:48]
    scaled = (rows - known.mean(0)) / known.std(0)
    expected = (scaled**2 / 2 + np.log(2 * np.pi) / 2).sum(1).mean()
    assert results.scores[0].rows["one Gaussian"][0] == pytest.approx(expected, rel=1e-5)
    windows = [torch.from_numpy(each).float() for each in np.split(scaled, 8)]
    scored = model_of(run).scored(SequenceExamples(windows), draws=5)
    nats = -sum(log_density for _, log_density in scored) / 48
    assert results.scores[0].rows["vrnn"][0] == pytest.approx(nats, rel=1e-4)
    frame.select("sun", rainfall="rain").write_csv(later)
    with pytest.raises(DataError, match="fitted on the columns sun, rain; this table has no rain"):
        run.evaluate(later, say=Heard())
    frame[:5].write_csv(later)
    with pytest.raises(DataError, match="has 5 rows; the run was fitted on sequences of 6"):
        run.evaluate(later, say=Heard())
    frame[:6].write_csv(later)
    assert len(run.evaluate(later, say=Heard()).answers()) == 1  # type: ignore[misc]
    own = run.evaluate(source, say=heard)
    assert own.scores[0].as_json() == run.metrics["scores"][0]
    assert "this is the data of the run: its test set is scored, 1 sequence" in heard.text


@pytest.mark.parametrize("task", ["vrnn", "storn"])
def test_strokes_of_others_are_read_in_the_units_of_the_run(task: str, tmp_path: Path) -> None:
    source = write_handwriting(tmp_path / "hand.jsonl", 30)
    run = conveyor.fit(
        task, source, out=tmp_path / "run", say=Heard(), **QUICK, components=3, epochs=1,
        plain=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in source.read_text().splitlines()[:2]]
    for line in lines:
        line["strokes"] = [[[30 * x, 40 * y] for x, y, *_ in each] for each in line["strokes"]]
    other = tmp_path / "large.jsonl"
    other.write_text("\n".join(map(json.dumps, lines)))
    small = read_sequences(source, DATA).parts[0][0]
    kind = model_of(run).kind
    data = read_sequences(other, DATA, kind)
    assert data.whole is not None
    expected = small * torch.tensor([30.0, 40.0, 1.0])
    torch.testing.assert_close(data.whole[0], expected, rtol=1e-4, atol=1e-4)
    heard = Heard()
    results = run.evaluate(other, say=heard)
    assert "all of this data is scored: 2 texts" in heard.text
    ours = next(iter(results.scores[0].rows.values()))[0]
    nats = -sum(each for _, each in model_of(run).scored(SequenceExamples(data.whole), draws=5))
    assert ours == pytest.approx(nats / sum(map(len, data.whole)), rel=1e-5)
    read = run.read(other, row=1, say=Heard())
    if isinstance(read.inputs, torch.Tensor):
        rows, expected = read.inputs[1:, 0, :2], expected[:-1, :2]
    else:
        rows, expected = read.inputs["x"][:, 0, :2], expected[:, :2]
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-4)


def test_pictures_of_others_have_the_size_of_the_run(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", [(8, 8)] * 10)
    values = {**QUICK, "side": 8, "epochs": 1, "plain": False}
    run = conveyor.fit("vrnn", folder, out=tmp_path / "run", say=Heard(), **values)
    heard = Heard()
    others = write_pictures(tmp_path / "others", [(4, 4)] * 4, grey=True)
    results = run.evaluate(others, say=heard)
    assert "all of this data is scored: 4 pictures" in heard.text
    assert "mean of each pixel is not scored here" in heard.text
    assert "learned from" not in heard.text
    assert set(results.scores[0].rows) == {"vrnn"}
    (tmp_path / "digits").mkdir()
    write_digits(tmp_path / "digits", train=60, test=8)
    refused = r"pictures with 8 × 8 pixels in grey; this data has pictures with 2 × 3 pixels"
    with pytest.raises(RunError, match=refused):
        run.evaluate(tmp_path / "digits", say=Heard())
    known = PictureKind(8, 8, 3)
    with pytest.raises(RunError, match="8 × 8 pixels in colours; this data"):
        VariationalSequences.check_kind(known, PictureKind(8, 24, 1))
    with pytest.raises(RunError, match="corrupt: pictures of"):
        PictureKind.described({"rows": 8, "columns": 8, "channels": 2}, "model.json")


def test_a_picture_is_drawn_alike_wherever_it_is(tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.mkdir()
    light = np.full((8, 8, 3), 90, np.uint8)
    (one / "0.png").write_bytes(colour_png(light))
    (one / "1.png").write_bytes(colour_png(light + 30))
    kind = PictureKind(8, 8, 1)
    before = read_sequences(one, DATA, kind).whole
    (one / "1.png").unlink()
    after = read_sequences(one, DATA, kind).whole
    assert before is not None
    assert after is not None
    assert torch.equal(before[0], after[0])
    assert len(after) == 1


def test_music_that_was_drawn_is_scored(run: conveyor.Run, tmp_path: Path) -> None:
    out = tmp_path / "new.json"
    command = ["generate", str(run.folder), "--out", str(out), "--count", "3", "--steps", "6"]
    assert CliRunner().invoke(app, command).exit_code == 0
    heard = Heard()
    results = run.evaluate(out, say=heard)
    assert "the test set is scored: 3 pieces" in heard.text
    assert len(results.scores[0].rows) == 1
    drawn = model_of(run).sample(3, 6, seed=0)
    read = read_sequences(out, DATA, model_of(run).kind).parts[2]
    assert all(torch.equal(a, b.float()) for a, b in zip(read, drawn, strict=True))
    with pytest.raises(DataError, match="expected lists of pieces under train, valid, test"):
        read_sequences(out, DATA)


# The baselines --------------------------------------------------------------------------------


def test_baselines_are_of_the_sequences_that_the_network_is_scored_on(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    write_digits(tmp_path / "mnist", train=60, test=8)
    cut = VRNNSettings.of({**QUICK, "scored": 3})
    task = VariationalSequences.prepare(tmp_path / "mnist", cut, Heard())
    data = read_sequences(tmp_path / "mnist", DATA)
    rate = (torch.stack(data.parts[0]).sum(0) + 1) / 52
    test = torch.stack(data.parts[2][:3])
    nats = -torch.where(test > 0, rate, 1 - rate).log().sum((1, 2)).mean()
    assert task.baselines()["mean of each pixel"] == pytest.approx(float(nats), rel=1e-5)
    # Of a table, rows that fill no sequence are scored by nobody.
    source = write_rows(tmp_path / "days.csv")
    task = VariationalSequences.prepare(source, VRNNSettings.of({**QUICK, "rows": 6}), Heard())
    values = pl.read_csv(source).select("sun", "rain").to_numpy()
    scaled = (values[81:87] - values[:72].mean(0)) / values[:72].std(0)
    expected = (scaled**2 / 2 + np.log(2 * np.pi) / 2).sum(1).mean()
    assert task.baselines()["one Gaussian"] == pytest.approx(expected, rel=1e-5)
    coins = write_coins(tmp_path / "coins.json")
    task = VariationalSequences.prepare(coins, VRNNSettings.of({**QUICK, "scored": 3}), Heard())
    content = json.loads(coins.read_text())
    content["test"] = content["test"][:3]
    coins.write_text(json.dumps(content))
    few = VariationalSequences.prepare(coins, VRNNSettings.of(QUICK), Heard())
    assert task.baselines() == few.baselines()


def prepared(tmp_path: Path, say: Heard, **values: Any) -> tuple[Any, LatentModel]:
    settings = VRNNSettings.of({**QUICK, "epochs": 3, **values})
    task = VariationalSequences.prepare(write_coins(tmp_path / "c.json", 12), settings, say)
    return task, task.network(None, settings.network).eval()


def test_a_network_beside_that_diverges_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    task, network = prepared(tmp_path, heard)
    monkeypatch.setattr("conveyor.tasks.latent.plain_fit._nats", lambda *_: float("nan"))
    results = task.results(network)
    assert "fitting the network without latent values" in heard.text
    assert "the network without latent values diverged in its first epoch" in heard.text
    assert set(results.scores[0].rows) == {"vrnn", "key by key"}
    assert "without" not in task.fitted_on()


def test_a_request_to_stop_ends_the_fit_of_the_network_beside(tmp_path: Path) -> None:
    heard = Heard()
    task, network = prepared(tmp_path, heard)
    asked: list[str] = []

    def on_the_second_batch() -> str:
        asked.append("stopped by you" if len(asked) > 1 else "")
        return asked[-1]

    task.asked_to_stop = on_the_second_batch
    assert set(task.results(network).scores[0].rows) == {"vrnn", "key by key"}
    assert len(asked) == 3  # before the fit, and after each of two batches
    assert "stopped by you: the network without latent values is not fitted to its end" in (
        heard.text
    )
    heard = Heard()
    task, network = prepared(tmp_path, heard)
    task.asked_to_stop = lambda: "stopped by you"
    assert set(task.results(network).scores[0].rows) == {"vrnn", "key by key"}
    assert "stopped by you: the network without latent values is not fitted, and" in heard.text
    assert "fitting the network without" not in heard.text


def test_ctrl_c_ends_the_fit_of_the_network_beside(tmp_path: Path) -> None:
    heard = Heard()

    def say(line: str) -> None:
        heard(line)
        if line.startswith("fitting the network without"):
            signal.raise_signal(signal.SIGINT)

    source = write_coins(tmp_path / "c.json", 12)
    run = conveyor.fit("vrnn", source, out=tmp_path / "run", say=say, **QUICK, epochs=2)
    assert "the network without latent values is not fitted to its end" in heard.text
    assert "baseline" not in run.metrics
    assert set(run.metrics["scores"][0]["rows"]) == {"vrnn", "key by key"}


def test_large_numbers_of_a_table_are_drawn_exactly() -> None:
    kind = TableKind(["seconds"], [1.7e9 + 0.25], [3.5])
    values = torch.tensor([[1.7e9 + 7.25], [1.7e9 + 0.25]], dtype=torch.double)
    drawn = kind.values(torch.tensor([[2.0], [0.0]]))
    torch.testing.assert_close(drawn, values, rtol=0, atol=1e-6)
    assert kind.scaled(values).flatten().tolist() == [2.0, 0.0]


def test_drawing_drops_nothing(tmp_path: Path) -> None:
    """The network may be one that is being trained."""
    _, network = prepared(tmp_path, Heard(), dropout=0.9)
    sequences = network.sequences
    expected = sequences.sample(4, 6, seed=1)
    sequences.train()
    assert torch.equal(sequences.sample(4, 6, seed=1), expected)
    assert sequences.training
