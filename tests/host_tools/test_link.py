"""Frames as properties, the client over a line that loses, repeats and reorders them, and what a session leaves behind.

What is tested: whatever happens to a bit or to a frame, what is read is what was sent or nothing; a call of the
client gives the exact result or one clean error, in bounded time. What is not: single frames
(test_link_frames.py), bytes that change on the way (test_link_client.py), the C side (tests/firmware/test_link_c.py).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.links import FAKE_HASH, build_fake, fake_checksums, fake_outputs, windows
from thumbnet.host_tools.devices import BytePipe, open_device
from thumbnet.host_tools.errors import DeviceError
from thumbnet.host_tools.link.checksum import layer_checksum
from thumbnet.host_tools.link.client import DeviceClient
from thumbnet.host_tools.link.exchange import Timing
from thumbnet.host_tools.link.frames import Frame, FrameDecoder, encode_frame

INPUT_BYTES = 300
TIMING = Timing(timeout=2.0, retry=0.02, per_byte=0.0, run_timeout=2.0, run_retry=0.05)
CALL_LIMIT_S = 20.0
"""A call is a handful of requests, each over after TIMING.timeout at most."""

# Blocks of COBS end at 254 bytes without a zero.
PAYLOADS = st.one_of(
    st.binary(max_size=600),
    st.lists(st.sampled_from([b"\0", b"\1", b"\xff" * 246, b"\x80" * 254]), max_size=5).map(b"".join),
)
FRAMES = st.builds(Frame, st.integers(0, 255), st.integers(0, 65535), PAYLOADS, st.integers(0, 255))
SHORT_FRAMES = st.builds(Frame, st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=30))
NEXT = Frame(0x81, 4711, b"the one after")


# --- frames ---------------------------------------------------------------------------------------------------------


def check_every_single_bit(frame: Frame) -> None:
    wire, follower = encode_frame(frame), encode_frame(NEXT)
    for bit in range(8 * len(wire)):
        damaged = bytearray(wire)
        damaged[bit // 8] ^= 1 << bit % 8
        found = FrameDecoder().feed(bytes(damaged) + follower)
        # A last delimiter that became 1 may leave the frame what it was; nothing may make it another one.
        assert found in ([NEXT], [frame, NEXT]), f"bit {bit}"


@settings(max_examples=40, deadline=None)
@given(frame=SHORT_FRAMES)
def test_every_single_bit_error_is_detected(frame):
    check_every_single_bit(frame)


@pytest.mark.parametrize("size", [246, 254, 500])
def test_every_single_bit_error_of_a_long_frame_is_detected(size):
    check_every_single_bit(Frame(2, 3, b"\x11" * size))
    check_every_single_bit(Frame(2, 3, random.Random(size).randbytes(size)))


@given(
    pieces=st.lists(st.one_of(FRAMES.map(encode_frame), st.binary(max_size=40)), max_size=6), seed=st.integers(0, 2**32)
)
def test_how_the_bytes_arrive_does_not_matter(pieces, seed):
    wire = b"".join(pieces)
    whole, split = FrameDecoder(), FrameDecoder()
    expected = whole.feed(wire)
    rng, found, at = random.Random(seed), [], 0
    while at < len(wire):
        count = rng.choice((1, 2, 7, rng.randrange(1, 300)))
        found += split.feed(wire[at : at + count])
        at += count
    assert found == expected
    assert split == whole


# --- checksum -------------------------------------------------------------------------------------------------------


@given(data=st.binary(min_size=1, max_size=400), cuts=st.sets(st.integers(1, 399), max_size=8), seed=st.integers(0, 99))
def test_a_layers_parts_add_up_in_any_order(data, cuts, seed):
    bounds = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    parts = [(first, data[first:end]) for first, end in itertools.pairwise(bounds)]
    random.Random(seed).shuffle(parts)
    assert sum(layer_checksum(part, first) for first, part in parts) % 2**32 == layer_checksum(data)


# --- client ---------------------------------------------------------------------------------------------------------


class FrameFaults:
    """Loses, doubles and repeats whole frames both ways, and lets some come late: after their successor."""

    def __init__(self, pipe: BytePipe, seed: int, rate: float) -> None:
        self.name = pipe.name
        self.rate = rate
        self.faults = 0
        self._pipe = pipe
        self._rng = random.Random(seed)
        self._late = {"out": b"", "in": b""}

    def read(self, timeout: float) -> bytes:
        return self._disturb("in", self._pipe.read(timeout))

    def write(self, data: bytes) -> None:
        self._pipe.write(self._disturb("out", data))

    def close(self) -> None:
        self._pipe.close()

    def _disturb(self, way: str, data: bytes) -> bytes:
        if not data:
            return data
        late, self._late[way] = self._late[way], b""
        if self._rng.random() >= self.rate:
            return data + late
        self.faults += 1
        kind = self._rng.choice(("lost", "doubled", "late", "repeated later"))
        if kind == "lost":
            return late
        if kind == "doubled":
            return data + late + data
        self._late[way] = data
        return late if kind == "late" else data + late


@pytest.fixture(scope="module", params=[128, 992], ids="payload-{}".format)
def program(request: pytest.FixtureRequest) -> Path:
    return build_fake(input_bytes=INPUT_BYTES, payload=request.param, observe=True, sanitize=True)


def calls(client: DeviceClient, block: bytes) -> Iterator[tuple[str, Callable[[], object], object]]:
    """Every kind of call with what it must give."""
    yield "hello", lambda: client.hello().model_hash, FAKE_HASH
    yield "infer", lambda: client.infer(block), fake_outputs(block)
    yield "parity", lambda: client.parity(block).checksums, fake_checksums(block)
    yield "profile", lambda: client.profile(block).outputs, fake_outputs(block)
    pieces = [block[:100], block[100:] + block[:50], block[50:]]
    yield "stream", lambda: [result.outputs for result in client.stream(pieces)], [fake_outputs(block)] * 2


CALLS = 15


def make_calls(client: DeviceClient, seed: int) -> int:
    """Make every call on some windows; the number of exact results, all others being clean errors."""
    exact = 0
    for block in windows(3, INPUT_BYTES, seed):
        for name, call, expected in calls(client, block):
            start = time.monotonic()
            try:
                assert call() == expected, f"{name}, seed {seed}"
                exact += 1
            except DeviceError as error:
                assert str(error)
                assert "\n" not in str(error)
            assert time.monotonic() - start < CALL_LIMIT_S, f"{name}, seed {seed}"
    return exact


def test_every_call_is_exact_over_a_sound_line(program):
    with open_device("host", program) as pipe:
        assert make_calls(DeviceClient(pipe, model_hash=FAKE_HASH), 0) == CALLS


@pytest.mark.parametrize("seed", range(6))
def test_a_line_that_loses_doubles_and_delays_frames(program, seed):
    with open_device("host", program) as pipe:
        line = FrameFaults(pipe, seed, 0.3)
        client = DeviceClient(line, TIMING)
        exact = make_calls(client, seed)
        # How the bytes fall into reads is the system's choice, and so are the faults, within limits.
        assert line.faults > 0
        assert exact >= CALLS // 2
        line.rate = 0.0
        assert make_calls(client, seed) == CALLS


@pytest.mark.parametrize("rate", [0.7, 1.0])
def test_a_line_that_spoils_most_frames_gives_no_wrong_result(program, rate):
    timing = Timing(timeout=0.15, retry=0.02, per_byte=0.0, run_timeout=0.15, run_retry=0.05)
    with open_device("host", program) as pipe:
        line = FrameFaults(pipe, 6, rate)
        make_calls(DeviceClient(line, timing), 6)
        assert line.faults > CALLS


# --- sessions -------------------------------------------------------------------------------------------------------


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here")
@pytest.mark.parametrize("board", ["host", pytest.param("qemu_m4", marks=pytest.mark.qemu)])
def test_a_session_leaves_no_process_and_no_file_behind(board):
    image = build_fake(board, input_bytes=INPUT_BYTES)
    before = open_files()
    for interrupted in (False, True):
        with contextlib.suppress(KeyboardInterrupt), open_device(board, image) as pipe:
            assert DeviceClient(pipe).hello().input_bytes == INPUT_BYTES
            if interrupted:
                raise KeyboardInterrupt
        with pytest.raises(ProcessLookupError):
            os.kill(pipe.process_id, 0)
    assert open_files() == before
