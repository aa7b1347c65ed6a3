"""What a run is made with: frozen, typed, closed records, read from and written to TOML.

A field of a record is the only place of a setting. Its name is the name of the keyword in Python,
of the key in TOML and, with dashes, of the option on the command line; beside it stand its default,
its range and its help. Commands are made of these records.
"""

import dataclasses
import operator
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

from conveyor.data.files import read_limited
from conveyor.data.records import fits, from_record, shown, to_record
from conveyor.errors import RunError, SettingError, did_you_mean, named
from conveyor.tasks.registry import find

# The default of a setting that has none: it must be given.
REQUIRED: Any = dataclasses.MISSING

# Settings that we write have a few hundred bytes; names of columns may be long.
MOST_BYTES = 10_000_000

# Sizes are exact as floats too, and no memory holds so much. Each layer is built by itself, some ms
# and a thousand tensors' names: more than these take minutes before anything is learned.
LARGEST_SIZE, MOST_LAYERS, MOST_DEVICES, MOST_NODES = 2**53, 1000, 1024, 65_536

# torch takes seeds of 64 bits with a sign; some are multiplied before.
SEEDS = 2**60

# Adam's first steps are ten learning rates long, which must be a float32.
LARGEST_RATE = 1e30

# What Lightning calls them.
PRECISIONS = ("32-true", "64-true", "bf16-true", "bf16-mixed", "16-mixed", "16-true")

# The key of ``Option`` in a field's metadata.
_OPTION = "option"


@dataclass(frozen=True, kw_only=True)
class Option:
    """What a field says of its setting, besides its name, type and default.

    Args:
        help: a sentence that ends in a full stop: what the setting is and, after a semicolon, what
            holds where it is not given.
        least, most: the smallest and largest value, both allowed. Whole numbers are at most
            ``LARGEST_SIZE`` unless their field says otherwise.
        above, below: bounds that are not allowed themselves.
        choices: the words that may stand here, if not any.
        group: the heading in ``--help``; None: the record's.
        formerly: how files call it that were written before it had its name: ``key``, or
            ``table.key``.
        read, write: how a value is read from one word of a command line, and written as one, where
            its type does not say so.
        anew: whether it may be given anew when a run is resumed.
        source: whether it is what a task learns from, which has no option of its own.
    """

    help: str
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    group: str | None = None
    formerly: str | None = None
    read: Callable[[str], Any] | None = None
    write: Callable[[Any], str] | None = None
    anew: bool = False
    source: bool = False

    @property
    def range(self) -> str:
        """Return in words what values the bounds allow; empty without bounds.

        >>> Option(help="Layers.", least=1, most=1000).range
        '1 to 1,000'
        >>> Option(help="A share.", least=0, below=1).range
        '0 or more, below 1'
        """
        if self.least is not None and self.most is not None:
            return f"{_bound(self.least)} to {_bound(self.most)}"
        bounds = (
            (self.least, "{} or more"),
            (self.above, "above {}"),
            (self.most, "{} or less"),
            (self.below, "below {}"),
        )
        return ", ".join(words.format(_bound(b)) for b, words in bounds if b is not None)

    @property
    def described(self) -> str:
        """Return the help with what values are allowed, after what the setting is.

        >>> Option(help="Steps ahead; else 12.", least=1).described
        'Steps ahead (1 or more); else 12.'
        """
        *others, last = self.choices or ("",)
        words = f"{', '.join(others)} or {last}" if others else last or self.range
        return re.sub(r"(?=;)|(?=\.$)", f" ({words})", self.help, count=1) if words else self.help


def option(
    default: Any,
    help: str,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    group: str | None = None,
    formerly: str | None = None,
    read: Callable[[str], Any] | None = None,
    write: Callable[[Any], str] | None = None,
    anew: bool = False,
    source: bool = False,
) -> Any:
    """Return the field of a setting in an ``OptionRecord``.

    Args:
        default: its value where none is given, or ``REQUIRED``.
        help: what it is, as ``--help`` says it.

    All others are as in ``Option``.
    """
    own = Option(
        help=help,
        least=least,
        most=most,
        above=above,
        below=below,
        choices=choices,
        group=group,
        formerly=formerly,
        read=read,
        write=write,
        anew=anew,
        source=source,
    )
    return dataclasses.field(default=default, metadata={_OPTION: own})


