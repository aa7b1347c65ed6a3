"""What recurrent matrices alone say about gradients: spectral radius and largest singular value."""

from typing import NamedTuple

import torch

from conveyor.errors import SettingError
from conveyor.inspect.traced import check_layer, places, program_of
from conveyor.layers.initialise import recurrent_matrices
from conveyor.layers.sequence import SequenceLayer


class Spectrum(NamedTuple):
    """Of one recurrent matrix.

    Args:
        layer: its layer, from 0.
        reverse: whether it is of the reverse direction.
        matrix: its name.
        radius: the largest absolute value of an eigenvalue; None of a matrix that is not square.
        norm: the largest singular value.
    """

    layer: int
    reverse: bool
    matrix: str
    radius: float | None
    norm: float

    def vanishes(self, slope: float = 1.0) -> bool:
        """Return whether gradients must vanish: in h = σ(U h' + ...), where the derivative of σ is
        at most ``slope`` (1 of tanh and relu, 1/4 of the sigmoid), a norm below 1 / slope is
        sufficient (Pascanu, Mikolov & Bengio 2013, section 2.2).

        Raises:
            SettingError: ``slope`` is not above 0.
        """
        if not slope > 0:
            raise SettingError(f"slope is {slope!r}; expected a number above 0.")
        return self.norm * slope < 1

    def can_explode(self, slope: float = 1.0) -> bool:
        """Return whether gradients may explode, for which a norm above 1 / slope is necessary.

        Raises:
            SettingError: ``slope`` is not above 0.
        """
        if not slope > 0:
            raise SettingError(f"slope is {slope!r}; expected a number above 0.")
        return self.norm * slope > 1


def spectra(layer: SequenceLayer) -> list[Spectrum]:
    """Return the spectrum of every matrix that reads the state, by layer and direction.

    Args:
        layer: any recurrent layer.

    Raises:
        SettingError: it is none.
    """
    check_layer(layer)
    of_matrices = []
    stack = layer._stack_parameters()
    for number, reverse in places(layer):
        program = program_of(layer, number)
        recurrent = recurrent_matrices(program)
        for name, matrix in stack[number][reverse].by_name.items():
            if name not in recurrent:
                continue
            whole = matrix.detach().double().cpu()
            square = whole.shape[0] == whole.shape[1]
            radius = float(torch.linalg.eigvals(whole).abs().max()) if square else None
            norm = float(torch.linalg.matrix_norm(whole, 2))
            of_matrices.append(Spectrum(number, reverse, name, radius, norm))
    return of_matrices
