"""Processors, and machine code for them.

A machine is what LLVM must know of a processor, and what the code generator takes from it: how
many numbers fit into a register and how many registers there are.
"""

import os
import platform
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from llvmlite import binding

from conveyor.errors import TargetError

# Masked loads and stores are written as LLVM has had them since version 22; before, they had an
# argument more. llvmlite 0.48 is the first with it.
_OLDEST_LLVM = 22

# LLVM keeps global state; it is not made for compiling from several threads at once.
COMPILING = threading.RLock()
# A process that forks while another thread compiles would leave the child a locked lock and half
# of what LLVM was doing. So it waits for the end of that.
os.register_at_fork(
    before=COMPILING.acquire,
    after_in_parent=COMPILING.release,
    after_in_child=COMPILING.release,
)


@dataclass(frozen=True)
class Machine:
    """A processor. ``vector_bytes`` is the width of a register, ``registers`` how many
    registers of that width it has."""

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int

    def lanes(self, dtype: torch.dtype) -> int:
        """How many numbers of a type fit into a register."""
        return self.vector_bytes // dtype.itemsize

    @property
    def family(self) -> str | None:
        """Which processors' own instructions it has: x86, arm, or none that is known here."""
        family = self.triple.split("-", maxsplit=1)[0]
        return {"x86_64": "x86", "aarch64": "arm", "arm64": "arm"}.get(family)


# Machines to compile for besides the one that runs: the tests do, so that code for processors
# that nobody here has is at least accepted by their code generators.
OTHERS = {
    "x86-64": Machine("x86_64-unknown-linux-gnu", "x86-64", "", 16, 16),
    "avx2": Machine("x86_64-unknown-linux-gnu", "haswell", "+avx2,+fma", 32, 16),
    "avx512": Machine("x86_64-unknown-linux-gnu", "skylake-avx512", "", 64, 32),
    "aarch64": Machine("aarch64-unknown-linux-gnu", "generic", "+neon", 16, 32),
}


@cache
def host() -> Machine:
    """The processor that runs this.

    Raises:
        TargetError: LLVM knows no code generator for it, or is too old.
    """
    version = binding.llvm_version_info
    if version[0] < _OLDEST_LLVM:
        raise TargetError(
            f"llvmlite has LLVM {'.'.join(map(str, version))}; machine code needs LLVM "
            f"{_OLDEST_LLVM} or newer. Install llvmlite 0.48 or newer."
        )
    with COMPILING:
        try:
            binding.initialize_native_target()
            binding.initialize_native_asmprinter()
            triple = binding.get_process_triple()
            features = binding.get_host_cpu_features()
        except RuntimeError as error:
            raise TargetError(f"LLVM has no code for {platform.machine()}: {error}") from error
        wide = features.get("avx512f", False) and features.get("avx512vl", False)
        middle = features.get("avx", False) and features.get("fma", False)
        size = 64 if wide else 32 if middle else 16
        many = wide or triple.startswith(("aarch64", "arm64"))
        cpu = binding.get_host_cpu_name()
        return Machine(triple, cpu, features.flatten(), size, 32 if many else 16)


def _target_machine(machine: Machine, level: int = 3) -> binding.TargetMachine:
    if machine.triple == host().triple:
        target = binding.Target.from_triple(machine.triple)
    else:
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
        target = binding.Target.from_triple(machine.triple)
    # Without unsafe liberties: sums keep their order, NaN stays NaN.
    return target.create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=level, reloc="pic", codemodel="small"
    )


# The passes of LLVM that the code gains from, in their order. Its own pipelines take two to four
# times as long, as most of what they look for is not there: the code is vectors already, and has no
# calls to inline. With these, inference of the 42 cells takes 0.992 times the time (geometric mean;
# B 16, T 50, H 64) of code by the pipeline -O2, with the same bits. Without rotated loops it is
# 1.03 times for layer normalisation. No loop is unrolled: each load of a panel of one row would go
# 2 KiB further a turn, which Zen 5 does not fetch ahead.
_PASSES = (
    "sroa",
    "simplify_cfg",
    "instruction_combine",
    "loop_rotate",
    "new_gvn",
    "instruction_combine",
    "simplify_cfg",
)


def _optimised(
    text: str, target: binding.TargetMachine, names: Sequence[str] = _PASSES
) -> binding.ModuleRef:
    module = binding.parse_assembly(text)
    module.verify()
    passes = binding.create_pass_builder(target, binding.create_pipeline_tuning_options())
    manager = binding.create_new_module_pass_manager()
    for name in names:
        getattr(manager, f"add_{name}_pass")()
    manager.run(module, passes)
    return module


def object_code(
    text: str, machine: Machine, *, level: int = 1, passes: Sequence[str] = _PASSES
) -> bytes:
    """An object file for a machine, of a module's text.

    Args:
        text: of the module.
        machine: that the code is for.
        level: how much time LLVM takes to choose instructions, 0 to 3. At 1 it takes a fifth less
            time than at 3; no difference was seen in how long passes run, since their products are
            panels, which are compiled apart.
        passes: of LLVM that the text goes through first, in their order.

    Raises:
        RuntimeError: LLVM does not accept the text; that is a defect of this library.
    """
    with COMPILING:
        target = _target_machine(machine, level)
        made: bytes = target.emit_object(_optimised(text, target, passes))
        return made


def assembly(text: str, machine: Machine) -> str:
    """As ``object_code``, in the machine's own language, to be read."""
    with COMPILING:
        target = _target_machine(machine, level=1)
        made: str = target.emit_assembly(_optimised(text, target))
        return made


class Loaded:
    """Object code in the process. The addresses are good as long as this object lives."""

    def __init__(self, code: bytes, names: list[str]) -> None:
        with COMPILING:
            empty = binding.parse_assembly("")
            # llvmlite's own memory manager takes one stretch of memory for all sections. LLVM's
            # takes one for each: where a process has so much reserved that they lie more than 2 GB
            # apart, as one that uses a GPU does, code cannot reach its constants by the 32 bits of
            # the small code model, and LLVM ends the process.
            self._engine = binding.create_mcjit_compiler(
                empty, _target_machine(host()), use_lmm=True
            )
            self._engine.add_object_file(binding.ObjectFileRef.from_data(code))
            self._engine.finalize_object()
            self.address = {name: self._engine.get_function_address(name) for name in names}
        missing = [name for name, address in self.address.items() if not address]
        if missing:
            raise ValueError(f"the object code lacks {', '.join(missing)}")
