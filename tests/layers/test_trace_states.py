"""A trace holds every state, also one that is a copy; its equations are printed."""

from typing import Any

import numpy as np
import pytest
import torch

import conveyor
from conveyor.cells import CELLS, Cell
from conveyor.compiler.trace import trace
from conveyor.errors import SettingError
from tests.compiler.examples import WIDTHS
from tests.compiler.printed import ODD, stepped
from tests.kinds import LONG, REFERENCE_WITNESSES
from tests.table import MORE_AXES, uniform

# A state or an output as wide as the input is not what a layer runs.
ODD_RUN = [name for name in ODD if name not in ("late_input", "input_as_output")]
RUN = [*ODD_RUN, *CELLS]

ON_REFERENCE = RUN if LONG else [*ODD_RUN, *REFERENCE_WITNESSES]

STEPS, BATCH = 5, 2


@pytest.mark.parametrize(
    ("target", "name"),
    [*[("llvm", name) for name in RUN], *[("reference", name) for name in ON_REFERENCE]],
)
def test_outputs_states_and_traces_are_what_the_printed_equations_compute(
    target: str, name: str
) -> None:
    made: Cell = ODD.get(name) or CELLS[name]
    sizes = {axis: WIDTHS[axis] for axis in MORE_AXES.get(name, ())}
    layer = conveyor.Recurrent(made, WIDTHS["I"], WIDTHS["H"], sizes=sizes, dtype=torch.float64)
    source = torch.Generator().manual_seed(5)
    parameters: dict[str, Any] = {}
    with torch.no_grad():
        for each in layer.parameters():
            each.copy_(uniform(each.shape, source))
    for leaf, each in layer.get_submodule("l0").named_parameters():
        parameters[leaf] = each.detach().numpy()
    x = uniform((STEPS, BATCH, WIDTHS["I"]), source)
    start = layer.start(BATCH)
    start = type(start)(*(uniform(each.shape, source) for each in start))
    with conveyor.use_target(target):
        output, final, traced = layer(x, start, trace=True)
    equations, _, projections = conveyor.show(made).partition("\n\nin the first layer:\n")
    text = "\n".join(filter(None, [projections, equations]))
    program = trace(made)
    assert traced.keys() == program.values_of("local").keys()
    assert traced.keys() >= set(final._fields)
    assert {line.partition(" = ")[0] for line in text.splitlines()} >= set(final._fields)
    first = next(iter(program.values_of("output")))
    letters = {leaf.name for leaf in program.leaves}  # the body may give them to other values
    for b in range(BATCH):
        state = {f"{n}'": each[0, b].numpy() for n, each in start._asdict().items()}
        for t in range(STEPS):
            values, _ = stepped(text, {**parameters, **state, "x": x[t, b].numpy()})
            state = {f"{n}'": values[n] for n in final._fields}
            seen = {n: each[t, b] for n, each in traced.items() if n in values.keys() - letters}
            for n, each in {**seen, first: output[t, b]}.items():
                # Float64: the same sums in another order, over at most five steps.
                want = np.broadcast_to(values[n], each.shape)
                np.testing.assert_allclose(each.detach(), want, rtol=1e-9, atol=1e-11, err_msg=n)
        for n, each in final._asdict().items():
            np.testing.assert_allclose(
                each[0, b].detach(), state[f"{n}'"], rtol=1e-9, atol=1e-11, err_msg=n
            )


def test_a_name_of_an_old_state_is_no_value_to_drop() -> None:
    with pytest.raises(SettingError, match="chain has no local name 'm2'"):
        conveyor.Recurrent(ODD["chain"], 2, 3, recurrent_dropout={"m2": 0.1})


def test_clipping_a_copy_leaves_what_it_copies() -> None:
    """In a chain of copies m1 becomes the old h: m1 is clipped, and what else reads h is not."""
    layer = conveyor.Recurrent(ODD["attention_over_three"], 2, 3, clip={"m1": 0.01})
    plain = conveyor.Recurrent(ODD["attention_over_three"], 2, 3)
    plain.load_state_dict(layer.state_dict())
    x, h = torch.randn(1, 2, 2), torch.ones(1, 2, 3)
    start = layer.start(2)._replace(h=h)
    output, final = layer(x, start)
    want, _ = plain(x, start)
    torch.testing.assert_close(output, want)
    assert torch.equal(final.m1, torch.full_like(h, 0.01))
