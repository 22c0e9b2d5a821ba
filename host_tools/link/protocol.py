"""Messages: their numbers and their payloads. Mirrors `firmware/link/tn_protocol.h`, which a test holds it to."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ..errors import LinkError

REPLY = 0x80
"""Set in the type of a reply."""


class Type(IntEnum):
    """Message types."""

    HELLO = 0x01
    WRITE = 0x02
    RUN = 0x03
    READ = 0x04
    STREAM_BEGIN = 0x05
    STREAM_PUSH = 0x06
    STATS = 0x07
    FAULT = 0xFD
    BUSY = 0xFE
    REFUSED = 0xFF


class Mode(IntEnum):
    """Modes of a run; bit ``1 << mode`` of a hello tells whether the device has it."""

    INFER = 0
    PARITY = 1
    PROFILE = 2
    STREAM = 3
    PUSHES = 4


class Region(IntEnum):
    """What READ reads."""

    OUTPUT = 0
    LAYERS = 1


class Refusal(IntEnum):
    """Why a device refused a request."""

    VERSION = 1
    UNKNOWN = 2
    LENGTH = 3
    RANGE = 4
    MODE = 5
    INPUT = 6
    POSITION = 7


REASONS = {
    Refusal.VERSION: "it speaks another protocol version",
    Refusal.UNKNOWN: "it does not know this message",
    Refusal.LENGTH: "the message has the wrong length",
    Refusal.RANGE: "offset, count, window or channels are out of range",
    Refusal.MODE: "its firmware was built without this mode, or with another schedule",
    Refusal.INPUT: "it does not hold the input that was sent (was it reset?)",
    Refusal.POSITION: "it expects other samples of the stream (was it reset?)",
}
"""The device's reasons in words."""

HELLO = struct.Struct("<I")
HELLO_REPLY = struct.Struct("<IHHIIIIHHHH32s")
WRITE = struct.Struct("<I")
RUN = struct.Struct("<BI")
READ = struct.Struct("<BIH")
STREAM_BEGIN = struct.Struct("<IHB")
STREAM_PUSH = struct.Struct("<I")
STREAM_REPLY = struct.Struct("<III")
RESULT = struct.Struct("<iQIII")
PUSHES = struct.Struct("<IIQQQ")
STATS_REPLY = struct.Struct("<9I")
FAULT = struct.Struct("<I")
REFUSED = struct.Struct("<BB")

EXCEPTIONS = {
    2: "NMI",
    3: "hard fault",
    4: "memory fault",
    5: "bus fault",
    6: "usage fault",
    7: "secure fault",
}
"""Cortex-M exceptions by number."""


@dataclass(frozen=True)
class Hello:
    """What a device says of itself.

    Attributes
    ----------
    payload_bytes : int
        Longest payload of a frame.
    modes : frozenset of Mode
        What it can do.
    input_bytes, output_bytes : int
        Blocks that hold all input and all output tensors.
    state_bytes : int
        Memory of the model's state struct.
    ticks_hz : int
        Ticks per second of every tick count.
    layers : int
        Layers of the model.
    model_hash : str
        SHA-256 of the model file, 64 lower-case hexadecimal digits.
    slices : int
        Slices of a window, for a model that takes its input as a stream; 0: it takes the whole input at once.
    slice_bytes, channels : int
        Bytes of a slice, and of how many channels, which lie one after the other in the input block.
    """

    payload_bytes: int
    modes: frozenset[Mode]
    input_bytes: int
    output_bytes: int
    state_bytes: int
    ticks_hz: int
    layers: int
    model_hash: str
    slices: int = 0
    slice_bytes: int = 0
    channels: int = 0

    @property
    def is_streamed(self) -> bool:
        """Whether the model takes its input slice by slice."""
        return self.slices > 0

    @classmethod
    def unpack(cls, payload: bytes) -> tuple[int, Hello]:
        """Nonce and facts of a hello's reply."""
        nonce, size, modes, inputs, outputs, state, hz, layers, slices, slice_bytes, channels, digest = (
            HELLO_REPLY.unpack(exactly(HELLO_REPLY, payload, "hello"))
        )
        known = frozenset(mode for mode in Mode if modes >> mode & 1)
        facts = cls(size, known, inputs, outputs, state, hz, layers, digest.hex(), slices, slice_bytes, channels)
        return nonce, facts.checked()

    def checked(self) -> Hello:
        """These facts, when they agree with each other.

        Raises
        ------
        LinkError
            When they do not.
        """
        if self.is_streamed and (
            not 0 < self.slices * self.slice_bytes <= self.input_bytes
            or self.channels == 0
            or self.slice_bytes % self.channels
        ):
            raise LinkError(
                f"a hello tells of {self.slices} slices of {self.slice_bytes} bytes and {self.channels} channels "
                f"in an input of {self.input_bytes} bytes"
            )
        return self

    def to_slices(self, block: bytes) -> bytes:
        """The input block of a streamed model in the order in which its slices are pushed.

        Parameters
        ----------
        block
            Channel after channel: [channels][slices][slice_bytes / channels], padded to 4 bytes.

        Returns
        -------
        bytes
            [slices][channels][slice_bytes / channels].
        """
        samples = np.frombuffer(block, np.uint8, self.slices * self.slice_bytes)
        return samples.reshape(self.channels, self.slices, -1).transpose(1, 0, 2).tobytes()


@dataclass(frozen=True)
class Result:
    """Fixed part of a run's result, and as much of the output block as came with it.

    Attributes
    ----------
    status : int
        The model's return code, 0 when it ran.
    ticks : int
        Of the model alone.
    stack_bytes : int
        Deepest use of the stack; 0: not measured.
    layers_bytes : int
        Size of the layers' records, to be read.
    output_crc : int
        CRC-32 of the whole output block.
    head : bytes
        First bytes of the output block.
    """

    status: int
    ticks: int
    stack_bytes: int
    layers_bytes: int
    output_crc: int
    head: bytes

    @classmethod
    def unpack(cls, payload: bytes) -> Result:
        """Result of a reply's payload."""
        if len(payload) < RESULT.size:
            raise LinkError(f"a result has at least {RESULT.size} bytes, not {len(payload)}")
        status, ticks, stack, layers, crc = RESULT.unpack_from(payload)
        return cls(status, ticks, stack, layers, crc, payload[RESULT.size :])


@dataclass(frozen=True)
class Stats:
    """What the device counted since it started, modulo 2^32.

    Attributes
    ----------
    received : int
        Bytes received.
    frames : int
        Sound frames received.
    malformed, corrupted, oversize : int
        Frames dropped: not COBS or too short, wrong CRC-32, too long.
    duplicates : int
        Requests answered once more from the kept reply.
    refused : int
        Sound frames that were no request that could be carried out.
    replies : int
        Replies sent.
    lost : int
        Bytes lost because nobody took them in time.
    """

    received: int
    frames: int
    malformed: int
    corrupted: int
    oversize: int
    duplicates: int
    refused: int
    replies: int
    lost: int

    @classmethod
    def unpack(cls, payload: bytes) -> Stats:
        """Counters of a reply's payload."""
        return cls(*STATS_REPLY.unpack(exactly(STATS_REPLY, payload, "counter")))


def exactly(layout: struct.Struct, payload: bytes, what: str) -> bytes:
    """`payload`, when it has the layout's size.

    Raises
    ------
    LinkError
        When it has not.
    """
    if len(payload) != layout.size:
        raise LinkError(f"a {what} reply has {layout.size} bytes, not {len(payload)}")
    return payload
