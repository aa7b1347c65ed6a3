"""Options of commands, made from the records of settings, and what a user gives turned back into
settings."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from conveyor.data.table_source import split_source
from conveyor.errors import SettingError
from conveyor.tasks.settings import (
    REQUIRED,
    OptionRecord,
    Setting,
    TaskSettings,
    missing_help,
    options_of,
    settings_of,
)
from conveyor.tasks.task_registry import TASKS

# The heading of options that say where a command writes.
OUTPUT = "Output"

# The option of commands that write a page.
Spoken = Annotated[
    str | None,
    typer.Option(
        "--language",
        help="Of the report or page: en or vi; else the system's.",
        rich_help_panel=OUTPUT,
    ),
]

# Endings that say what a file holds.
_ENDINGS = {".gz"} | {end for entry in TASKS for end in entry.reads if end.startswith(".")}


def spelled(name: str) -> str:
    """Return the option of a name.

    >>> spelled("only_target"), spelled("from_")
    ('--only-target', '--from')
    """
    return "--" + name.removesuffix("_").replace("_", "-")


def offered(kind: type[TaskSettings]) -> list[Setting]:
    """Return the settings of a task that have an option, each name once: two seeds are one option,
    the run's."""
    settings = [setting for setting in settings_of(kind) if not setting.option.source]
    last_part = {setting.name: setting.part for setting in settings}
    return [setting for setting in settings if setting.part == last_part[setting.name]]


def parameter(setting: Setting) -> inspect.Parameter:
    """Return the parameter of a setting, as Typer reads it. Its help tells the range."""
    option, kind, default = setting.option, setting.kind, setting.default
    form = spelled(setting.name)
    if option.read is not None:
        kind = str
        if option.write is not None and default is not None:
            default = option.write(default)
    elif get_origin(kind) is tuple:
        kind, default = GenericAlias(list, get_args(kind)[:1]), None  # may be repeated
    elif kind is bool and default is not False:
        form += "/--no-" + form.removeprefix("--")
    if default is REQUIRED:  # ``check_required`` tells what is missing
        default = None
    declared = typer.Option(form, help=option.described, rich_help_panel=setting.heading)
    annotation: Any = Annotated[kind | None if default is None else kind, declared]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(setting.name, keyword, default=default, annotation=annotation)


def with_options(
    function: Callable[..., None], settings: Iterable[Setting], summary: str = ""
) -> Callable[..., None]:
    """Return a command: the function with options for settings besides its arguments. The function
    reads them from its ``typer.Context``, see ``given_values``.

    Args:
        function: takes a ``typer.Context`` first.
        settings: whose options the command has, before the function's keyword-only arguments.
        summary: what the command does; the function's docstring unless given.
    """
    arguments = inspect.signature(function, eval_str=True).parameters
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        *(argument for argument in arguments.values() if argument.kind is not keyword),
        *map(parameter, settings),
        *(argument for argument in arguments.values() if argument.kind is keyword),
    ]

    def command(**values: Any) -> None:
        function(**{name: values[name] for name in arguments})

    command.__name__, command.__doc__ = function.__name__, summary or function.__doc__
    command.__annotations__ = {argument.name: argument.annotation for argument in parameters}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def options_by_task(records: Mapping[str, type[OptionRecord] | None]) -> list[Setting]:
    """Return the settings of several tasks' records as options of one command, each name once,
    under a heading that says which tasks' runs take it, and with a help that says which default
    each has where they differ.

    Args:
        records: by the name of the task; None for a task without options.
    """
    tasks: dict[str, list[str]] = {}
    defaults: dict[str, dict[Any, list[str]]] = {}
    settings: dict[str, Setting] = {}
    for task, record in records.items():
        if record is None:
            continue
        kinds, options = get_type_hints(record), options_of(record)
        for field in fields(record):
            name = field.name
            tasks.setdefault(name, []).append(task)
            heading = f"Only for runs of {' and '.join(tasks[name])}"
            own = Setting("", name, kinds[name], field.default, heading, options[name])
            several = defaults.setdefault(name, {})
            several.setdefault(own.default, []).append(task)
            settings[name] = own if len(several) == 1 else _with_defaults(own, several)
    return list(settings.values())


def _with_defaults(setting: Setting, tasks: Mapping[Any, Sequence[str]]) -> Setting:
    """Return an option whose help has the defaults of several tasks, by the tasks that have it."""
    said = ", ".join(
        f"{value} for {' and '.join(names)}" for value, names in tasks.items() if value is not None
    )
    help_ = f"{setting.option.help.rstrip('.')}; {said} unless given."
    return replace(setting, default=None, option=replace(setting.option, help=help_))


def given_names(context: typer.Context) -> set[str]:
    """Return the names of the options that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def given_values(context: typer.Context, settings: Iterable[Setting]) -> dict[str, Any]:
    """Return the values that stand on the command line for some settings, by name. What does not
    stand there has the default of its record."""
    names = given_names(context) & {setting.name for setting in settings}
    return {name: value for name, value in context.params.items() if name in names}


def check_required(names: Iterable[str], kind: type[TaskSettings]) -> None:
    """Check that what a task cannot do without is given.

    Args:
        names: of the settings that are given.
        kind: the task's settings.

    Raises:
        SettingError: an option is missing.
    """
    for setting in settings_of(kind):
        if setting.default is REQUIRED and setting.name not in names:
            raise SettingError(f"{spelled(setting.name)} is missing: {missing_help(setting)}")


def option_words(context: typer.Context, names: Sequence[str]) -> list[str]:
    """Return the words of a command line that give these options the values that they have."""
    words = list[str]()
    for name in names:
        value, option = context.params[name], spelled(name)
        if isinstance(value, bool):
            words.append(option if value else "--no-" + option.removeprefix("--"))
            continue
        for part in value if isinstance(value, list | tuple) else [value]:
            words += [option, str(part)]
    return words


def stem_of(file: Path) -> str:
    """Return a file's name without the endings that say what it holds, which names its run.

    >>> stem_of(Path("data/sales.csv.gz")), stem_of(Path("sales.xlsx#North"))
    ('sales', 'sales-North')
    """
    name, sheet = split_source(file.name)
    if sheet:
        return f"{stem_of(Path(name))}-{sheet}"
    while Path(name).suffix.lower() in _ENDINGS:
        name = Path(name).stem
    return name.lstrip(".") or "run"
