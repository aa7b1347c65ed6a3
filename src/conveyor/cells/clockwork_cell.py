"""The equations of a clockwork network.

``conveyor.Clockwork`` is the layer: it runs each module over its own ticks only. Here every module
is computed at every step, and what does not tick is kept.
"""

from typing import Annotated

from conveyor.cells.blocks import Blocks
from conveyor.cells.definition import cell
from conveyor.cells.initial_value import Shared
from conveyor.cells.language import Bias, Constant, Input, Matrix, State, Step, equal, mod, tanh

CLOCKWORK = "Koutník, Greff, Gomez & Schmidhuber 2014, A clockwork RNN"


@cell(source=CLOCKWORK, start={"T": Shared((1, 2, 4, 8))})
def clockwork(
    x: Input,
    t: Step,
    h: State,
    T: Constant,
    W: Matrix,
    U: Annotated[Matrix, Blocks("N", upper=True)],
    b: Bias,
) -> State:
    """N modules of as many units, the fastest first, that tick at their own periods T; a module
    reads itself and all slower ones."""
    tick = equal(mod(t, T), 0)
    n = tanh(W @ x + U @ h + b)
    h = tick * n + (1 - tick) * h
    return h
