"""A cell whose every local name is an output: what a trace shows."""

from dataclasses import replace

from conveyor.compiler.program import Program, Result

MARK = ".local"


def observed(program: Program) -> Program:
    """The program with one more output, ``f.local``, for every local name f."""
    seen = (
        Result("output", f"{of}{MARK}", value) for of, value in program.values_of("local").items()
    )
    return replace(program, results=(*program.results, *seen))
