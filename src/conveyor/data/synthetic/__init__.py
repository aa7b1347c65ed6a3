"""Draws the classic tasks that recurrent networks were invented for, as their papers describe."""

from conveyor.data.synthetic.adding import (
    ADDING_BASELINE,
    MULTIPLICATION_BASELINE,
    adding,
    multiplication,
)
from conveyor.data.synthetic.batch import Batch
from conveyor.data.synthetic.copying import copying, copying_baseline
from conveyor.data.synthetic.counting import accepted, counting
from conveyor.data.synthetic.grammar import all_legal_above, reber, reber_string
from conveyor.data.synthetic.order import temporal_order, two_sequence
from conveyor.data.synthetic.texts import arithmetic, xml
from conveyor.data.synthetic.timing import generate_spikes, measure_spikes, periodic, sines

__all__ = [
    "ADDING_BASELINE",
    "MULTIPLICATION_BASELINE",
    "Batch",
    "accepted",
    "adding",
    "all_legal_above",
    "arithmetic",
    "copying",
    "copying_baseline",
    "counting",
    "generate_spikes",
    "measure_spikes",
    "multiplication",
    "periodic",
    "reber",
    "reber_string",
    "sines",
    "temporal_order",
    "two_sequence",
    "xml",
]
