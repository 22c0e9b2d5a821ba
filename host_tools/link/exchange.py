"""One request, one reply: sequence numbers, repetition and deadlines. Stop and wait; only the host repeats."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from ..devices.base import BytePipe
from ..errors import DeviceFaulted, DeviceTimeout, LinkError
from .frames import VERSION, Frame, FrameDecoder, encode_frame
from .protocol import EXCEPTIONS, FAULT, REASONS, REFUSED, REPLY, Refusal, Type, exactly


@dataclass(frozen=True)
class Timing:
    """How long to wait, in seconds.

    Attributes
    ----------
    timeout : float
        A device that has said nothing for so long has stopped answering.
    retry : float
        Wait before the first repetition; each further wait is twice as long.
    per_byte : float
        Added to every wait for each byte of the request: the slowest line that does not lead to repetitions.
    run_timeout : float
        In place of `timeout` while the model runs, since the device last said so.
    run_retry : float
        In place of `retry` while the model runs. Long: every byte that comes in then interrupts the model
        and shows in its instruction count.
    """

    timeout: float = 5.0
    retry: float = 1.0
    per_byte: float = 1e-3
    run_timeout: float = 600.0
    run_retry: float = 60.0


class Refused(LinkError):  # noqa: N818
    """The device refused a request.

    Attributes
    ----------
    code : int
        A Refusal, or a number that this version does not know.
    """

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


class Exchange:
    """Requests to one device and their replies.

    Parameters
    ----------
    pipe
        The way to the device.
    timing
        How long to wait.

    Attributes
    ----------
    decoder : FrameDecoder
        With counts of what came in.
    repeats : int
        Requests sent again.
    """

    def __init__(self, pipe: BytePipe, timing: Timing) -> None:
        self.pipe = pipe
        self.timing = timing
        self.decoder = FrameDecoder()
        self.repeats = 0
        self._sequence = secrets.randbelow(1 << 16)
        self._waiting: list[Frame] = []

    def ask(self, kind: Type, payload: bytes = b"", retry: float | None = None) -> bytes:
        """Payload of the reply to a request.

        Parameters
        ----------
        kind
            The request.
        payload
            Its payload.
        retry
            Wait before the first repetition, seconds; default: the timing's.

        Raises
        ------
        DeviceTimeout
            When the device falls silent.
        LinkError
            When what comes back is no reply, or refuses the request.
        DeviceFaulted
            When the device reports a processor fault.
        DeviceClosed
            When the connection ends.
        """
        self._sequence = (self._sequence + 1) & 0xFFFF
        turn = _Turn(self, kind, encode_frame(Frame(kind, self._sequence, payload)), retry)
        self._waiting.clear()
        turn.send()
        while True:
            frame = self._next(turn.wait_until())
            now = time.monotonic()
            if frame is None:
                turn.quiet(now)
            elif frame.version != VERSION:
                raise LinkError(
                    f"the device {self.pipe.name} speaks version {frame.version} of the link protocol, "
                    f"these tools version {VERSION}; flash it again"
                )
            elif frame.type == Type.FAULT:
                raise DeviceFaulted(_fault(self.pipe.name, frame))
            elif frame.sequence == self._sequence:
                if frame.type == Type.BUSY:
                    turn.busy(now)
                elif frame.type == Type.REFUSED:
                    raise _refused(self.pipe.name, kind, frame)
                elif frame.type == kind | REPLY:
                    return frame.payload

    def _next(self, until: float) -> Frame | None:
        """Give the next sound frame, or None when none came until then."""
        while not self._waiting:
            left = until - time.monotonic()
            if left <= 0.0:
                return None
            self._waiting = self.decoder.feed(self.pipe.read(left))
        return self._waiting.pop(0)


class _Turn:
    """The clocks of one request."""

    def __init__(self, exchange: Exchange, kind: Type, encoded: bytes, retry: float | None) -> None:
        timing = exchange.timing
        self._exchange = exchange
        self._kind = kind
        self._encoded = encoded
        self._line_time = timing.per_byte * len(encoded)
        self._allowed = timing.timeout + self._line_time
        self._wait = (timing.retry if retry is None else retry) + self._line_time
        self._sent = 0
        self._heard_before = (exchange.decoder.received, exchange.decoder.frames)
        self._deadline = time.monotonic() + self._allowed
        self._repeat_at = 0.0

    def send(self) -> None:
        self._exchange.pipe.write(self._encoded)
        self._sent += 1
        self._repeat_at = time.monotonic() + self._wait
        self._wait *= 2

    def wait_until(self) -> float:
        return min(self._repeat_at, self._deadline)

    def quiet(self, now: float) -> None:
        """Nothing came until the next repetition or the deadline."""
        if now >= self._deadline:
            raise self._silence()
        if now >= self._repeat_at:
            self._exchange.repeats += 1
            self.send()

    def busy(self, now: float) -> None:
        """Note that the model runs."""
        timing = self._exchange.timing
        self._allowed = timing.run_timeout
        self._deadline = now + self._allowed
        self._wait = timing.run_retry
        self._repeat_at = now + self._wait

    def _silence(self) -> DeviceTimeout | LinkError:
        name = self._exchange.pipe.name
        decoder = self._exchange.decoder
        received, frames = decoder.received - self._heard_before[0], decoder.frames - self._heard_before[1]
        if received and not frames:
            return LinkError(
                f"the device {name} sent {received} bytes but no sound frame within {self._allowed:.3g} s; "
                "it runs other firmware or another baud rate"
            )
        tries = f"{self._sent - 1} repetition{'s' if self._sent != 2 else ''}"
        return DeviceTimeout(
            f"the device {name} did not answer {self._kind.name} within {self._allowed:.3g} s and {tries}"
        )


def _refused(name: str, kind: Type, frame: Frame) -> LinkError:
    code, _ = REFUSED.unpack(exactly(REFUSED, frame.payload, "refusal"))
    reason = REASONS[Refusal(code)] if code in list(Refusal) else f"code {code}"
    return Refused(f"the device {name} refused {kind.name}: {reason}", code)


def _fault(name: str, frame: Frame) -> str:
    (number,) = FAULT.unpack(exactly(FAULT, frame.payload, "fault"))
    what = EXCEPTIONS.get(number, f"interrupt {number - 16} without a handler")
    return f"the processor of {name} stopped with a {what} (exception {number})"
