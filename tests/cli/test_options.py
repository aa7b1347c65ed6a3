"""Options are made from the records of settings: the same names, types, defaults and help."""

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, get_args

import pytest
import typer
from typer.testing import CliRunner

from conveyor.cli.compare import WITH_CELLS, as_kept, compare, shared_settings, value_kind
from conveyor.cli.fit import app
from conveyor.cli.options import (
    check_required,
    given_values,
    offered,
    option_words,
    spelled,
    with_options,
)
from conveyor.errors import SettingError
from conveyor.tasks.settings import (
    REQUIRED,
    Option,
    OptionRecord,
    Setting,
    TaskSettings,
    options_of,
    settings_of,
)
from conveyor.tasks.task_registry import TASKS, Entry
from tests.cli.test_help import help_of, panels_of

EVERY = [(entry, each) for entry in TASKS for each in settings_of(entry.settings)]
OPTIONS = [(entry, each) for entry, each in EVERY if not each.option.source]
NAMES = [f"{entry.name}.{each.name}" for entry, each in OPTIONS]
# What compare takes.
PARAMETERS = inspect.signature(compare).parameters
SHARED = shared_settings()


def parsed(entry: Entry, *words: str) -> tuple[dict[str, Any], list[str]]:
    """What a command with the options of a task is told by these words, and the words that say it
    again."""
    found: list[tuple[dict[str, Any], list[str]]] = []

    def command(context: typer.Context) -> None:
        values = given_values(context, offered(entry.settings))
        found.append((values, option_words(context, list(values))))

    made = typer.Typer()
    made.command()(with_options(command, offered(entry.settings), "Say what is told."))
    ran = CliRunner().invoke(made, list(words), catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return found[0]


# What else must be passed, and words that are checked.
NEEDED = {"static": ["--series", "store"]}
NEEDED |= {name: ["--by", "store"] for name in ("order", "columns")}
NEEDED |= {"intent": ["--labels", "seq.out"], "turn": ["--dialogue", "number"]}
NEEDED |= {"lookahead": ["--no-bidirectional"], "joint": ["--attention", "location"]}
WORDS = {"freq": "2h", "timezone": "Europe/Berlin"}


def other_value(each: Setting) -> tuple[str, Any]:
    """A word for an option, and the value that it stands for, which is not the default."""
    kinds = set(get_args(each.kind) or (each.kind,)) - {type(None), ...}
    if each.name in WORDS:
        return WORDS[each.name], WORDS[each.name]
    if each.option.choices:
        return each.option.choices[-1], each.option.choices[-1]
    if each.name == "split":
        return "0.5/0.25/0.25", (0.5, 0.25, 0.25)
    if each.name == "target":
        return "y", ("y",)
    least = each.option.least or 0
    if least > 7:
        return f"{least:g}", int(least)
    return ("0.5", 0.5) if float in kinds else ("7", 7) if int in kinds else ("other", "other")


@cache
def parsed_of_nothing(entry: Entry) -> tuple[dict[str, Any], list[str]]:
    """What a command with the options of a task is told by no words."""
    return parsed(entry)


def whole(entry: Entry, values: dict[str, Any]) -> TaskSettings:
    """The settings of a task with what it requires."""
    required = {each.name: "y" for _, each in EVERY if each.default is REQUIRED}
    known = {each.name for each in settings_of(entry.settings)}
    return entry.settings.of({n: v for n, v in required.items() if n in known} | values)


@pytest.mark.parametrize(("entry", "each"), OPTIONS, ids=NAMES)
def test_an_option_has_the_name_of_its_field_and_sets_it(entry: Entry, each: Setting) -> None:
    option = "--" + each.name.removesuffix("_").replace("_", "-")  # from_ is a word of Python
    assert spelled(each.name) == option
    if each.kind is bool:
        words = [f"--no-{option[2:]}" if each.default else option]
        value: Any = not each.default
    else:
        word, value = other_value(each)
        words = [option, word]
    of_series = entry.name != "pixels"  # whose order is a seed
    needed = NEEDED.get(each.name, []) if of_series else []
    values, again = parsed(entry, *words, *needed)
    assert each.name in values
    assert set(again) == {*words, *needed}
    kept = each.value(whole(entry, values))
    # An option that may be repeated keeps a tuple.
    assert kept in (value, (value,))
    assert parsed_of_nothing(entry) == ({}, [])


@pytest.mark.parametrize("entry", TASKS, ids=lambda entry: entry.name)
def test_no_option_is_the_same_as_the_defaults_of_the_records(entry: Entry) -> None:
    shown = help_of_options(entry)
    for each in settings_of(entry.settings):
        if each.option.source:
            assert spelled(each.name) not in shown.split()
            continue
        if each not in offered(entry.settings):
            continue
        assert each.option.described in shown
        if isinstance(each.default, int | float) and not isinstance(each.default, bool):
            assert f"{each.option.described} [default: {each.default}]" in shown


@cache
def help_of_options(entry: Entry) -> str:
    """The help of a command with the options of a task, on one line."""
    made = typer.Typer()

    def command(context: typer.Context) -> None: ...

    made.command()(with_options(command, offered(entry.settings), entry.summary))
    ran = CliRunner().invoke(made, ["--help"], env={"COLUMNS": "300", "TERM": "dumb"})
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", ran.output).split())


def test_a_flag_that_is_off_has_no_opposite() -> None:
    shown = help_of("fit", "forecast").split()
    assert {"--only-target", "--fill-gaps", "--linear", "--no-linear"} <= set(shown)
    assert not {"--no-only-target", "--no-fill-gaps", "--no-overwrite"} & set(shown)


@pytest.mark.parametrize("command", [*[("fit", each.name) for each in TASKS], ("compare",)])
def test_help_has_groups(command: tuple[str, ...]) -> None:
    shown = help_of(*command)
    data = {"forecast": ("--split", "--horizon"), "text": ("--split", "--chunk"), "music": ()}
    data |= {
        "pixels": ("--order",),
        "classify": ("--text", "--label"),
        "tag": ("--tags", "--scheme"),
        "words": ("--min-count",),
        "classic": ("--steps",),
    }
    network = {"words": ("--dim", "--window"), "vrnn": ("--latent", "--head-units")}
    between = {
        "Data": data.get(command[-1], ()),
        "Network": network.get(command[-1], ("--layers", "--dropout")),
        "Training": ("--epochs", "--clip"),
        "Output": ("--out", "--overwrite"),
    }
    between = {heading: options for heading, options in between.items() if options}
    places = [shown.index(f" {heading} --") for heading in between]
    assert places == sorted(places)
    ends = [*places[1:], len(shown)]
    for options, begin, end in zip(between.values(), places, ends, strict=True):
        for option in options:
            assert option in shown[begin:end].split()


# Given in another form to compare, whose own options these are.
DRAWN = {"hidden", "learning_rate", "seed"}
COMPARED = [
    (entry, each) for entry, each in OPTIONS if entry in WITH_CELLS and each.name in PARAMETERS
]


@pytest.mark.parametrize("name", sorted({each.name for _, each in COMPARED} - DRAWN))
def test_compare_says_which_tasks_have_an_option(name: str) -> None:
    settings = {
        entry.name: each for entry, each in OPTIONS if each.name == name and entry in WITH_CELLS
    }
    heading = next(iter(settings.values())).heading
    if len(settings) < len(WITH_CELLS):
        heading += f", only for {' and '.join(settings)}"
    assert spelled(name) in panels_of("compare")[heading]


def records_of(command: str) -> dict[str, type[OptionRecord]]:
    """The records of options of a command that uses a run, by task."""
    writes = command == "generate"
    records = {entry.name: entry.writing if writes else entry.reading for entry in TASKS}
    return {name: record for name, record in records.items() if record is not None}


# Options of tasks that say what is written, of predictions alone.
OF_PREDICTING = {"scores", "explain", "n_best", "horizon", "paths"}


@pytest.mark.parametrize("command", ["predict", "evaluate", "generate"])
def test_commands_on_runs_say_which_runs_take_an_option(command: str) -> None:
    """An option that a run does not take is an error, see tests/cli/test_run_commands.py."""
    left_out = {
        "predict": {"all_rows", "label", "labels", "intent", "recogniser"},
        "evaluate": OF_PREDICTING,
    }
    tasks: dict[str, list[str]] = {}
    for task, record in records_of(command).items():
        for name in options_of(record).keys() - left_out.get(command, set()):
            tasks.setdefault(name, []).append(task)
    expected: dict[str, set[str]] = {}
    for name, several in tasks.items():
        heading = f"Only for runs of {' and '.join(several)}"
        expected.setdefault(heading, set()).add(spelled(name))
    panels = panels_of(command)
    assert {name: set(panels[name]) for name in expected} == expected


SHOWN = [
    *((("fit", entry.name), each.name, each.option) for entry, each in OPTIONS),
    *((("compare",), each.name, each.option) for _, each in COMPARED),
    *(
        ((command,), name, option)
        for command in ("evaluate", "generate")
        for record in records_of(command).values()
        for name, option in options_of(record).items()
        if command != "evaluate" or name not in OF_PREDICTING
    ),
]
RANGED = [shown for shown in SHOWN if shown[2].range or shown[2].choices]


@pytest.mark.parametrize(
    ("command", "name", "option"),
    RANGED,
    ids=[f"{' '.join(command)} {spelled(name)}" for command, name, _ in RANGED],
)
def test_a_range_of_a_record_is_in_the_help(
    command: tuple[str, ...], name: str, option: Option
) -> None:
    panels = panels_of(*command).values()
    (line,) = [panel[spelled(name)] for panel in panels if spelled(name) in panel]
    words = re.split(r", | ", " ".join(re.findall(r"\((.*?)\)", line)))
    for bound in (option.least, option.above, option.most, option.below):
        number = None if bound is None else "2^60" if bound == 2**60 else f"{bound:,g}"
        assert number is None or number in words
    assert set(filter(None, option.choices)) <= set(words)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({}, ""),
        ({"least": 1}, "1 or more"),
        ({"least": 1, "most": 1000}, "1 to 1,000"),
        ({"least": 0, "below": 1}, "0 or more, below 1"),
        ({"least": 0, "below": 2**60}, "0 or more, below 2^60"),
        ({"above": 0}, "above 0"),
        ({"above": 0, "most": 1e30}, "above 0, 1e+30 or less"),
        ({"above": -1, "below": 0.5}, "above -1, below 0.5"),
        ({"most": 3}, "3 or less"),
    ],
)
def test_a_range_in_words(bounds: dict[str, Any], words: str) -> None:
    option = Option(help="What it is; else nothing.", **bounds)
    assert option.range == words
    in_help = f" ({words})" if words else ""
    assert option.described == f"What it is{in_help}; else nothing."
    assert replace(option, help="What it is.").described == f"What it is{in_help}."


