"""A network as data, and a network of that data: containers, our modules, and those of torch.nn
that are on a closed list.

A module is described by the name of its class and its arguments. The name is looked up in a table;
nothing is imported for it. A module that stands at several places is described once, and then by
its first place.
"""

from collections.abc import Iterator
from types import FunctionType
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from conveyor.data.records import shown
from conveyor.errors import ConveyorError, SettingError, did_you_mean
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.arguments import LIST, MOST_DEPTH, TEXT, Programs, checked
from conveyor.networks.composed_modules import COMPOSED_MODULES
from conveyor.networks.layer_forms import recurrent_arguments
from conveyor.networks.own_modules import OWN_MODULES
from conveyor.networks.stored import CONSTRUCTING, first_line
from conveyor.networks.torch_modules import TORCH_MODULES, make, read_arguments

CONTAINERS: tuple[type[nn.Module], ...] = (nn.Sequential, nn.ModuleList, nn.ModuleDict)

_NAMES: dict[type[nn.Module], str] = {
    **{kind: f"torch.nn.{kind.__name__}" for kind in (*CONTAINERS, *TORCH_MODULES)},
    **{kind: f"conveyor.{kind.__name__}" for kind in (*OWN_MODULES, *COMPOSED_MODULES)},
}
_KINDS = {name: kind for kind, name in _NAMES.items()}

_HOOKS = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def _called(path: str) -> str:
    return path or "the module"


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def describe(module: nn.Module, programs: Programs) -> dict[str, Any]:
    """Return the description of a network; the programs of its cells are added to ``programs``.

    Raises:
        SettingError: a module is of no class that can be saved, or was changed so that its class
            and arguments do not say what it is.
    """
    for path, each in _walked(module, "", 0):
        _check_plain(each, path)
    return _described(module, "", programs, {})


def _walked(module: nn.Module, path: str, depth: int) -> Iterator[tuple[str, nn.Module]]:
    """All modules inside one, itself first, at every place where they stand."""
    if depth > MOST_DEPTH + 3:  # what stands inside our own modules
        raise _too_deep(path)
    yield path, module
    for name, each in module._modules.items():
        if each is None:
            if type(module) in CONTAINERS:
                raise SettingError(f"{_joined(path, name)} is None. Leave it out.")
            continue
        yield from _walked(each, _joined(path, name), depth + 1)


def _too_deep(path: str) -> SettingError:
    return SettingError(
        f"{path[:80]}… stands more than {MOST_DEPTH} containers deep, or in itself. Nest less."
    )


def _check_plain(module: nn.Module, path: str) -> None:
    """See that a module is what its class says.

    Raises:
        SettingError: it has hooks, parametrisations or code of its own.
    """
    called = _called(path)
    if parametrize.is_parametrized(module):
        raise SettingError(
            f"{called} ({type(module).__name__}) is parametrised, and saving code is not possible. "
            "torch.nn.utils.parametrize.remove_parametrizations(module, name) makes a plain "
            "parameter of each; parametrise again after loading."
        )
    hooks = next((name for name in _HOOKS if module.__dict__.get(name)), None)
    if hooks is not None:
        raise SettingError(
            f"{called} ({type(module).__name__}) has {hooks.strip('_').replace('_', ' ')}, which "
            "are code and cannot be saved. Remove them first: prune.remove after pruning, "
            "remove_weight_norm, or handle.remove() of what registered them."
        )
    for name in module.__dict__:
        if isinstance(getattr(type(module), name, None), FunctionType):
            raise SettingError(
                f"{called} ({type(module).__name__}) has a {name} of its own, which is code and "
                f"cannot be saved. Take it away: del module.{name}."
            )


def _described(
    module: nn.Module, path: str, programs: Programs, first: dict[nn.Module, str]
) -> dict[str, Any]:
    """``first`` says where a module stood that was described already."""
    if module in first:
        return {"same_as": first[module]}
    if path.count(".") > MOST_DEPTH:
        raise _too_deep(path)
    kind = type(module)
    if kind not in _NAMES:
        raise _not_listed(module, path)
    if kind in CONTAINERS or kind in COMPOSED_MODULES:
        inside = [
            [name, _described(part, _joined(path, name), programs, first)]
            for name, part in module._modules.items()
            if part is not None  # of a container, ``_walked`` has raised
        ]
        arguments: dict[str, Any] = {"modules": inside}
        if kind in COMPOSED_MODULES:
            arguments |= COMPOSED_MODULES[kind].read(module)
    else:
        arguments = _arguments(module, path, programs)
    first[module] = path
    return {"class": _NAMES[kind], **arguments}


def _arguments(module: nn.Module, path: str, programs: Programs) -> dict[str, Any]:
    """Return the arguments of a module that is no container."""
    kind = type(module)
    try:
        if kind in OWN_MODULES:
            return OWN_MODULES[kind].read(module, programs, _called(path))
        return read_arguments(module)
    except (AttributeError, ValueError) as error:  # something else stands where an argument was
        if isinstance(error, SettingError):
            raise
        raise _changed(path, f"({kind.__name__}) is not what it was made as: {error}") from error


