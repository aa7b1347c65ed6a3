"""What a layer's cells computed at every step, by the local names of the cell."""

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

from conveyor.errors import SettingError, did_you_mean


def check_trace(trace: object) -> None:
    """Check what is asked of a trace.

    Raises:
        SettingError: it is not True, False or ``"gradient"``.
    """
    if not isinstance(trace, bool) and trace != "gradient":
        raise SettingError(f"trace is {trace!r}; expected True, False or 'gradient'.")


class Trace(Mapping[str, Tensor]):
    """Every local name of a cell over time: ``trace["f"]`` is [T, B, width], laid out as the
    output is ([B, T, width] with ``batch_first``), zero at padded steps, differentiable.

    A layer of several layers or directions has one trace each: ``trace.at(layer, reverse=...)``.
    """

    def __init__(self, values: Mapping[tuple[int, bool], Mapping[str, Tensor]]) -> None:
        self._values = dict(values)

    def at(self, layer: int = 0, *, reverse: bool = False) -> "Trace":
        """The trace of one layer (counted from 0) in one direction.

        Raises:
            SettingError: there is no such layer or direction.
        """
        numbers = isinstance(layer, int) and isinstance(reverse, bool)
        if not numbers or (layer, reverse) not in self._values:
            known = ", ".join(f"layer {n}{' reverse' * r}" for n, r in self._values)
            raise SettingError(
                f"no layer {layer!r}{' reverse' if reverse else ''} here. There are: {known}."
            )
        return Trace({(layer, reverse): self._values[layer, reverse]})

    def _only(self) -> Mapping[str, Tensor]:
        if len(self._values) > 1:
            raise SettingError(
                f"this trace holds {len(self._values)} layers and directions. "
                "Say which: trace.at(layer, reverse=False)['f']."
            )
        return next(iter(self._values.values()))

    def __getitem__(self, name: str) -> Tensor:
        values = self._only()
        if name not in values:
            raise KeyError(f"the cell has no local name {name!r}. {did_you_mean(name, values)}")
        return values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._only())

    def __len__(self) -> int:
        return len(self._only())


def traced(
    observed: Mapping[tuple[int, bool], Mapping[str, Tensor]],
    laid_out: Callable[[Tensor], Tensor],
) -> Trace:
    """What was observed, by layer and whether it is the reverse direction, laid out as the
    layer's output."""
    return Trace(
        {
            where: {name: laid_out(each) for name, each in values.items()}
            for where, values in observed.items()
        }
    )
