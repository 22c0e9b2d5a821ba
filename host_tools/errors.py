"""Errors of the host tools: what a user can put right, each in one sentence.

::

    HostToolsError               everything below; the command line prints it and exits 2
    ├── BoardError               unknown board, or a board that cannot do what was asked
    ├── BuildError               the compiler, the linker or PlatformIO refused the firmware
    │   └── ToolchainMissing     a program that has to be installed first, with the remedy
    ├── ElfError                 a file that is not the ELF image it was taken for
    └── DeviceError              the device, or the way to it
        ├── DeviceTimeout        nothing came back in time
        ├── DeviceFaulted        the device reported a processor fault
        ├── DeviceClosed         the connection ended, or the emulator stopped
        └── LinkError            what came back breaks the protocol, or does not fit the model
"""

from __future__ import annotations


class HostToolsError(Exception):
    """Base of every error that the host tools raise for a user's mistake or a broken device."""


class BoardError(HostToolsError):
    """Unknown board, or a board that cannot do what was asked."""


class BuildError(HostToolsError):
    """The compiler, the linker or PlatformIO refused the firmware."""


class ToolchainMissing(BuildError):  # noqa: N818 - the name says what happened, as the sentence does
    """A program that has to be installed first; the message holds the remedy."""


class ElfError(HostToolsError):
    """A file that is not the ELF image it was taken for."""


class DeviceError(HostToolsError):
    """The device, or the way to it."""


class DeviceTimeout(DeviceError):  # noqa: N818
    """Nothing came back in time."""


class DeviceFaulted(DeviceError):  # noqa: N818
    """The device reported a processor fault."""


class DeviceClosed(DeviceError):  # noqa: N818
    """The connection ended, or the emulator stopped."""


class LinkError(DeviceError):
    """What came back breaks the protocol, or does not fit the model."""