def _not_listed(module: nn.Module, path: str) -> SettingError:
    kind = type(module)
    named = f"{_called(path)} is a {kind.__module__}.{kind.__qualname__}"
    if kind in (nn.RNN, nn.LSTM, nn.GRU):
        return SettingError(
            f"{named}; conveyor.save takes conveyor.{kind.__name__}, which holds the same "
            "parameters: model = conveyor.replace(model)."
        )
    base = next((each for each in kind.__mro__ if each in _NAMES), None)
    if base is not None and base not in CONTAINERS:
        return SettingError(
            f"{named}, a subclass of {_NAMES[base]} with code of its own, which cannot be saved. "
            f"Use {_NAMES[base]} itself."
        )
    return SettingError(
        f"{named}, whose code cannot be saved. conveyor.save takes layers of conveyor, plain "
        "modules of torch.nn and Sequential, ModuleList and ModuleDict of them. Save the parts, as "
        "in conveyor.save(torch.nn.ModuleDict({'body': model.body, 'head': model.head}), path), "
        "and put them together in your code."
    )


def build(described: Any, programs: Programs) -> nn.Module:
    """Return the network of a description, on the default device.

    Args:
        described: what ``describe`` gave, or what a file holds, which may be anything.
        programs: the programs that it was described with.

    Raises:
        SettingError: it describes none.
    """
    return _built(described, "", programs, {})


def _built(described: Any, path: str, programs: Programs, first: dict[str, nn.Module]) -> nn.Module:
    called = _called(path)
    if not isinstance(described, dict):
        raise SettingError(f"{called} is {shown(described)}; expected names with values.")
    programs.count(1, 0, called)
    if "same_as" in described:
        place = checked(described, {"same_as": TEXT}, called)["same_as"]
        if place not in first:
            raise SettingError(f"{called} is the same as {shown(place)}, which is not before it.")
        return first[place]
    name = described.get("class")
    if not isinstance(name, str) or name not in _KINDS:
        hint = did_you_mean(name, _KINDS) if isinstance(name, str) and len(name) < 80 else ""
        raise SettingError(f"{called} is of the unknown class {shown(name)}. {hint}".rstrip())
    kind = _KINDS[name]
    arguments = {key: value for key, value in described.items() if key != "class"}
    try:
        if kind in CONTAINERS:
            module = kind()
            _fill_container(module, arguments, path, programs, first)
        elif kind in COMPOSED_MODULES:
            parts = nn.ModuleDict()
            _fill_container(
                parts, {"modules": arguments.pop("modules", None)}, path, programs, first
            )
            module = COMPOSED_MODULES[kind].make(arguments, parts._modules, called)
        elif kind in OWN_MODULES:
            module = OWN_MODULES[kind].make(arguments, programs, called)
        else:
            module = make(kind, checked(arguments, TORCH_MODULES[kind], called))
    except ConveyorError:
        raise
    except CONSTRUCTING as error:
        raise SettingError(f"{called} ({name}) cannot be made: {first_line(error)}.") from error
    first[path] = module
    return module


def _fill_container(
    container: nn.Module,
    arguments: dict[str, Any],
    path: str,
    programs: Programs,
    first: dict[str, nn.Module],
) -> None:
    called = _called(path)
    if path.count(".") >= MOST_DEPTH:
        raise _too_deep(path)
    inside = checked(arguments, {"modules": LIST}, called)["modules"]
    for number, pair in enumerate(inside):
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
            raise SettingError(f"{called}: {shown(pair)} is no name and module.")
        name = pair[0]
        if isinstance(container, nn.ModuleList) and name != str(number):
            raise SettingError(f"{called}: module {number} of a list is called {shown(name)}.")
        if name in container._modules:
            raise SettingError(f"{called} holds {shown(name)} twice.")
        container.add_module(name, _built(pair[1], _joined(path, name), programs, first))


def check_same(module: nn.Module, again: nn.Module) -> None:
    """See that a network is the one that was built of its description.

    Args:
        module: what was described.
        again: what was built of the description.

    Raises:
        SettingError: it was changed by hand, and differs in a module, a parameter or a buffer.
    """
    kinds = [
        {path: type(each) for path, each in of.named_modules(remove_duplicate=False)}
        for of in (module, again)
    ]
    for path in kinds[0] | kinds[1]:
        if kinds[0].get(path) is not kinds[1].get(path):
            found, wanted = (_name_of(each.get(path)) for each in kinds)
            raise _changed(path, f"is {found}; its class and arguments make {wanted}")
    for what in ("named_parameters", "named_buffers"):
        shapes = [
            {path: list(each.shape) for path, each in getattr(of, what)(remove_duplicate=False)}
            for of in (module, again)
        ]
        for path in shapes[0] | shapes[1]:
            if shapes[0].get(path) != shapes[1].get(path):
                own_shape, wanted_shape = (each.get(path, "not there") for each in shapes)
                raise _changed(path, f"is {own_shape}; expected {wanted_shape}")
    programs, others = Programs([]), dict(again.named_modules(remove_duplicate=False))
    for path, layer in module.named_modules(remove_duplicate=False):
        other = others[path]
        if isinstance(layer, Recurrent) and isinstance(other, Recurrent):
            own, made = (recurrent_arguments(each, programs) for each in (layer, other))
            for name in own:
                if own[name] != made[name]:
                    raise _changed(path, f"has {name} {own[name]!r}; expected {made[name]!r}")


def _name_of(kind: type[nn.Module] | None) -> str:
    return "nothing" if kind is None else kind.__name__


def _changed(path: str, how: str) -> SettingError:
    return SettingError(
        f"{_called(path)} {how}. It was changed by hand, so what was saved would not be what you "
        "have. Make a new module with the arguments that you want, and load the weights into it."
    )
