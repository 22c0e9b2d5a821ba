"""`_push_block`: whatever memory the slices lie in and however they are cut, the result is that of `_run`.

The layouts are those of DMA half-buffers: slice after slice, channel after channel, and either inside something larger.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.small_models import signal_model, small_model
from thumbnet.codegen import compile_model
from thumbnet.codegen.reference import run_model

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")

MODELS = {
    "signal": (signal_model, "stream"),
    "image by rows": (small_model, "stream-h"),
    "image by columns": (small_model, "stream-w"),
}


class Streamed:
    """A generated model as a shared library."""

    def __init__(self, model: bytes, schedule: str, folder: Path) -> None:
        compiled = compile_model(model, target="host", schedule=schedule)
        compiled.write(folder)
        made = folder / "model.so"
        sources = [str(path) for path in sorted((folder / "src").glob("*.c"))]
        subprocess.run(["cc", "-std=c99", "-O1", "-shared", "-fPIC", *sources, "-o", str(made)], check=True)
        header = (folder / "src" / "model.h").read_text()
        numbers = {name: int(value) for name, value in re.findall(r"#define MODEL_(\w+) (\d+)", header)}
        self.slices, self.slice_bytes = numbers["SLICES"], numbers["SLICE_BYTES"]
        height, width, features = compiled.inputs[0].shape[1:]
        self.channels = self.slice_bytes // features
        # As the model has its input: slices along height, or along width.
        self.along_height = (self.slices, self.channels) == (height, width) and schedule != "stream-w"
        self.features = features
        self._library = ctypes.CDLL(str(made))
        self._state = (ctypes.c_uint64 * (numbers["STATE_BYTES"] // 8 + 1))()
        self._output = (ctypes.c_int8 * numbers["OUTPUT0_BYTES"])()

    def slices_of(self, image: np.ndarray) -> np.ndarray:
        """[slices][channels][features]."""
        plane = image[0]
        return plane if self.along_height else plane.transpose(1, 0, 2)

    def reset(self) -> None:
        self._library.model_reset(self._state)

    def push_block(self, memory: np.ndarray, first: int, slices: int, slice_stride: int, channel_stride: int) -> None:
        assert memory.dtype == np.int8
        at = memory.ctypes.data + first
        self._library.model_push_block(
            self._state, ctypes.c_void_p(at), ctypes.c_size_t(slices), ctypes.c_ssize_t(slice_stride),
            ctypes.c_ssize_t(channel_stride),
        )  # fmt: skip

    def push(self, piece: np.ndarray) -> None:
        memory = np.ascontiguousarray(piece)
        self._library.model_push(self._state, ctypes.c_void_p(memory.ctypes.data))

    def finish(self) -> tuple[int, np.ndarray]:
        outputs = (ctypes.c_void_p * 1)(ctypes.addressof(self._output))
        status = int(self._library.model_finish(self._state, outputs))
        return status, np.frombuffer(bytes(self._output), np.int8)


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Streamed, bytes]:
    make, schedule = MODELS[request.param]
    model = make()
    return Streamed(model, schedule, tmp_path_factory.mktemp("push")), model


def image_for(model: bytes, seed: int) -> np.ndarray:
    shape = compile_model(model, target="host").inputs[0].shape
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def halves(total: int, half: int) -> list[range]:
    return [range(at, min(at + half, total)) for at in range(0, total, half)]


def slice_after_slice(part: np.ndarray) -> tuple[np.ndarray, int, int, int]:
    _, channels, features = part.shape
    return part.copy(), 0, channels * features, features


def channel_after_channel(part: np.ndarray) -> tuple[np.ndarray, int, int, int]:
    count, _, features = part.shape
    return part.transpose(1, 0, 2).copy(), 0, features, count * features


def among_others(part: np.ndarray) -> tuple[np.ndarray, int, int, int]:
    """Every slice in a larger record, every channel apart from the next."""
    count, channels, features = part.shape
    memory = np.full((count, 3 + channels * (features + 2)), 77, np.int8)
    memory[:, 3:].reshape(count, channels, features + 2)[:, :, :features] = part
    return memory, 3, memory.shape[1], features + 2


def backwards(part: np.ndarray) -> tuple[np.ndarray, int, int, int]:
    """The last channel first in memory: a negative stride."""
    _, channels, features = part.shape
    return part[:, ::-1].copy(), (channels - 1) * features, channels * features, -features


LAYOUTS = (slice_after_slice, channel_after_channel, among_others, backwards)


@pytest.mark.parametrize("half", [1, 3, 4, 1000])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_halves_of_any_layout(case, layout, half):
    streamed, model = case
    image = image_for(model, seed=half)
    slices = streamed.slices_of(image)
    memory = [np.zeros(0, np.int8), np.zeros(0, np.int8)]
    streamed.reset()
    for number, piece in enumerate(halves(streamed.slices, half)):
        if memory[number % 2].size:
            memory[number % 2][...] = 99  # what was pushed is not needed any more
        memory[number % 2], first, slice_stride, channel_stride = layout(slices[piece.start : piece.stop])
        streamed.push_block(memory[number % 2], first, len(piece), slice_stride, channel_stride)
    status, output = streamed.finish()
    assert status == 0
    assert np.array_equal(output, run_model(model, [image])[0].ravel())


def test_pushes_and_blocks_may_be_mixed(case):
    streamed, model = case
    image = image_for(model, seed=7)
    slices = streamed.slices_of(image)
    streamed.reset()
    streamed.push(slices[0])
    memory, first, slice_stride, channel_stride = channel_after_channel(slices[1:5])
    streamed.push_block(memory, first, 4, slice_stride, channel_stride)
    for piece in slices[5:]:
        streamed.push(piece)
    assert np.array_equal(streamed.finish()[1], run_model(model, [image])[0].ravel())


def test_slices_beyond_the_window_are_ignored_and_missing_ones_are_told(case):
    streamed, model = case
    image = image_for(model, seed=8)
    memory, first, slice_stride, channel_stride = slice_after_slice(streamed.slices_of(image))
    streamed.reset()
    streamed.push_block(memory, first, streamed.slices - 1, slice_stride, channel_stride)
    assert streamed.finish()[0] == -2
    last = first + (streamed.slices - 1) * slice_stride
    streamed.push_block(memory, last, 1, slice_stride, channel_stride)
    streamed.push_block(memory, first, streamed.slices, slice_stride, channel_stride)
    status, output = streamed.finish()
    assert status == 0
    assert np.array_equal(output, run_model(model, [image])[0].ravel())