def seed_option(default: int | None, help: str) -> Any:
    """Return the field of a seed."""
    return option(default, help, least=0, below=SEEDS)


def _read_split(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split("/"))
    except ValueError as error:
        raise SettingError(
            f"split is {text}; expected three parts, as 0.7/0.1/0.2 or 8640/2880/2880."
        ) from error


def _write_split(split: tuple[float, ...]) -> str:
    return "/".join(f"{part:g}" for part in split)


def split_option(default: tuple[float, ...], help: str) -> Any:
    """Return the field of training, validation and test part in order of time, a tuple or a text as
    ``0.7/0.1/0.2``. Its record must call ``check_split``."""
    return option(default, help, read=_read_split, write=_write_split)


def check_split(split: tuple[float, ...], *, rows: bool) -> None:
    """See that a split is three fractions that add up to 1, or, where ``rows`` may be given, three
    whole numbers.

    Raises:
        SettingError: it is neither.
    """
    three = len(split) == 3 and all(0 < part < float("inf") for part in split)
    fractions = three and abs(sum(split) - 1) <= 1e-6
    if not fractions and not (
        rows and three and min(split) >= 1 and split == tuple(map(int, split))
    ):
        raise SettingError(
            f"split is {_write_split(split)}; fractions must add up to 1, as 0.7/0.1/0.2"
            + (", or give whole numbers of rows." if rows else ".")
        )


def _bound(number: float) -> str:
    """Return a bound in words: a large power of two as one."""
    if isinstance(number, int) and number > MOST_NODES and number & (number - 1) == 0:
        return f"2^{number.bit_length() - 1}"
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _check_range(name: str, value: float, option_: Option, whole: bool) -> None:
    """Raise where a number is not in the range of its field. What is no number (NaN) is in none."""
    bounds = (
        (option_.least, operator.ge),
        (option_.above, operator.gt),
        (option_.most, operator.le),
        (option_.below, operator.lt),
    )
    if not all(bound is None or allows(value, bound) for bound, allows in bounds):
        raise SettingError(f"{named(name)} is {shown(value)}; expected {option_.range}.")
    if whole and option_.most is None and option_.below is None and value > LARGEST_SIZE:
        raise SettingError(f"{named(name)} is {shown(value)}; expected {LARGEST_SIZE:,} or less.")


def _converted(kind: Any, value: object, own: Option) -> object:
    """A value as its field holds it: a text read, one name as a tuple of names, a list as a
    tuple."""
    if isinstance(value, str) and own.read is not None:
        return own.read(value)
    if get_origin(kind) is tuple:
        if isinstance(value, str) and get_args(kind)[0] is str:
            return (value,)
        return tuple(value) if isinstance(value, list) else value
    return value


@dataclass(frozen=True, kw_only=True)
class OptionRecord:
    """Settings that belong together. Every field is made by ``option`` and checked by what it says.

    Raises:
        SettingError: a value has another type than its field, or is out of its range.
    """

    heading: ClassVar[str] = ""  # above its options in --help

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for name, own in options_of(type(self)).items():
            kind = kinds[name]
            value = _converted(kind, getattr(self, name), own)
            object.__setattr__(self, name, value)
            if not fits(value, kind):
                expected = kind.__name__ if isinstance(kind, type) else kind
                raise SettingError(f"{named(name)} is {shown(value)}; expected {expected}.")
            if isinstance(value, int | float) and not isinstance(value, bool):
                _check_range(name, value, own, int in (kind, *get_args(kind)))
            if own.choices and value not in own.choices:
                raise SettingError(
                    f"{named(name)} is {shown(value)}. {did_you_mean(str(value), own.choices)}"
                )
        self.check()

    def check(self) -> None:
        """See that the settings fit each other, where single ranges do not say it.

        Raises:
            SettingError: they do not.
        """


def options_of(kind: type[OptionRecord]) -> Mapping[str, Option]:
    """Return what the fields of a record say of their settings, by name, in order."""
    return {field.name: field.metadata[_OPTION] for field in dataclasses.fields(kind)}


