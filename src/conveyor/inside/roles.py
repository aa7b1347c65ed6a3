"""What the local names of a cell do, told by what they compute: a gate that is what is carried over
of the memory is a forget gate, in any cell."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from conveyor.inspect.overview import Overview
from conveyor.pages.words import Words, number_text, same

# Two values of float32 that are computed in different order are this near to each other.
NEAR = 1e-4


class Role(NamedTuple):
    """What a local name is, and what its numbers mean."""

    title: Words
    about: Words


_FORGET = Role(
    Words("forget gate", "cổng quên"),
    Words("1 keeps the memory, 0 wipes it", "1 là giữ bộ nhớ, 0 là xoá"),
)
_UPDATE = Role(
    Words("update gate: what is kept", "cổng cập nhật: phần được giữ"),
    Words("1 keeps the memory, 0 replaces it", "1 là giữ bộ nhớ, 0 là thay mới"),
)
_REPLACE = Role(
    Words("update gate: what is replaced", "cổng cập nhật: phần được thay"),
    Words("0 keeps the memory, 1 replaces it", "0 là giữ bộ nhớ, 1 là thay mới"),
)
_INPUT = Role(
    Words("input gate", "cổng vào"),
    Words("1 lets everything in, 0 nothing", "1 là cho vào hết, 0 là không cho gì vào"),
)
_OUTPUT = Role(
    Words("output gate", "cổng ra"),
    Words("1 shows the memory, 0 hides it", "1 là cho thấy bộ nhớ, 0 là giấu đi"),
)
_RESET = Role(
    Words("reset gate", "cổng đặt lại"),
    Words(
        "0 leaves the old state out of the candidate, 1 lets it in",
        "0 là bỏ trạng thái cũ khi tính giá trị ứng viên, 1 là dùng nó",
    ),
)
_GATE = Role(Words("gate", "cổng"), Words("1 is open, 0 shut", "1 là mở, 0 là đóng"))
_CANDIDATE = Role(
    Words("candidate: what could be put on", "giá trị ứng viên: phần có thể nạp vào"),
    same(""),
)
_SQUASHED = Role(Words("squashed value", "giá trị đã ép"), same(""))
_CELL_STATE = Role(
    Words("cell state: the conveyor belt", "trạng thái tế bào: băng truyền"),
    Words("what is remembered", "điều được ghi nhớ"),
)
_HIDDEN = Role(
    Words("hidden state: what the network passes on", "trạng thái ẩn: giá trị truyền cho bước sau"),
    same(""),
)
_VALUE = Role(Words("value", "giá trị"), same(""))


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one - other).abs() <= NEAR).all())


def roles(overview: Overview) -> dict[str, Role]:
    """Return what each local name of a layer does.

    Args:
        overview: of the layer.
    """
    values, ranges = overview.values, overview.ranges
    gates = [name for name, (low, _) in ranges.items() if low == 0]
    squashed = [name for name, (low, _) in ranges.items() if low < 0]
    by_name: dict[str, Role] = {}
    for name in gates:
        if _alike(values[name], overview.carried):
            by_name[name] = _FORGET if name.startswith("f") else _UPDATE
        elif _alike(1 - values[name], overview.carried):
            by_name[name] = _REPLACE
    for gate in gates:
        for candidate in squashed:
            product = _product(values, gate, candidate)
            if product is not None and _alike(product, overview.put_on):
                by_name.setdefault(gate, _INPUT)
                by_name.setdefault(candidate, _CANDIDATE)
    for gate in gates:
        if "h" in values and overview.memory != "h":
            memory = values[overview.memory]
            for shown in (torch.tanh(memory), memory):
                if shown.shape == values[gate].shape and _alike(values[gate] * shown, values["h"]):
                    by_name.setdefault(gate, _OUTPUT)
    for name in values:
        by_name.setdefault(name, _other(name, overview))
    return by_name


def _product(values: Mapping[str, Tensor], one: str, other: str) -> Tensor | None:
    return values[one] * values[other] if values[one].shape == values[other].shape else None


def _other(name: str, overview: Overview) -> Role:
    """Return what a local name is that has none of the roles of gates."""
    if name == overview.memory and name != "h":
        return _CELL_STATE
    if name == "h":
        return _HIDDEN
    low, high = overview.ranges.get(name, (math.nan, math.nan))
    if (low, high) == (0, 1):
        return _RESET if name == "r" else _GATE
    if (low, high) == (-1, 1):
        return _CANDIDATE if name in ("g", "n") else _SQUASHED
    return _VALUE


def how_open(overview: Overview, name: str) -> Words | None:
    """Return how often a gate is near its ends, in words; None for what is no gate."""
    if overview.ranges.get(name) != (0.0, 1.0):
        return None
    low, high = overview.saturation[name]
    shut, wide = (number_text(100 * float(share.mean()), ".0f") for share in (low, high))
    return Words(
        f"open (above 0.9) {wide.en} % of all units and steps, shut (below 0.1) {shut.en} %",
        f"mở (trên 0,9) {wide.vi} % số giá trị, đóng (dưới 0,1) {shut.vi} %",
    )
