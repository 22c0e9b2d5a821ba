"""The bundle: a model with all that is needed to use it, in one file. No TensorFlow here.

A zip archive, stored without compression so that equal contents are equal bytes everywhere:

    manifest.json   schema version, kind, models and hashes, channels, preprocessing, labels, calibration, ...
    model.tflite    the int8 model, one file per entry of "models"

``docs/bundle.md`` describes every key of the manifest.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .composition import NORMALISED, check_composition, mixture_of
from .errors import BundleError
from .signals import check_signals

if TYPE_CHECKING:
    import numpy as np

    from .scaling import ChannelScaling

SCHEMA_VERSION = 1
KINDS = ("sleep-staging", "hemodynamics")
MANIFEST = "manifest.json"
MODEL = "model.tflite"
_EPOCH_OF_ZIP = (1980, 1, 1, 0, 0, 0)
_LARGEST_MEMBER = 64 << 20

# Key of the manifest -> type; all are required, "signals" may be there besides.
_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "schema_version": int,
    "kind": str,
    "models": list,
    "composition": (str, dict),
    "channels": list,
    "preprocessing": list,
    "labels": list,
    "calibration": dict,
    "training": dict,
    "licences": list,
    "versions": dict,
}
_CHANNEL_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "unit": str,
    "rate": (int, float),
    "kind": str,
    "gain": (int, float),
    "clip_uv": (int, float),
}
_WITHOUT_SCALE = ("gain", "clip_uv")


@dataclass(frozen=True)
class Bundle:
    """A model and its manifest.

    Attributes
    ----------
    manifest : dict
        JSON values, checked.
    files : dict of str to bytes
        The .tflite files by name.
    """

    manifest: dict[str, Any]
    files: dict[str, bytes]

    @classmethod
    def create(
        cls,
        tflite: bytes,
        *,
        scaling: ChannelScaling,
        rate: float,
        channel_kinds: Sequence[str],
        preprocessing: Sequence[Mapping[str, Any]],
        labels: Sequence[str],
        calibration: Mapping[str, Any],
        training: Mapping[str, Any],
        licences: Sequence[str],
        versions: Mapping[str, str],
        kind: str = "sleep-staging",
        signals: Mapping[str, Any] | None = None,
    ) -> Bundle:
        """Put a bundle of one model together.

        Parameters
        ----------
        tflite : bytes
            The int8 model.
        scaling : ChannelScaling
            Gain and clip of each channel; its names become the channels'.
        rate : float
            Samples per second of every channel.
        channel_kinds : sequence of str
            What each channel is: "eeg", "eog", "emg raw", "emg envelope", ...
        preprocessing : sequence of mapping
            The steps before the model, in order, each ``{"step": name, ...settings}``.
        labels : sequence of str
            Name of each output.
        calibration : mapping
            How the ranges were found: ``windows``, ``subjects`` (how many), ``method``.
        training : mapping
            Protocol of the split, and how the network was trained.
        licences : sequence of str
            Of the training data.
        versions : mapping of str to str
            Of the programs that made the model.
        kind : str
            What the bundle does; one of `KINDS`.
        signals : mapping, optional
            What the device does between its converter and the model, see :mod:`.signals`.

        Returns
        -------
        Bundle

        Raises
        ------
        BundleError
            When a value is missing or of the wrong kind.
        """
        if len(channel_kinds) != len(scaling.channels):
            raise BundleError(f"{len(scaling.channels)} channels need as many kinds, got {list(channel_kinds)}")
        rows = zip(scaling.channels, channel_kinds, scaling.gain, scaling.clip_uv, strict=True)
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "kind": kind,
            "models": [{"file": MODEL, "role": "classifier", "sha256": _sha256(tflite)}],
            "composition": "single",
            "channels": [
                {"name": name, "unit": "uV", "rate": float(rate), "kind": what, "gain": gain, "clip_uv": clip}
                for name, what, gain, clip in rows
            ],
            "preprocessing": [dict(step) for step in preprocessing],
            "labels": list(labels),
            "calibration": dict(calibration),
            "training": dict(training),
            "licences": list(licences),
            "versions": dict(versions),
            **({} if signals is None else {"signals": dict(signals)}),
        }
        check_manifest(manifest, "the new bundle")
        return cls(manifest, {MODEL: tflite})

    @property
    def tflite(self) -> bytes:
        """The model as the compiler takes it: a .tflite file, or the archive of several that are composed."""
        if self.manifest["composition"] != "single":
            return mixture_of(self.manifest["composition"], self.files, "the bundle").to_bytes()
        return self.files[self.manifest["models"][0]["file"]]

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each output of the model."""
        return tuple(self.manifest["labels"])

    @property
    def channels(self) -> tuple[str, ...]:
        """Name of each channel, in the order of the model's rows."""
        return tuple(channel["name"] for channel in self.manifest["channels"])

    @property
    def signals(self) -> dict[str, Any] | None:
        """What the device does between its converter and the model; None where nothing is declared."""
        declared: dict[str, Any] | None = self.manifest.get("signals")
        return declared

    @property
    def rate(self) -> float:
        """Samples per second."""
        return float(self.manifest["channels"][0]["rate"])

    @property
    def scaling(self) -> ChannelScaling:
        """Gain and clip of each channel."""
        from .scaling import ChannelScaling

        return ChannelScaling(self.channels, tuple(float(channel["clip_uv"]) for channel in self.manifest["channels"]))

    def scale(self, signals: np.ndarray) -> np.ndarray:
        """Scale (N, channels, samples) microvolts to the model's input, float32 (N, channels, samples, 1)."""
        return self.scaling.apply(signals)

    def to_bytes(self) -> bytes:
        """Return the archive; equal bundles give equal bytes.

        Raises
        ------
        BundleError
            When a value of the manifest is no JSON value, or NaN.
        """
        try:
            text = json.dumps(self.manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BundleError(f"the bundle's manifest must hold finite JSON values: {error}") from None
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, data in ((MANIFEST, (text + "\n").encode()), *sorted(self.files.items())):
                entry = zipfile.ZipInfo(name, _EPOCH_OF_ZIP)
                entry.external_attr = 0o644 << 16
                entry.create_system = 3
                archive.writestr(entry, data)
        return buffer.getvalue()

    def write(self, path: Path | str) -> None:
        """Write the archive to a file.

        Raises
        ------
        BundleError
            As :meth:`to_bytes`, or when the file cannot be written.
        """
        data = self.to_bytes()
        try:
            Path(path).write_bytes(data)
        except OSError as error:
            raise BundleError(f"bundle {path} cannot be written: {error.strerror}") from None

    @classmethod
    def read(cls, path: Path | str) -> Bundle:
        """Read and check a bundle.

        Raises
        ------
        BundleError
            When the file is missing, no zip archive, without manifest, of another schema version, or a model
            is missing or does not have the hash that the manifest states.
        """
        path = Path(path)
        if not path.is_file():
            raise BundleError(f"bundle {path} does not exist")
        try:
            return cls.from_bytes(path.read_bytes(), str(path))
        except OSError as error:
            raise BundleError(f"bundle {path} cannot be read: {error.strerror}") from None

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "bundle") -> Bundle:
        """Read a bundle from memory; `where` names it in errors, which are those of :meth:`read`."""
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = {entry.filename: entry for entry in archive.infolist()}
                if MANIFEST not in members:
                    raise BundleError(f"{where} is no bundle: the archive holds no {MANIFEST}")
                manifest = _parse(_member(archive, members[MANIFEST], where), where)
                check_manifest(manifest, where)
                files = {}
                for model in manifest["models"]:
                    if model["file"] not in members:
                        raise BundleError(f"{where} lacks the file {model['file']!r} that its manifest names")
                    files[model["file"]] = _member(archive, members[model["file"]], where)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            RuntimeError,
            ArithmeticError,
            ValueError,
            OSError,
        ) as error:
            raise BundleError(f"{where} is not a readable bundle (a zip archive): {error}") from None
        for model in manifest["models"]:
            found = _sha256(files[model["file"]])
            if found != model["sha256"]:
                raise BundleError(
                    f"{where}: {model['file']} has SHA-256 {found[:16]}..., the manifest states "
                    f"{model['sha256'][:16]}...; the bundle is damaged or was altered"
                )
        return cls(manifest, files)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, where: str) -> bytes:
    if entry.file_size > _LARGEST_MEMBER:
        raise BundleError(
            f"{where}: {entry.filename} is {entry.file_size} bytes; at most {_LARGEST_MEMBER} are allowed"
        )
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BundleError(
            f"{where}: {entry.filename} is compressed by method {entry.compress_type}; allowed are "
            f"{zipfile.ZIP_STORED} (stored) and {zipfile.ZIP_DEFLATED} (deflated)"
        )
    return archive.read(entry)


