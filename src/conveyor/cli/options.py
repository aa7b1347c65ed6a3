"""Options made from the records of settings, and what stands on the command line turned back into
them."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

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

# The heading of options that say where a command writes.
OUTPUT = "Output"


def spelled(name: str) -> str:
    """Return the option of a name.

    >>> spelled("only_target")
    '--only-target'
    """
    return "--" + name.replace("_", "-")


def offered(kind: type[TaskSettings]) -> list[Setting]:
    """Return the settings of a task that have an option, each name once: two seeds are one option,
    the run's."""
    every = [each for each in settings_of(kind) if not each.option.source]
    last = {each.name: each.part for each in every}
    return [each for each in every if each.part == last[each.name]]


def parameter(setting: Setting) -> inspect.Parameter:
    """Return the parameter of a setting, as Typer reads it."""
    own, kind, default, form = setting.option, setting.kind, setting.default, spelled(setting.name)
    if own.read is not None:
        kind = str
        default = own.write(default) if own.write is not None and default is not None else default
    elif get_origin(kind) is tuple:
        kind, default = GenericAlias(list, get_args(kind)[:1]), None  # given again and again
    elif kind is bool and default:
        form += "/--no-" + form.removeprefix("--")
    if default is REQUIRED:  # ``check_given`` tells what is missing
        default = None
    shown = typer.Option(form, help=own.help, rich_help_panel=setting.heading)
    asked = kind | None if default is None else kind
    annotation: Any = Annotated[asked, shown]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(setting.name, keyword, default=default, annotation=annotation)


def with_options(
    function: Callable[..., None], settings: Iterable[Setting], summary: str = ""
) -> Callable[..., None]:
    """Return a command: the function with options for settings besides its own arguments. The
    function finds them in its ``typer.Context``, see ``told``.

    Args:
        summary: what the command does; the function's docstring unless given.
    """
    own = inspect.signature(function, eval_str=True).parameters
    named = [each for each in own.values() if each.kind is not inspect.Parameter.KEYWORD_ONLY]
    last = [each for each in own.values() if each.kind is inspect.Parameter.KEYWORD_ONLY]
    made = [*named, *(parameter(each) for each in settings), *last]

    def command(**values: Any) -> None:
        function(**{name: values[name] for name in own})

    command.__name__, command.__doc__ = function.__name__, summary or function.__doc__
    command.__annotations__ = {each.name: each.annotation for each in made}
    command.__signature__ = inspect.Signature(made)  # type: ignore[attr-defined]
    return command


def of_records(records: Iterable[type[OptionRecord] | None]) -> list[Setting]:
    """Return the settings of some records as options of one command, each name once."""
    settings: dict[str, Setting] = {}
    for record in records:
        if record is not None:
            kinds = get_type_hints(record)
            for field in fields(record):
                own = options_of(record)[field.name]
                setting = Setting("", field.name, kinds[field.name], field.default, "Options", own)
                settings.setdefault(field.name, setting)
    return list(settings.values())


def given(context: typer.Context) -> set[str]:
    """Return the names of the options that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def told(context: typer.Context, kind: type[TaskSettings]) -> dict[str, Any]:
    """Return the settings of a task that stand on the command line, as ``TaskSettings.of`` takes
    them. What does not stand there is as the records say."""
    stand = given(context)
    names = {each.name for each in offered(kind)}
    return {name: value for name, value in context.params.items() if name in stand & names}


def check_given(values: Iterable[str], kind: type[TaskSettings]) -> None:
    """See that everything stands there that a task cannot do without.

    Raises:
        SettingError: an option is missing.
    """
    for each in settings_of(kind):
        if each.default is REQUIRED and each.name not in values:
            raise SettingError(f"{spelled(each.name)} is missing: {missing_help(each)}")


def said_again(context: typer.Context, names: Sequence[str]) -> list[str]:
    """Return the words of a command line that give these options the values that they have."""
    found = list[str]()
    for name in names:
        value, option = context.params[name], spelled(name)
        if isinstance(value, bool):
            found.append(option if value else "--no-" + option.removeprefix("--"))
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            found += [option, str(each)]
    return found


def stem_of(file: Path) -> str:
    """A file's name without the ends that say what it is: what a run is called after it."""
    name = file.name
    while Path(name).suffix.lower() in (".gz", ".csv", ".tsv", ".txt", ".parquet", ".pq", ".json"):
        name = Path(name).stem
    return name.lstrip(".") or "run"
