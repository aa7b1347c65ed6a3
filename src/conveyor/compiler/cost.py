"""What a cell costs: parameters, operations and kept bytes, as formulas and as numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from conveyor.cells.operations import RULES, Axes
from conveyor.compiler.plan import Plan
from conveyor.compiler.program import Operation
from conveyor.errors import SettingError, did_you_mean


@dataclass(frozen=True)
class Formula:
    """A sum of products of widths, as in 4·H·I + 4·H²: how often each product occurs."""

    terms: tuple[tuple[Axes, int], ...]

    @staticmethod
    def of(counted: Iterable[tuple[Axes, int]]) -> "Formula":
        """Add up; ``[(("H", "I"), 4)]`` is 4·H·I."""
        counts: Counter[Axes] = Counter()
        for axes, number in counted:
            counts[tuple(sorted(axes))] += number
        terms = sorted(counts.items(), key=lambda term: (-len(term[0]), term[0]))
        return Formula(tuple((axes, number) for axes, number in terms if number))

    def at(self, sizes: Mapping[str, int]) -> int:
        """The number for given widths.

        Raises:
            SettingError: a width is not given.
        """
        for axes, _ in self.terms:
            for axis in axes:
                if axis not in sizes:
                    raise SettingError(
                        f"the size of axis {axis} is not given. {did_you_mean(axis, sizes)} "
                        f"Give it, as in show(cell, 'cost', {axis}=64), or --size {axis}=64."
                    )
        return sum(number * prod(sizes[axis] for axis in axes) for axes, number in self.terms)

    def __str__(self) -> str:
        def spell(axes: Axes, number: int) -> str:
            powers = [
                axis + {1: "", 2: "²", 3: "³"}.get(axes.count(axis), f"^{axes.count(axis)}")
                for axis in dict.fromkeys(axes)
            ]
            return "·".join([str(number)] * (number != 1 or not powers) + powers)

        return " + ".join(spell(*term) for term in self.terms) or "0"


@dataclass(frozen=True)
class Cost:
    """Costs of one example at one time step, but for the parameters, which are shared.

    ``multiply_adds`` counts one multiplication with one addition of matrix products as one;
    ``pointwise`` counts operations unit by unit; ``transcendental`` those of them that need an
    exponential or a logarithm; ``kept`` the numbers that the backward pass reads.
    """

    parameters: Formula
    multiply_adds: Formula
    pointwise: Formula
    transcendental: Formula
    backward_multiply_adds: Formula
    backward_pointwise: Formula
    kept: Formula


def _products(operations: Iterable[Operation], axes: Mapping[str, Axes]) -> Formula:
    return Formula.of(
        (o.axes if o.op == "outer" else axes[o.arguments[0]], 1)
        for o in operations
        if o.op in ("matmul", "matmul_t", "outer")
    )


def _pointwise(
    operations: Iterable[Operation], axes: Mapping[str, Axes], transcendental: bool = False
) -> Formula:
    without = ("matmul", "matmul_t", "outer", "constant", "width", "spread")
    return Formula.of(
        (axes[o.arguments[0]] if RULES[o.op].reduces else o.axes, 1)  # a sum adds every unit
        for o in operations
        if o.op not in without and (RULES[o.op].transcendental or not transcendental)
    )


def cost(plan: Plan) -> Cost:
    """The cost of a planned cell."""
    forward, backward = plan.program, plan.gradient
    return Cost(
        parameters=Formula.of((leaf.axes, 1) for leaf in forward.parameters),
        multiply_adds=_products(forward.operations, forward.axes),
        pointwise=_pointwise(forward.operations, forward.axes),
        transcendental=_pointwise(forward.operations, forward.axes, transcendental=True),
        backward_multiply_adds=_products(backward.operations, backward.axes),
        backward_pointwise=_pointwise(backward.operations, backward.axes),
        kept=Formula.of((backward.axes[name], 1) for name in plan.kept),
    )
