"""Our own layers and networks as data: what each is made of, and how it is made again."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from conveyor.compiler.program import Program
from conveyor.data.records import shown
from conveyor.errors import SettingError, did_you_mean
from conveyor.layers.checks import check_probability
from conveyor.layers.clockwork import Clockwork
from conveyor.layers.drop_in import GRU, LSTM, RNN
from conveyor.layers.grid import GridLSTM
from conveyor.layers.heads import Heads
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.regularisers import Regularisation
from conveyor.layers.sequence import SequenceLayer
from conveyor.layers.stacked import Stacked
from conveyor.networks.arguments import (
    DTYPE,
    FEATURES,
    FLAG,
    LIST,
    NUMBER,
    NUMBERS,
    RATE,
    RATES,
    RECORD,
    SIZE,
    SIZES,
    STEPS,
    TEXT,
    WHOLE,
    WHOLES,
    Kinds,
    Programs,
    as_data,
    checked,
    optional,
)
from conveyor.networks.attention import Attention
from conveyor.networks.attention_decoder import (
    AttentionDecoder,
    BahdanauDecoder,
    LuongDecoder,
)
from conveyor.networks.crf import CRF, Transitions
from conveyor.networks.embedding import Embedding
from conveyor.networks.encoder import Encoder
from conveyor.networks.encoder_decoder import Bridge, EncoderDecoder
from conveyor.networks.noise import Noise
from conveyor.networks.output_heads import ClassHead, Head, LabelHead, NumberHead, QuantileHead
from conveyor.networks.pooling import AttentionPooling
from conveyor.networks.readout import Readout
from conveyor.networks.stored import DTYPES
from conveyor.networks.word_embedding import WordEmbedding

Arguments = dict[str, Any]

_RECURRENT: Kinds = {
    "cell": WHOLE,
    "input_size": FEATURES,
    "hidden_size": WHOLE,
    "num_layers": WHOLE,
    "bias": FLAG,
    "batch_first": FLAG,
    "dropout": NUMBER,
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

# Tags of a field whose rules are stored: as many pairs of them are made.
MOST_TAGS = 4_000

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


def _read_options(data: Any, programs: Programs, where: str, times: int = 1) -> Arguments:
    """Return the arguments of a ``Recurrent`` as its constructor takes them.

    Args:
        data: as ``recurrent_arguments`` gives them.
        programs: what ``cell`` is a number of.
        where: what is described, for errors.
        times: how many such layers are to be made.
    """
    if not isinstance(data, dict):
        raise SettingError(f"{where}: a layer is described by names with values.")
    # Files that were written before layers could be dilated do not say it.
    options = checked({"dilation": 1, **data}, _RECURRENT, where)
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
    return Recurrent(**_read_options(data, programs, where))


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


def _maker_of(kind: Callable[..., nn.Module], more: Kinds) -> "_Make":
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
    layers = [_read_options(each, programs, where) for each in arguments["layers"]]
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
    options = _read_options(arguments["each"], programs, where, max(heads, 0))
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


def _read_readout(network: Readout, programs: Programs, path: str) -> Arguments:
    return {
        "recurrent": recurrent_arguments(network.recurrent, programs),
        "outputs": network.head.out_features,
        "wanted": network.wanted,
        "last": bool(network.last),
        "dropout": as_data(network.head.dropout),
    }


def _make_readout(data: Arguments, programs: Programs, where: str) -> Readout:
    kinds = {"recurrent": RECORD, "outputs": WHOLE, "wanted": TEXT, "last": FLAG, "dropout": NUMBER}
    arguments = checked(data, kinds, where)
    options = _read_options(arguments["recurrent"], programs, where)
    check_probability("dropout", arguments["dropout"], 1.0)
    network = Readout(
        options.pop("cell"),
        options.pop("input_size"),
        options.pop("hidden_size"),
        arguments["outputs"],
        wanted=arguments["wanted"],
        last=arguments["last"],
        **options,
    )
    network.head.dropout = arguments["dropout"]
    return network


def _read_embedding(embedding: Embedding, programs: Programs, path: str) -> Arguments:
    return {
        "symbols": embedding.num_embeddings,
        "features": embedding.embedding_dim,
        "dropout": as_data(embedding.dropout),
    }


def _make_embedding(data: Arguments, programs: Programs, where: str) -> Embedding:
    return Embedding(
        **checked(data, {"symbols": WHOLE, "features": WHOLE, "dropout": NUMBER}, where)
    )


def _read_head(head: Head, programs: Programs, path: str) -> Arguments:
    return {
        "features": head.in_features,
        "outputs": head.out_features,
        "dropout": as_data(head.dropout),
    }


def _head_maker(kind: type[Head]) -> "_Make":
    def make(data: Arguments, programs: Programs, where: str) -> nn.Module:
        return kind(
            **checked(data, {"features": WHOLE, "outputs": WHOLE, "dropout": NUMBER}, where)
        )

    return make


def _read_quantiles(head: QuantileHead, programs: Programs, path: str) -> Arguments:
    return {
        "features": head.in_features,
        "numbers": head.numbers,
        "levels": as_data(head.levels),
        "dropout": as_data(head.dropout),
    }


def _make_quantiles(data: Arguments, programs: Programs, where: str) -> QuantileHead:
    kinds = {"features": WHOLE, "numbers": WHOLE, "levels": NUMBERS, "dropout": NUMBER}
    return QuantileHead(**checked(data, kinds, where))


_CRF: Kinds = {"tags": WHOLE, "constrained": FLAG, "constrain_loss": FLAG}


def _read_crf(crf: CRF, programs: Programs, path: str) -> Arguments:
    return {name: as_data(getattr(crf, name)) for name in _CRF}


def _make_crf(data: Arguments, programs: Programs, where: str) -> CRF:
    arguments = checked(data, _CRF, where)
    tags = arguments["tags"]
    # The rules stand among the weights.
    every = (True,) * min(tags, MOST_TAGS)
    allowed = Transitions(every, (every,) * len(every), every) if arguments["constrained"] else None
    return CRF(tags, allowed, constrain_loss=arguments["constrain_loss"])


def _read_attention(attention: Attention, programs: Programs, path: str) -> Arguments:
    return {
        "query_size": attention.query_size,
        "memory_size": attention.memory_size,
        "scoring": attention.scoring,
        "width": attention.width if attention.scoring == "concat" else None,
    }


def _make_attention(data: Arguments, programs: Programs, where: str) -> Attention:
    kinds = {"query_size": WHOLE, "memory_size": WHOLE, "scoring": TEXT, "width": optional(WHOLE)}
    return Attention(**checked(data, kinds, where))


_WORDS: Kinds = {
    "words": WHOLE,
    "features": WHOLE,
    "rare_from": WHOLE,
    "unknown": NUMBER,
    "word_dropout": NUMBER,
    "dropout": NUMBER,
}


def _read_words(embedding: WordEmbedding, programs: Programs, path: str) -> Arguments:
    sizes = {"words": embedding.num_embeddings, "features": embedding.embedding_dim}
    return sizes | {name: as_data(getattr(embedding, name)) for name in _WORDS if name not in sizes}


def _make_words(data: Arguments, programs: Programs, where: str) -> WordEmbedding:
    return WordEmbedding(**checked(data, _WORDS, where))


def _read_noise(noise: Noise, programs: Programs, path: str) -> Arguments:
    return {"deviation": as_data(noise.deviation)}


def _make_noise(data: Arguments, programs: Programs, where: str) -> Noise:
    return Noise(**checked(data, {"deviation": NUMBER}, where))


def _read_attention_pooling(pooling: AttentionPooling, programs: Programs, path: str) -> Arguments:
    return {"features": pooling.features, "units": pooling.units}


def _make_attention_pooling(data: Arguments, programs: Programs, where: str) -> AttentionPooling:
    return AttentionPooling(**checked(data, {"features": WHOLE, "units": WHOLE}, where))


_Read = Callable[[Any, Programs, str], Arguments]
_Make = Callable[[Arguments, Programs, str], nn.Module]


@dataclass(frozen=True)
class OwnModule:
    """How a module of ours is described, and made of its description, on the default device."""

    read: _Read
    make: _Make


OWN_MODULES: Mapping[type[nn.Module], OwnModule] = {
    RNN: OwnModule(_read_drop_in, _maker_of(RNN, {"nonlinearity": TEXT})),
    LSTM: OwnModule(_read_drop_in, _maker_of(LSTM, {"proj_size": WHOLE})),
    GRU: OwnModule(_read_drop_in, _maker_of(GRU, {})),
    Recurrent: OwnModule(_read_recurrent, _make_recurrent),
    Stacked: OwnModule(_read_stacked, _make_stacked),
    Heads: OwnModule(_read_heads, _make_heads),
    Clockwork: OwnModule(_read_clockwork, _make_clockwork),
    GridLSTM: OwnModule(_read_grid, _make_grid),
    Readout: OwnModule(_read_readout, _make_readout),
    Embedding: OwnModule(_read_embedding, _make_embedding),
    WordEmbedding: OwnModule(_read_words, _make_words),
    Noise: OwnModule(_read_noise, _make_noise),
    AttentionPooling: OwnModule(_read_attention_pooling, _make_attention_pooling),
    **{
        kind: OwnModule(_read_head, _head_maker(kind))
        for kind in (NumberHead, ClassHead, LabelHead)
    },
    QuantileHead: OwnModule(_read_quantiles, _make_quantiles),
    CRF: OwnModule(_read_crf, _make_crf),
    Attention: OwnModule(_read_attention, _make_attention),
}


def _read_encoder(encoder: Encoder) -> Arguments:
    # One that learns is described as a part.
    return {"pooling": None if isinstance(encoder.pooling, nn.Module) else encoder.pooling}


def _make_encoder(data: Arguments, parts: Mapping[str, nn.Module], where: str) -> Encoder:
    arguments = checked(data, {"pooling": optional(TEXT)}, where)
    known = ("layer", "embedding", "pooling")
    for name in parts.keys() - set(known):
        raise SettingError(f"{where}: unknown part {shown(name)}. {did_you_mean(name, known)}")
    layer: Any = parts.get("layer")
    pooling: Any = parts.get("pooling", arguments["pooling"])
    return Encoder(layer, parts.get("embedding"), pooling=pooling)


def _put(module: nn.Module, parts: Mapping[str, nn.Module], where: str) -> None:
    """Give a module the parts of its description in place of those that it was made with, which are
    of the same classes and shapes.

    Raises:
        SettingError: they are not, or other ones are there.
    """
    built = {name: part for name, part in module._modules.items() if part is not None}
    for name in built.keys() | parts.keys():
        first, second = built.get(name), parts.get(name)
        shapes = [
            None if part is None else [(n, each.shape) for n, each in part.named_parameters()]
            for part in (first, second)
        ]
        if second is None or type(first) is not type(second) or shapes[0] != shapes[1]:
            raise SettingError(f"{where}: its part {shown(name)} is not what the others make it.")
        module._modules[name] = second


def _parts(
    parts: Mapping[str, nn.Module], kinds: Mapping[str, type[nn.Module]], where: str
) -> list[Any]:
    """Return parts by name.

    Raises:
        SettingError: one is missing or of another class.
    """
    for name, kind in kinds.items():
        if not isinstance(parts.get(name), kind):
            raise SettingError(f"{where}: its part {name} is no {kind.__name__}.")
    return [parts[name] for name in kinds]


_DECODER_PARTS = {"layer": SequenceLayer, "embedding": Embedding, "attention": Attention}
_LUONG: Kinds = {"features": WHOLE, "input_feeding": FLAG, "dropout": NUMBER}
_BAHDANAU: Kinds = {"features": WHOLE, "dropout": NUMBER}


def _read_luong(decoder: LuongDecoder) -> Arguments:
    return {
        "features": decoder.features,
        "input_feeding": bool(decoder.input_feeding),
        "dropout": as_data(decoder.head.dropout),
    }


def _make_luong(data: Arguments, parts: Mapping[str, nn.Module], where: str) -> LuongDecoder:
    arguments = checked(data, _LUONG, where)
    decoder = LuongDecoder(*_parts(parts, _DECODER_PARTS, where), **arguments)
    _put(decoder, parts, where)
    return decoder


def _read_bahdanau(decoder: BahdanauDecoder) -> Arguments:
    return {"features": decoder.features, "dropout": as_data(decoder.dropout)}


def _make_bahdanau(data: Arguments, parts: Mapping[str, nn.Module], where: str) -> BahdanauDecoder:
    arguments = checked(data, _BAHDANAU, where)
    decoder = BahdanauDecoder(*_parts(parts, _DECODER_PARTS, where), **arguments)
    _put(decoder, parts, where)
    return decoder


def _read_nothing(module: nn.Module) -> Arguments:
    return {}


def _make_bridge(data: Arguments, parts: Mapping[str, nn.Module], where: str) -> Bridge:
    checked(data, {}, where)
    return Bridge.of_parts(parts)


def _make_encoder_decoder(
    data: Arguments, parts: Mapping[str, nn.Module], where: str
) -> EncoderDecoder:
    checked(data, {}, where)
    pair = _parts(parts, {"encoder": Encoder, "decoder": AttentionDecoder}, where)
    model = EncoderDecoder(*pair, bridge="bridge" in parts)
    _put(model, parts, where)
    return model


@dataclass(frozen=True)
class ComposedModule:
    """How a module of ours that holds others of any kind is described, and how it is built of its
    description and them."""

    read: Callable[[Any], Arguments]
    make: Callable[[Arguments, Mapping[str, nn.Module], str], nn.Module]


COMPOSED_MODULES: Mapping[type[nn.Module], ComposedModule] = {
    Encoder: ComposedModule(_read_encoder, _make_encoder),
    LuongDecoder: ComposedModule(_read_luong, _make_luong),
    BahdanauDecoder: ComposedModule(_read_bahdanau, _make_bahdanau),
    Bridge: ComposedModule(_read_nothing, _make_bridge),
    EncoderDecoder: ComposedModule(_read_nothing, _make_encoder_decoder),
}
