"""Torch modules that run cells. Files are imported when they are asked for:
``conveyor.layers.grid`` needs no import of its own."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if not TYPE_CHECKING:  # who reads the code sees the files themselves

    def __getattr__(name: str) -> Any:
        """Import a file of this folder on first use and return it."""
        if name.startswith("_") or find_spec(f"{__name__}.{name}") is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return import_module(f"{__name__}.{name}")
