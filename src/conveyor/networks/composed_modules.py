"""Our modules that hold others of any kind as data: what each is made of besides them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from torch import nn

from conveyor.data.records import shown
from conveyor.errors import SettingError, did_you_mean
from conveyor.layers.recurrent import Recurrent
from conveyor.layers.sequence import SequenceLayer
from conveyor.networks.arguments import (
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    Arguments,
    Kinds,
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
from conveyor.networks.composed_words import ComposedWords
from conveyor.networks.draw import DRAW
from conveyor.networks.embedding import Embedding
from conveyor.networks.encoder import Encoder
from conveyor.networks.encoder_decoder import Bridge, EncoderDecoder
from conveyor.networks.next_step import NextStep
from conveyor.networks.output_heads import Head
from conveyor.networks.picture_decoder import PictureDecoder, PictureStart
from conveyor.networks.s2vt import S2VT
from conveyor.networks.storn import STORN
from conveyor.networks.video_encoder import VideoEncoder
from conveyor.networks.vrnn import VRNN
from conveyor.networks.word_embedding import WordEmbedding


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


_PICTURE: Kinds = {"looking": TEXT, "gate": FLAG, "deep": FLAG, "dropout": NUMBER}


def _read_picture(decoder: PictureDecoder) -> Arguments:
    return {name: as_data(getattr(decoder, name)) for name in _PICTURE}


def _make_picture(data: Arguments, parts: Mapping[str, nn.Module], where: str) -> PictureDecoder:
    arguments = checked(data, _PICTURE, where)
    decoder = PictureDecoder(*_parts(parts, _DECODER_PARTS, where), **arguments)
    _put(decoder, parts, where)
    return decoder


def _make_picture_start(
    data: Arguments, parts: Mapping[str, nn.Module], where: str
) -> PictureStart:
    checked(data, {}, where)
    return PictureStart.of_parts(parts)


def _read_s2vt(network: S2VT) -> Arguments:
    return {"dropout": as_data(network.dropout)}


def _make_s2vt(data: Arguments, parts: Mapping[str, nn.Module], where: str) -> S2VT:
    arguments = checked(data, {"dropout": NUMBER}, where)
    kinds = {"frames": SequenceLayer, "words": SequenceLayer, "embedding": Embedding}
    network = S2VT(*_parts(parts, kinds, where), **arguments)
    _put(network, parts, where)
    return network


def _read_video(encoder: VideoEncoder) -> Arguments:
    return {"size": encoder.size, "features": encoder.features}


def _make_video(data: Arguments, parts: Mapping[str, nn.Module], where: str) -> VideoEncoder:
    layer: Any = parts.get("layer")
    encoder = VideoEncoder(**checked(data, {"size": WHOLE, "features": WHOLE}, where), layer=layer)
    _put(encoder, parts, where)
    return encoder


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


_WORD_PARTS = ("words", "syllables", "characters")


def _make_composed_words(
    data: Arguments, parts: Mapping[str, nn.Module], where: str
) -> ComposedWords:
    checked(data, {}, where)
    kinds = {
        name: Encoder if name == "characters" else WordEmbedding
        for name in (parts if parts.keys() <= {*_WORD_PARTS} else _WORD_PARTS)
    }
    return ComposedWords(**dict(zip(kinds, _parts(parts, kinds, where), strict=True)))


def _head(parts: Mapping[str, nn.Module], where: str) -> Head:
    (head,) = _parts({"head": parts.get("head", nn.Identity())}, {"head": Head}, where)
    return cast(Head, head)


def _layer(parts: Mapping[str, nn.Module], name: str, where: str) -> Recurrent:
    (layer,) = _parts({name: parts.get(name, nn.Identity())}, {name: Recurrent}, where)
    return cast(Recurrent, layer)


_VRNN: Kinds = {"inputs": WHOLE, "hidden": WHOLE, "latent": WHOLE, "features": WHOLE}


def _read_vrnn(network: VRNN) -> Arguments:
    return {
        "inputs": network.inputs,
        "hidden": network.recurrent.hidden_size,
        "latent": network.latent,
        "features": network.features,
    }


def _make_vrnn(data: Arguments, parts: Mapping[str, nn.Module], where: str) -> VRNN:
    network = VRNN(**checked(data, _VRNN, where), head=_head(parts, where))
    _put(network, parts, where)
    return network


_STORN: Kinds = {"inputs": WHOLE, "latent": WHOLE}


def _read_storn(network: STORN) -> Arguments:
    return {"inputs": network.inputs, "latent": network.latent}


def _make_storn(data: Arguments, parts: Mapping[str, nn.Module], where: str) -> STORN:
    layer = _layer(parts, "generator", where)
    network = STORN(
        layer.program,
        **checked(data, _STORN, where),
        hidden=layer.hidden_size,
        head=_head(parts, where),
        num_layers=layer.num_layers,
        dropout=layer.dropout,
        bidirectional=_layer(parts, "recogniser", where).bidirectional,
        sizes=_sizes_of(layer),
    )
    _put(network, parts, where)
    return network


def _sizes_of(layer: Recurrent) -> dict[str, int]:
    """Return the sizes of a layer besides those of its state and its input."""
    return {axis: size for axis, size in layer.sizes.items() if axis != "H"}


_DRAW: Kinds = {
    "rows": WHOLE,
    "columns": WHOLE,
    "latent": WHOLE,
    "steps": WHOLE,
    "read": optional(WHOLE),
    "write": optional(WHOLE),
}


def _read_draw(network: DRAW) -> Arguments:
    return {name: getattr(network, name) for name in _DRAW}


def _make_draw(data: Arguments, parts: Mapping[str, nn.Module], where: str) -> DRAW:
    layer = _layer(parts, "decoder", where)
    network = DRAW(
        layer.program,
        **checked(data, _DRAW, where),
        hidden=layer.hidden_size,
        num_layers=layer.num_layers,
        dropout=layer.dropout,
        sizes=_sizes_of(layer),
    )
    _put(network, parts, where)
    return network


_NEXT_STEP: Kinds = {"inputs": WHOLE, "features": WHOLE}


def _read_next_step(network: NextStep) -> Arguments:
    return {"inputs": network.inputs, "features": network.features}


def _make_next_step(data: Arguments, parts: Mapping[str, nn.Module], where: str) -> NextStep:
    layer = _layer(parts, "recurrent", where)
    network = NextStep(
        layer.program,
        **checked(data, _NEXT_STEP, where),
        hidden=layer.hidden_size,
        head=_head(parts, where),
        num_layers=layer.num_layers,
        dropout=layer.dropout,
        sizes=_sizes_of(layer),
    )
    _put(network, parts, where)
    return network


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
    PictureDecoder: ComposedModule(_read_picture, _make_picture),
    PictureStart: ComposedModule(_read_nothing, _make_picture_start),
    S2VT: ComposedModule(_read_s2vt, _make_s2vt),
    VideoEncoder: ComposedModule(_read_video, _make_video),
    Bridge: ComposedModule(_read_nothing, _make_bridge),
    EncoderDecoder: ComposedModule(_read_nothing, _make_encoder_decoder),
    VRNN: ComposedModule(_read_vrnn, _make_vrnn),
    STORN: ComposedModule(_read_storn, _make_storn),
    DRAW: ComposedModule(_read_draw, _make_draw),
    NextStep: ComposedModule(_read_next_step, _make_next_step),
    ComposedWords: ComposedModule(_read_nothing, _make_composed_words),
}
