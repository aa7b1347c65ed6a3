"""What a net remembers, in numbers: gradients over time, contributions of steps, spectra.

Everything here takes a layer and an input and gives tensors; nothing is drawn.
"""

from conveyor.inspect.contributions import contributions
from conveyor.inspect.distance import GradientByDistance, gradient_by_distance
from conveyor.inspect.not_finite import NotFinite, first_not_finite
from conveyor.inspect.spectrum import Spectrum, spectra

__all__ = [
    "GradientByDistance",
    "NotFinite",
    "Spectrum",
    "contributions",
    "first_not_finite",
    "gradient_by_distance",
    "spectra",
]
