"""The bundle of a mixture of experts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from thumbnet.codegen.mixture.plan import Mixture, unpack

from .bundle import SCHEMA_VERSION, Bundle, check_manifest

_ROLES = {"experts": "expert"}


def mixture_bundle(
    mixture: Mixture,
    *,
    channels: Sequence[Mapping[str, Any]],
    preprocessing: Sequence[Mapping[str, Any]],
    calibration: Mapping[str, Any],
    training: Mapping[str, Any],
    licences: Sequence[str],
    versions: Mapping[str, str],
    kind: str = "hemodynamics",
    signals: Mapping[str, Any] | None = None,
) -> Bundle:
    """Put the bundle of a mixture of experts together.

    Parameters
    ----------
    mixture : Mixture
        Parts and tasks; the tasks' names become the labels.
    channels : sequence of mapping
        ``name``, ``unit``, ``rate`` (Hz) and ``kind`` of every channel.
    preprocessing, calibration, training, licences, versions, signals
        As :meth:`.bundle.Bundle.create` takes them.
    kind : str
        What the bundle does.

    Raises
    ------
    BundleError
        When a value is missing or of the wrong kind.
    """
    files, composition = _files(mixture)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "models": [
            {"file": name, "role": _ROLES.get(role, role), "sha256": hashlib.sha256(files[name]).hexdigest()}
            for role in ("bottom", "gate", "experts", "towers")
            for name in _names(composition, role)
        ],
        "composition": composition,
        "channels": [dict(channel) for channel in channels],
        "preprocessing": [dict(step) for step in preprocessing],
        "labels": [task.name for task in mixture.tasks],
        "calibration": dict(calibration),
        "training": dict(training),
        "licences": list(licences),
        "versions": dict(versions),
        **({} if signals is None else {"signals": dict(signals)}),
    }
    check_manifest(manifest, "the new bundle")
    return Bundle(manifest, files)


def _names(composition: Mapping[str, Any], role: str) -> list[str]:
    value = composition.get(role, [])
    return [value] if isinstance(value, str) else list(value)


def _files(mixture: Mixture) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files by name, and the composition that names them."""
    return unpack(mixture.to_bytes())
