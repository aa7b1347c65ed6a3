"""The task ``draw``: pictures of a folder, learned and drawn glimpse by glimpse."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import conveyor
from conveyor.compiler.show import program_of
from conveyor.data.picture_file import picture_library
from conveyor.errors import DataError, RunError, SettingError
from conveyor.networks.draw import DRAW
from conveyor.pages.pixel_image import colour_film
from conveyor.tasks.draw import canvas_film
from conveyor.tasks.draw.canvas_film import check_gif
from conveyor.tasks.draw.canvas_strip import framed_picture, shown_glimpses
from conveyor.tasks.draw.draw_settings import DrawSettings
from conveyor.tasks.draw.drawer import Drawer
from conveyor.tasks.draw.drawing_task import Drawing
from conveyor.tasks.draw.nearest_known import nearest_known
from conveyor.tasks.draw.picture_autoencoder import PictureAutoencoder
from conveyor.tasks.latent.latent_examples import SequenceExamples
from conveyor.tasks.latent.picture_kind import PictureKind
from conveyor.tasks.task_registry import find
from tests.resumed import assert_same_fit

SIDE = 8
QUICK: dict[str, Any] = {
    "side": SIDE,
    "hidden": 6,
    "latent": 2,
    "glimpses": 3,
    "read_size": 2,
    "write_size": 3,
    "latent_draws": 3,
    "batch": 8,
}


class Heard(list[str]):
    """What was said."""

    def __call__(self, line: str) -> None:
        self.append(line)


def picture_of(pixels: Any, mode: str = "L") -> Any:
    image_module, _ = picture_library()
    return image_module.fromarray(np.asarray(pixels, dtype=np.uint8), mode)


def write_bars(folder: Path, count: int = 60, seed: int = 0) -> Path:
    """Pictures of an upright or a level bar on black, somewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    for number in range(count):
        pixels = np.zeros((SIDE, SIDE))
        first = int(draw.integers(SIDE - 1))
        pixels[:, first : first + 2] = 255
        pixels = pixels if draw.random() < 0.5 else pixels.T
        pixels[int(draw.integers(SIDE)), int(draw.integers(SIDE))] = 255
        picture_of(pixels).save(folder / f"bar{number:03}.png")
    return folder


