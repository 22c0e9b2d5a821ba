"""The host's side of the device link: what a device with a model can be asked."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..devices.base import BytePipe
from ..errors import DeviceError, LinkError
from . import protocol
from .exchange import Exchange, Refused, Timing
from .frames import MAX_PAYLOAD
from .protocol import Hello, Mode, Refusal, Region, Result, Stats, Type

_HELLO_RETRY_S = 0.1
"""A device that is just starting drops what comes before its serial port is up."""


@dataclass(frozen=True)
class ParityReply:
    """A run with every layer observed.

    Attributes
    ----------
    outputs : bytes
        The output block.
    checksums : tuple of int
        One a layer, as :func:`~thumbnet.host_tools.link.checksum.layer_checksum` computes it.
    """

    outputs: bytes
    checksums: tuple[int, ...]


@dataclass(frozen=True)
class ProfileReply:
    """A run with its costs, in ticks (``Hello.ticks_hz`` a second).

    Attributes
    ----------
    outputs : bytes
        The output block.
    ticks : int
        Of the whole model; observers left out.
    layer_ticks : tuple of int
        Of each layer; empty unless the firmware observes layers.
    stack_bytes : int
        Deepest use of the stack, the application's own included; 0: not measured on this board.
    """

    outputs: bytes
    ticks: int
    layer_ticks: tuple[int, ...]
    stack_bytes: int


@dataclass(frozen=True)
class StreamResult:
    """A result that came out of a stream.

    Attributes
    ----------
    position : int
        Bytes of the stream that had gone in when it came.
    outputs : bytes
        The output block.
    ticks : int
        Of the computation that gave it.
    """

    position: int
    outputs: bytes
    ticks: int


class DeviceClient:
    """A device that answers.

    Parameters
    ----------
    pipe
        The way to the device.
    timing
        How long to wait; see Timing. For a model that runs longer than ten minutes raise `run_timeout`.
    model_hash
        SHA-256 of the model that the device must run, hexadecimal; default: any.

    Notes
    -----
    Every method raises DeviceTimeout, DeviceClosed, DeviceFaulted or LinkError, each with one sentence, when
    the device falls silent, goes away, stops at a processor fault, or answers against the protocol.
    """

    def __init__(self, pipe: BytePipe, timing: Timing | None = None, model_hash: str | None = None) -> None:
        self.name = pipe.name
        self._exchange = Exchange(pipe, timing or Timing())
        self._expected_hash = model_hash.lower() if model_hash else None
        self._facts: Hello | None = None
        self._held: bytes | None = None

    @property
    def repeats(self) -> int:
        """Requests that had to be sent again so far."""
        return self._exchange.repeats

    def hello(self) -> Hello:
        """What the device says of itself.

        Raises
        ------
        LinkError
            Also when it runs another model than it must.
        """
        nonce = secrets.token_bytes(4)
        payload = self._exchange.ask(Type.HELLO, nonce, retry=min(_HELLO_RETRY_S, self._exchange.timing.retry))
        echoed, facts = Hello.unpack(payload)
        if echoed.to_bytes(4, "little") != nonce:
            raise LinkError(f"the device {self.name} answered another hello than was sent")
        if not 64 <= facts.payload_bytes <= MAX_PAYLOAD:
            raise LinkError(
                f"the device {self.name} announces payloads of {facts.payload_bytes} bytes, not 64 to 32768"
            )
        if self._expected_hash not in (None, facts.model_hash):
            raise LinkError(
                f"the device {self.name} runs the model {facts.model_hash[:12]}, not {self._expected_hash[:12]}; "
                "flash it again"
            )
        self._facts = facts
        return facts

    def infer(self, block: bytes) -> bytes:
        """Output block for an input block.

        Parameters
        ----------
        block
            All input tensors, as long as ``Hello.input_bytes``.

        Raises
        ------
        DeviceError
            Also when the model itself returns an error.
        """
        return self._outputs(self._run(block, Mode.INFER))

    def parity(self, block: bytes) -> ParityReply:
        """Output block and checksums of all layers; needs firmware that observes (``TN_OBSERVE``)."""
        result = self._run(block, Mode.PARITY)
        outputs = self._outputs(result)
        records = self._read(Region.LAYERS, b"", result.layers_bytes)
        return ParityReply(outputs, tuple(np.frombuffer(self._whole(records, 4), "<u4").tolist()))

    def profile(self, block: bytes) -> ProfileReply:
        """Cost of one run."""
        result = self._run(block, Mode.PROFILE)
        outputs = self._outputs(result)
        records = self._read(Region.LAYERS, b"", result.layers_bytes)
        layer_ticks = tuple(np.frombuffer(self._whole(records, 8), "<u8").tolist())
        return ProfileReply(outputs, result.ticks, layer_ticks, result.stack_bytes)

    def stream(
        self, chunks: Iterable[bytes], *, channels: int = 1, window_bytes: int | None = None
    ) -> Iterator[StreamResult]:
        """Send samples as they come and give the results as they come.

        Parameters
        ----------
        chunks
            Samples in pieces of any size, interleaved: one byte of each channel, then the next time step.
        channels
            Channels of the stream; the model's input holds one after the other.
        window_bytes
            Bytes of the input block that a window fills; default: all of it.

        Yields
        ------
        StreamResult
            Whenever a window is complete.
        """
        facts = self._session()
        self._held = None
        window = facts.input_bytes if window_bytes is None else window_bytes
        if not (0 < window <= facts.input_bytes and 0 < channels < 1 << 16 and window % channels == 0):
            raise LinkError(
                f"a stream of {channels} channels cannot fill windows of {window} bytes "
                f"(the model takes {facts.input_bytes})"
            )
        self._ask(Type.STREAM_BEGIN, protocol.STREAM_BEGIN.pack(window, channels), 0)
        position = 0
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                piece = rest[: facts.payload_bytes - protocol.STREAM_PUSH.size]
                taken, result = self._push(position, bytes(piece))
                position += taken
                rest = rest[taken:]
                if result is not None:
                    yield StreamResult(position, self._outputs(result), result.ticks)

    def stats(self) -> Stats:
        """What the device's link has counted since it started."""
        return Stats.unpack(self._exchange.ask(Type.STATS))

    def _session(self) -> Hello:
        return self._facts or self.hello()

    def _ask(self, kind: Type, payload: bytes, reply_bytes: int) -> bytes:
        reply = self._exchange.ask(kind, payload)
        if len(reply) != reply_bytes:
            raise LinkError(f"the device {self.name} answered {kind.name} with {len(reply)} bytes, not {reply_bytes}")
        return reply

    def _run(self, block: bytes, mode: Mode) -> Result:
        facts = self._session()
        if len(block) != facts.input_bytes:
            raise LinkError(f"the device {self.name} takes inputs of {facts.input_bytes} bytes, not {len(block)}")
        if mode not in facts.modes:
            raise LinkError(f"the firmware of {self.name} was built without the mode {mode.name.lower()}")
        self._upload(block)
        request = protocol.RUN.pack(mode, zlib.crc32(block))
        try:
            payload = self._exchange.ask(Type.RUN, request)
        except Refused as error:
            if error.code != Refusal.INPUT:
                raise
            # Reset since: what it was believed to hold has gone. A second refusal stands.
            self._held = None
            self._upload(block)
            payload = self._exchange.ask(Type.RUN, request)
        return self._checked(Result.unpack(payload))

    def _upload(self, block: bytes) -> None:
        """Write the pieces of the input block in which it differs from what the device holds."""
        size = self._session().payload_bytes - protocol.WRITE.size
        held, self._held = self._held, None
        for offset in range(0, len(block), size):
            piece = block[offset : offset + size]
            if held is None or held[offset : offset + size] != piece:
                self._ask(Type.WRITE, protocol.WRITE.pack(offset) + piece, 0)
        self._held = block

    def _push(self, position: int, samples: bytes) -> tuple[int, Result | None]:
        payload = self._exchange.ask(Type.STREAM_PUSH, protocol.STREAM_PUSH.pack(position & 0xFFFFFFFF) + samples)
        if len(payload) < protocol.STREAM_REPLY.size:
            raise LinkError(f"the device {self.name} answered STREAM_PUSH with {len(payload)} bytes, not 8 or more")
        reached, complete = protocol.STREAM_REPLY.unpack_from(payload)
        taken = (reached - position) & 0xFFFFFFFF
        if not 0 < taken <= len(samples):
            raise LinkError(f"the device {self.name} took {taken} of {len(samples)} bytes of the stream")
        if not complete:
            return taken, None
        return taken, self._checked(Result.unpack(payload[protocol.STREAM_REPLY.size :]))

    def _checked(self, result: Result) -> Result:
        if result.status != 0:
            raise DeviceError(f"the model on {self.name} failed with code {result.status}")
        return result

    def _outputs(self, result: Result) -> bytes:
        outputs = self._read(Region.OUTPUT, result.head, self._session().output_bytes)
        if zlib.crc32(outputs) != result.output_crc:
            raise LinkError(f"the output block of {self.name} arrived changed")
        return outputs

    def _read(self, region: Region, head: bytes, total: int) -> bytes:
        """`head` and what follows it in a region of the device."""
        size = self._session().payload_bytes
        data = bytearray(head[:total])
        while len(data) < total:
            count = min(size, total - len(data))
            data += self._ask(Type.READ, protocol.READ.pack(region, len(data), count), count)
        return bytes(data)

    def _whole(self, records: bytes, size: int) -> bytes:
        if len(records) % size:
            raise LinkError(f"the device {self.name} gave {len(records)} bytes of layer records of {size} bytes")
        return records
