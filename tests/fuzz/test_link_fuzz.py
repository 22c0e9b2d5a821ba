"""The whole device application under rubbish: parser, dispatcher, modes and POSIX HAL as one sanitized process.

What is tested: whatever comes in, AddressSanitizer and UBSan find nothing, the process lives, the next sound hello is
answered and parity stays exact. The link library alone takes far more bytes in tests/fuzz/link. Deterministic: the
same seed makes the same bytes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.links import build_fake, fake_checksums, fake_outputs
from thumbnet.host_tools.devices import BytePipe, open_device
from thumbnet.host_tools.link import protocol
from thumbnet.host_tools.link.client import DeviceClient, ParityReply
from thumbnet.host_tools.link.frames import VERSION, Frame, FrameDecoder, encode_frame
from thumbnet.host_tools.link.protocol import REPLY, Stats, Type

INPUT_BYTES = 600
KINDS = {
    "payload-992": {"payload": 992},
    "payload-64": {"payload": 64},
    "stream-992": {"payload": 992, "channels": 4},
    "stream-64": {"payload": 64, "channels": 4},
    "stream-split": {"payload": 64, "channels": 200},
}
ROUND_BYTES = 8192
"""Between two hellos: little enough for the socket to hold, so that neither side waits for the other for ever."""
HELLO_SEQUENCE = 0xFFFF
"""Rubbish stays below 0x8000: an answer to it is never taken for the hello's."""
ANSWER_S = 10.0
LIMITS = (0, 1, 2, 63, 64, 120, INPUT_BYTES, 1024, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@pytest.fixture(scope="module", params=KINDS)
def program(request: pytest.FixtureRequest) -> Path:
    return build_fake(input_bytes=INPUT_BYTES, **KINDS[request.param], observe=True, sanitize=True)


class Rubbish:
    """What a line can bring, from a seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def pieces(self) -> Iterator[bytes]:
        rng = self._rng
        kinds = (self.noise, self.message, self.message, self.damaged, self.arbitrary, self.oversize, self.repeated)
        while True:
            yield rng.choices(kinds, weights=(3, 8, 8, 8, 4, 1, 2))[0]()

    def noise(self) -> bytes:
        return self._rng.randbytes(self._rng.randrange(200))

    def message(self) -> bytes:
        """A sound frame of a message whose fields may fit."""
        rng = self._rng
        kind = rng.choice(list(Type)[:7])
        fields = {
            Type.HELLO: protocol.HELLO.pack(self._number()),
            Type.WRITE: protocol.WRITE.pack(self._number()) + self._samples(),
            # Its CRC-32 fits the input block only by chance: sound runs are the parity between the rounds.
            Type.RUN: protocol.RUN.pack(rng.randrange(6), self._number()),
            Type.READ: protocol.READ.pack(rng.randrange(3), self._number(), self._number() & 0xFFFF),
            Type.STREAM_BEGIN: protocol.STREAM_BEGIN.pack(
                rng.choice((INPUT_BYTES, self._number())), rng.choice((0, 1, 4, 4, 200, 600, 65535)), rng.randrange(6)
            ),
            Type.STREAM_PUSH: protocol.STREAM_PUSH.pack(rng.choice((0, self._number()))) + self._samples(),
            Type.STATS: b"",
        }[kind]
        if rng.random() < 0.1:
            fields = fields[: rng.randrange(len(fields) + 1)] + self._samples()
        return self._frame(kind, fields)

    def damaged(self) -> bytes:
        """A frame with bits changed, bytes lost or bytes put in, or cut off."""
        rng = self._rng
        wire = bytearray(self.message())
        for _ in range(rng.randrange(1, 4)):
            at, kind = rng.randrange(len(wire)), rng.randrange(4)
            if kind == 0:
                wire[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                wire[at] = rng.randrange(256)
            elif kind == 2:
                wire[at:at] = rng.randbytes(rng.randrange(1, 5))
            elif len(wire) > 1:
                del wire[at : at + 1 if rng.random() < 0.8 else len(wire) - 1]
        return bytes(wire) or b"\0"

    def arbitrary(self) -> bytes:
        """A sound frame of any type and version."""
        version = VERSION if self._rng.random() < 0.5 else self._rng.randrange(256)
        return self._frame(self._rng.randrange(256), self._samples(), version)

    def oversize(self) -> bytes:
        return self._frame(self._rng.randrange(8), self._rng.randbytes(self._rng.randrange(50, 2500)))

    def repeated(self) -> bytes:
        return self.message() * 2

    def _number(self) -> int:
        near = self._rng.choice(LIMITS) + self._rng.randrange(-2, 3)
        return self._rng.choice((near & 0xFFFFFFFF, self._rng.randrange(INPUT_BYTES)))

    def _samples(self) -> bytes:
        return self._rng.randbytes(self._rng.choice((0, 1, 4, 20, 60, self._rng.randrange(1100))))

    def _frame(self, kind: int, payload: bytes, version: int = VERSION) -> bytes:
        # The fake model stops the processor when its input begins with 126.
        payload = payload.replace(b"\x7e", b"\0")
        sequence = self._rng.choice((self._rng.randrange(4), self._rng.randrange(0x8000)))
        return encode_frame(Frame(kind, sequence, payload, version))


def answers_hello(pipe: BytePipe, nonce: bytes) -> bool:
    decoder = FrameDecoder()
    pipe.write(encode_frame(Frame(Type.HELLO, HELLO_SEQUENCE, nonce)))
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        for frame in decoder.feed(pipe.read(deadline - time.monotonic())):
            if frame.sequence == HELLO_SEQUENCE:
                return frame.type == Type.HELLO | REPLY and frame.payload[:4] == nonce
    return False


def fuzz(program: Path, seed: int, total: int) -> Stats:
    """Feed `total` bytes or more, with a hello after every few thousand; what the device counted."""
    rng = random.Random(seed)
    source = Rubbish(seed).pieces()
    fed = rounds = 0
    with open_device("host", program) as pipe:
        while fed < total:
            piece = bytearray()
            while len(piece) < ROUND_BYTES:
                piece += next(source)
            pipe.write(bytes(piece))
            fed += len(piece)
            rounds += 1
            assert answers_hello(pipe, rng.randbytes(4)), f"seed {seed}: no hello after {fed} bytes"
            if rounds % 8 == 0:
                block = bytes(rng.randrange(100) for _ in range(INPUT_BYTES))
                expected = ParityReply(fake_outputs(block), fake_checksums(block))
                assert DeviceClient(pipe).parity(block) == expected, f"seed {seed}: wrong after {fed} bytes"
        return DeviceClient(pipe).stats()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_million_bytes_of_rubbish(program: Path, seed: int) -> None:
    counted = fuzz(program, seed, 1_000_000)
    assert counted.received > 1_000_000
    # Every kind of trouble did come up.
    kinds = (counted.malformed, counted.corrupted, counted.oversize, counted.duplicates, counted.refused)
    assert min(kinds) > 20, counted
    assert counted.frames > counted.refused + counted.duplicates


@pytest.mark.slow
@pytest.mark.parametrize("seed", [100])
def test_twenty_million_bytes_of_rubbish(program: Path, seed: int) -> None:
    fuzz(program, seed, 20_000_000)


def test_one_endless_frame_does_not_block_the_next(program: Path) -> None:
    with open_device("host", program) as pipe:
        for _ in range(300):
            pipe.write(b"\xff" * 1000)
        assert answers_hello(pipe, b"nonc")
        assert DeviceClient(pipe).stats().oversize == 1
