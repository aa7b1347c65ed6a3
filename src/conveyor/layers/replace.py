"""Swapping torch's recurrent layers in a model for ours, and back, with all they hold."""

import warnings
from collections.abc import Callable

from torch import nn

from conveyor.errors import SettingError
from conveyor.layers.drop_in import GRU, LSTM, RNN

_TORCH: tuple[type[nn.RNNBase], ...] = (nn.RNN, nn.LSTM, nn.GRU)
_OURS = (RNN, LSTM, GRU)
_OURS_BY_TORCH: dict[type[nn.Module], type[RNN | LSTM | GRU]]
_OURS_BY_TORCH = {nn.RNN: RNN, nn.LSTM: LSTM, nn.GRU: GRU}


def replace(model: nn.Module) -> nn.Module:
    """Swap every ``torch.nn.LSTM``, ``GRU`` and ``RNN`` of a model for ours, in place.

        model = conveyor.replace(model)

    The new layers hold the same parameters (the very objects, so optimisers stay valid), hooks,
    mode and attributes; a layer that stands at two places is swapped for one. ``isinstance(layer,
    torch.nn.LSTM)`` is False afterwards: call ``restore`` before code that asks this.

    Args:
        model: any module. If it is itself a recurrent layer of torch, it is swapped too.

    Returns:
        The model; another object only where it is itself a layer of torch.

    Warns:
        UserWarning: a layer of a subclass was left alone, for its own code would be lost.
            Parametrised layers are of such a class: replace first, parametrise afterwards.
    """

    def swap(path: str, module: nn.Module) -> nn.Module | None:
        if not isinstance(module, _TORCH):
            return None
        if type(module) in _OURS_BY_TORCH:
            return _OURS_BY_TORCH[type(module)].from_torch(module)
        _warn_of_subclass(path, module)
        return None

    return _swapped(model, swap)


def restore(model: nn.Module) -> nn.Module:
    """Swap every ``conveyor.LSTM``, ``GRU`` and ``RNN`` of a model for torch's, in place: undo
    ``replace``.

    ``checkpoint=`` of a layer is left out: it changes memory, not results.

    Args:
        model: any module. If it is itself such a layer, it is swapped too.

    Returns:
        The model; another object only where it is itself a layer of ours.

    Raises:
        SettingError: a layer learns its start state, is dilated, is regularised inside its cell or
            merges its directions otherwise, which a layer of torch cannot hold. Nothing was swapped
            then.

    Warns:
        UserWarning: a layer of a subclass was left alone, as ``replace`` does.
    """
    for path, module in _modules(model):
        if isinstance(module, _OURS) and module.torch_lacks is not None:
            raise SettingError(
                f"{path or 'the layer'} {module.torch_lacks}, which a layer of torch cannot hold. "
                "Nothing was swapped."
            )

    def swap(path: str, module: nn.Module) -> nn.Module | None:
        if not isinstance(module, _OURS):
            return None
        if type(module) in _OURS:
            return module.to_torch()
        _warn_of_subclass(path, module)
        return None

    return _swapped(model, swap)


def _warn_of_subclass(path: str, module: nn.Module) -> None:
    warnings.warn(
        f"{path or 'the layer'} is left alone: {type(module).__name__} is a subclass with code of "
        "its own.",
        UserWarning,
        stacklevel=4,
    )


def _modules(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the modules of a model, each once, however many places it stands at.

    Raises:
        SettingError: it is no module.
    """
    if not isinstance(model, nn.Module):
        raise SettingError(f"the model is {model!r}; expected a torch.nn.Module.")
    return list(model.named_modules())


def _swapped(model: nn.Module, swap: Callable[[str, nn.Module], nn.Module | None]) -> nn.Module:
    """Return the model with those modules swapped for which ``swap`` gives another."""
    others: dict[nn.Module, nn.Module] = {}
    for path, module in _modules(model):
        other = swap(path, module)
        if other is not None:
            others[module] = other
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is not None:
                parent._modules[name] = others.get(child, child)
    return others.get(model, model)
