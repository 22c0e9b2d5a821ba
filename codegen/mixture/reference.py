"""A mixture on the host: its parts by any interpreter, and between them the arithmetic of the generated code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..ir import Graph
from .arithmetic import choose_experts, mix, values_of
from .assemble import CHOICE, MIXED, RUN, VALUES, numbering
from .plan import Mixture
from .wiring import Wiring, port, result, wire

_Array = npt.NDArray[Any]


class Interpreter(Protocol):
    """Runs one part."""

    def run(self, inputs: Sequence[_Array]) -> list[_Array]:
        """Output tensors for one window of input tensors."""

    def run_all(self, inputs: Sequence[_Array]) -> Mapping[int, _Array]:
        """Every tensor that an operator writes, by its index in the part."""


class MixtureReference:
    """What the generated code must give for every window, tensor by tensor.

    Parameters
    ----------
    mixture : Mixture
        Its parts must fit each other, see :func:`~thumbnet.codegen.mixture.wiring.wire`.
    open_part : callable
        Opens a part, given its bytes and its graph; each is opened when it is first needed.
    """

    def __init__(self, mixture: Mixture, open_part: Callable[[bytes, Graph], Interpreter]) -> None:
        self.wiring: Wiring = wire(mixture)
        self._mixture = mixture
        self._open = open_part
        self._opened: dict[tuple[str, int], Interpreter] = {}
        #: How often each expert was chosen.
        self.chosen = np.zeros(len(mixture.experts), np.int64)

    def run(self, inputs: Sequence[_Array]) -> list[_Array]:
        """Values of all tasks, int32 (1, tasks), for one window."""
        return [self._walk(inputs, lambda run, role, number, x: self._one(role, number, x))[VALUES]]

    def run_all(self, inputs: Sequence[_Array]) -> Mapping[int, _Array]:
        """Every tensor, by the numbers of the generated code."""
        found: dict[int, _Array] = {}

        def whole(run: int, role: str, number: int, x: _Array) -> _Array:
            graph = self._graph(role, number)
            tensors = self._part(role, number).run_all([x.reshape(port(graph).shape)])
            found.update({RUN * run + index: np.array(value) for index, value in tensors.items()})
            return np.array(tensors[result(graph).index])

        return found | self._walk(inputs, whole)

    def _walk(self, inputs: Sequence[_Array], run_part: Callable[[int, str, int, _Array], _Array]) -> dict[int, _Array]:
        wiring, constants = self.wiring, self.wiring.constants
        window = features = np.asarray(inputs[0])
        chosen, gate = np.zeros(0, np.int64), np.zeros(0, np.int8)
        experts: list[_Array] = []
        codes: list[_Array] = []
        between: dict[int, _Array] = {}
        for position, (role, rank) in enumerate(numbering(wiring)):
            if role == "bottom":
                features = run_part(position + 1, role, 0, window)
            elif role == "gate":
                gate = run_part(position + 1, role, 0, window if wiring.gate_reads_window else features)
                chosen = choose_experts(constants, gate)
                self.chosen[chosen] += 1
            elif role == "expert":
                experts.append(run_part(position + 1, role, int(chosen[rank]), features).reshape(-1))
            else:
                if not codes:
                    mixed = mix(constants, gate, chosen, np.stack(experts)).astype(np.int8)
                    between[MIXED] = np.ascontiguousarray(mixed.T) if wiring.feature_major else mixed
                source = between[MIXED] if len(wiring.towers) == 1 else between[MIXED][rank]
                codes.append(run_part(position + 1, role, rank, source).reshape(-1))
        values = values_of(constants, np.concatenate(codes)).astype(np.int32)
        return between | {CHOICE: chosen.astype(np.uint8), VALUES: values[None]}

    def _one(self, role: str, number: int, x: _Array) -> _Array:
        (output,) = self._part(role, number).run([x.reshape(port(self._graph(role, number)).shape)])
        return np.array(output)

    def _graph(self, role: str, number: int) -> Graph:
        graphs = {"bottom": (self.wiring.bottom,), "gate": (self.wiring.gate,), "expert": self.wiring.experts}
        graph = graphs.get(role, self.wiring.towers)[number]
        assert graph is not None
        return graph

    def _part(self, role: str, number: int) -> Interpreter:
        key = (role, number)
        if key not in self._opened:
            files = {"bottom": (self._mixture.bottom,), "gate": (self._mixture.gate,), "expert": self._mixture.experts}
            data = files.get(role, self._mixture.towers)[number]
            assert data is not None
            self._opened[key] = self._open(data, self._graph(role, number))
        return self._opened[key]
