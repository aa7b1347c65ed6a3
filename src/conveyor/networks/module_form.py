"""How a module of ours becomes data, and is made of data again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from conveyor.networks.arguments import Arguments, Kinds, Programs, as_data, checked

Read = Callable[[Any, Programs, str], Arguments]
Make = Callable[[Arguments, Programs, str], nn.Module]


@dataclass(frozen=True)
class ModuleForm:
    """How a module is described, and made of its description, on the default device.

    Args:
        read: returns the arguments of a module, given the file's programs and the module's path.
        make: returns the module of such arguments, given the programs and where they stand.
    """

    read: Read
    make: Make


def plain_form(
    module: Callable[..., nn.Module], kinds: Kinds, called: Mapping[str, str] | None = None
) -> ModuleForm:
    """Return the form of a module each of whose arguments is one of its attributes.

    Args:
        module: the class.
        kinds: the arguments, and what they may be.
        called: the attributes that are called otherwise than their arguments.
    """
    attributes = {name: name for name in kinds} | dict(called or {})

    def read(instance: Any, programs: Programs, path: str) -> Arguments:
        return {name: as_data(getattr(instance, attributes[name])) for name in kinds}

    def make(data: Arguments, programs: Programs, where: str) -> nn.Module:
        return module(**checked(data, kinds, where))

    return ModuleForm(read, make)
