"""Bundles of several models: a mixture of experts, which the compiler puts together (``docs/compiler.md``)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from thumbnet.codegen.errors import CompositionError
from thumbnet.codegen.mixture.plan import KIND, compose

from .errors import BundleError

if TYPE_CHECKING:
    from thumbnet.codegen.mixture.plan import Mixture

    from .bundle import Bundle

#: Kinds of bundles whose channels have no fixed scale: every window is normalised by itself.
NORMALISED = ("hemodynamics",)
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
    from .bundle import SCHEMA_VERSION, Bundle, check_manifest

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
    from thumbnet.codegen.mixture.plan import unpack

    return unpack(mixture.to_bytes())


def mixture_of(composition: Any, files: Mapping[str, bytes], where: str) -> Mixture:
    """The mixture that a manifest describes; BundleError where it is none."""
    try:
        return compose(composition, files)
    except CompositionError as error:
        raise BundleError(f"{where}: {error}") from None


def check_composition(manifest: Mapping[str, Any], where: str) -> None:
    """One model alone, or a mixture that names the files of the manifest and its labels; BundleError otherwise."""
    composition, models = manifest["composition"], manifest["models"]
    if composition == "single" and len(models) == 1:
        return
    if not isinstance(composition, Mapping):
        raise BundleError(
            f"{where} composes {len(models)} models as {composition!r}; allowed are 1 model as 'single' and a mixture"
        )
    if composition.get("kind") != KIND:
        raise BundleError(f"{where}: composition must be of the kind '{KIND}', got {composition.get('kind')!r}")
    listed = {model.get("file") for model in models if isinstance(model, Mapping)}
    # The parts themselves are checked when they are put together.
    tasks = mixture_of(composition, {name: b"" for name in listed if isinstance(name, str)}, where).tasks
    names = [task.name for task in tasks]
    if names != manifest["labels"]:
        raise BundleError(f"{where}: labels must be the names of the tasks {names}, got {manifest['labels']}")