def _parse(data: bytes, where: str) -> dict[str, Any]:
    try:
        manifest = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise BundleError(f"{where}: {MANIFEST} is not JSON: {error}") from None
    if not isinstance(manifest, dict):
        raise BundleError(f"{where}: {MANIFEST} must hold one JSON object, got {type(manifest).__name__}")
    return manifest


def check_manifest(manifest: Mapping[str, Any], where: str) -> None:
    """Check every value of a manifest; BundleError names the first that is wrong."""
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BundleError(f"{where} has schema version {version!r}; this thumbnet reads {SCHEMA_VERSION}")
    _check_keys(manifest, _KEYS, f"{where}: manifest")
    if manifest["kind"] not in KINDS:
        raise BundleError(f"{where} is of the kind {manifest['kind']!r}; allowed are {list(KINDS)}")
    check_composition(manifest, where)
    for model in manifest["models"]:
        _check_keys(model, {"file": str, "role": str, "sha256": str}, f"{where}: model")
    if not manifest["channels"] or not manifest["labels"]:
        raise BundleError(f"{where} needs at least one channel and one label")
    _check_channels(manifest, where)
    for step in manifest["preprocessing"]:
        _check_keys(step, {"step": str}, f"{where}: preprocessing step")
    for key in ("labels", "licences"):
        if not all(isinstance(item, str) for item in manifest[key]):
            raise BundleError(f"{where}: {key} must be a list of strings, got {manifest[key]!r}")


