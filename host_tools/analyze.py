"""Judge a model without any toolchain: its operators, what is unsupported, and the boards it fits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from thumbnet.codegen import Analysis, CompiledModel, analyze_model, compile_model

from .boards import Board, boards
from .modelfile import ModelFile
from .tensors import block_bytes


@dataclass(frozen=True)
class Fit:
    """What a model needs of a board beside what the board has; code, link and stack come on top."""

    board: Board
    ram_bytes: int
    flash_bytes: int

    @property
    def fits(self) -> bool:
        """The model's own bytes leave room in both memories."""
        return self.ram_bytes < self.board.ram_bytes and self.flash_bytes < self.board.flash_bytes

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "board": self.board.name,
            "target": self.board.target,
            "ram_bytes": self.ram_bytes,
            "ram_available": self.board.ram_bytes,
            "flash_bytes": self.flash_bytes,
            "flash_available": self.board.flash_bytes,
            "fits": self.fits,
        }


@dataclass(frozen=True)
class Report:
    """Everything that is known of a model before it is built."""

    model: ModelFile
    analysis: Analysis
    compiled: CompiledModel | None
    fits: tuple[Fit, ...]

    @property
    def operators(self) -> dict[str, int]:
        """How often each operator occurs, most frequent first."""
        return dict(Counter(layer.op for layer in self.analysis.layers).most_common())

    def to_dict(self) -> dict[str, Any]:
        """JSON form, see docs/json-schemas.md."""
        compiled = self.compiled
        return {
            "model": self.model.to_dict(),
            "supported": not self.analysis.unsupported,
            "macs": self.analysis.macs,
            "state_bytes": compiled.state_bytes if compiled else None,
            "weight_bytes": compiled.weight_bytes if compiled else None,
            "operators": self.operators,
            "inputs": [_tensor(tensor) for tensor in self.analysis.inputs],
            "outputs": [_tensor(tensor) for tensor in self.analysis.outputs],
            "layers": [
                {
                    "index": layer.index,
                    "name": layer.name,
                    "op": layer.op,
                    "shape": list(layer.shape),
                    "macs": layer.macs,
                    "supported": layer.supported,
                    "reason": layer.reason,
                }
                for layer in self.analysis.layers
            ],
            "boards": [fit.to_dict() for fit in self.fits],
        }


def _tensor(tensor: Any) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }


def analyze(model: ModelFile) -> Report:
    """Analyze a model; when every layer is supported, compile it and compare it with every board.

    Raises
    ------
    CodegenError
        When the file is no readable model. Unsupported layers are reported, not raised.
    """
    analysis = analyze_model(model.tflite)
    if analysis.unsupported:
        return Report(model, analysis, None, ())
    candidates = [board for board in boards().values() if not board.is_host]
    targets = {board.target for board in candidates}
    compiled = {target: compile_model(model.tflite, target=target) for target in sorted(targets)}
    fits = tuple(_fit(board, compiled[board.target]) for board in candidates)
    return Report(model, analysis, next(iter(compiled.values()), None), fits)


def _fit(board: Board, compiled: CompiledModel) -> Fit:
    # The device application holds one input and one output block beside the state.
    blocks = block_bytes(compiled.inputs) + block_bytes(compiled.outputs)
    return Fit(board, compiled.state_bytes + blocks, compiled.weight_bytes)
