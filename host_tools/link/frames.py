"""Frames: delimiter, COBS(header, payload, CRC-32), delimiter.

A zero byte can only be a delimiter, so that a reader finds the next frame whatever came before; the delimiter
in front of a frame cuts off noise that would otherwise spoil it.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from cobs import cobs

VERSION = 2
"""Protocol version, the first byte of every frame; the frame format itself is the same in all versions."""
MAX_PAYLOAD = 32768
"""Longest payload that any device announces."""

_HEADER = struct.Struct("<BBH")
_CRC = struct.Struct("<I")
_OVERHEAD = _HEADER.size + _CRC.size
_LONGEST = (MAX_PAYLOAD + _OVERHEAD) * 255 // 254 + 2


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes
    ----------
    type : int
        Message type, 0 to 255.
    sequence : int
        Sequence number of the request, 0 to 65535; a reply has its request's.
    payload : bytes
        At most MAX_PAYLOAD bytes.
    version : int
        Protocol version of the sender.
    """

    type: int
    sequence: int
    payload: bytes = b""
    version: int = VERSION


def encode_frame(frame: Frame) -> bytes:
    """Frame as it goes over the wire, both delimiters included."""
    body = _HEADER.pack(frame.version, frame.type, frame.sequence) + frame.payload
    return b"".join([b"\0", cobs.encode(body + _CRC.pack(zlib.crc32(body))), b"\0"])


@dataclass
class FrameDecoder:
    """Takes bytes as they come and gives back the frames in them; what is no sound frame is counted and dropped.

    Attributes
    ----------
    received : int
        Bytes taken in.
    frames : int
        Sound frames.
    malformed : int
        Not COBS, too short or too long.
    corrupted : int
        CRC-32 differs.
    """

    received: int = 0
    frames: int = 0
    malformed: int = 0
    corrupted: int = 0
    _pending: bytearray = field(default_factory=bytearray, repr=False)
    _skipping: bool = field(default=False, repr=False)

    def feed(self, data: bytes) -> list[Frame]:
        """Frames that these bytes complete, in order."""
        self.received += len(data)
        *ended, rest = data.split(b"\0")
        found = []
        for piece in ended:
            self._append(piece)
            frame = self._finish()
            if frame is not None:
                found.append(frame)
        self._append(rest)
        return found

    def _append(self, piece: bytes) -> None:
        self._pending += piece
        if len(self._pending) > _LONGEST:
            self._pending.clear()
            self._skipping = True

    def _finish(self) -> Frame | None:
        encoded, skipped = bytes(self._pending), self._skipping
        self._pending.clear()
        self._skipping = False
        if not encoded and not skipped:
            return None
        try:
            decoded = b"" if skipped else cobs.decode(encoded)
        except cobs.DecodeError:
            decoded = b""
        if len(decoded) < _OVERHEAD:
            self.malformed += 1
            return None
        body = decoded[: -_CRC.size]
        if _CRC.unpack_from(decoded, len(body))[0] != zlib.crc32(body):
            self.corrupted += 1
            return None
        self.frames += 1
        version, kind, sequence = _HEADER.unpack_from(body)
        return Frame(kind, sequence, body[_HEADER.size :], version)