@dataclass(frozen=True, kw_only=True)
class DataSettings(OptionRecord):
    """How data is read: nothing, for tasks whose data leaves no choice."""

    heading: ClassVar[str] = "Data"


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(OptionRecord):
    """The recurrent network. ``cell`` is a name, or a file and a function: ``mine.py:cell``."""

    heading: ClassVar[str] = "Network"

    cell: str = option("lstm", "A cell's name (conveyor cells), or mine.py:name.")
    hidden: int = option(64, "Units of the hidden state.", least=1)
    layers: int = option(1, "Recurrent layers.", least=1, most=MOST_LAYERS)
    dropout: float = option(
        0.0, "Probability of dropping what goes between layers.", least=0, below=1
    )
    projection: int = option(0, "Units of the projection, for lstm_projected.", least=0)

    def besides_the_cell(self) -> dict[str, Any]:
        """Return all sizes by name, as the networks of tasks take them."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "cell"]
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class Training(OptionRecord):
    """How the network is fitted. The learning rate is Adam's; it falls to a twentieth along half a
    cosine. ``clip`` is Pascanu et al. 2013's."""

    heading: ClassVar[str] = "Training"

    epochs: int = option(60, "Passes over the training part, at most.", least=1, anew=True)
    batch: int = option(
        32, "Windows, sequences or streams of text in a batch, of all processes together.", least=1
    )
    learning_rate: float = option(
        2e-3, "Adam's learning rate at the start.", above=0, most=LARGEST_RATE
    )
    clip: float = option(1.0, "Largest L2 norm of all gradients.", above=0, formerly="clip_norm")
    patience: int = option(12, "Epochs without progress before stopping early.", least=1)
    minutes: float | None = option(None, "Stop after so many minutes.", above=0, anew=True)
    seed: int = seed_option(0, "The same seed gives the same run.")
    devices: int = option(
        1,
        "Devices (processes on a CPU) to train on, of each machine.",
        least=1,
        most=MOST_DEVICES,
        anew=True,
    )
    nodes: int = option(
        1,
        "Machines to train on; torchrun or SLURM start them.",
        least=1,
        most=MOST_NODES,
        anew=True,
    )
    precision: str = option(
        "32-true", "Precision of all numbers, in Lightning's words.", choices=PRECISIONS
    )

    @property
    def processes(self) -> int:
        """How many processes train, over all machines."""
        return self.devices * self.nodes


@dataclass(frozen=True)
class Setting:
    """One setting of a task: the record and the field where it stands, its type, the task's own
    default (or ``REQUIRED``), and what else its field says."""

    part: str
    name: str
    kind: Any
    default: Any
    heading: str
    option: Option

    def value(self, settings: "TaskSettings") -> Any:
        """Return the value that the settings of a run have here."""
        return getattr(getattr(settings, self.part), self.name)

    @property
    def former(self) -> tuple[str, str] | None:
        """The table and the key of files that were written before it had its name."""
        if self.option.formerly is None:
            return None
        part, _, key = self.option.formerly.rpartition(".")
        return part or self.part, key


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """All of a run. A task has its own class of these, with its own defaults: records for a
    part of it, which say what differs."""

    task: ClassVar[str]  # its name in conveyor.tasks.registry

    data: DataSettings
    network: NetworkSettings = NetworkSettings()
    training: Training = Training()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings that have these values, and the task's own where none is given.

        Args:
            values: by the names of settings, whatever record they stand in. Where several records
                have a setting of that name (two seeds), all of them get it.

        Raises:
            SettingError: a name is unknown, a setting is missing, or a value cannot be.
        """
        kinds = _parts_of(cls)
        parts: dict[str, dict[str, Any]] = {part: {} for part in kinds}
        known = settings_of(cls)
        _check_names(values, known)
        for each in known:
            if each.name in values:
                parts[each.part][each.name] = values[each.name]
            elif each.default is not REQUIRED:
                parts[each.part][each.name] = each.default
            else:
                raise SettingError(f"{each.name} is missing: {missing_help(each)}")
        records: dict[str, Any] = {part: kinds[part](**own) for part, own in parts.items()}
        return cls(**records)

    def changed(self, values: Mapping[str, Any]) -> Self:
        """Return these settings with other values, as in ``of``.

        Raises:
            SettingError: a name is unknown, or a value cannot be.
        """
        known = settings_of(type(self))
        _check_names(values, known)
        parts: dict[str, Any] = {}
        for part in _parts_of(type(self)):
            own = {e.name: values[e.name] for e in known if e.part == part and e.name in values}
            parts[part] = dataclasses.replace(getattr(self, part), **own)
        return dataclasses.replace(self, **parts)


def _check_names(values: Mapping[str, Any], known: tuple[Setting, ...]) -> None:
    names = {each.name for each in known}
    for name in values:
        if name not in names:
            raise SettingError(f"there is no setting {shown(name)}. {did_you_mean(name, names)}")


def missing_help(setting: Setting) -> str:
    """Return what a setting is, to stand behind a colon where it is missing."""
    return setting.option.help[:1].lower() + setting.option.help[1:]


def _parts_of(kind: type[TaskSettings]) -> dict[str, type[OptionRecord]]:
    """The records that a task's settings are made of, by name."""
    kinds = get_type_hints(kind)
    return {field.name: kinds[field.name] for field in dataclasses.fields(kind)}


