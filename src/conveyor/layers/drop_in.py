"""``RNN``, ``LSTM`` and ``GRU``: drop-in for the layers of torch.nn of these names.

They inherit torch's own constructor, parameters and start values from ``torch.nn.RNNBase``, so
arguments, parameter names, seeds and checkpoints are the same by construction. Only the way a
sequence is run is ours, and the keyword arguments that torch lacks.
"""

from collections.abc import Mapping, Sequence

import torch
from torch.nn import RNNBase

from conveyor.errors import SettingError
from conveyor.layers.regularisers import Regularisation
from conveyor.layers.torch_named import TorchNamed


class RNN(TorchNamed):
    """Elman network, drop-in for ``torch.nn.RNN``: same arguments, parameters and results.

    ``isinstance(layer, torch.nn.RNN)`` is False, as code that asks this may pass the layer's
    parameters to torch's own kernels; ``conveyor.replace`` and ``restore`` swap both kinds.

    Args:
        input_size: features of the input, I.
        hidden_size: units, H.
        num_layers: layers on top of each other.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: whether the cell has biases.
        batch_first: inputs and outputs are [B, T, width] instead of [T, B, width].
        dropout: probability of dropping an output of a layer before the next one.
        bidirectional: run each sequence from its end too.
        device: where the parameters are.
        dtype: their type.
        checkpoint, learn_start, merge, dilation: see ``Recurrent``.
        init: ``"torch"``, as torch.nn does it with the same seed; ``"default"``, ``"chrono"`` or
            ``"irnn"``, see ``layers.initialise``.
        longest_dependency: for ``"chrono"``, in time steps.
        zoneout, recurrent_dropout, variational_dropout, weight_dropout, clip: regularisers inside
            the cell, see ``Recurrent``. The cell's names are those of ``conveyor.show``.

    Raises:
        SettingError: ``nonlinearity`` is neither ``"tanh"`` nor ``"relu"``, ``proj_size`` is
            given, or an argument that torch lacks is out of its range. Other bad arguments raise
            what torch raises.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        checkpoint: bool | int = False,
        learn_start: bool = False,
        merge: str = "concatenate",
        dilation: int | Sequence[int] = 1,
        init: str = "torch",
        longest_dependency: int | None = None,
        zoneout: float | Mapping[str, float] = 0.0,
        recurrent_dropout: Mapping[str, float] | None = None,
        variational_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        clip: Mapping[str, float] | None = None,
        proj_size: int | None = None,
    ) -> None:
        _check_no_projection("RNN", proj_size)
        if nonlinearity not in ("tanh", "relu"):
            raise SettingError(f"nonlinearity is {nonlinearity!r}; expected 'tanh' or 'relu'.")
        RNNBase.__init__(
            self,
            f"RNN_{nonlinearity.upper()}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity
        self._set_cell(
            checkpoint=checkpoint,
            learn_start=learn_start,
            merge=merge,
            dilation=dilation,
            init=init,
            longest_dependency=longest_dependency,
            regularisation=Regularisation(
                zoneout, recurrent_dropout, variational_dropout, weight_dropout, clip
            ),
        )


class LSTM(TorchNamed):
    """Long short-term memory, drop-in for ``torch.nn.LSTM``: same arguments, parameters and
    results. ``isinstance(layer, torch.nn.LSTM)`` is False, see ``RNN``.

    Args:
        input_size: features of the input, I.
        hidden_size: units, H.
        num_layers: layers on top of each other.
        bias: whether the cell has biases.
        batch_first: inputs and outputs are [B, T, width] instead of [T, B, width].
        dropout: probability of dropping an output of a layer before the next one.
        bidirectional: run each sequence from its end too.
        proj_size: features that the hidden state is projected to, P; 0 projects nothing.
        device: where the parameters are.
        dtype: their type.
        checkpoint, learn_start, merge, dilation: see ``Recurrent``.
        init: ``"torch"``, as torch.nn does it with the same seed; ``"default"``, ``"chrono"`` or
            ``"irnn"``, see ``layers.initialise``.
        longest_dependency: for ``"chrono"``, in time steps.
        zoneout, recurrent_dropout, variational_dropout, weight_dropout, clip: regularisers inside
            the cell, see ``Recurrent``. The cell's names are those of ``conveyor.show``.

    Raises:
        SettingError: an argument that torch lacks is out of its range. Other bad arguments raise
            what torch raises.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        checkpoint: bool | int = False,
        learn_start: bool = False,
        merge: str = "concatenate",
        dilation: int | Sequence[int] = 1,
        init: str = "torch",
        longest_dependency: int | None = None,
        zoneout: float | Mapping[str, float] = 0.0,
        recurrent_dropout: Mapping[str, float] | None = None,
        variational_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        clip: Mapping[str, float] | None = None,
    ) -> None:
        RNNBase.__init__(
            self,
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )
        self._set_cell(
            checkpoint=checkpoint,
            learn_start=learn_start,
            merge=merge,
            dilation=dilation,
            init=init,
            longest_dependency=longest_dependency,
            regularisation=Regularisation(
                zoneout, recurrent_dropout, variational_dropout, weight_dropout, clip
            ),
        )


class GRU(TorchNamed):
    """Gated recurrent unit, reset after the product, drop-in for ``torch.nn.GRU``: same arguments,
    parameters and results. ``isinstance(layer, torch.nn.GRU)`` is False, see ``RNN``.

    Args:
        input_size: features of the input, I.
        hidden_size: units, H.
        num_layers: layers on top of each other.
        bias: whether the cell has biases.
        batch_first: inputs and outputs are [B, T, width] instead of [T, B, width].
        dropout: probability of dropping an output of a layer before the next one.
        bidirectional: run each sequence from its end too.
        device: where the parameters are.
        dtype: their type.
        checkpoint, learn_start, merge, dilation: see ``Recurrent``.
        init: ``"torch"``, as torch.nn does it with the same seed; ``"default"``, ``"chrono"`` or
            ``"irnn"``, see ``layers.initialise``.
        longest_dependency: for ``"chrono"``, in time steps.
        zoneout, recurrent_dropout, variational_dropout, weight_dropout, clip: regularisers inside
            the cell, see ``Recurrent``. The cell's names are those of ``conveyor.show``.

    Raises:
        SettingError: ``proj_size`` is given, or an argument that torch lacks is out of its range.
            Other bad arguments raise what torch raises.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        checkpoint: bool | int = False,
        learn_start: bool = False,
        merge: str = "concatenate",
        dilation: int | Sequence[int] = 1,
        init: str = "torch",
        longest_dependency: int | None = None,
        zoneout: float | Mapping[str, float] = 0.0,
        recurrent_dropout: Mapping[str, float] | None = None,
        variational_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        clip: Mapping[str, float] | None = None,
        proj_size: int | None = None,
    ) -> None:
        _check_no_projection("GRU", proj_size)
        RNNBase.__init__(
            self,
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self._set_cell(
            checkpoint=checkpoint,
            learn_start=learn_start,
            merge=merge,
            dilation=dilation,
            init=init,
            longest_dependency=longest_dependency,
            regularisation=Regularisation(
                zoneout, recurrent_dropout, variational_dropout, weight_dropout, clip
            ),
        )


def _check_no_projection(layer: str, proj_size: int | None) -> None:
    """Raise where a layer is given what torch takes and then rejects."""
    if proj_size is not None:
        raise SettingError(f"proj_size is only for LSTM: {layer} has no projection.")
