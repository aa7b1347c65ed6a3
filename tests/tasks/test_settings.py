"""Settings: one name everywhere, ranges at both ends, files of today and of before."""

import json
import math
import subprocess
import sys
import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import conveyor
from conveyor.errors import SettingError
from conveyor.tasks.classic.classic_settings import ClassicSettings
from conveyor.tasks.forecast.forecast_settings import ForecastData, ForecastSettings
from conveyor.tasks.settings import (
    LARGEST_SIZE,
    REQUIRED,
    OptionRecord,
    Setting,
    TaskSettings,
    settings_of,
)
from conveyor.tasks.settings_file import read_toml, to_toml
from conveyor.tasks.task_registry import TASKS, Entry, find
from conveyor.tasks.text.text_settings import TextData, TextNetwork, TextSettings, TextTraining

EVERY = [(entry, each) for entry in TASKS for each in settings_of(entry.settings)]
NAMES = [f"{entry.name}.{each.part}.{each.name}" for entry, each in EVERY]

# What a required setting may be.
GIVEN = {"target": ("y",), "name": "adding"}


def whole(entry: Entry, **values: Any) -> TaskSettings:
    """The settings of a task with what it requires."""
    known = {each.name for each in settings_of(entry.settings)}
    required = {name: value for name, value in GIVEN.items() if name in known}
    return entry.settings.of({**required, **values})


@pytest.mark.parametrize("entry", TASKS, ids=lambda entry: entry.name)
def test_a_task_is_found_by_the_name_that_its_settings_say(entry: Entry) -> None:
    assert find(entry.name) is entry
    assert entry.settings.task == entry.name
    assert entry.summary.endswith(".")
    assert not entry.source.endswith(".")
    assert bool(entry.reads) == bool(entry.source)  # a task that draws all its data has neither


def test_a_task_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingError, match=r"^--task is 'musik'\. Did you mean 'music'\?$"):
        find("musik", "--task")
    with pytest.raises(
        SettingError,
        match=r"^task is \[1\]\. There are: caption, chat, classic, classify",
    ):
        find([1])


@pytest.mark.parametrize(("entry", "each"), EVERY, ids=NAMES)
def test_every_setting_has_help_and_a_type_that_a_command_line_knows(
    entry: Entry, each: Setting
) -> None:
    assert each.option.help.endswith((".", "..."))
    assert each.heading in ("Data", "Network", "Training")
    kinds = set(get_args(each.kind) or (each.kind,)) - {type(None), ...}
    assert kinds <= {str, int, float, bool}
    assert each.default is REQUIRED or each.value(whole(entry)) == each.default


@pytest.mark.parametrize("entry", TASKS, ids=lambda entry: entry.name)
def test_keys_of_toml_are_the_names_of_fields(entry: Entry, tmp_path: Path) -> None:
    settings = whole(entry)
    path = tmp_path / "settings.toml"
    path.write_text(to_toml(settings))
    assert read_toml(path) == settings
    tables = tomllib.loads(path.read_text())
    assert tables.pop("task") == entry.name
    for part, values in asdict(settings).items():
        assert set(tables[part]) == {name for name, value in values.items() if value is not None}


def outside(each: Setting) -> list[float]:
    """Values that lie just outside the range of a setting, at each end that it has."""
    own, found = each.option, list[float]()
    is_whole = int in (each.kind, *get_args(each.kind))

    def beyond(number: float, way: float) -> float:
        return int(number + way) if is_whole else math.nextafter(number, way * math.inf)

    found += [beyond(own.least, -1)] if own.least is not None else []
    found += [beyond(own.most, 1)] if own.most is not None else []
    found += [own.above] if own.above is not None else []
    found += [own.below] if own.below is not None else []
    if is_whole and own.most is None and own.below is None:
        found.append(LARGEST_SIZE + 1)
    return found


def at_the_ends(each: Setting) -> list[float]:
    """The smallest and the largest value that a setting may have, where it says them."""
    return [end for end in (each.option.least, each.option.most) if end is not None]


RANGED = [(entry, each) for entry, each in EVERY if outside(each)]


