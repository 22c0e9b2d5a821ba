"""MODEL on the command line: an int8 .tflite file, or a bundle whose first model is taken."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import HostToolsError

if TYPE_CHECKING:
    from thumbnet.quantize.bundle import Bundle

_ZIP = b"PK\x03\x04"
_HDF5 = b"\x89HDF"


@dataclass(frozen=True)
class ModelFile:
    """A model and what travels with it."""

    path: Path
    tflite: bytes
    bundle: Bundle | None = None

    @property
    def sha256(self) -> str:
        """Hash of the .tflite bytes, 64 hexadecimal digits; generated code and devices carry the same."""
        return hashlib.sha256(self.tflite).hexdigest()

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.path.stem

    def to_dict(self) -> dict[str, str]:
        """JSON form."""
        return {"file": self.path.name, "sha256": self.sha256}


def read_model(path: Path) -> ModelFile:
    """Read a .tflite file or a bundle.

    Parameters
    ----------
    path
        The file; what it is is told by its content, not by its name.

    Raises
    ------
    HostToolsError
        When the file is missing, a folder, or a Keras model that has yet to be converted.
    CodegenError
        When its bytes are no model; names the file.
    QuantizeError
        When it is a bundle that cannot be read.
    """
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "does not exist"
        raise HostToolsError(f"the model {path} {reason}; give an int8 .tflite file or a bundle")
    data = path.read_bytes()
    if data.startswith(_HDF5) or (data.startswith(_ZIP) and _is_keras(path)):
        raise HostToolsError(f"{path} is a Keras model; turn it into an int8 model first: thumbnet convert {path}")
    if not data.startswith(_ZIP):
        return ModelFile(path, _checked(path, data))
    from thumbnet.quantize.bundle import Bundle

    bundle = Bundle.read(path)
    return ModelFile(path, bundle.tflite, bundle)


def _checked(path: Path, tflite: bytes) -> bytes:
    from thumbnet.codegen import CodegenError
    from thumbnet.codegen.tflite import read_graph

    try:
        read_graph(tflite)
    except CodegenError as error:
        raise type(error)(f"{path}: {error}") from error
    return tflite


def _is_keras(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "config.json" in archive.namelist()
