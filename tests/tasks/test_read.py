"""A sequence as each task's network reads it, for ``inspect``: on networks that learned nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import conveyor
from conveyor.compiler.show import program_of
from conveyor.data.text import spelled
from conveyor.errors import DataError, RunError, SettingError
from conveyor.layers.state import main_output
from conveyor.pages.words import Words, same
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.sequence_choice import SequenceChoice
from conveyor.tasks.task_registry import find
from tests.sequences import write_digits, write_music
from tests.series import VERSES, write_series, write_verses


def silent(line: str) -> None:
    """Say nothing."""


class Fresh:
    """A task on a source, and its untrained network."""

    def __init__(self, task: str, source: Any, **values: Any) -> None:
        self.entry, self.source = find(task), source
        kind = self.entry.settings
        fields = {"hidden": 5, **values}
        if task == "classic":
            fields["name"] = source
        self.settings = kind.of(fields)
        torch.manual_seed(0)
        self.task: Any = self.entry.task.prepare(source, self.settings, silent)
        self.network = self.task.network(program_of("lstm"), self.settings.network).eval()

    def read(self, source: Any = None, say: Any = silent, **options: Any) -> ReadSequence:
        """Read a sequence."""
        return self.entry.task.read(
            self.network,
            source,
            settings=self.settings,
            fitted_on=self.task.fitted_on(),
            options=(self.entry.choosing or SequenceChoice)(**options),
            say=say,
        )

    def answered(self, read: ReadSequence) -> torch.Tensor:
        """The answer of what was read."""
        output = main_output(self.network.recurrent(read.inputs)[0])
        return read.answer(output).detach()


@pytest.fixture
def text(tmp_path: Path) -> Fresh:
    return Fresh("text", write_verses(tmp_path / "k.txt"), batch=4, chunk=20, embedding=4)


@pytest.fixture
def forecast(tmp_path: Path) -> Fresh:
    source = write_series(tmp_path / "s.csv", extra=True)
    return Fresh("forecast", source, target=("value",), horizon=3, history=7)


def test_a_text_is_read_letter_by_letter(text: Fresh) -> None:
    read = text.read(text="Trăm năm\n")
    assert read.labels == tuple("Trăm năm\n")
    assert read.symbols
    logits, _ = text.network(text.network.vocabulary.encode("Trăm năm\n").unsqueeze(1))
    logits = logits.detach()
    for answers, row in zip(read.answers, torch.softmax(logits[:, 0], -1)[:, 1:], strict=True):
        best = text.network.vocabulary.characters[1 + int(row.argmax())]
        assert answers.startswith(f"‘{spelled(best)}’")
        assert f" {100 * float(row.max()):.0f} %" in answers
    likeliest = torch.log_softmax(logits[-1, 0], -1)[1:].max()
    torch.testing.assert_close(text.answered(read)[0], likeliest)


def test_a_text_is_read_in_normal_form(text: Fresh) -> None:
    assert text.read(text="na\N{COMBINING BREVE}m").labels == ("n", "ă", "m")


def test_unknown_letters_are_told_and_read(text: Fresh) -> None:
    said: list[str] = []
    read = text.read(text="Trăm 7 ☃ 7", say=said.append)
    assert len(read.labels) == 10
    assert len(said) == 1
    assert said[0].startswith("3 characters of the text the run has never seen")
    assert "'7', '☃'" in said[0]


def test_without_a_text_the_beginning_of_the_test_part_is_read(text: Fresh) -> None:
    whole = VERSES * 16
    first = whole[round(0.95 * len(whole)) :][:200]
    assert "".join(text.read().labels) == first


def test_an_older_run_writes_its_own_text(text: Fresh) -> None:
    read = text.entry.task.read(
        text.network, None, settings=text.settings, fitted_on=None,
        options=(text.entry.choosing or SequenceChoice)(), say=silent,
    )  # fmt: skip
    assert len(read.labels) == 200


def test_a_text_and_a_file_are_too_many(text: Fresh) -> None:
    with pytest.raises(SettingError, match="Give one of them"):
        text.read(text.source, text="a")
    with pytest.raises(DataError, match="text is empty"):
        text.read(text="")
    assert "".join(text.read(text.source).labels) == VERSES * 16


def test_rows_are_read_as_the_forecaster_scales_them(forecast: Fresh) -> None:
    read = forecast.read()
    assert list(read.features) == [same("value"), same("rain")]
    assert len(read.labels) == 24
    assert read.labels[-1].startswith("2020-06-08")
    assert read.labels[0].startswith("2020-05-16")
    assert read.main.shape == (1, 24, 8)
    assert float(read.main[0, -1, 6]) == 0  # the distance from the last value
    # From the same rows alone, of which the layer of the first member knows no others.
    network = forecast.network
    network.members = network.members[:1]
    rows = network.tails[0].panel.rows(136, 160)
    series, before = network.frame.series[0], network.tails[0].panel.targets[135, 0]
    assert not np.isnan(before)
    median = network.forecasts(rows, [24])[0, 0, 0, 1]
    last = rows.targets[-1, 0] - series.season(rows.steps(1))[-2]
    change = median - series.season(rows.steps(1))[-1] - last
    # The first windows differ: they hold rows before the first of these.
    assert float(forecast.answered(read)) == pytest.approx(change, abs=0.05 * series.change)


def test_a_long_text_is_cut(text: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conveyor.tasks.text.language_modelling.MOST_READ", 30)
    said: list[str] = []
    assert len(text.read(text.source, say=said.append).labels) == 30
    assert "the first 30 are read" in said[0]


def test_many_columns_are_no_lines(tmp_path: Path) -> None:
    lines = ["date,value,a,b,c,d"]
    lines += [f"2020-01-{day:02},{day % 7},1,{day},2,{-day}" for day in range(1, 32)]
    lines += [f"2020-02-{day:02},{day % 7},1,{day},2,{-day}" for day in range(1, 29)]
    (tmp_path / "wide.csv").write_text("\n".join(lines) + "\n")
    wide = Fresh("forecast", tmp_path / "wide.csv", target=("value",), horizon=2, history=4)
    assert wide.read().features == {}
    assert wide.read().main.shape == (1, 24, 8)


def test_a_row_of_a_table_is_the_last_that_is_read(forecast: Fresh) -> None:
    assert forecast.read(forecast.source).labels == forecast.read().labels
    read = forecast.read(forecast.source, row=7)
    assert read.labels[0].startswith("2020-01-01")
    assert read.labels[-1].startswith("2020-01-07")
    with pytest.raises(DataError, match="row=161: there are 160 rows"):
        forecast.read(forecast.source, row=161)
    with pytest.raises(DataError, match=r"this model reads 7\. Give a later row, from 7"):
        forecast.read(forecast.source, row=6)
    with pytest.raises(SettingError, match="row is of a table"):
        forecast.read(row=7)


def test_a_run_without_a_tail_needs_data(forecast: Fresh) -> None:
    forecast.network.tails = ()
    with pytest.raises(RunError, match="Give data"):
        forecast.read()


def test_a_classic_sequence_is_drawn_again() -> None:
    adding = Fresh("classic", "adding", steps=12, examples=10)
    read = adding.read(row=3)
    torch.testing.assert_close(read.inputs, adding.task.asked.inputs[:, 2:3])
    assert [name.en for name in read.features] == ["number", "marker"]
    assert sum(read.features[Words("marker", "dấu")]) == 2
    assert read.labels == tuple(map(str, range(1, 13)))
    expected = adding.network(adding.task.asked_sequence(3))[0]
    torch.testing.assert_close(adding.answered(read), expected)
    with pytest.raises(DataError, match=r"row=1001: there are 1,000 sequences"):
        adding.read(row=1001)


@pytest.mark.parametrize("name", ["temporal_order", "reber"])
def test_a_task_that_draws_lengths_is_prepared_from_the_settings_of_its_run(name: str) -> None:
    fresh = Fresh("classic", name, examples=10)
    fresh.settings = fresh.task.settings  # as settings.toml holds them: 0 steps
    read = fresh.read(row=2)
    assert len(read.labels) == int(fresh.task.asked.lengths[1])
    score = fresh.entry.task.evaluate(
        fresh.network, None, settings=fresh.settings, fitted_on=None, options=None, say=silent
    )
    assert len(score.scores) == 1


def test_symbols_of_a_sequence_are_no_lines() -> None:
    copying = Fresh("classic", "copying", steps=5, examples=10)
    read = copying.read()
    assert read.features == {}
    scores = torch.log_softmax(copying.network(copying.task.asked_sequence(1))[-1], -1)
    torch.testing.assert_close(copying.answered(read), scores.max(-1).values)


def test_music_and_digits_need_their_data(tmp_path: Path) -> None:
    music = Fresh("music", write_music(tmp_path / "m.json"))
    with pytest.raises(DataError, match="Give data"):
        music.read()
    read = music.read(music.source)
    notes = music.task.music.test[0]
    assert len(read.labels) == len(notes) - 1
    assert all(name == "–" or name[0] in "ABCDEFG" for name in read.labels)
    write_digits(tmp_path, train=5010, test=3)
    digits = Fresh("pixels", tmp_path)
    with pytest.raises(DataError, match="Give data"):
        digits.read()
    read = digits.read(tmp_path, row=3)
    torch.testing.assert_close(
        read.main[:, 0, 0] * 255, digits.task.asked.images[2].flatten() * 1.0
    )
    with pytest.raises(DataError, match="there are 3 images"):
        digits.read(tmp_path, row=4)


def test_a_network_of_another_task_cannot_read() -> None:
    adding, copying = (
        Fresh("classic", "adding", examples=9),
        Fresh("classic", "copying", examples=9),
    )
    adding.network = copying.network
    with pytest.raises(RunError, match="the network reads 10 features"):
        adding.read()


def test_a_run_says_which_options_it_takes(tmp_path: Path) -> None:
    run = conveyor.fit(
        "classic", "adding", out=tmp_path / "run", steps=6, examples=8, hidden=3, epochs=1,
        say=silent,
    )  # fmt: skip
    assert len(run.read(say=silent).labels) == 6
    with pytest.raises(SettingError, match=r"classic takes no text here\. There are: row"):
        run.read(text="a")
    with pytest.raises(RunError, match="reads no characters"):
        run.search_units(None)