@pytest.fixture(scope="module", params=["windows", "whole"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> conveyor.Run:
    folder = tmp_path_factory.mktemp(request.param)
    source = write_bars(folder / "bars")
    values = {**QUICK, "windows": request.param == "windows", "epochs": 12, "learning_rate": 0.02}
    return conveyor.fit("draw", source, out=folder / "run", say=Heard(), **values)


def source_of(run: conveyor.Run) -> Path:
    return run.folder.parent / "bars"


def model_of(run: conveyor.Run) -> Drawer:
    model = run.model
    assert isinstance(model, Drawer)
    return model


def test_it_learns_and_stands_beside_an_autoencoder(run: conveyor.Run) -> None:
    (scores,) = run.metrics["scores"]
    ours, vae, mean = scores["rows"].values()
    assert list(scores["rows"]) == ["draw of lstm", "variational autoencoder", "mean of each pixel"]
    assert ours["nats"] < mean["nats"]
    assert ours["nats"] <= ours["bound"]
    assert ours["bound"] > ours["divergence"] > 0
    assert vae["nats"] <= run.metrics["baseline"]["bound"]
    assert run.metrics["baseline"]["epochs"] == 12
    assert len(run.metrics["divergence_by_glimpse"]) == 3
    low, high = run.metrics["interval"]
    assert low < ours["nats"] < high
    test = pl.read_csv(run.folder / "test.csv")
    assert test["nats"].mean() == pytest.approx(ours["nats"], rel=1e-5)
    assert test["nats of the autoencoder"].mean() == pytest.approx(vae["nats"], rel=1e-5)


def test_scores_do_not_depend_on_what_is_scored_beside(run: conveyor.Run) -> None:
    """The noise of a picture is that of its number; the bound is the first draw's."""
    model = model_of(run)
    settings = DrawSettings.of({"side": SIDE})
    data = Drawing.read_data(source_of(run), settings.data, model.kind)
    pictures = data.parts[2]
    together = model.scored(SequenceExamples(pictures), 4)
    alone = model.scored(SequenceExamples(pictures[:1]), 4)
    assert together[0][1] == pytest.approx(alone[0][1], rel=1e-6)
    noise = model.normal(4, seed=0)
    x = pictures[0][None].float()
    with torch.no_grad():
        weights = model.sequences(x.expand(4, -1, -1), noise).log_weight(x.expand(4, -1, -1))
        bound = model.sequences.loss(x, noise[:, :1])
    assert alone[0][1] == pytest.approx(float(weights.logsumexp(0)) - np.log(4), rel=1e-6)
    assert float(alone[0][0].bound.sum()) == pytest.approx(float(bound.total), rel=1e-5)
    torch.testing.assert_close(alone[0][0].divergence, bound.kl[:, 0])


def test_the_canvas_begins_with_the_mean_of_the_training_part(tmp_path: Path) -> None:
    settings = DrawSettings.of(QUICK)
    task = Drawing.prepare(write_bars(tmp_path), settings, Heard())
    mean = torch.stack(task.train.sequences).sum(0).add(1) / (len(task.train) + 2)
    torch.testing.assert_close(task.light, mean)
    network = task.network(program_of("lstm"), settings.network)
    torch.testing.assert_close(network.sequences.canvas.detach().sigmoid(), mean)
    other = task.beside(network)
    assert isinstance(other, PictureAutoencoder)
    assert other.program is None
    assert other.pictures_of(torch.zeros(1, 2, 50)).shape == (2, SIDE, SIDE)
    with pytest.raises(RunError, match="never saved"):
        PictureAutoencoder.described(None, {}, "model.json")


def test_a_run_draws_files(run: conveyor.Run, tmp_path: Path) -> None:
    first = run.generate_file("a.png", count=5, seed=3)
    assert first is not None
    assert first.startswith(b"\x89PNG")
    assert run.generate_file("a.png", count=5, seed=3) == first
    assert run.generate_file("a.png", count=5, seed=4) != first
    film = run.generate_file("a.gif", count=5, seed=3)
    assert film is not None
    (tmp_path / "a.gif").write_bytes(film)
    image_module, _ = picture_library()
    with image_module.open(tmp_path / "a.gif") as opened:
        assert opened.n_frames == 4  # the canvas before the first glimpse, and after each
        assert opened.info["loop"] == 0
        opened.seek(3)
        last = np.asarray(opened.convert("L"))
    (tmp_path / "a.png").write_bytes(first)
    with image_module.open(tmp_path / "a.png") as opened:
        still = np.asarray(opened.convert("L"))
    assert last.shape == still.shape
    assert np.abs(last.astype(int) - still.astype(int)).max() <= 2  # its last frame is the picture
    rows = run.generate_file("a.csv", count=2)
    assert rows is not None
    assert len(pl.read_csv(rows)) == 2 * SIDE
    assert "█" in "".join(run.generate(count=2)) or "░" in "".join(run.generate(count=2))
    with pytest.raises(DataError, match=r"ends with \.png, \.csv, \.gif; the name of this one"):
        run.generate_file("a.svg")
    with pytest.raises(SettingError, match="count is 0"):
        run.generate_file("a.png", count=0)


def test_a_film_that_is_too_large_for_a_gif(
    run: conveyor.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is said before pictures are drawn."""
    kind = PictureKind(1000, 2, 1)
    check_gif(kind, 16 * 8)  # 16 rows of 1,000 pixels, with 2 between them, 4 times as large
    with pytest.raises(DataError, match=r"would be 120 × 68,128 pixels; a GIF has 65,535 on a"):
        check_gif(kind, 16 * 8 + 1)
    monkeypatch.setattr(DRAW, "sample", None)
    monkeypatch.setattr(canvas_film, "_MOST", 200)
    with pytest.raises(DataError, match=r"a GIF has 200 on a side at most\. Give a smaller count"):
        run.generate_file("a.gif", count=64)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 17])
def test_the_size_of_pictures_beside_each_other(count: int) -> None:
    kind = PictureKind(3, 5, 1)
    sheet = kind.sheet([torch.zeros(3, 5)] * count, 2)
    assert sheet.shape == (*kind.sheet_size(count, 3, 2), 3)


def test_the_film_of_a_page_is_an_animated_png() -> None:
    draw = np.random.default_rng(0)
    frames = [draw.integers(256, size=(3, 5, 3), dtype=np.uint8) for _ in range(3)]
    image_module, _ = picture_library()
    with image_module.open(io.BytesIO(colour_film(frames, [100, 100, 900]))) as opened:
        assert opened.n_frames == 3
        for number, frame in enumerate(frames):
            opened.seek(number)
            assert opened.info["duration"] == (100, 100, 900)[number]
            np.testing.assert_array_equal(np.asarray(opened.convert("RGB")), frame)


def test_the_report(run: conveyor.Run) -> None:
    page = run.report().read_text(encoding="utf-8")
    for title in ("Samples", "The canvas over time", "Divergence by glimpse", "Hardest pictures"):
        assert title in page
    assert "Mạng vẽ như thế nào" in page
    assert "acTL" not in page  # the film is packed, as an animated PNG
    assert 'class="film"' in page
    has_windows = model_of(run).sequences.write is not None
    assert ('class="looks"' in page) == has_windows
    assert ('<rect class="draws"' in page) == has_windows
    assert ("This network has no windows" in page) != has_windows
    # Beside each of 16 pictures stands the nearest one.
    assert len(re.findall('aria-label="nearest to drawn', page)) == 16
    boxes = re.findall(r'<rect class="draws" x="([-.\d]+)" y="([-.\d]+)" width="([.\d]+)"', page)
    for left, top, width in boxes:
        assert -2 <= float(left) <= SIDE + 2
        assert -2 <= float(top) <= SIDE + 2
        assert float(width) <= SIDE + 4


def test_what_draws_can_be_looked_into(run: conveyor.Run) -> None:
    model = model_of(run)
    kind: Any = find("draw").task
    choice: Any = find("draw").choosing
    settings = DrawSettings.of({"side": SIDE})
    options: dict[str, Any] = {"settings": settings, "fitted_on": None, "say": Heard()}
    read = kind.read(model, source_of(run), options=choice(row=2), **options)
    assert read.labels == ("1", "2", "3")
    assert read.inputs.shape == (3, 1, 2)
    with torch.no_grad():
        output, _ = model.recurrent(read.inputs)
        answer = read.answer(output)
        data = Drawing.read_data(source_of(run), settings.data, model.kind)
        x = data.parts[2][1][None].float()
        seen = model.sequences(x, torch.zeros(3, 1, 2))
    torch.testing.assert_close(answer, -seen.reconstruction(x))
    with pytest.raises(DataError, match=r"holds no data to look at\. Give data"):
        kind.read(model, None, options=choice(), **options)


def test_resumed_it_is_the_uninterrupted_run(tmp_path: Path) -> None:
    source = write_bars(tmp_path / "bars", 30)
    values = {**QUICK, "kl_warmup": 5, "dropout": 0.2, "layers": 2, "epochs": 3, "vae_epochs": 0}
    whole = conveyor.fit("draw", source, out=tmp_path / "a", say=Heard(), **values)
    folder = tmp_path / "b"
    conveyor.fit("draw", source, out=folder, say=Heard(), **values, minutes=1e-9)
    assert len(json.loads((folder / "metrics.json").read_text())["fit"]["curve"]) < 3
    for name in ("model.json", "model.safetensors", "metrics.json", "report.html"):
        (folder / name).unlink()
    resumed = conveyor.resume(folder, source, say=Heard(), minutes=10.0)
    assert_same_fit(resumed.model.state_dict(), whole.model.state_dict())


def test_other_pictures_are_scored_in_the_size_of_the_run(
    run: conveyor.Run, tmp_path: Path
) -> None:
    heard = Heard()
    results = run.evaluate(source_of(run), say=heard)
    assert any("this is the data of the run" in line for line in heard)
    assert results.scores[0].as_json()["rows"].keys() == {
        "draw of lstm",
        "variational autoencoder",
        "mean of each pixel",
    }
    image_module, _ = picture_library()
    other = tmp_path / "other"
    other.mkdir()
    image_module.new("RGB", (30, 20), (200, 10, 10)).save(other / "red.png")
    heard = Heard()
    results = run.evaluate(other, say=heard)
    said = "\n".join(heard)
    assert "all of this data is scored: 1 picture" in said
    assert "resized to 8 × 8" in said
    assert "1 picture of 1 has colours, and are read in grey" in said
    assert "learns them" not in said  # there is no such option here
    assert np.isfinite(results.scores[0].rows["draw of lstm"][0] or np.nan)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, r"has 0 pictures .*expected 3 or more"),
        ({"a.png": "one"}, r"has 1 picture .*expected 3 or more"),
        ({"a.png": "one", "b.png": "one", "c.png": b"\x89PNG\r\n"}, r"c\.png: .*picture"),
        ({"train-images-idx3-ubyte": b"\0\0\x08\x03"}, "in the format IDX"),
        ({"t10k-images-idx3-ubyte": b""}, "train-images-idx3-ubyte"),
    ],
)
def test_folders_that_cannot_be_learned(content: dict[str, Any], said: str, tmp_path: Path) -> None:
    for name, what in content.items():
        if what == "one":
            picture_of(np.eye(4) * 255).save(tmp_path / name)
        else:
            (tmp_path / name).write_bytes(what)
    with pytest.raises(DataError, match=said):
        conveyor.fit("draw", tmp_path, say=Heard(), **QUICK)


def test_what_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"no folder|expected a folder"):
        conveyor.fit("draw", file, say=Heard(), **QUICK)
    with pytest.raises(DataError, match="ndarray is no folder"):
        Drawing.read_data(np.zeros((3, 4)), DrawSettings.of(QUICK).data)


def test_pictures_that_never_change_are_learned(tmp_path: Path) -> None:
    """Pixels that are always black or bright, of pictures of several sizes: all is finite."""
    for number, side in enumerate((4, 5, 6, 9, 9, 12)):
        pixels = np.full((side, side), 255)
        pixels[: side // 3] = 255 - number  # or all were the same picture
        picture_of(pixels).save(tmp_path / f"{number}.png")
    heard = Heard()
    run = conveyor.fit("draw", tmp_path, say=heard, **QUICK, epochs=1)
    (scores,) = run.metrics["scores"]
    assert all(np.isfinite(row["nats"]) for row in scores["rows"].values())
    assert any("pictures of 5 sizes are resized to 8 × 8" in line for line in heard)


def test_the_nearest_known_picture() -> None:
    draw = torch.Generator().manual_seed(0)
    every = torch.rand(5000, 3, 2, generator=draw)
    known = list(every)
    drawn = torch.rand(7, 3, 2, generator=draw)
    numbers, apart = nearest_known(drawn, known)
    for row, (number, far) in enumerate(zip(numbers, apart, strict=True)):
        distances = (drawn[row] - every).square().flatten(1).mean(1).sqrt()
        assert far == pytest.approx(float(distances.min()), abs=1e-5)
        assert float(distances[number]) == pytest.approx(far, abs=1e-5)


def test_shown_glimpses_and_their_windows() -> None:
    assert shown_glimpses(3) == [1, 2, 3]
    assert len(shown_glimpses(64)) == 12
    assert shown_glimpses(64)[-1] == 64
    part = framed_picture(torch.zeros(4, 6), "a <b>", [("draws", torch.tensor([1, 2, 90.0, 3]))])
    assert 'x="1.00" y="2.00" width="5.38" height="1.00"' in part  # at the border of what is seen
    assert "a &lt;b&gt;" in part
