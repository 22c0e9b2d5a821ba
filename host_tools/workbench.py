"""A model on the bench with a board: generate its C, build the firmware, open the device.

Everything happens in one working folder: `sources/` (generated), `firmware/` and `firmware-observed/` (builds).
The observed build tells of every layer's output and ticks; the plain one is what a product would carry.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thumbnet.codegen import GENERATOR, CompiledModel, Limits, compile_model
from thumbnet.codegen.signals.application import SIGNALS, compile_with_signals

from .boards import Board
from .build import build_firmware
from .errors import HostToolsError, LinkError
from .limits import limits_for
from .modelfile import ModelFile
from .parity import Layer
from .tensors import block_bytes

if TYPE_CHECKING:
    from thumbnet.codegen.signals import SignalPlan

    from .link.client import DeviceClient

PREFIX = "model"
_ADAPTER = "tn_app_model.h"


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise HostToolsError(f"{path.parent} holds no generated model: there is no {path.name}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise HostToolsError(f"{path} is not the manifest of a generated model: {error}") from error
    if not isinstance(manifest, dict):
        raise HostToolsError(f"{path} is not the manifest of a generated model")
    return manifest


class Workbench:
    """One model and one board.

    Parameters
    ----------
    model
        The model; compiled at once for the board's core (CodegenError when it cannot be).
    board
        Where it shall run.
    folder
        Working folder of this board alone.
    port
        Serial port of a real board that was flashed with this model; None for an emulated one or the host.
    sources
        Generated C to use in place of fresh C, as `thumbnet generate` wrote it; it must be of the same model,
        core and schedule.
    schedule
        How the generated code walks the network, see `compile_model`.
    disable
        Optimisations to leave out, see `compile_model`.
    optimize
        What the generated code leans to, see `compile_model`.
    signals
        Preprocessing to run in front of the model; the device then takes samples of the converter.
    max_ram
        State that the model may take, its preprocessing included, in bytes; the board's own limit where it is None.
    """

    def __init__(
        self,
        model: ModelFile,
        board: Board,
        folder: Path,
        sources: Path | None = None,
        port: str | None = None,
        schedule: str = "whole",
        disable: Collection[str] = (),
        optimize: str = "speed",
        signals: SignalPlan | None = None,
        max_ram: int | None = None,
    ) -> None:
        self.model = model
        self.board = board
        self.folder = folder
        self.port = port
        self.schedule = schedule

        def compiled(limits: Limits) -> CompiledModel:
            return compile_model(
                model.tflite,
                target=board.target,
                prefix=PREFIX,
                schedule=schedule,
                limits=limits,
                app=True,
                disable=disable,
                optimize=optimize,
            )

        room = limits_for(schedule, board, max_ram)
        if signals is None:
            self.compiled = compiled(room)
        else:
            _, self.compiled = compile_with_signals(compiled, room, signals, GENERATOR)
        self.sources = folder / "sources"
        self._elfs: dict[bool, Path] = {}
        self.compiled.write(self.sources)
        if sources is not None:
            self._take(sources)

    def _take(self, sources: Path) -> None:
        """Put the user's own generated C in place of the fresh one, application adapter excepted."""
        manifest = _read_manifest(sources / f"{PREFIX}.json")
        fresh = self.compiled
        if manifest.get("model_hash") != fresh.model_hash:
            raise HostToolsError(f"{sources} was generated from another model than {self.model.path}")
        if (manifest.get("target"), manifest.get("state_bytes")) != (fresh.target, fresh.state_bytes):
            raise HostToolsError(
                f"{sources} was generated for {manifest.get('target')} with {manifest.get('state_bytes')} bytes of "
                f"state, {self.board.name} with --schedule {self.schedule} takes {fresh.target} with "
                f"{fresh.state_bytes}; give its --schedule, or generate it with --board {self.board.name}"
            )
        for name in fresh.files:
            file = sources / name
            if file.suffix in (".c", ".h") and file.name != _ADAPTER and file.is_file():
                shutil.copyfile(file, self.sources / name)

    @property
    def layers(self) -> list[Layer]:
        """The layers in the order in which data passes them: preprocessing, which is numbered last, comes first."""
        layers = [Layer(x.index, x.name, x.op, x.tensor, x.kept) for x in self.compiled.layers]
        return sorted(layers, key=lambda layer: layer.op != SIGNALS)

    def elf(self, observe: bool = False) -> Path:
        """Build the firmware, once; the plain and the observed build may run at the same time.

        Raises
        ------
        BuildError
            When the toolchain is missing or refuses the code.
        """
        if observe not in self._elfs:
            workdir = self.folder / ("firmware-observed" if observe else "firmware")
            built = build_firmware(self.sources, self.board, observe=observe, workdir=workdir)
            self._elfs[observe] = built.elf
        return self._elfs[observe]

    @contextlib.contextmanager
    def device(self, observe: bool = False) -> Iterator[DeviceClient]:
        """Start or flash the device, greet it, and check that it runs this model.

        Raises
        ------
        DeviceError
            When the device does not answer or runs something else.
        """
        from .devices import open_device
        from .link.client import DeviceClient

        with open_device(self.board, self.elf(observe), port=self.port) as pipe:
            client = DeviceClient(pipe)
            self._check(client)
            yield client

    def _check(self, client: DeviceClient) -> None:
        hello = client.hello()
        if hello.model_hash != self.compiled.model_hash:
            raise LinkError(
                f"the device {self.board.name} runs the model {hello.model_hash[:12]}, not "
                f"{self.compiled.model_hash[:12]}; flash it again"
            )
        sizes = (block_bytes(self.compiled.inputs), block_bytes(self.compiled.outputs))
        if (hello.input_bytes, hello.output_bytes) != sizes:
            raise LinkError(
                f"the device {self.board.name} takes {hello.input_bytes} and gives {hello.output_bytes} bytes, "
                f"the model {sizes[0]} and {sizes[1]}"
            )
