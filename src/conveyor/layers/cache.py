"""What a layer rebuilds on demand, and no copy of it takes along."""

from typing import Any, TypeVar

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