def test_there_are_ranges_to_check() -> None:
    names = {each.name for _, each in RANGED}
    assert {"hidden", "dropout", "clip", "seed", "horizon", "chunk", "order", "minutes"} <= names


@pytest.mark.parametrize(
    ("entry", "each"), RANGED, ids=[f"{entry.name}.{each.name}" for entry, each in RANGED]
)
def test_ranges_are_checked_at_both_ends(
    entry: Entry, each: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whether the ends fit the defaults of other settings is another question.
    record = get_type_hints(entry.settings)[each.part]
    monkeypatch.setattr(record, "check", OptionRecord.check)
    for value in at_the_ends(each):
        assert each.value(whole(entry, **{each.name: value})) == value
    for value in outside(each):
        with pytest.raises(SettingError, match=f"^{each.name} is .*; expected "):
            whole(entry, **{each.name: value})
    if float in (each.kind, *get_args(each.kind)):
        with pytest.raises(SettingError, match=f"^{each.name} is nan; expected "):
            whole(entry, **{each.name: math.nan})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"hidden": 0}, "hidden is 0; expected 1 or more."),
        ({"hidden": 2**70}, f"hidden is {2**70}; expected 9,007,199,254,740,992 or less."),
        ({"dropout": -0.5}, "dropout is -0.5; expected 0 or more, below 1."),
        ({"learning_rate": 1e300}, "learning_rate is 1e+300; expected above 0, 1e+30 or less."),
        ({"clip": 0.0}, "clip is 0.0; expected above 0."),
        ({"seed": 2**60}, f"seed is {2**60}; expected 0 or more, below 2^60."),
        (
            {"precision": "32-tru"},
            "precision is '32-tru'. Did you mean '32-true' or '64-true' or '16-true'?",
        ),
        ({"unit": "letter"}, "unit is 'letter'. There are: char, subword, syllable, word."),
        ({"hidden": "many"}, "hidden is 'many'; expected int."),
        ({"hidden": True}, "hidden is True; expected int."),
        ({"epochs": 1.5}, "epochs is 1.5; expected int."),
        ({"minutes": "x"}, "minutes is 'x'; expected float | None."),
        ({"split": "1/2"}, "split is 1/2; fractions must add up to 1, as 0.7/0.1/0.2."),
        ({"split": "a/b"}, "split is a/b; expected three parts, as 0.7/0.1/0.2 or 8640/2880/2880."),
        ({"hiden": 1}, "there is no setting 'hiden'. Did you mean 'hidden'?"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(values: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError) as told:
        TextSettings.of(values)
    assert str(told.value) == says


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(SettingError, match=r"^target is missing: the column to forecast; may"):
        ForecastSettings.of({"horizon": 3})
    with pytest.raises(SettingError, match="a target is given twice: a"):
        ForecastData(target=("a", "a"))
    with pytest.raises(SettingError, match="no target is given"):
        ForecastData(target=())


def test_values_stand_in_the_record_that_has_the_name() -> None:
    made = ForecastSettings.of({"target": "y", "split": "10/5/5", "hidden": 8, "clip": 2.0})
    assert made.data == ForecastData(target=("y",), split=(10, 5, 5))
    assert (made.network.hidden, made.network.linear, made.training.clip) == (8, True, 2.0)
    other = made.changed({"linear": False, "epochs": 3})
    assert other == replace(
        made,
        network=replace(made.network, linear=False),
        training=replace(made.training, epochs=3),
    )
    # What draws the data is no matter of what draws the start values.
    drawn = ClassicSettings.of({"name": "adding", "seed": 5})
    assert (drawn.data.data_seed, drawn.training.seed) == (0, 5)


def test_a_task_has_its_own_defaults() -> None:
    assert TextSettings() == TextSettings.of({})
    assert TextSettings().network.hidden == 256
    assert TextSettings().training == TextTraining(epochs=20, learning_rate=3e-3, patience=3)
    defaults = {each.name: each.default for each in settings_of(TextSettings)}
    assert (defaults["hidden"], defaults["epochs"], defaults["batch"]) == (256, 20, 32)
    assert {each.name: each.default for each in settings_of(ForecastSettings)}["hidden"] == 16


BEFORE = """task = "forecast"
[data]
targets = ["value", "rain"]
only_targets = true
horizon = 3
split = [0.7, 0.1, 0.2]
[network]
hidden = 4
[training]
epochs = 2
clip_norm = 0.5
"""

TEXT_BEFORE = """task = "text"
[data]
unit = "char"
chunk = 20
embedding = 7
[training]
clip_norm = 2
"""


def read(folder: Path, text: str) -> TaskSettings:
    """The settings of a file."""
    (folder / "settings.toml").write_text(text)
    return read_toml(folder / "settings.toml")


def test_files_of_before_are_read_and_written_under_new_names(tmp_path: Path) -> None:
    made = read(tmp_path, BEFORE)
    assert made == ForecastSettings.of(
        {"target": ("value", "rain"), "only_target": True, "horizon": 3, "hidden": 4, "epochs": 2,
         "clip": 0.5}
    )  # fmt: skip
    tables = tomllib.loads(to_toml(made))
    assert tables["data"]["target"] == ["value", "rain"]
    assert tables["data"]["only_target"] is True
    assert tables["training"]["clip"] == 0.5
    assert not {"targets", "only_targets", "clip_norm"} & {*tables["data"], *tables["training"]}
    written = to_toml(read(tmp_path, TEXT_BEFORE))
    assert read(tmp_path, written) == replace(
        TextSettings(),
        data=TextData(chunk=20),
        network=TextNetwork(hidden=256, embedding=7),
        training=replace(TextSettings().training, clip=2),
    )
    assert "embedding" not in tomllib.loads(written)["data"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BEFORE + "clip = 1.0\n", "clip_norm is called clip now, and both are given"),
        (BEFORE.replace("clip_norm", "clip_nor"), r"\[training\]: unknown key 'clip_nor'"),
        (BEFORE.replace("targets", "target") + "targets = 1\n", r"\[training\]: unknown key 'ta"),
        (BEFORE.replace("0.5", "0"), "clip is 0; expected above 0"),
        ('task = "forecast"', r"\[data\]: target is missing"),
        ('data = 1\ntask = "text"\n[network]\nembedding = 1', r"\[data\]: expected names with"),
        ('network = 1\ntask = "text"\n[data]\nembedding = 1', r"\[\w+\]: (expected|unknown)"),
        ('[datum]\ntask = "text"', "task is None"),
        ('task = "text"\n[datum]', "unknown key 'datum'. Did you mean 'data'"),
    ],
)
def test_files_that_are_wrong_are_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        read(tmp_path, text)