def settings_of(kind: type[TaskSettings]) -> tuple[Setting, ...]:
    """Return every setting of a task, in order."""
    found = []
    starts = {field.name: field.default for field in dataclasses.fields(kind)}
    for part, record in _parts_of(kind).items():
        kinds = get_type_hints(record)
        for field in dataclasses.fields(record):
            own, start = options_of(record)[field.name], starts[part]
            default = field.default if start is REQUIRED else getattr(start, field.name)
            heading = own.group or record.heading
            found.append(Setting(part, field.name, kinds[field.name], default, heading, own))
    return tuple(found)


def sources_of(kind: type[TaskSettings], source: Any) -> dict[str, Any]:
    """Return the setting that is what a task learns from, where it has one: a name.

    Args:
        kind: the task's settings.
        source: what is given; None for nothing.
    """
    if source is None:
        return {}
    return {each.name: str(source) for each in settings_of(kind) if each.option.source}


def to_toml(settings: TaskSettings) -> str:
    """Return settings as TOML text, complete."""
    import tomli_w  # noqa: PLC0415 - of the extra train, and only to write

    tables: dict[str, Any] = {"task": settings.task}
    for part in _parts_of(type(settings)):
        tables[part] = from_record(getattr(settings, part))
    return tomli_w.dumps(tables)


def read_toml(path: Path) -> TaskSettings:
    """Return the settings that ``to_toml`` wrote, also under names that they had before.

    Raises:
        RunError: there is no such file, or it is no TOML.
        SettingError: a key is unknown or a value is out of its range.
    """
    try:
        tables = tomllib.loads(read_limited(path, MOST_BYTES).decode())
    except FileNotFoundError as error:
        raise RunError(f"{path}: there is no such file.") from error
    except (ValueError, OSError, RecursionError) as error:  # a ValueError is TOML's and UTF-8's
        raise RunError(f"{path} is corrupt: {error}. Restore it, or begin a new run.") from error
    task = tables.pop("task", None)
    kind = find(task, f"{path}: task").settings
    parts = _parts_of(kind)
    for key in tables:
        if key not in parts:
            known = ("task", *parts)
            raise SettingError(f"{path}: unknown key {shown(key)}. {did_you_mean(key, known)}")
    known_settings = settings_of(kind)
    tables = _under_new_names(tables, known_settings, path)
    records: dict[str, Any] = {}
    for part, record in parts.items():
        table = tables.get(part, {})
        if isinstance(table, dict):
            own = [each for each in known_settings if each.part == part]
            table = {e.name: e.default for e in own if e.default is not REQUIRED} | table
            for each in own:
                if each.name in table:
                    table[each.name] = _converted(each.kind, table[each.name], each.option)
        records[part] = to_record(record, table, f"{path}, [{part}]")
    return kind(**records)


def _under_new_names(
    tables: dict[str, Any], known: tuple[Setting, ...], path: Path
) -> dict[str, Any]:
    """The tables of a file with every key as it is called now."""
    found = {part: dict(own) if isinstance(own, dict) else own for part, own in tables.items()}
    for each in known:
        if each.former is None:
            continue
        part, key = each.former
        old, new = found.get(part), found.setdefault(each.part, {})
        if not isinstance(old, dict) or not isinstance(new, dict) or key not in old:
            continue
        if each.name in new:
            raise SettingError(f"{path}: {key} is called {each.name} now, and both are given.")
        new[each.name] = old.pop(key)
    return found
