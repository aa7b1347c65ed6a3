"""What a net remembers, in numbers: gradients over time, what is carried over, units, spectra.

Everything here takes a layer and an input and gives tensors; nothing is drawn.
"""

from conveyor.inspect.between import gradients_between
from conveyor.inspect.carried import StatePath, carried, state_path, time_constants
from conveyor.inspect.contributions import contributions
from conveyor.inspect.distance import GradientByDistance, gradient_by_distance
from conveyor.inspect.not_finite import NotFinite, first_not_finite
from conveyor.inspect.overview import Overview, overview
from conveyor.inspect.spectrum import Spectrum, spectra
from conveyor.inspect.tracking import Tracking, unit_that_tracks
from conveyor.inspect.units import Saturation, dead_units, saturation

__all__ = [
    "GradientByDistance",
    "NotFinite",
    "Overview",
    "Saturation",
    "Spectrum",
    "StatePath",
    "Tracking",
    "carried",
    "contributions",
    "dead_units",
    "first_not_finite",
    "gradient_by_distance",
    "gradients_between",
    "overview",
    "saturation",
    "spectra",
    "state_path",
    "time_constants",
    "unit_that_tracks",
]
