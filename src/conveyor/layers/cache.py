"""What a layer rebuilds on demand, and no copy of it takes along."""

from typing import Any, TypeVar

from torch import nn

K = TypeVar("K")
V = TypeVar("V")


class Cache(dict[K, V]):
    """A dictionary whose copies and pickles are empty: kernels hold addresses of this process.

    A ``__getstate__`` of the layer would not do: a parametrised module is copied without it.
    """

    def __deepcopy__(self, memo: Any) -> "Cache[K, V]":
        return Cache()

    def __reduce__(self) -> tuple[Any, ...]:
        return Cache, ()


def cache_of(layer: nn.Module, name: str) -> Cache[Any, Any]:
    """Return a layer's cache of this name, an empty one where there is none yet."""
    cache: Cache[Any, Any] | None = layer.__dict__.get(name)
    if cache is None:
        cache = layer.__dict__[name] = Cache()
    return cache