@pytest.mark.parametrize("name", [each.name for each in TASKS])
def test_fit_has_the_options_of_its_task_and_four_of_its_own(name: str) -> None:
    entry = next(each for each in TASKS if each.name == name)
    command: Callable[..., None] | None = next(
        each.callback for each in app.registered_commands if each.name == name
    )
    assert command is not None
    names = list(inspect.signature(command).parameters)
    own = [each.name for each in offered(entry.settings)]
    data = ["data"] if entry.reads else []
    assert names == ["context", *data, *own, "out", "overwrite", "resume", "language"]
    assert entry.summary in help_of("fit", name)


def test_commands_on_runs_say_which_default_is_whose() -> None:
    """One command has the options of all tasks, whose defaults may differ."""
    shown = " ".join(help_of("generate").replace("│", " ").split())
    assert "8 for vrnn and storn, 64 for draw unless given" in shown
    assert "[default: 64]" not in shown


def test_compare_has_the_options_of_all_tasks() -> None:
    names = set(inspect.signature(compare).parameters)
    otherwise = {"cell", "devices", "nodes", "precision"}  # cells, and one device for each trial
    assert {each.name for entry, each in OPTIONS if entry in WITH_CELLS} - otherwise <= names
    assert not {*otherwise, "name"} & names


@pytest.mark.parametrize("name", sorted({each.name for _, each in EVERY}))
def test_a_name_is_the_same_option_in_all_tasks(name: str) -> None:
    """Or compare could not have it."""
    own = [each for _, each in EVERY if each.name == name]
    if name != "order":  # a seed for images, a column for series: compare hands on the word
        assert len({value_kind(each) for each in own}) == 1
    assert len({each.heading for each in own if name != "seed"}) <= 1
    assert len({each.option.read for each in own}) == 1


