"""The states of a layer: what they are before the first step, given, fixed by the cell or learned;
and what sequences look at at every step."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from conveyor.cells.initial_value import NOTHING_SEEN
from conveyor.errors import SettingError, ShapeError
from conveyor.kernels.kernel import InitialState, Memory, Values
from conveyor.layers.checks import check_whole
from conveyor.layers.parameters import missing
from conveyor.layers.places import Places, check_places, read_memory, without_memories
from conveyor.layers.remembered import Remembered
from conveyor.layers.request import check_tensor, read_state
from conveyor.layers.stored_layer import StoredLayer


class StatefulLayer(StoredLayer):
    """A layer that knows the state before the first step."""

    @property
    def _rows(self) -> int:
        """Rows of a state: layers times directions; of a dilated layer, one for each step that it
        reads its state late."""
        return (sum(self._dilations) or self.num_layers) * self._directions

    @cached_property
    def _begins_elsewhere(self) -> bool:
        """Whether a state of the cell starts at another number than 0."""
        return self.learn_start or bool(self.plan.program.start_states)

    def _start_values(self, batch: int) -> Values:
        """Return the state before the first step.

        Raises:
            ShapeError: a learned one is missing, or does not have the shape that sizes say.
        """
        like, begin = self._weight(), self.plan.program.start_states
        least = torch.finfo(like.dtype).min
        values = {}
        for name, width in self._state_widths.items():
            if self.learn_start and name not in self.plan.program.counters:
                values[name] = self._learned_start(name, width).unsqueeze(1).repeat(1, batch, 1)
            else:
                number = max(begin.get(name, 0.0), least)
                values[name] = like.new_full((self._rows, batch, width), number)
        return values

    def _learned_start(self, name: str, width: int) -> Tensor:
        learned: Tensor | None = getattr(self, f"start_{name}", None)
        if learned is None:
            raise missing(f"start_{name}")
        if learned.shape != (self._rows, width):
            raise ShapeError(
                f"parameter start_{name} is {list(learned.shape)}; expected "
                f"[{self._rows}, {width}]: num_layers * directions, width."
            )
        return learned

    def _set_learn_start(self, learn: bool) -> None:
        """Let the layer learn its start state, which begins as the cell says; at 0 where that is
        minus infinity, which would hide what other states learn and has no gradient itself."""
        if learn:
            for name, each in self._start_values(1).items():
                if name in self.plan.program.counters:
                    continue
                nothing = each <= max(NOTHING_SEEN, torch.finfo(each.dtype).min)
                begun = each.masked_fill(nothing, 0.0).squeeze(1)
                self.register_parameter(f"start_{name}", nn.Parameter(begun))
        self.learn_start = learn

    def start(self, batch: int = 1) -> Any:
        """Return the state before the first step.

        It is zeros, but for what the cell says of its states, or what was learned with
        ``learn_start``; each state is [num_layers * directions, batch, width], on the layer's
        device and in its dtype.

        Args:
            batch: how many sequences it is for.

        Raises:
            SettingError: ``batch`` is below 0.
        """
        check_whole(0, batch=batch)
        return self._state_of(self._start_values(batch))

    def _fresh(self, x: Tensor, batch: int) -> Values:
        """Return the state that a reset goes back to, and that a call without one begins with."""
        values = self._start_values(batch)
        return {name: each.to(x.device, x.dtype) for name, each in values.items()}

    def _initial_state(self, state: Any, batch: int, like: Tensor, batched: bool) -> InitialState:
        """Return the state that a call begins with.

        Args:
            state: as the caller gives it; None for the layer's own.
            batch: how many sequences there are.
            like: the input, of whose type and on whose device the state must be.
            batched: whether the input had a batch dimension.

        Raises:
            ShapeError: a state does not fit.
        """
        if state is None:
            values = self._fresh(like, batch) if self._begins_elsewhere else None
            return InitialState(self._state_widths, values)
        return read_state(
            self._values_of(state),
            self._state_widths,
            rows=self._rows,
            batch=batch,
            like=like,
            batched=batched,
        )

    def remember(self, memories: Mapping[str, Tensor | Places]) -> dict[str, Remembered]:
        """Return what the cell looks at, made ready for many calls of ``step``: what depends on it
        alone is computed at the first of them.

            seen = layer.remember({"memory": words})
            output, state = layer.step({"y": y, **seen}, state)

        A step gives what it gives of the memories themselves, to the bit. It is of use without
        gradients: where those of a memory or a parameter are computed, each step computes all anew.
        These changes of a memory or a parameter are noticed, and steps compute anew after them:
        another tensor, what torch counts as a change in place (``add_``, ``copy_``,
        ``load_state_dict``), and any step of any ``torch.optim.Optimizer``, fused or not, after
        which steps are as slow as without; remember anew. These are not noticed: changes through
        ``.data`` (``torch.nn.utils.vector_to_parameters``), through NumPy, and of tensors made in
        ``torch.inference_mode``.

        Args:
            memories: of the cell, by name, as a call takes them, and nothing else.

        Raises:
            SettingError: the cell looks at nothing, or the layer is bidirectional and has no steps.
            ShapeError: a memory is missing or does not fit, or something else is given.
        """
        names = self._memory_names
        if not names:
            raise SettingError(
                f"{self._cell.name} looks at no memory, so there is nothing to remember. Call step "
                "with the input."
            )
        if self.bidirectional:
            raise SettingError(
                "a bidirectional layer has no steps that could use what is remembered: its reverse "
                "direction begins at the end. Use bidirectional=False."
            )
        rest, known = self._without_memories(memories)
        if rest:
            raise ShapeError(
                f"{', '.join(rest)} cannot be remembered; {self._cell.name} looks at "
                f"{', '.join(names)} alone. Give the rest to step."
            )
        first = known[names[0]]
        values = first.values if isinstance(first, Places) else first
        check_tensor(names[0], values)
        batched = values.dim() == 3
        batch = values.shape[0 if self.batch_first else 1] if batched else 1
        read = self._read_memories(known, self._weight(), batch=batch, batched=batched)
        remembered = Remembered.of(known, read, batched=batched, batch_first=self.batch_first)
        return dict.fromkeys(names, remembered)

    def _without_memories(self, input: Any) -> tuple[Any, dict[str, Any]]:
        """Return the input without what cells look at at every step, and that by name.

        Raises:
            ShapeError: a memory is missing.
        """
        names = self._memory_names
        if not names:
            return input, {}
        reads = self._first_plans.reads
        return without_memories(input, names, (reads.main, *reads.shared), self._cell.name)

    def _read_memories(
        self, memories: Mapping[str, Any], weight: Tensor, *, batch: int, batched: bool
    ) -> dict[str, Memory]:
        """Return memories of so many sequences, as kernels take them.

        Args:
            memories: as the caller gives them, by name.
            weight: a parameter, of whose type and on whose device they must be.
            batch: how many sequences there are.
            batched: whether the main input had a batch dimension.

        Raises:
            ShapeError: one does not fit.
        """
        read = {
            name: read_memory(
                name,
                each.given.get(name) if isinstance(each, Remembered) else each,
                weight,
                features=self.input_size[name],
                batch=batch,
                batched=batched,
                batch_first=self.batch_first,
            )
            for name, each in memories.items()
        }
        check_places(read, self._cell)
        return read