def _check_keys(table: Any, keys: Mapping[str, Any], where: str) -> None:
    if not isinstance(table, Mapping):
        raise BundleError(f"{where} must be a JSON object, got {table!r}")
    for key, kind in keys.items():
        if key not in table:
            raise BundleError(f"{where} lacks {key!r}; required are {list(keys)}")
        if not isinstance(table[key], kind) or isinstance(table[key], bool):
            names = [item.__name__ for item in (kind if isinstance(kind, tuple) else (kind,))]
            raise BundleError(f"{where}: {key} must be {' or '.join(names)}, got {table[key]!r}")


def _check_channels(manifest: Mapping[str, Any], where: str) -> None:
    normalised = manifest["kind"] in NORMALISED
    keys = {key: kind for key, kind in _CHANNEL_KEYS.items() if not (normalised and key in _WITHOUT_SCALE)}
    for channel in manifest["channels"]:
        _check_keys(channel, keys, f"{where}: channel")
        if not normalised:
            _check_channel(channel, where)
        elif not 0 < channel["rate"] < float("inf"):
            raise BundleError(f"{where}: rate of channel {channel['name']!r} must be positive, got {channel['rate']!r}")
    if "signals" in manifest:
        check_signals(manifest["signals"], [channel["name"] for channel in manifest["channels"]], where, normalised)


def _check_channel(channel: Mapping[str, Any], where: str) -> None:
    name = channel["name"]
    if channel["unit"] != "uV":
        raise BundleError(f"{where}: channel {name!r} has the unit {channel['unit']!r}; allowed is 'uV'")
    for key in ("rate", "gain", "clip_uv"):
        if not 0 < channel[key] < float("inf"):
            raise BundleError(f"{where}: {key} of channel {name!r} must be positive, got {channel[key]!r}")
    if abs(channel["gain"] * channel["clip_uv"] - 1) > 1e-6:
        raise BundleError(
            f"{where}: gain and clip_uv of channel {name!r} must multiply to 1, "
            f"got {channel['gain']!r} and {channel['clip_uv']!r}"
        )