def test_a_split_may_be_a_text_in_a_file(tmp_path: Path) -> None:
    made = read(tmp_path, 'task = "text"\n[data]\nsplit = "0.5/0.25/0.25"')
    assert isinstance(made, TextSettings)
    assert made.data.split == (0.5, 0.25, 0.25)


def test_settings_load_nothing_heavy() -> None:
    """Only the package itself loads torch: help of commands shall need neither."""
    folder = Path(conveyor.__file__).parent
    code = (
        "import json, sys, types\n"
        "package = types.ModuleType('conveyor')\n"
        f"package.__path__ = [{str(folder)!r}]\n"
        "sys.modules['conveyor'] = package\n"
        "from conveyor.tasks import task_registry\n"
        "names = [entry.settings.__name__ for entry in task_registry.TASKS]\n"
        "print(json.dumps([names, sorted({name.split('.')[0] for name in sys.modules})]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, loaded = json.loads(ran.stdout)
    assert len(names) == len(TASKS)
    heavy = {"torch", "numpy", "polars", "pytorch_lightning", "tomli_w", "typer", "rich", "plotly"}
    assert not set(loaded) & heavy


def test_a_field_without_help_is_refused_with_what_to_write() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Bare(OptionRecord):
        bits: int = 21

    with pytest.raises(TypeError, match=r"Bare\.bits has no help .* bits: .*int.* = option\("):
        Bare()
