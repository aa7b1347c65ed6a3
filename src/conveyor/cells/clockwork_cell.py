"""The equations of a clockwork network of three modules.

``conveyor.Clockwork`` is the layer: it takes any number of modules, and runs each over its own
ticks only. Here every module is computed at every step, and what does not tick is kept.
"""

from typing import Annotated

from conveyor.cells.definition import cell
from conveyor.cells.language import Bias, Input, Matrix, State, Step, Value, equal, mod, tanh

CLOCKWORK = "Koutník, Greff, Gomez & Schmidhuber 2014, A clockwork RNN"


@cell(source=CLOCKWORK)
def clockwork(
    x: Input,
    t: Step,
    h1: Annotated[State, "A"],
    h2: Annotated[State, "B"],
    h3: Annotated[State, "C"],
    W1: Annotated[Matrix, "A"],
    W2: Annotated[Matrix, "B"],
    W3: Annotated[Matrix, "C"],
    U1: Annotated[Matrix, "A"],
    U2: Annotated[Matrix, "B"],
    U3: Annotated[Matrix, "C"],
    b1: Annotated[Bias, "A"],
    b2: Annotated[Bias, "B"],
    b3: Annotated[Bias, "C"],
) -> tuple[Value, ...]:
    """Three modules that tick at every step, at every second and at every fourth; a module reads
    itself and all slower ones."""
    n1 = tanh(W1 @ x + U1.h1 @ h1 + U1.h2 @ h2 + U1.h3 @ h3 + b1)
    n2 = tanh(W2 @ x + U2.h2 @ h2 + U2.h3 @ h3 + b2)
    n3 = tanh(W3 @ x + U3.h3 @ h3 + b3)
    c2, c3 = equal(mod(t, 2), 0), equal(mod(t, 4), 0)
    h1 = n1
    h2 = c2 * n2 + (1 - c2) * h2
    h3 = c3 * n3 + (1 - c3) * h3
    return h1, h2, h3, h1, h2, h3