def test_compare_gives_a_task_its_own_kind_of_order() -> None:
    """An error says what a number is."""
    for task, word, kept in (("pixels", "7", 7), ("classify", "time", "time")):
        settings = next(each.settings for each in TASKS if each.name == task)
        (own,) = [each for each in settings_of(settings) if each.name == "order"]
        assert as_kept(own, word) == kept
    assert "pixels: Pixels in an order" in help_of("compare")
    assert "classify: The column by which" in help_of("compare")


@pytest.mark.parametrize(
    ("entry", "each"),
    [pair for pair in COMPARED if pair[1].name not in DRAWN],
    ids=[f"{entry.name}.{each.name}" for entry, each in COMPARED if each.name not in DRAWN],
)
def test_what_compare_takes_is_what_each_task_keeps(entry: Entry, each: Setting) -> None:
    """Whatever option compare makes of the settings of one name, each task keeps its own kind."""
    found: list[Any] = []

    def command(context: typer.Context) -> None:
        value = context.params[each.name]
        found.append(as_kept(each, value) if isinstance(value, str) else value)

    (shared,) = [setting for setting in SHARED if setting.name == each.name]
    made = typer.Typer()
    made.command()(with_options(command, [shared], "Say what is told."))
    word, value = other_value(each)
    words = [spelled(each.name), word]
    if each.kind is bool:
        off = f"--no-{spelled(each.name)[2:]}"
        words, value = ([off], False) if each.default else ([spelled(each.name)], True)
    ran = CliRunner().invoke(made, words, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    (told,) = found
    needed: dict[str, dict[str, Any]] = {
        "static": {"series": ("store",)},
        "order": {"by": ("store",)},
    }
    needed |= {"columns": {"by": ("store",)}, "turn": {"dialogue": "number"}}
    needed |= {"intent": {"labels": "seq.out"}, "lookahead": {"bidirectional": False}}
    needed |= {"joint": {"attention": "location"}}
    beside = {} if entry.name == "pixels" else needed.get(each.name, {})
    assert each.value(whole(entry, {**beside, each.name: told})) in (value, (value,))


@pytest.mark.parametrize(
    ("default", "word", "kept", "wrong"),
    [(1, "7", 7, "a whole number"), (0.5, "0.1", 0.1, "a number"), (True, "false", False, "true")],
)
def test_a_merged_option_is_kept_in_each_kind(
    default: Any, word: str, kept: Any, wrong: str
) -> None:
    """Of one name that is a number to one task and a text to another."""
    (order,) = [each for entry, each in OPTIONS if entry.name == "pixels" and each.name == "order"]
    setting = replace(order, kind=type(default), default=default)
    got = as_kept(setting, word)
    assert got == kept
    assert type(got) is type(kept)
    with pytest.raises(SettingError, match=rf"^--order many: expected {wrong}"):
        as_kept(setting, "many")


def test_what_is_required_is_asked_for_in_the_words_of_options() -> None:
    forecast = TASKS[0].settings
    with pytest.raises(SettingError, match=r"^--target is missing: the column to forecast; may be"):
        check_required([], forecast)
    check_required(["target"], forecast)
