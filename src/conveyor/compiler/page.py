"""A family of cells as a page of text, made of the cells themselves."""

from conveyor.cells.cell_registry import Family
from conveyor.cells.definition import Cell
from conveyor.cells.initial_value import GATES, Shared, Start
from conveyor.cells.structures import STRUCTURES, Structure
from conveyor.compiler.cost import cost
from conveyor.compiler.first_layer import first_layer, links
from conveyor.compiler.plan import plan
from conveyor.compiler.show import show
from conveyor.compiler.trace import trace

HEAD = """\
<!-- Made by scripts/docs of the cells themselves; a test compares them. -->

"""


def _spelled(start: Start) -> str:
    if isinstance(start, Shared):
        return f"{', '.join(f'{number:g}' for number in start.numbers)}, shared by the units"
    if isinstance(start, tuple):
        return f"from {start[0]:g} to {start[1]:g}"
    return "so that its sigmoid is uniform" if start == GATES else f"{start:g}"


def _section(cell: Cell) -> str:
    program = trace(cell)
    lines = [f"## {cell.name}", "", " ".join(cell.doc.split()), ""]
    lines += ["```", show(cell), "```", ""]
    facts = [f"Source: {cell.source}.", f"Parameters: {cost(plan(program)).parameters}."]
    if links(program):
        facts[-1] += f" In the first layer: {cost(plan(first_layer(program))).parameters}."
    starts = [
        f"{name} {_spelled(value)}"
        for name, value in cell.start.items()
        if name not in program.counters  # whose number is 0 at the first step
    ]
    if starts:
        facts.append(f"Starts at: {', '.join(starts)}.")
    if cell.keep:
        signs = ", ".join(
            f"{name} ({'+' if sign > 0 else '-'})" for name, sign in cell.keep.items()
        )
        facts.append(f"Remembers longer by: {signs}.")
    if cell.aliases:
        facts.append(f"Also called: {', '.join(cell.aliases)}.")
    return "\n".join([*lines, "  \n".join(facts)])


def parameters_of(structure: Structure) -> str:
    """Return how many parameters a structure has, as a formula."""
    formula = str(cost(plan(trace(structure.block))).parameters)
    return f"{formula} {structure.besides}".rstrip()


def _structure(structure: Structure) -> str:
    lines = [f"## {structure.name}", "", structure.doc, ""]
    lines += ["```", show(structure.block), "```", ""]
    facts = [
        f"Source: {structure.source}.",
        f"Parameters: {parameters_of(structure)}.",
        f"Use: `{structure.use}`.",
    ]
    if structure.aliases:
        facts.append(f"Also called: {', '.join(structure.aliases)}.")
    return "\n".join([*lines, "  \n".join(facts)])


def page_of_structures() -> str:
    """Return the page of what is not a cell, in Markdown."""
    sections = "\n\n".join(_structure(structure) for structure in STRUCTURES)
    return f"{HEAD}# Layers made of cells, and start values\n\n{sections}\n"


def page(family: Family) -> str:
    """The page of a family, in Markdown: equations (h' is h of the step before), source, number of
    parameters (I input features, H units), start values that are not 0, other names."""
    title, _, rest = family.doc.partition("\n")
    sections = "\n\n".join(_section(cell) for cell in family.cells)
    return f"{HEAD}# {title.rstrip('.')}\n\n{rest.strip()}\n\n{sections}\n".replace(
        "\n\n\n\n", "\n\n"
    )
