"""Real boards on a serial port, and anything else that pyserial can open by URL (``socket://HOST:PORT``)."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import DeviceClosed, DeviceError, DeviceTimeout
from .base import ClosingPipe

BAUD = 115200
"""Rate of the device application's serial port (``HAL_UART_BAUD``)."""
SEND_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Port:
    """A serial port of this computer.

    Attributes
    ----------
    device : str
        What to open, for example ``/dev/ttyACM0`` or ``COM3``.
    description : str
        For people.
    usb : bool
        Whether it is a USB device.
    """

    device: str
    description: str
    usb: bool


class SerialPipe(ClosingPipe):
    """An open serial port.

    Parameters
    ----------
    port
        Device name, or a URL that pyserial knows.
    baud
        Bits per second.
    name
        The device in messages; default: the port.

    Raises
    ------
    DeviceError
        When the port cannot be opened.
    """

    def __init__(self, port: str, baud: int = BAUD, name: str | None = None) -> None:
        import serial

        self.name = name or port
        try:
            self._port = serial.serial_for_url(port, baudrate=baud, timeout=0, write_timeout=SEND_TIMEOUT_S)
        except (OSError, ValueError) as error:
            raise DeviceError(f"the serial port {port} cannot be opened: {error}") from None

    def read(self, timeout: float) -> bytes:
        """See BytePipe."""
        try:
            self._port.timeout = max(timeout, 0.0)
            first = self._port.read(1)
            return bytes(first + self._port.read(self._port.in_waiting)) if first else b""
        except (OSError, TypeError) as error:  # pyserial: TypeError when the port was closed under it
            raise DeviceClosed(f"the device {self.name} has gone: {error}") from None

    def write(self, data: bytes) -> None:
        """See BytePipe."""
        import serial

        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            raise DeviceTimeout(f"the device {self.name} took no bytes for {SEND_TIMEOUT_S:g} s") from None
        except OSError as error:
            raise DeviceClosed(f"the device {self.name} has gone: {error}") from None

    def close(self) -> None:
        """Close the port."""
        self._port.close()


def list_ports() -> list[Port]:
    """Serial ports of this computer, USB devices first."""
    from serial.tools import list_ports as tool

    found = [Port(p.device, p.description or "", p.vid is not None) for p in tool.comports()]
    return sorted(found, key=lambda port: (not port.usb, port.device))


def find_port() -> str:
    """The one USB serial port.

    Raises
    ------
    DeviceError
        When there is none, or more than one; then with their names.
    """
    found = [port.device for port in list_ports() if port.usb]
    if len(found) == 1:
        return found[0]
    if not found:
        raise DeviceError("no USB serial port was found; connect the board, or name its port")
    raise DeviceError(f"there are several USB serial ports; name one of {', '.join(found)}")
