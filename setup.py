"""Map the top-level folders to the rooms of the `thumbnet` package; everything else is in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

ROOMS = ("training", "quantize", "codegen", "host_tools")
ROOT = Path(__file__).parent


def packages_of(room: str) -> list[str]:
    """Packages of a room, the room itself first."""
    return [room, *(f"{room}.{name}" for name in find_packages(str(ROOT / room)))]


def firmware_files() -> list[str]:
    """The C side travels as data of `thumbnet.firmware`, so that a wheel can build firmware too."""
    folder = ROOT / "firmware"
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".pio" not in path.parts and "__pycache__" not in path.parts
    ]


setup(
    packages=[f"thumbnet.{name}" for room in ROOMS for name in packages_of(room)] + ["thumbnet.firmware"],
    package_dir={
        **{f"thumbnet.{name}": name.replace(".", "/") for room in ROOMS for name in packages_of(room)},
        "thumbnet.firmware": "firmware",
    },
    package_data={
        "thumbnet.firmware": firmware_files(),
        "thumbnet.codegen": ["templates/*", "*.json"],
        "thumbnet.host_tools": ["templates/*", "data/*"],
        "thumbnet.training": ["recipes/*.toml"],
    },
)
