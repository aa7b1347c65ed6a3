"""The settings of a run: frozen records whose keys and types are checked.

A setting is defined once, as a field of a record. The field's name is the keyword in Python, the
key in TOML and, with dashes, the option on the command line; the field also holds the default, the
range and the help. The options of commands are generated from these records.
"""

import dataclasses
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

from conveyor.data.records import fits, shown
from conveyor.errors import SettingError, did_you_mean, named

# The default of a setting that has no default and must be passed.
REQUIRED: Any = dataclasses.MISSING

# A float64 holds every size up to the first number, and no memory holds that much. A layer takes
# some milliseconds to build, so that more layers than the second take minutes before training. The
# last two bound the processes that are started.
LARGEST_SIZE, MOST_LAYERS, MOST_DEVICES, MOST_NODES = 2**53, 1000, 1024, 65_536

# Seeds are below this number: torch takes signed seeds of 64 bits, and some are multiplied by 3.
SEEDS = 2**60

# The first steps of Adam are up to ten learning rates long and must fit into float32.
LARGEST_RATE = 1e30

# Lightning's names of precisions.
PRECISIONS = ("32-true", "64-true", "bf16-true", "bf16-mixed", "16-mixed", "16-true")

# The key of ``Option`` in a field's metadata.
_OPTION = "option"


@dataclass(frozen=True, kw_only=True)
class Option:
    """What a field says about its setting, besides its name, type and default.

    Args:
        help: a sentence that ends in a full stop: what the setting is and, after a semicolon, what
            holds where it is not given.
        least, most: the smallest and largest value, both allowed. Whole numbers are at most
            ``LARGEST_SIZE`` unless their field says otherwise.
        above, below: bounds that are not allowed themselves.
        choices: the words that are allowed; empty if any word is.
        group: the heading in ``--help``; None for the record's heading.
        formerly: the name of the setting in older files: ``key``, or ``table.key``.
        read, write: functions that read a value from one word of a command line and write it as
            one, for types that have no such form.
        changeable: whether the setting may change when a run is resumed.
        source: whether the setting is the source that the task learns from, which is an argument of
            commands and not an option.
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
    changeable: bool = False
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
        *others, last = [word for word in self.choices if word] or [""]
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
    changeable: bool = False,
    source: bool = False,
) -> Any:
    """Return the field of a setting in an ``OptionRecord``.

    Args:
        default: the default, or ``REQUIRED``.
        help: the sentence that ``--help`` shows.

    All other arguments are those of ``Option``.
    """
    described = Option(
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
        changeable=changeable,
        source=source,
    )
    return dataclasses.field(default=default, metadata={_OPTION: described})


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
    """Return the field of the sizes of training, validation and test set, in order of time: a
    tuple, or a text as ``0.7/0.1/0.2``. Its record must call ``check_split``."""
    return option(default, help, read=_read_split, write=_write_split)


def check_split(split: tuple[float, ...], *, rows: bool) -> None:
    """Check that a split is three fractions that add up to 1, or three whole numbers if ``rows`` is
    True.

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


def check_n_best(n_best: int, beam: int) -> None:
    """Check that a search keeps as many beginnings as answers are asked for.

    Raises:
        SettingError: it keeps fewer.
    """
    if n_best > beam:
        raise SettingError(
            f"{named('n_best')} is {n_best}; expected {beam} or less, the {named('beam')}."
        )


def _bound(number: float) -> str:
    """Return a bound in words: a large power of two as one."""
    if isinstance(number, int) and number > MOST_NODES and number & (number - 1) == 0:
        return f"2^{number.bit_length() - 1}"
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _check_range(name: str, value: float, option: Option, whole: bool) -> None:
    """Check that a number is in the range of its field. NaN is in no range.

    Raises:
        SettingError: it is not.
    """
    bounds = (
        (option.least, operator.ge),
        (option.above, operator.gt),
        (option.most, operator.le),
        (option.below, operator.lt),
    )
    if not all(bound is None or allows(value, bound) for bound, allows in bounds):
        raise SettingError(f"{named(name)} is {shown(value)}; expected {option.range}.")
    if whole and option.most is None and option.below is None and value > LARGEST_SIZE:
        raise SettingError(f"{named(name)} is {shown(value)}; expected {LARGEST_SIZE:,} or less.")


