"""The modules of torch.nn that a saved network may hold, and the arguments that they are made of.

The list is closed: each of these is described by its arguments and its weights alone, and has no
code of the user's. Recurrent layers of torch are not on it: ``conveyor.replace`` makes ours of
them.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

from conveyor.networks.arguments import (
    FLAG,
    NUMBER,
    SIZE,
    TEXT,
    WHOLE,
    WHOLES,
    Kind,
    Kinds,
    as_data,
    optional,
)

# Whether there is a bias is read from the module, which does not keep the argument.
_BIAS = Kind(FLAG.expected, FLAG.fits)

# The same where older versions of torch have no such argument: left out unless it is False.
_NO_BIAS = Kind("null or false", lambda value: value is None or value is False)

_PADDING = Kind("a text, a whole number or several", lambda v: TEXT.fits(v) or SIZE.fits(v))
_ADAPTIVE = Kind(
    "a whole number or several, or null",
    lambda v: all(map(optional(WHOLE).fits, v)) if isinstance(v, list) else optional(WHOLE).fits(v),
)

_IN_PLACE: Kinds = {"inplace": FLAG}
_DROPPED: Kinds = {"p": NUMBER, "inplace": FLAG}
_CONVOLUTION: Kinds = {
    "in_channels": WHOLE,
    "out_channels": WHOLE,
    "kernel_size": SIZE,
    "stride": SIZE,
    "padding": _PADDING,
    "dilation": SIZE,
    "groups": WHOLE,
    "bias": _BIAS,
    "padding_mode": TEXT,
}
_OF_BATCHES: Kinds = {
    "num_features": WHOLE,
    "eps": NUMBER,
    "momentum": optional(NUMBER),
    "affine": FLAG,
    "track_running_stats": FLAG,
    "bias": _NO_BIAS,
}
_MAXIMA: Kinds = {
    "kernel_size": SIZE,
    "stride": SIZE,
    "padding": SIZE,
    "dilation": SIZE,
    "return_indices": FLAG,
    "ceil_mode": FLAG,
}
_MEANS: Kinds = {
    "kernel_size": SIZE,
    "stride": SIZE,
    "padding": SIZE,
    "ceil_mode": FLAG,
    "count_include_pad": FLAG,
}

TORCH_MODULES: Mapping[type[nn.Module], Kinds] = {
    nn.Identity: {},
    nn.Linear: {"in_features": WHOLE, "out_features": WHOLE, "bias": _BIAS},
    nn.Bilinear: {
        "in1_features": WHOLE,
        "in2_features": WHOLE,
        "out_features": WHOLE,
        "bias": _BIAS,
    },
    nn.Embedding: {
        "num_embeddings": WHOLE,
        "embedding_dim": WHOLE,
        "padding_idx": optional(WHOLE),
        "max_norm": optional(NUMBER),
        "norm_type": NUMBER,
        "scale_grad_by_freq": FLAG,
        "sparse": FLAG,
    },
    nn.Dropout: _DROPPED,
    nn.Dropout1d: _DROPPED,
    nn.Dropout2d: _DROPPED,
    nn.AlphaDropout: _DROPPED,
    nn.FeatureAlphaDropout: _DROPPED,
    nn.LayerNorm: {
        "normalized_shape": SIZE,
        "eps": NUMBER,
        "elementwise_affine": FLAG,
        "bias": _BIAS,
    },
    nn.RMSNorm: {"normalized_shape": SIZE, "eps": optional(NUMBER), "elementwise_affine": FLAG},
    nn.GroupNorm: {
        "num_groups": WHOLE,
        "num_channels": WHOLE,
        "eps": NUMBER,
        "affine": FLAG,
        "bias": _NO_BIAS,
    },
    nn.BatchNorm1d: _OF_BATCHES,
    nn.BatchNorm2d: _OF_BATCHES,
    nn.InstanceNorm1d: _OF_BATCHES,
    nn.InstanceNorm2d: _OF_BATCHES,
    nn.Conv1d: _CONVOLUTION,
    nn.Conv2d: _CONVOLUTION,
    nn.ConvTranspose1d: {**_CONVOLUTION, "output_padding": SIZE},
    nn.MaxPool1d: _MAXIMA,
    nn.MaxPool2d: _MAXIMA,
    nn.AvgPool1d: _MEANS,
    nn.AvgPool2d: {**_MEANS, "divisor_override": optional(WHOLE)},
    nn.AdaptiveAvgPool1d: {"output_size": _ADAPTIVE},
    nn.AdaptiveAvgPool2d: {"output_size": _ADAPTIVE},
    nn.AdaptiveMaxPool1d: {"output_size": _ADAPTIVE, "return_indices": FLAG},
    nn.ConstantPad1d: {"padding": SIZE, "value": NUMBER},
    nn.ZeroPad1d: {"padding": SIZE},
    nn.ReflectionPad1d: {"padding": SIZE},
    nn.ReplicationPad1d: {"padding": SIZE},
    nn.Flatten: {"start_dim": WHOLE, "end_dim": WHOLE},
    nn.Unflatten: {"dim": WHOLE, "unflattened_size": WHOLES},
    nn.ReLU: _IN_PLACE,
    nn.ReLU6: _IN_PLACE,
    nn.LeakyReLU: {"negative_slope": NUMBER, "inplace": FLAG},
    nn.PReLU: {"num_parameters": WHOLE},
    nn.RReLU: {"lower": NUMBER, "upper": NUMBER, "inplace": FLAG},
    nn.ELU: {"alpha": NUMBER, "inplace": FLAG},
    nn.CELU: {"alpha": NUMBER, "inplace": FLAG},
    nn.SELU: _IN_PLACE,
    nn.GELU: {"approximate": Kind("'none' or 'tanh'", lambda v: v in ("none", "tanh"))},
    nn.SiLU: _IN_PLACE,
    nn.Mish: _IN_PLACE,
    nn.Sigmoid: {},
    nn.LogSigmoid: {},
    nn.Hardsigmoid: _IN_PLACE,
    nn.Hardswish: _IN_PLACE,
    nn.Tanh: {},
    nn.Tanhshrink: {},
    nn.Hardtanh: {"min_val": NUMBER, "max_val": NUMBER, "inplace": FLAG},
    nn.Hardshrink: {"lambd": NUMBER},
    nn.Softshrink: {"lambd": NUMBER},
    nn.Softplus: {"beta": NUMBER, "threshold": NUMBER},
    nn.Softsign: {},
    nn.Softmax: {"dim": optional(WHOLE)},
    nn.LogSoftmax: {"dim": optional(WHOLE)},
    nn.Softmin: {"dim": optional(WHOLE)},
    nn.GLU: {"dim": WHOLE},
    nn.Threshold: {"threshold": NUMBER, "value": NUMBER, "inplace": FLAG},
}


def read_arguments(module: nn.Module) -> dict[str, Any]:
    """Return the arguments of a module whose class is in ``TORCH_MODULES``, as data."""
    arguments = {}
    for name, kind in TORCH_MODULES[type(module)].items():
        value: Any = getattr(module, name)
        if kind is _BIAS:
            value = value is not None
        elif kind is _NO_BIAS:
            value = False if module.affine and value is None else None
        arguments[name] = as_data(value)
    return arguments


def make(kind: type[nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """Return a module of a class of ``TORCH_MODULES``, whose arguments were checked."""
    kinds = TORCH_MODULES[kind]
    return kind(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in arguments.items()
            if not (kinds[name] is _NO_BIAS and value is None)
        }
    )
