"""Samples on their way to a device, window after window: positions, checks, and the results that come back."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from ..errors import LinkError
from . import protocol
from .exchange import Exchange
from .protocol import Hello, Mode, Result, Type


class SampleStream:
    """A stream that a device was told to begin.

    Parameters
    ----------
    exchange
        Requests to the device.
    facts
        Its hello.
    mode
        What every window is run for.
    window_bytes, channels
        See :meth:`DeviceClient.stream`; default: the model's own.

    Raises
    ------
    LinkError
        When windows of that kind do not fit the model, or the device refuses them.
    """

    def __init__(
        self,
        exchange: Exchange,
        facts: Hello,
        mode: Mode = Mode.INFER,
        window_bytes: int | None = None,
        channels: int | None = None,
    ) -> None:
        self._exchange = exchange
        self._window = _window_bytes(facts, window_bytes)
        self._channels = (facts.channels if facts.is_streamed else 1) if channels is None else channels
        _check_fit(facts, self._window, self._channels)
        self._piece = _piece_bytes(facts)
        self._crc = 0
        self.position = 0
        request = protocol.STREAM_BEGIN.pack(self._window, self._channels, mode)
        reply = exchange.ask(Type.STREAM_BEGIN, request)
        if reply:
            raise LinkError(f"the device {self._name} answered STREAM_BEGIN with {len(reply)} bytes, not 0")

    @property
    def _name(self) -> str:
        return self._exchange.pipe.name

    def send(self, samples: bytes) -> Iterator[Result]:
        """Send samples; gives the result of every window that they complete, with `position` where it ended."""
        rest = memoryview(samples)
        while rest:
            taken, result = self._push(bytes(rest[: self._piece]))
            rest = rest[taken:]
            if result is not None:
                yield result

    def _push(self, samples: bytes) -> tuple[int, Result | None]:
        request = protocol.STREAM_PUSH.pack(self.position & 0xFFFFFFFF) + samples
        payload = self._exchange.ask(Type.STREAM_PUSH, request)
        layout = protocol.STREAM_REPLY
        if len(payload) < layout.size:
            raise LinkError(
                f"the device {self._name} answered STREAM_PUSH with {len(payload)} bytes, not {layout.size} or more"
            )
        reached, complete, crc = layout.unpack_from(payload)
        taken = (reached - self.position) & 0xFFFFFFFF
        if not 0 < taken <= len(samples):
            raise LinkError(f"the device {self._name} took {taken} of {len(samples)} bytes of the stream")
        self._crc = zlib.crc32(samples[:taken], self._crc)
        self.position += taken
        if crc != self._crc:
            raise LinkError(f"the device {self._name} has other samples than were sent")
        if not complete:
            return taken, None
        self._crc = 0
        return taken, Result.unpack(payload[layout.size :])


def _window_bytes(facts: Hello, wanted: int | None) -> int:
    if wanted is not None:
        return wanted
    return facts.slices * facts.slice_bytes if facts.is_streamed else facts.input_bytes


def _check_fit(facts: Hello, window: int, channels: int) -> None:
    if facts.is_streamed:
        if (window, channels) != (facts.slices * facts.slice_bytes, facts.channels):
            raise LinkError(
                f"a stream of {channels} channels cannot fill windows of {window} bytes (the model takes "
                f"{facts.slices} slices of {facts.slice_bytes} bytes and {facts.channels} channels)"
            )
    elif not (0 < window <= facts.input_bytes and 0 < channels < 1 << 16 and window % channels == 0):
        raise LinkError(
            f"a stream of {channels} channels cannot fill windows of {window} bytes "
            f"(the model takes {facts.input_bytes})"
        )


def _piece_bytes(facts: Hello) -> int:
    """Samples of a frame: whole slices where one fits."""
    room = facts.payload_bytes - protocol.STREAM_PUSH.size
    if facts.is_streamed and facts.slice_bytes <= room:
        return room // facts.slice_bytes * facts.slice_bytes
    return room