def converted(kind: Any, value: object, option: Option) -> object:
    """Return a value as its field holds it: a text is read, one name becomes a tuple of names, a
    list a tuple."""
    if isinstance(value, str) and option.read is not None:
        return option.read(value)
    if get_origin(kind) is tuple:
        if isinstance(value, str) and get_args(kind)[0] is str:
            return (value,)
        return tuple(value) if isinstance(value, list) else value
    return value


@dataclass(frozen=True, kw_only=True)
class OptionRecord:
    """Settings that belong together. ``option`` makes every field; its type and range are checked.

    Raises:
        SettingError: a value has another type than its field, or is out of its range.
    """

    heading: ClassVar[str] = ""  # the heading of the record's options in --help

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for name, option in options_of(type(self)).items():
            kind = kinds[name]
            value = converted(kind, getattr(self, name), option)
            object.__setattr__(self, name, value)
            if not fits(value, kind):
                expected = kind.__name__ if isinstance(kind, type) else kind
                raise SettingError(f"{named(name)} is {shown(value)}; expected {expected}.")
            if isinstance(value, int | float) and not isinstance(value, bool):
                _check_range(name, value, option, int in (kind, *get_args(kind)))
            for word in value if isinstance(value, tuple) else (value,):
                if option.choices and word not in option.choices:
                    raise SettingError(
                        f"{named(name)} is {shown(word)}. {did_you_mean(str(word), option.choices)}"
                    )
        self.check()

    def check(self) -> None:
        """Check what the ranges of single settings cannot: that the settings fit each other.

        Raises:
            SettingError: they do not.
        """


def options_of(kind: type[OptionRecord]) -> Mapping[str, Option]:
    """Return the options of the fields of a record, by name, in order.

    Raises:
        TypeError: a field was not made by ``option``.
    """
    for field in dataclasses.fields(kind):
        if _OPTION not in field.metadata:
            raise TypeError(
                f"{kind.__qualname__}.{field.name} has no help and no range. Make the field with "
                f'option: {field.name}: {field.type} = option(DEFAULT, "What it is.").'
            )
    return {field.name: field.metadata[_OPTION] for field in dataclasses.fields(kind)}


@dataclass(frozen=True, kw_only=True)
class DataSettings(OptionRecord):
    """How data is read. This class has no settings; tasks whose data leaves a choice extend it."""

    heading: ClassVar[str] = "Data"


