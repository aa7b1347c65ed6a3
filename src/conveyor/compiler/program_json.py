"""Programs as JSON: what saved models, runs and exported layers hold of a cell."""

import json
from typing import Any

from conveyor.cells.blocks import Blocks
from conveyor.cells.initial_value import Shared, Start
from conveyor.compiler.first_layer import links
from conveyor.compiler.format_two import one_cell
from conveyor.compiler.program import Leaf, Operation, Program, Result
from conveyor.errors import ProgramError

# Raised by one whenever older versions would read a program wrongly, or we one of theirs. 2: layers
# above the first had a program of their own. 3: a cell may read outputs of the layer below, which
# in the first layer are projections of the input. 4: matrices may be made of blocks. 5: a cell may
# look at a memory.
FORMAT = 5


def to_json(program: Program) -> dict[str, Any]:
    """Return the program as what JSON can hold: lists, dictionaries, texts and numbers."""
    return {
        "format": _oldest_format(program),
        "name": program.name,
        "doc": program.doc,
        "source": program.source,
        "leaves": [[leaf.name, leaf.kind, list(leaf.axes)] for leaf in program.leaves],
        "operations": [
            [o.name, o.op, list(o.arguments), list(o.axes), o.attribute] for o in program.operations
        ],
        "results": [[result.role, result.of, result.value] for result in program.results],
        "start": {name: _start_data(value) for name, value in program.start},
        "keep": dict(program.keep),
        **({"blocks": _blocks_data(program)} if program.blocks else {}),
    }


def _oldest_format(program: Program) -> int:
    """Return the first format that had all that the program has: earlier versions read that."""
    if program.memories:
        return 5
    return 4 if program.blocks else 3 if links(program) else 1


def _blocks_data(program: Program) -> dict[str, Any]:
    return {name: [blocks.number, blocks.upper] for name, blocks in program.blocks}


def from_json(data: Any) -> Program:
    """Return the program that ``to_json`` wrote. It is not checked yet: see ``check``.

    Raises:
        ProgramError: the data has another shape, a newer version wrote it, or it is of format 2
            and not one cell.
    """
    try:
        number = data["format"]
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ProgramError(f"this is not a program: its format is {number!r}.")
        if number > FORMAT:
            raise ProgramError(
                f"this program has format {data['format']}, and this conveyor reads up to "
                f"{FORMAT}. Install a newer conveyor."
            )
        program = Program(
            name=str(data["name"]),
            doc=str(data["doc"]),
            source=str(data["source"]),
            leaves=tuple(Leaf(name, kind, tuple(axes)) for name, kind, axes in data["leaves"]),
            operations=tuple(
                Operation(name, op, tuple(arguments), tuple(axes), attribute)
                for name, op, arguments, axes, attribute in data["operations"]
            ),
            results=tuple(Result(role, of, value) for role, of, value in data["results"]),
            start=tuple((str(k), _start(v)) for k, v in data["start"].items()),
            keep=tuple((str(k), int(v)) for k, v in data["keep"].items()),
            blocks=tuple(
                (str(name), Blocks(number, upper))
                for name, (number, upper) in data.get("blocks", {}).items()
            ),
        )
        if program.values_of("tap"):
            raise ValueError("a tap is asked for by a call, and not stored")
        return one_cell(program, from_json(data["above"])) if data.get("above") else program
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ProgramError(
            f"this is not a program: {type(error).__name__}: {error}. "
            "Expected what conveyor.compiler.program_json.to_json writes."
        ) from error


def _start_data(value: Start) -> Any:
    return {"shared": list(value.numbers)} if isinstance(value, Shared) else value


def _start(value: Any) -> Start:
    """JSON has no tuples, and 1 for 1.0."""
    if isinstance(value, dict):
        return Shared(tuple(float(number) for number in value["shared"]))
    if isinstance(value, list):
        low, high = value
        return float(low), float(high)
    return value if isinstance(value, str) else float(value)


def dumps(program: Program) -> str:
    """Return the program as JSON text."""
    return json.dumps(to_json(program), ensure_ascii=False)
