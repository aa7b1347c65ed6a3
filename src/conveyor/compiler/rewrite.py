"""Building a program out of another one: new operations get names, old names may be replaced."""

from dataclasses import replace
from itertools import count

from conveyor.cells.operations import Axes, result_axes
from conveyor.compiler.program import Operation, Program, Result


class Builder:
    """Collects operations. Names that are asked for are kept; the rest are ``%n``."""

    def __init__(self, axes: dict[str, Axes]) -> None:
        self.axes = dict(axes)
        self.operations: list[Operation] = []
        self._constants: dict[float, str] = {}
        self._numbers = 0

    def add(
        self, op: str, *arguments: str, attribute: float | str | None = None, name: str = ""
    ) -> str:
        """Append ``op(arguments)`` and return its name."""
        while not name or (name.startswith("%") and name in self.axes):
            self._numbers += 1
            name = f"%{self._numbers}"
        axes = result_axes(op, tuple(self.axes[a] for a in arguments), attribute)
        self.append(Operation(name, op, arguments, axes, attribute))
        return name

    def append(self, operation: Operation) -> None:
        """Append an operation under its own name."""
        self.operations.append(operation)
        self.axes[operation.name] = operation.axes
        if operation.op == "constant":
            assert isinstance(operation.attribute, int | float)
            self._constants.setdefault(operation.attribute, operation.name)

    def constant(self, number: float) -> str:
        """The name of that number, added once."""
        return self._constants.get(number) or self.add("constant", attribute=number)


def renamed(program: Program, names: dict[str, str]) -> Program:
    """The same program with values called by other names."""

    def new(name: str) -> str:
        return names.get(name, name)

    return replace(
        program,
        operations=tuple(
            replace(o, name=new(o.name), arguments=tuple(new(a) for a in o.arguments))
            for o in program.operations
        ),
        results=tuple(Result(r.role, r.of, new(r.value)) for r in program.results),
    )


def numbered(program: Program) -> Program:
    """The same program with its ``%`` names counted from 1 in order, leaves left alone."""
    temporaries = [o.name for o in program.operations if o.name.startswith("%")]
    taken = {leaf.name for leaf in program.leaves}
    free = (f"%%{n}" for n in count(1) if f"%{n}" not in taken)
    first = dict(zip(temporaries, free, strict=False))
    moved = renamed(program, first)  # by way of names nobody has, so that none meet
    return renamed(moved, {name: name[1:] for name in first.values()})
