"""What conveyor is measured against: layers that do the same work."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

GATES = {"lstm_peephole": "figo", "lstm_coupled": "fgo"}


class Packed(nn.Module):
    """A layer of torch.nn on sequences of different length: pack, run, pad."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        output: PackedSequence = self.layer(packed)[0]
        return pad_packed_sequence(output, total_length=x.shape[0])[0]


class Loop(nn.Module):
    """A cell that torch.nn lacks as one writes it in torch: the input product of all steps at
    once, then a loop over time. ``weights`` are those of ``conveyor.Recurrent`` by name."""

    def __init__(self, cell: str, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        gates = GATES[cell]

        def joined(letter: str) -> nn.Parameter:
            parts = [weights[f"l0.{letter}.{gate}"].detach() for gate in gates]
            return nn.Parameter(torch.cat(parts))

        self.cell = cell
        self.W, self.U, self.b = joined("W"), joined("U"), joined("b")
        peepholes = [name for name in weights if ".p." in name]
        self.p = nn.ParameterDict(
            {name.rsplit(".", 1)[1]: nn.Parameter(weights[name].detach()) for name in peepholes}
        )

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[1], self.U.shape[1])
        outputs = []
        for of_input in nn.functional.linear(x, self.W, self.b).unbind(0):
            a = (of_input + nn.functional.linear(h, self.U)).chunk(len(GATES[self.cell]), -1)
            if self.cell == "lstm_coupled":
                f, g, o = torch.sigmoid(a[0]), torch.tanh(a[1]), torch.sigmoid(a[2])
                c = f * c + (1 - f) * g
            else:
                f = torch.sigmoid(a[0] + self.p["f"] * c)
                i = torch.sigmoid(a[1] + self.p["i"] * c)
                c = f * c + i * torch.tanh(a[2])
                o = torch.sigmoid(a[3] + self.p["o"] * c)
            h = o * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs)


def onnx_lstm(layer: nn.LSTM, x: Tensor, threads: int) -> Callable[[], Any] | None:
    """ONNX Runtime on the LSTM node with a layer's weights; None where it is not installed."""
    try:
        import onnx  # noqa: PLC0415  (a rival, not needed otherwise)
        import onnxruntime  # noqa: PLC0415
    except ImportError:
        return None

    def ordered(name: str) -> Any:
        i, f, g, o = layer.state_dict()[name].chunk(4)  # ONNX stores i, o, f, c
        return torch.cat([i, o, f, g]).numpy()

    biases = [ordered("bias_ih_l0"), ordered("bias_hh_l0")]
    weights = {
        "W": ordered("weight_ih_l0")[None],
        "R": ordered("weight_hh_l0")[None],
        "B": np.concatenate(biases)[None],
    }
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["x", *weights], ["y"], hidden_size=layer.hidden_size)],
        "lstm",
        [helper.make_tensor_value_info("x", kind, list(x.shape))],
        [helper.make_tensor_value_info("y", kind, None)],
        [onnx.numpy_helper.from_array(each, name) for name, each in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Idle threads that spin would hold the cores of whoever is measured next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    given = {"x": x.numpy()}
    return lambda: session.run(None, given)[0]
