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
from .samples import SampleStream

_HELLO_RETRY_S = 0.1
"""A device that is just starting drops what comes before its serial port is up."""

_WINDOW_TRIES = 3


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
class PushTicks:
    """What a window costs that is pushed slice by slice, in ticks.

    Attributes
    ----------
    push_mean : float
        Of a push.
    push_max, push_max_at : int
        Of the longest push, and its number, from 0.
    finish : int
        Of what is left when all slices are there.
    """

    push_mean: float
    push_max: int
    push_max_at: int
    finish: int


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
    pushes : PushTicks or None
        Of single slices, for a model that is streamed.
    """

    outputs: bytes
    ticks: int
    layer_ticks: tuple[int, ...]
    stack_bytes: int
    pushes: PushTicks | None = None


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
        """Cost of one run; a streamed model runs twice, the second time with every push timed on its own."""
        result = self._run(block, Mode.PROFILE)
        outputs = self._outputs(result)
        records = self._read(Region.LAYERS, b"", result.layers_bytes)
        layer_ticks = tuple(np.frombuffer(self._whole(records, 8), "<u8").tolist())
        pushes = self._pushes(block) if self._session().is_streamed else None
        return ProfileReply(outputs, result.ticks, layer_ticks, result.stack_bytes, pushes)

    def _pushes(self, block: bytes) -> PushTicks:
        result = self._run(block, Mode.PUSHES)
        record = self._read(Region.LAYERS, b"", result.layers_bytes)
        count, longest_at, ticks, longest, finish = protocol.PUSHES.unpack(
            protocol.exactly(protocol.PUSHES, record, "record of pushes")
        )
        if count != self._session().slices:
            raise LinkError(f"the device {self.name} timed {count} pushes, not {self._session().slices}")
        return PushTicks(ticks / count, longest, longest_at, finish)

    def stream(
        self, chunks: Iterable[bytes], *, channels: int | None = None, window_bytes: int | None = None
    ) -> Iterator[StreamResult]:
        """Send samples as they come and give the results as they come.

        Parameters
        ----------
        chunks
            Samples in pieces of any size, interleaved: one byte of each channel, then the next time step. A streamed
            model takes them slice by slice (``Hello.slice_bytes``).
        channels
            Channels of the stream; the model's input holds one after the other. Default: those of a streamed model's
            slices, else 1.
        window_bytes
            Bytes of the input block that a window fills; default: all of it.

        Yields
        ------
        StreamResult
            Whenever a window is complete.
        """
        self._held = None
        stream = SampleStream(self._exchange, self._session(), Mode.INFER, window_bytes, channels)
        for chunk in chunks:
            for result in stream.send(chunk):
                position = stream.position
                yield StreamResult(position, self._outputs(self._checked(result)), result.ticks)

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
        if facts.is_streamed:
            return self._checked(self._run_stream(facts.to_slices(block), mode))
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

    def _run_stream(self, samples: bytes, mode: Mode) -> Result:
        """Push a window; from its start when the device lost its place, because it was reset or the line went mad."""
        for attempt in range(_WINDOW_TRIES):
            try:
                (result,) = SampleStream(self._exchange, self._session(), mode).send(samples)
            except Refused as error:
                if error.code != Refusal.POSITION or attempt + 1 == _WINDOW_TRIES:
                    raise
            else:
                return result
        raise AssertionError

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
