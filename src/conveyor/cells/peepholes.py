"""LSTMs with peepholes on some of their gates."""

from conveyor.cells.definition import Cell, cell
from conveyor.cells.language import Bias, Input, Matrix, State, Value, Vector, sigmoid, tanh
from conveyor.cells.lstm import REMEMBER
from conveyor.errors import SettingError


def lstm_with_peepholes(gates: str) -> Cell:
    """The LSTM whose gates of these letters see the cell state: f and i the old one, o the new one.
    ``"fio"`` is ``lstm_peephole``, ``""`` the LSTM without (Gers & Schmidhuber 2000).

    Raises:
        SettingError: a letter is none of f, i, o, or stands twice.
    """
    if not isinstance(gates, str) or not set(gates) <= set("fio") or len(set(gates)) < len(gates):
        raise SettingError(f"gates are {gates!r}; expected some of the letters f, i, o, as 'fo'.")

    def equations(
        x: Input, h: State, c: State, W: Matrix, U: Matrix, p: Vector, b: Bias
    ) -> tuple[Value, Value]:
        """LSTM with peepholes on some of its gates."""

        def gate(name: str, seen: Value) -> Value:
            own = getattr(W, name) @ x + getattr(U, name) @ h
            if name in gates:
                own = own + getattr(p, name) * seen
            return sigmoid(own + getattr(b, name))

        f = gate("f", c)
        i = gate("i", c)
        g = tanh(W.g @ x + U.g @ h + b.g)
        c = f * c + i * g
        o = gate("o", c)
        h = o * tanh(c)
        return h, c

    equations.__name__ = f"lstm_peephole_{gates}" if gates else "lstm_peephole_none"
    made = cell(
        source="Gers & Schmidhuber 2000, Recurrent nets that time and count",
        start=REMEMBER,
        keep={"b.f": +1, "b.i": -1},
    )
    return made(equations)
