"""From a plan to functions in the process, each compiled when it is first needed."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Literal

import numpy as np
import torch

from conveyor.compiler.plan import Plan
from conveyor.compiler.program_json import dumps
from conveyor.kernels.layout.backward_layout import backward_layout
from conveyor.kernels.layout.forward_layout import forward_layout
from conveyor.kernels.layout.values import MemoryLayout
from conveyor.kernels.llvm.abi import Abi
from conveyor.kernels.llvm.builder import Module
from conveyor.kernels.llvm.code_cache import key, loaded
from conveyor.kernels.llvm.machine import Loaded, Machine, host, object_code
from conveyor.kernels.llvm.panel import (
    TABLE_SIZE,
    panel_module,
    panel_name,
    panel_names,
    panels,
    table_index,
)
from conveyor.kernels.llvm.write_pass import write_pass
from conveyor.kernels.steps import Integers

_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
PassKind = Literal["inference", "training", "backward"]


@dataclass(frozen=True)
class Library:
    """The functions that all cells share. ``table`` holds the addresses of the panels."""

    functions: Loaded
    table: Integers


@cache
def library(dtype: torch.dtype) -> Library:
    """The shared functions for a type, on this machine."""
    machine = host()
    names = panel_names(machine)

    def make() -> bytes:
        return object_code(panel_text(machine, dtype), machine, level=3)

    functions = loaded(key(machine, "panels", str(dtype)), names, make)
    table = np.zeros(TABLE_SIZE, dtype=np.int64)
    for vectors, rows in panels(machine):
        table[table_index(vectors, rows)] = functions.address[panel_name(vectors, rows)]
    return Library(functions, table)


def panel_text(machine: Machine, dtype: torch.dtype) -> str:
    """The shared functions as LLVM's text."""
    module = Module("panels", machine, dtype)
    panel_module(module)
    return str(module)


def pass_text(layout: MemoryLayout, machine: Machine, dtype: torch.dtype) -> str:
    """A pass as LLVM's text."""
    module = Module(layout.name, machine, dtype)
    write_pass(module, layout)
    return str(module)


@dataclass(frozen=True)
class CompiledPass:
    """A compiled pass over a sequence."""

    abi: Abi
    address: int
    functions: Loaded = field(repr=False)

    @cached_property
    def entry(self) -> Callable[[bytes], None]:
        """The function, to be called with its arguments."""
        return _FUNCTION(self.address)


@dataclass(frozen=True)
class CompiledPlan:
    """A plan for one type on this machine."""

    plan: Plan
    dtype: torch.dtype
    _passes: dict[PassKind, CompiledPass] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _name(self) -> str:
        return dumps(self.plan.program)

    @cached_property
    def library(self) -> Library:
        """The functions shared with other cells."""
        return library(self.dtype)

    def layout(self, kind: PassKind) -> MemoryLayout:
        """Return the layout of a pass."""
        if kind == "backward":
            return backward_layout(self.plan)
        return forward_layout(self.plan, training=kind == "training")

    def compiled(self, kind: PassKind) -> CompiledPass:
        """Return a pass, which is compiled when it is first asked for."""
        if kind not in self._passes:
            machine, layout = host(), self.layout(kind)

            def make() -> bytes:
                text = pass_text(layout, machine, self.dtype)
                return object_code(text, machine)

            functions = loaded(key(machine, self._name, kind, str(self.dtype)), [layout.name], make)
            address = functions.address[layout.name]
            self._passes[kind] = CompiledPass(Abi(layout), address, functions)
        return self._passes[kind]
