"""What torch's compiler must not follow: the ways of a layer that are not compiled.

It would unroll the loop over time step by step. ``compiled`` marks the methods of this class when
torch's compiler is loaded. They are here, and not in the class that has them, for two reasons:

- A function that is given the layer, in place of a method, makes the compiler compile each layer
  anew, though layers of one shape share what is compiled.
- What is marked on no class is followed after an error: the compiler then runs the frame by itself.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Eager(nn.Module):
    """A layer that can be run without being compiled."""

    # Set by ``mark``: what does not depend on any tensor's numbers.
    _describe: Callable[..., Any]

    @abstractmethod
    def _eager_sequence(self, *arguments: Any) -> tuple[Any, ...]:
        """Run sequences."""

    @abstractmethod
    def _eager_step(self, *arguments: Any) -> tuple[Tensor, Any]:
        """Run a step."""

    def _uncompiled_sequence(self, *arguments: Any) -> tuple[Any, ...]:
        """Run sequences where the compiler does not look."""
        return self._eager_sequence(*arguments)

    def _uncompiled_step(self, *arguments: Any) -> tuple[Tensor, Any]:
        """Run a step where the compiler does not look."""
        return self._eager_step(*arguments)

    @classmethod
    def mark(cls, describe: Callable[..., Any], disable: Callable[..., Any]) -> None:
        """Tell the compiler what it must not follow. Called once, when it is loaded.

        Args:
            describe: becomes the method ``_describe``; its answer is a constant to the compiler.
            disable: marks a method as not to be followed.
        """
        cls._describe = describe
        cls._uncompiled_sequence = disable(cls._uncompiled_sequence)  # type: ignore[method-assign]
        cls._uncompiled_step = disable(cls._uncompiled_step)  # type: ignore[method-assign]