@dataclass(frozen=True, kw_only=True)
class ModelSettings(OptionRecord):
    """What is learned. A task whose model walks over no time extends this class, and so has no
    options of cells; the others extend ``NetworkSettings``."""

    heading: ClassVar[str] = "Network"

    def besides_the_cell(self) -> dict[str, Any]:
        """Return all settings except ``cell`` by name, as the networks of tasks take them."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "cell"]
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(ModelSettings):
    """The recurrent network. ``cell`` is a name, or a file and a function: ``mine.py:cell``."""

    cell: str = option("lstm", "A cell's name (conveyor cells), or mine.py:name.")
    hidden: int = option(64, "Units of the hidden state.", least=1)
    layers: int = option(1, "Recurrent layers.", least=1, most=MOST_LAYERS)
    dropout: float = option(
        0.0, "Probability of dropping what goes between layers.", least=0, below=1
    )
    projection: int = option(0, "Units of the projection, for lstm_projected.", least=0)


@dataclass(frozen=True, kw_only=True)
class Training(OptionRecord):
    """How the network is fitted. The learning rate is Adam's; it falls to a twentieth along half a
    cosine, unless weights are averaged. ``clip`` bounds the norm of the gradients (Pascanu et al.
    2013)."""

    heading: ClassVar[str] = "Training"

    epochs: int = option(60, "Passes over the training set, at most.", least=1, changeable=True)
    batch: int = option(
        32, "Windows, sequences or streams of text in a batch, of all processes together.", least=1
    )
    learning_rate: float = option(
        2e-3, "Adam's learning rate at the start.", above=0, most=LARGEST_RATE
    )
    average: bool = option(
        False, "Average the weights over training, at a learning rate that stays as it is."
    )
    clip: float = option(1.0, "Largest L2 norm of all gradients.", above=0, formerly="clip_norm")
    patience: int = option(12, "Epochs without progress before stopping early.", least=1)
    minutes: float | None = option(None, "Stop after so many minutes.", above=0, changeable=True)
    seed: int = seed_option(0, "The same seed gives the same run.")
    devices: int = option(
        1,
        "Devices (processes on a CPU) to train on, of each machine.",
        least=1,
        most=MOST_DEVICES,
        changeable=True,
    )
    nodes: int = option(
        1,
        "Machines to train on; torchrun or SLURM start them.",
        least=1,
        most=MOST_NODES,
        changeable=True,
    )
    precision: str = option(
        "32-true", "Precision of all numbers, in Lightning's words.", choices=PRECISIONS
    )

    # Whether the learning rate changes after each step, and not after each epoch.
    by_step: ClassVar[bool] = False

    @property
    def averages_after(self) -> int | None:
        """After how many epochs that are no better than those before SGD begins to average its
        weights; None where the network's own optimiser fits it."""
        return None

    @property
    def processes(self) -> int:
        """The number of processes that train, on all machines together."""
        return self.devices * self.nodes

    def with_steps(self, steps: int, examples: int, least: int, most: int) -> Self:
        """Return the same, where no number of epochs was asked for with so many that there are
        steps enough to learn.

        Args:
            steps: that are enough.
            examples: of the training set.
            least, most: how many epochs there may be.
        """
        # Of such a task the default is None until its data are read.
        asked: int | None = self.epochs
        if asked is not None:
            return self
        needed = math.ceil(steps * self.batch / examples)
        return dataclasses.replace(self, epochs=min(max(needed, least), most))

    def rate_factor(self, done: int, total: int) -> float:
        """Return what the learning rate is multiplied with: half a cosine from 1 to a twentieth,
        for with small steps at the end the weights settle.

        Args:
            done: epochs, or steps where it changes after each, that are done.
            total: how many there are at most.
        """
        return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(done / total, 1)))


