"""Every built-in cell against the oracle that was written from its paper by somebody else."""

from collections.abc import Mapping

import numpy as np
import pytest
from torch import Tensor

import conveyor
from tests.cells import oracles
from tests.cells.oracle_basis import NDArray
from tests.table import CASES, MIDDLING, Case, make_input, make_layer, make_state

# Both sides compute in float64, whose rounding is 1e-16; make_layer's matrices do not amplify it.
BOUND = 1e-12


def to_numpy(values: Mapping[str, Tensor]) -> dict[str, NDArray]:
    return {name: each.detach().numpy() for name, each in values.items()}


def oracle_parameters(layer: conveyor.Recurrent) -> dict[str, NDArray]:
    """The layer's parameters by the oracles' keys, in which a family always has a gate."""
    own = to_numpy(dict(layer.get_submodule("l0").named_parameters()))
    return {name if "." in name else f"{name}.h": each for name, each in own.items()}


def compare_with_oracle(case: Case, layer: conveyor.Recurrent) -> None:
    """Every local name at every step and the final state, for every sequence of the batch."""
    inputs, start = make_input(case), make_state(case, layer)
    _, final, trace = layer(inputs, start, trace=True)
    seen, parameters = to_numpy(trace), oracle_parameters(layer)
    for example in range(case.batch):
        wanted = oracles.run(
            case.cell,
            inputs[:, example].numpy(),
            {name: each[0, example].numpy() for name, each in start._asdict().items()},
            parameters,
        )
        assert wanted.keys() <= seen.keys()  # a body may name what the paper does not
        for name, want in wanted.items():
            np.testing.assert_allclose(
                seen[name][:, example], want, rtol=BOUND, atol=BOUND, err_msg=name
            )
        for name, each in to_numpy(final._asdict()).items():
            np.testing.assert_allclose(
                each[0, example], wanted[name][-1], rtol=BOUND, atol=BOUND, err_msg=f"final {name}"
            )


def test_every_cell_has_an_oracle_and_every_oracle_a_cell() -> None:
    lacks = conveyor.CELLS.keys() - oracles.ORACLES.keys()
    assert not lacks, (
        f"write an oracle, and list it in ORACLES of tests/cells/oracles_*.py: {lacks}"
    )
    assert oracles.ORACLES.keys() <= conveyor.CELLS.keys()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cell_computes_its_paper(case: Case) -> None:
    compare_with_oracle(case, make_layer(case))


@pytest.mark.parametrize("case", MIDDLING, ids=str)
def test_output_is_h_over_time(case: Case) -> None:
    layer = make_layer(case)
    output, final, trace = layer(make_input(case), make_state(case, layer), trace=True)
    name = next(iter(layer.program.values_of("output")))
    np.testing.assert_array_equal(output.detach().numpy(), trace[name].detach().numpy())
    assert name == ("y" if case.cell == "grid_lstm" else "h")
    if name in layer.program.values_of("state"):
        np.testing.assert_array_equal(output[-1].detach().numpy(), final.h[0].detach().numpy())


@pytest.mark.parametrize("case", MIDDLING, ids=str)
def test_one_step_computes_its_paper(case: Case) -> None:
    """``step`` takes another way than a call on a sequence does."""
    layer = make_layer(case)
    inputs, start = make_input(case), make_state(case, layer)
    output, after = layer.step(inputs[0], start)
    first = next(iter(layer.program.values_of("output")))
    for example in range(case.batch):
        wanted = oracles.run(
            case.cell,
            inputs[:1, example].numpy(),
            {name: each[0, example].numpy() for name, each in start._asdict().items()},
            oracle_parameters(layer),
        )
        np.testing.assert_allclose(
            output[example].detach().numpy(), wanted[first][0], rtol=BOUND, atol=BOUND
        )
        for name, each in to_numpy(after._asdict()).items():
            np.testing.assert_allclose(
                each[0, example], wanted[name][0], rtol=BOUND, atol=BOUND, err_msg=name
            )


@pytest.mark.parametrize("case", MIDDLING, ids=str)
def test_the_table_draws_unequal_states_and_parameters(case: Case) -> None:
    """Or else exchanged gates or states could pass unseen."""
    layer = make_layer(case)
    drawn = [*layer.parameters(), *make_state(case, layer), make_input(case)]
    numbers = np.concatenate([each.detach().numpy().ravel() for each in drawn])
    assert len(np.unique(numbers)) == len(numbers)
    assert np.all(numbers != 0)
