"""The device link under test: the fake model's firmware, pipes that misbehave, pipes that follow a script."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from thumbnet.host_tools.build import build_firmware
from thumbnet.host_tools.devices.base import BytePipe
from thumbnet.host_tools.link.checksum import layer_checksum
from thumbnet.host_tools.link.frames import FrameDecoder, encode_frame

ROOT = Path(__file__).resolve().parents[2]
LINK = ROOT / "firmware" / "link"
FAKE_MODEL = ROOT / "tests" / "firmware" / "fake_model"
FAKE_HASH = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef"
STEP = 5


def build_fake(
    board: str = "host", *, input_bytes: int = 3000, payload: int | None = 992, channels: int = 0, **options: object
) -> Path:
    """Device application around the fake model; with `channels` a streamed one; `payload` None: the board's own."""
    flags = ["-Werror", f"-DFAKE_INPUT_BYTES={input_bytes}"]
    flags += [f"-DTN_LINK_PAYLOAD={payload}"] if payload else []
    flags += [f"-DFAKE_CHANNELS={channels}"] if channels else []
    return build_firmware(FAKE_MODEL, board, extra_flags=flags, **options).elf  # type: ignore[arg-type]


def fake_layers(block: bytes) -> list[np.ndarray]:
    """What the fake model's three layers compute."""
    first = np.frombuffer(block, np.uint8) + np.uint8(1)
    second = first ^ np.uint8(0x55)
    return [first, second, second[: len(block) // STEP * STEP : STEP].copy()]


def fake_outputs(block: bytes) -> bytes:
    return fake_layers(block)[-1].tobytes()


def fake_checksums(block: bytes) -> tuple[int, ...]:
    return tuple(layer_checksum(layer) for layer in fake_layers(block))


def windows(count: int, size: int, seed: int) -> list[bytes]:
    """Blocks that the fake model takes; half of each repeats the one before, as signals with quiet channels do."""
    rng = np.random.default_rng(seed)
    blocks, block = [], np.zeros(size, np.int8)
    for _ in range(count):
        block = block.copy()
        block[: size // 2] = rng.integers(-100, 100, size // 2)
        blocks.append(block.tobytes())
    return blocks


def interleave(block: bytes, channels: int) -> bytes:
    """A block of channels in the order in which its samples are streamed."""
    return np.frombuffer(block, np.uint8).reshape(channels, -1).T.tobytes()


class FaultyPipe:
    """Between client and device: loses, changes, doubles and invents bytes in both directions, and delays them.

    Parameters
    ----------
    pipe
        The sound pipe.
    seed
        Of the faults.
    rate
        Faults per byte.
    """

    def __init__(self, pipe: BytePipe, seed: int, rate: float) -> None:
        self.name = pipe.name
        self.faults = 0
        self._pipe = pipe
        self._rng = random.Random(seed)
        self._rate = rate
        self._held = b""

    def read(self, timeout: float) -> bytes:
        if self._held:
            late, self._held = self._held, b""
            return late
        data = self._disturb(self._pipe.read(timeout))
        if data and self._rng.random() < 0.05:
            cut = self._rng.randrange(len(data))
            data, self._held = data[:cut], data[cut:]
            time.sleep(self._rng.random() * 0.02)
        return data

    def write(self, data: bytes) -> None:
        self._pipe.write(self._disturb(data))

    def close(self) -> None:
        self._pipe.close()

    def _disturb(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if self._rng.random() >= self._rate:
                out.append(byte)
                continue
            self.faults += 1
            kind = self._rng.randrange(5)
            if kind == 1:
                out.append(byte ^ 1 << self._rng.randrange(8))
            elif kind == 2:
                out += bytes([byte, byte])
            elif kind == 3:
                out += self._rng.randbytes(self._rng.randrange(1, 40)) + bytes([byte])
            elif kind == 4:
                out += bytes(out[-self._rng.randrange(1, 60) :]) + bytes([byte])
        return bytes(out)


class MadLine:
    """Between client and device: loses, repeats and holds back whole frames, and puts noise between them.

    Parameters
    ----------
    pipe
        The sound pipe.
    seed
        Of the faults.
    rate
        Faults per frame.
    """

    def __init__(self, pipe: BytePipe, seed: int, rate: float) -> None:
        self.name = pipe.name
        self.faults = 0
        self._pipe = pipe
        self._rng = random.Random(seed)
        self._rate = rate
        self._late: list[tuple[int, bytes]] = []
        self._frames = 0

    def read(self, timeout: float) -> bytes:
        data = self._pipe.read(timeout)
        if data and self._rng.random() < self._rate / 2:
            self.faults += 1
            return b""
        return data

    def write(self, data: bytes) -> None:
        self._frames += 1
        rng = self._rng
        if rng.random() < self._rate:
            self.faults += 1
            kind = rng.randrange(4)
            if kind == 1:
                data = data * rng.randrange(2, 4)
            elif kind == 2:
                self._late.append((self._frames + rng.randrange(1, 40), data))
            elif kind == 3:
                data = rng.randbytes(rng.randrange(1, 60)) + data
            if kind in (0, 2):
                data = b""
        due = [frame for at, frame in self._late if at <= self._frames]
        self._late = [(at, frame) for at, frame in self._late if at > self._frames]
        rng.shuffle(due)
        self._pipe.write(b"".join([*due[::2], data, *due[1::2]]))

    def close(self) -> None:
        self._pipe.close()


class ScriptedPipe:
    """A device in Python: `answer` maps each sound frame to the bytes that come back."""

    name = "board X"

    def __init__(self, answer: Callable[..., bytes]) -> None:
        self.asked: list[int] = []
        self._answer = answer
        self._decoder = FrameDecoder()
        self._waiting = b""

    def read(self, timeout: float) -> bytes:
        if not self._waiting:
            time.sleep(min(timeout, 0.01))
        data, self._waiting = self._waiting, b""
        return data

    def write(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            self.asked.append(frame.type)
            self._waiting += self._answer(frame)

    def close(self) -> None:
        pass


__all__ = ["FAKE_HASH", "FAKE_MODEL", "LINK", "FaultyPipe", "MadLine", "ScriptedPipe", "build_fake", "encode_frame"]