@dataclass(frozen=True, kw_only=True)
class WarmedTraining(Training):
    """How a network is fitted whose learning rate rises over the first steps and then falls along a
    line, to 0 after the last epoch."""

    warmup: int = option(50, "Steps over which the learning rate rises.", least=0)

    by_step = True

    def rate_factor(self, done: int, total: int) -> float:
        """Return what the learning rate is multiplied with: up along a line over the first
        ``warmup`` steps, or a tenth of all if these are fewer, then down along a line.

        Args:
            done: steps that are done.
            total: steps of all epochs.
        """
        warmup = min(self.warmup, total // 10)
        if done < warmup:
            return (done + 1) / (warmup + 1)
        return max(total - done, 0) / max(total - warmup, 1)


@dataclass(frozen=True)
class Setting:
    """One setting of a task.

    Attributes:
        part: the name of its record in the task's settings.
        name: the name of its field.
        kind: its type.
        default: the task's default, or ``REQUIRED``.
        heading: its heading in ``--help``.
        option: what else its field says.
    """

    part: str
    name: str
    kind: Any
    default: Any
    heading: str
    option: Option

    def value(self, settings: "TaskSettings") -> Any:
        """Return the value of this setting in the settings of a run."""
        return getattr(getattr(settings, self.part), self.name)

    @property
    def former(self) -> tuple[str, str] | None:
        """The table and the key of the setting in older files; None if they are the same."""
        if self.option.formerly is None:
            return None
        part, _, key = self.option.formerly.rpartition(".")
        return part or self.part, key


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """All settings of a run. Every task extends this class with its own records and defaults; one
    whose model has no cell with ``ModelSettings`` for ``network``."""

    task: ClassVar[str]  # the task's name in conveyor.tasks.task_registry

    data: DataSettings
    network: NetworkSettings = NetworkSettings()
    training: Training = Training()

    @property
    def cell(self) -> str | None:
        """The name of the cell; None of a task without one."""
        cell: str | None = getattr(self.network, "cell", None)
        return cell

    @classmethod
    def has_cell(cls) -> bool:
        """Return whether the task's network has a recurrent cell."""
        return issubclass(parts_of(cls)["network"], NetworkSettings)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return settings with these values, and with the task's defaults for all others.

        Args:
            values: values by the names of settings, whatever their record. If several records have
                a setting of that name (two seeds), all of them get the value.

        Raises:
            SettingError: a name is unknown, a required setting is missing, or a value is out of its
                range.
        """
        kinds = parts_of(cls)
        parts: dict[str, dict[str, Any]] = {part: {} for part in kinds}
        known = settings_of(cls)
        _check_names(values, known)
        for setting in known:
            if setting.name in values:
                parts[setting.part][setting.name] = values[setting.name]
            elif setting.default is not REQUIRED:
                parts[setting.part][setting.name] = setting.default
            else:
                raise SettingError(f"{setting.name} is missing: {missing_help(setting)}")
        records: dict[str, Any] = {part: kinds[part](**fields) for part, fields in parts.items()}
        return cls(**records)

    def changed(self, values: Mapping[str, Any]) -> Self:
        """Return these settings with other values, which are given as in ``of``.

        Raises:
            SettingError: a name is unknown, or a value is out of its range.
        """
        known = settings_of(type(self))
        _check_names(values, known)
        parts: dict[str, Any] = {}
        for part in parts_of(type(self)):
            fields = {s.name: values[s.name] for s in known if s.part == part and s.name in values}
            parts[part] = dataclasses.replace(getattr(self, part), **fields)
        return dataclasses.replace(self, **parts)


def resumed_with(
    settings: TaskSettings, values: Mapping[str, Any], *, other_cell: bool = False
) -> TaskSettings:
    """Return the settings of a run that is resumed.

    Args:
        settings: those that it began with.
        values: of settings that are given again; others than ``changeable`` ones must be as they
            were.
        other_cell: whether another cell is given than that of the run.

    Raises:
        SettingError: a setting that a run keeps would change.
    """
    resumed = settings.changed(values)
    changed = {
        setting.name
        for setting in settings_of(type(settings))
        if not setting.option.changeable and setting.value(resumed) != setting.value(settings)
    }
    if other_cell:
        changed.add("cell")
    if changed:
        names = ", ".join(map(named, sorted(changed)))
        raise SettingError(
            f"a resumed run keeps the settings that it began with; {names} cannot change. Leave "
            f"them out, or begin a new run with another {named('out')}."
        )
    return resumed


def _check_names(values: Mapping[str, Any], known: tuple[Setting, ...]) -> None:
    names = {setting.name for setting in known}
    for name in values:
        if name not in names:
            raise SettingError(f"there is no setting {shown(name)}. {did_you_mean(name, names)}")


def missing_help(setting: Setting) -> str:
    """Return the help of a setting in small letters, for an error that says that it is missing."""
    return setting.option.help[:1].lower() + setting.option.help[1:]


def parts_of(kind: type[TaskSettings]) -> dict[str, type[OptionRecord]]:
    """Return the classes of the records of a task's settings, by name."""
    kinds = get_type_hints(kind)
    return {field.name: kinds[field.name] for field in dataclasses.fields(kind)}


def settings_of(kind: type[TaskSettings]) -> tuple[Setting, ...]:
    """Return every setting of a task, in order."""
    settings = []
    records = {field.name: field.default for field in dataclasses.fields(kind)}
    for part, record_type in parts_of(kind).items():
        kinds = get_type_hints(record_type)
        for field in dataclasses.fields(record_type):
            option, defaults = options_of(record_type)[field.name], records[part]
            default = field.default if defaults is REQUIRED else getattr(defaults, field.name)
            heading = option.group or record_type.heading
            settings.append(Setting(part, field.name, kinds[field.name], default, heading, option))
    return tuple(settings)


def sources_of(kind: type[TaskSettings], source: Any) -> dict[str, Any]:
    """Return the setting that holds the source, by its name, for a task whose source is a setting;
    an empty dictionary for other tasks.

    Args:
        kind: the class of the task's settings.
        source: the source; None for no source.
    """
    if source is None:
        return {}
    return {setting.name: str(source) for setting in settings_of(kind) if setting.option.source}
