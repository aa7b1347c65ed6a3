"""Our layers and parts as data: what each is made of, and how it is made again."""

from collections.abc import Mapping

from torch import nn

from conveyor.layers.checks import check_probability
from conveyor.networks.arguments import (
    FLAG,
    NUMBER,
    NUMBERS,
    RECORD,
    TEXT,
    WHOLE,
    Arguments,
    Kinds,
    Programs,
    as_data,
    checked,
    optional,
)
from conveyor.networks.attention import Attention
from conveyor.networks.crf import CRF, Transitions
from conveyor.networks.density_heads import BernoulliHead, GaussianHead
from conveyor.networks.embedding import Embedding
from conveyor.networks.frame_augmentation import FrameAugmentation
from conveyor.networks.layer_forms import LAYER_FORMS, recurrent_arguments, recurrent_options
from conveyor.networks.module_form import ModuleForm, plain_form
from conveyor.networks.noise import Noise
from conveyor.networks.output_heads import ClassHead, LabelHead, NumberHead, QuantileHead
from conveyor.networks.pen_head import PenHead
from conveyor.networks.picture_encoder import PictureEncoder
from conveyor.networks.picture_window import WindowHead
from conveyor.networks.pooling import AttentionPooling
from conveyor.networks.pre_net import PreNet
from conveyor.networks.readout import Readout
from conveyor.networks.word_embedding import WordEmbedding

# Tags of a field whose rules are stored: as many pairs of them are made.
MOST_TAGS = 4_000


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
    options = recurrent_options(arguments["recurrent"], programs, where)
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


_ATTENTION: Kinds = {
    "query_size": WHOLE,
    "memory_size": WHOLE,
    "scoring": TEXT,
    "width": optional(WHOLE),
}
_LOCATION: Kinds = {"filters": WHOLE, "reach": WHOLE}


def _read_attention(attention: Attention, programs: Programs, path: str) -> Arguments:
    arguments: Arguments = {
        "query_size": attention.query_size,
        "memory_size": attention.memory_size,
        "scoring": attention.scoring,
        "width": attention.width if attention.scoring in ("concat", "location") else None,
    }
    if attention.scoring == "location":
        arguments |= {name: getattr(attention, name) for name in _LOCATION}
    return arguments | ({"smooth": True} if attention.smooth else {})


def _make_attention(data: Arguments, programs: Programs, where: str) -> Attention:
    # Files of earlier builds hold neither of what is only there at times.
    kinds = dict(_ATTENTION)
    if data.get("scoring") == "location":
        kinds |= _LOCATION
    if "smooth" in data:
        kinds["smooth"] = FLAG
    return Attention(**checked(data, kinds, where))


_EMBEDDING: Kinds = {"symbols": WHOLE, "features": WHOLE, "dropout": NUMBER}
_WORDS: Kinds = {
    "words": WHOLE,
    "features": WHOLE,
    "rare_from": WHOLE,
    "unknown": NUMBER,
    "word_dropout": NUMBER,
    "dropout": NUMBER,
}
_HEAD: Kinds = {"features": WHOLE, "outputs": WHOLE, "dropout": NUMBER}
_QUANTILES: Kinds = {"features": WHOLE, "numbers": WHOLE, "levels": NUMBERS, "dropout": NUMBER}

_GAUSSIAN: Kinds = {"features": WHOLE, "numbers": WHOLE, "narrowest": NUMBER, "dropout": NUMBER}
_WINDOW: Kinds = {"features": WHOLE, "size": WHOLE, "rows": WHOLE, "columns": WHOLE}
_PEN: Kinds = {"features": WHOLE, "components": WHOLE, "narrowest": NUMBER, "dropout": NUMBER}

OWN_MODULES: Mapping[type[nn.Module], ModuleForm] = {
    **LAYER_FORMS,
    Readout: ModuleForm(_read_readout, _make_readout),
    Embedding: plain_form(
        Embedding, _EMBEDDING, {"symbols": "num_embeddings", "features": "embedding_dim"}
    ),
    WordEmbedding: plain_form(
        WordEmbedding, _WORDS, {"words": "num_embeddings", "features": "embedding_dim"}
    ),
    Noise: plain_form(Noise, {"deviation": NUMBER}),
    PreNet: plain_form(PreNet, {"inputs": WHOLE, "features": WHOLE, "dropout": NUMBER}),
    FrameAugmentation: plain_form(FrameAugmentation, {"strength": NUMBER}),
    PictureEncoder: plain_form(PictureEncoder, {"size": WHOLE, "features": WHOLE}),
    AttentionPooling: plain_form(AttentionPooling, {"features": WHOLE, "units": WHOLE}),
    **{
        head: plain_form(head, _HEAD, {"features": "in_features", "outputs": "out_features"})
        for head in (NumberHead, ClassHead, LabelHead, BernoulliHead)
    },
    QuantileHead: plain_form(QuantileHead, _QUANTILES, {"features": "in_features"}),
    GaussianHead: plain_form(GaussianHead, _GAUSSIAN, {"features": "in_features"}),
    PenHead: plain_form(PenHead, _PEN, {"features": "in_features"}),
    WindowHead: plain_form(WindowHead, _WINDOW, {"features": "in_features"}),
    CRF: ModuleForm(_read_crf, _make_crf),
    Attention: ModuleForm(_read_attention, _make_attention),
}
