"""What the device link needs of a device: a pipe of bytes."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class BytePipe(Protocol):
    """Bytes to and from one device, which may lose, change or invent some: the link copes."""

    @property
    def name(self) -> str:
        """The device in messages, for example ``qemu_m4``."""
        ...

    def read(self, timeout: float) -> bytes:
        """Give what has come; wait for it up to `timeout` seconds; nothing came: no bytes.

        Raises
        ------
        DeviceClosed
            When nothing can come any more, with what the other side said last.
        """
        ...

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises
        ------
        DeviceClosed
            When the other side has gone.
        DeviceTimeout
            When it does not take the bytes.
        """
        ...

    def close(self) -> None:
        """Let go of the device; an emulator ends. May be called twice."""
        ...


class ClosingPipe:
    """Makes a pipe a context manager that closes it."""

    def close(self) -> None:
        """Let go of the device."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
