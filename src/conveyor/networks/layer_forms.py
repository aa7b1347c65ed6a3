"""Our recurrent layers as data: what each is made of, and how it is made again."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from torch import nn

from conveyor.compiler.program import Program
from conveyor.errors import SettingError
from conveyor.layers.clockwork import Clockwork
from conveyor.layers.drop_in import GRU, LSTM, RNN
from conveyor.layers.grid import GridLSTM
from conveyor.layers.heads import Heads
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.regularisers import Regularisation
from conveyor.layers.stacked import Stacked
from conveyor.networks.arguments import (
    DTYPE,
    FEATURES,
    FLAG,
    LIST,
    NUMBER,
    RATE,
    RATES,
    RECORD,
    SIZE,
    SIZES,
    STEPS,
    TEXT,
    WHOLE,
    WHOLES,
    Arguments,
    Kinds,
    Programs,
    as_data,
    checked,
)
from conveyor.networks.module_form import Make, ModuleForm
from conveyor.networks.stored import DTYPES

_RECURRENT: Kinds = {
    "cell": WHOLE,
    "input_size": FEATURES,
    "hidden_size": WHOLE,
    "num_layers": WHOLE,
    "bias": FLAG,
    "batch_first": FLAG,
    "dropout": NUMBER,
    "locked_dropout": FLAG,
    "bidirectional": FLAG,
    "merge": TEXT,
    "dilation": SIZE,
    "learn_start": FLAG,
    "sizes": SIZES,
    "zoneout": RATE,
    "recurrent_dropout": RATES,
    "variational_dropout": NUMBER,
    "weight_dropout": NUMBER,
    "clip": RATES,
    "checkpoint": STEPS,
    "dtype": DTYPE,
}

_DROP_IN: Kinds = {
    "input_size": WHOLE,
    "hidden_size": WHOLE,
    "num_layers": WHOLE,
    "bias": FLAG,
    "batch_first": FLAG,
    "dropout": NUMBER,
    "bidirectional": FLAG,
    "checkpoint": STEPS,
    "learn_start": FLAG,
    "merge": TEXT,
    "dilation": SIZE,
    "zoneout": RATE,
    "recurrent_dropout": RATES,
    "variational_dropout": NUMBER,
    "weight_dropout": NUMBER,
    "clip": RATES,
}

# What a drop-in layer was that was saved before it could be anything else.
_DROP_IN_BEFORE: Arguments = {"merge": "concatenate", "dilation": 1, **asdict(Regularisation())}

# Operations and letters of a drop-in's or a grid's program, at most: what making one is counted as.
_OF_OURS = 100

_NAMES_OF_DTYPES = {dtype: name for name, dtype in DTYPES.items()}


def recurrent_arguments(layer: Recurrent, programs: Programs) -> Arguments:
    """Return what a layer is made of, as data."""
    dtype = layer.get_buffer("_nowhere").dtype
    arguments = {
        "cell": programs.number(layer._cell),
        "input_size": layer.input_size,
        "hidden_size": layer.hidden_size,
        "num_layers": layer.num_layers,
        "bias": bool(layer.bias),
        "batch_first": bool(layer.batch_first),
        "dropout": layer.dropout,
        "locked_dropout": bool(layer.locked_dropout),
        "bidirectional": bool(layer.bidirectional),
        "merge": layer.merge,
        "dilation": layer.dilation,
        "learn_start": bool(layer.learn_start),
        "sizes": {axis: size for axis, size in layer.sizes.items() if axis != "H"},
        **asdict(layer.regularisation),
        "checkpoint": layer.checkpoint,
        "dtype": _NAMES_OF_DTYPES.get(dtype, str(dtype)),
    }
    return {name: as_data(value) for name, value in arguments.items()}


def recurrent_options(data: Any, programs: Programs, where: str, times: int = 1) -> Arguments:
    """Return the arguments of a ``Recurrent`` as its constructor takes them.

    Args:
        data: as ``recurrent_arguments`` gives them.
        programs: what ``cell`` is a number of.
        where: what is described, for errors.
        times: how many such layers are to be made.
    """
    if not isinstance(data, dict):
        raise SettingError(f"{where}: a layer is described by names with values.")
    # Files that were written before layers could be dilated, or dropout locked, do not say it.
    options = checked({"dilation": 1, "locked_dropout": False, **data}, _RECURRENT, where)
    if not options["locked_dropout"]:  # which is an argument of ``Recurrent`` alone
        del options["locked_dropout"]
    program = programs.of(options["cell"], where)
    layers = options["num_layers"] * (2 if options["bidirectional"] else 1)
    programs.count(times * (1 + max(layers, 0)), _size(program), where)
    # What constants are stands among the weights.
    constants = {leaf.name: 0.0 for leaf in program.leaves_of("constant")}
    dtype = DTYPES[options["dtype"]]
    return {**options, "cell": program, "constants": constants, "dtype": dtype}


def _size(program: Program) -> int:
    return len(program.operations) + len(program.leaves)


def _alike(layers: Any, programs: Programs, path: str, besides: tuple[str, ...] = ()) -> Arguments:
    """Return what all layers are made of.

    Raises:
        SettingError: there are none, or one was changed and is made of something else.
    """
    first, *others = [recurrent_arguments(layer, programs) for layer in layers]
    for number, other in enumerate(others, 1):
        for name in first:
            if first[name] != other[name] and name not in besides:
                raise SettingError(
                    f"{path}: {name} of its parts 0 and {number} are {first[name]!r} and "
                    f"{other[name]!r}, which was changed by hand. Make them alike."
                )
    return first


def _read_recurrent(layer: Recurrent, programs: Programs, path: str) -> Arguments:
    return recurrent_arguments(layer, programs)


def _make_recurrent(data: Arguments, programs: Programs, where: str) -> Recurrent:
    return Recurrent(**recurrent_options(data, programs, where))


def _read_drop_in(layer: Any, programs: Programs, path: str) -> Arguments:
    regularisation = asdict(layer.regularisation)
    arguments = {
        name: as_data(regularisation[name] if name in regularisation else getattr(layer, name))
        for name in _DROP_IN
    }
    for name in ("bias", "batch_first", "bidirectional"):
        arguments[name] = bool(arguments[name])
    if isinstance(layer, RNN):
        arguments["nonlinearity"] = layer.mode.removeprefix("RNN_").lower()
    if isinstance(layer, LSTM):
        arguments["proj_size"] = layer.proj_size
    return arguments


def _maker_of(kind: Callable[..., nn.Module], more: Kinds) -> Make:
    def make(data: Arguments, programs: Programs, where: str) -> nn.Module:
        arguments = checked({**_DROP_IN_BEFORE, **data}, {**_DROP_IN, **more}, where)
        layers = arguments["num_layers"] * (2 if arguments["bidirectional"] else 1)
        programs.count(1 + max(layers, 0), _OF_OURS, where)
        return kind(**arguments)

    return make


def _read_stacked(stacked: Stacked, programs: Programs, path: str) -> Arguments:
    return {
        "around": stacked.around,
        "dropout": as_data(stacked.dropout),
        "layers": [recurrent_arguments(layer, programs) for layer in stacked._layers],
    }


def _make_stacked(data: Arguments, programs: Programs, where: str) -> Stacked:
    arguments = checked(data, {"around": TEXT, "dropout": NUMBER, "layers": LIST}, where)
    layers = [recurrent_options(each, programs, where) for each in arguments["layers"]]
    if not layers:
        raise SettingError(f"{where}: there are no layers.")
    batch_first = layers[0]["batch_first"]
    for name, wanted in (("num_layers", 1), ("dropout", 0), ("batch_first", batch_first)):
        if any(each[name] != wanted for each in layers):
            raise SettingError(f"{where}: {name} of a layer is not {wanted}.")
    own = ("cell", "input_size", "hidden_size", "num_layers", "dropout", "batch_first", "dtype")
    options: Any = {name: [each[name] for each in layers] for name in layers[0] if name not in own}
    made = Stacked(
        [each["cell"] for each in layers],
        layers[0]["input_size"],
        [each["hidden_size"] for each in layers],
        around=arguments["around"],
        dropout=arguments["dropout"],
        batch_first=batch_first,
        dtype=layers[0]["dtype"],
        **options,
    )
    for layer, each in zip(made._layers, layers, strict=True):
        if layer.input_size != each["input_size"]:
            raise SettingError(
                f"{where}: a layer of it reads {each['input_size']} features; the one below gives "
                f"{layer.input_size}."
            )
    return made


def _read_heads(heads: Heads, programs: Programs, path: str) -> Arguments:
    return {"heads": len(heads.each), "each": _alike(heads.each, programs, path)}


def _make_heads(data: Arguments, programs: Programs, where: str) -> Heads:
    arguments = checked(data, {"heads": WHOLE, "each": RECORD}, where)
    heads = arguments["heads"]
    options = recurrent_options(arguments["each"], programs, where, max(heads, 0))
    if options.pop("num_layers") != 1:
        raise SettingError(f"{where}: num_layers is not 1.")
    options["hidden_size"] *= heads
    dropout = options.pop("dropout")
    layer = Heads(heads=heads, **options)
    for head in layer.each:
        head.dropout = dropout
    return layer


def _read_clockwork(clockwork: Clockwork, programs: Programs, path: str) -> Arguments:
    layers = clockwork.modules_by_period
    own = _alike(layers, programs, path, ("input_size", "hidden_size"))
    return {
        "cell": own["cell"],
        "input_size": clockwork.input_size,
        "hidden_size": clockwork.hidden_size,
        "periods": as_data(clockwork.periods),
        "batch_first": bool(clockwork.batch_first),
        "dtype": own["dtype"],
    }


def _make_clockwork(data: Arguments, programs: Programs, where: str) -> Clockwork:
    kinds = {name: _RECURRENT[name] for name in ("cell", "input_size", "hidden_size")}
    kinds |= {"periods": WHOLES, "batch_first": FLAG, "dtype": DTYPE}
    arguments = checked(data, kinds, where)
    program = programs.of(arguments["cell"], where)
    programs.count(2 * len(arguments["periods"]), _size(program), where)
    return Clockwork(**{**arguments, "cell": program, "dtype": DTYPES[arguments["dtype"]]})


_GRID: Kinds = {
    "input_size": WHOLE,
    "hidden_size": WHOLE,
    "num_layers": WHOLE,
    "dimensions": WHOLE,
    "tied": FLAG,
    "output": TEXT,
    "priority": FLAG,
}


def _read_grid(grid: GridLSTM, programs: Programs, path: str) -> Arguments:
    return {name: as_data(getattr(grid, name)) for name in _GRID}


def _make_grid(data: Arguments, programs: Programs, where: str) -> GridLSTM:
    arguments = checked(data, _GRID, where)
    programs.count(1 + max(arguments["num_layers"], 0), _OF_OURS, where)
    return GridLSTM(**arguments)


LAYER_FORMS: Mapping[type[nn.Module], ModuleForm] = {
    RNN: ModuleForm(_read_drop_in, _maker_of(RNN, {"nonlinearity": TEXT})),
    LSTM: ModuleForm(_read_drop_in, _maker_of(LSTM, {"proj_size": WHOLE})),
    GRU: ModuleForm(_read_drop_in, _maker_of(GRU, {})),
    Recurrent: ModuleForm(_read_recurrent, _make_recurrent),
    Stacked: ModuleForm(_read_stacked, _make_stacked),
    Heads: ModuleForm(_read_heads, _make_heads),
    Clockwork: ModuleForm(_read_clockwork, _make_clockwork),
    GridLSTM: ModuleForm(_read_grid, _make_grid),
}
