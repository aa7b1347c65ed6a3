"""Decoders that compute otherwise than their class, or that somebody looks at, go step by step."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

import conveyor
from conveyor.networks import BahdanauDecoder, LuongDecoder
from conveyor.networks.plain_parts import is_plain
from tests.networks.test_steps_at_once import (
    FEATURES,
    MEMORY,
    UNITS,
    B,
    T,
    begun,
    decoder_of,
    steps_of,
)


def _with_hook(decoder: Any) -> None:
    decoder.combine.register_forward_hook(lambda *_: None)


def _with_backward_hook(decoder: Any) -> None:
    decoder.combine.register_full_backward_hook(lambda *_: None)


def _with_hook_of_attention(decoder: Any) -> None:
    decoder.attention.register_full_backward_pre_hook(lambda *_: None)


def _with_other_map(decoder: Any) -> None:
    decoder.combine = nn.utils.parametrizations.weight_norm(decoder.combine)


def _with_bias(decoder: Any) -> None:
    decoder.combine = nn.Linear(decoder.combine.in_features, FEATURES).double()


def _with_other_forward(decoder: Any) -> None:
    forward = decoder.combine.forward
    decoder.combine.forward = lambda read: 2 * forward(read)


def _with_other_attention(decoder: Any) -> None:
    forward = decoder.attention.forward
    decoder.attention.forward = lambda *read: forward(*read)[:2]


def _with_other_step(decoder: Any) -> None:
    step = decoder._one_step
    decoder._one_step = lambda *read: step(*read)[:2]


class _MyDecoder(LuongDecoder):
    pass


class _MyLayer(conveyor.Recurrent):
    pass


def _of_other_kind(decoder: Any) -> None:
    decoder.__class__ = _MyDecoder


def _with_layer_of_other_kind(decoder: Any) -> None:
    decoder.layer.__class__ = _MyLayer


@pytest.mark.parametrize(
    "change",
    [
        _with_hook,
        _with_backward_hook,
        _with_hook_of_attention,
        _with_other_map,
        _with_bias,
        _with_other_forward,
        _with_other_attention,
        _with_other_step,
        _of_other_kind,
        _with_layer_of_other_kind,
    ],
)
def test_who_must_see_each_step_sees_it(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = decoder_of("fed")
    change(decoder)
    steps = steps_of(decoder, monkeypatch)
    state, _ = begun(decoder)
    decoder(torch.zeros(T, B, dtype=torch.long), state)
    assert len(steps) == T


@pytest.mark.parametrize("style", ["fed", "bahdanau"])
def test_hooks_of_all_modules_see_each_step(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = decoder_of(style)
    steps = steps_of(decoder, monkeypatch)
    state, _ = begun(decoder)
    handle = register_module_forward_hook(lambda *_: None)
    try:
        decoder(torch.zeros(T, B, dtype=torch.long), state)
    finally:
        handle.remove()
    assert len(steps) == T


def test_other_maps_of_other_decoders() -> None:
    of_query = decoder_of("bahdanau", scoring="concat")
    assert is_plain(of_query, BahdanauDecoder)
    of_query.attention.of_query = nn.Linear(UNITS, 2)
    assert not is_plain(of_query, BahdanauDecoder)
    fed = decoder_of("fed")
    assert is_plain(fed, LuongDecoder, fed.combine, nn.Linear(UNITS, 1))
    assert not is_plain(fed, LuongDecoder, fed.combine, nn.Linear(UNITS, 1, bias=False))
    assert not is_plain(fed, LuongDecoder, nn.Linear(MEMORY, FEATURES, bias=False))
