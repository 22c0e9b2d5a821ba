"""What a bundle of several models says under ``composition`` (``docs/bundle.md``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thumbnet.codegen.errors import CompositionError
from thumbnet.codegen.mixture.plan import KIND, Mixture, compose

from .errors import BundleError

#: Kinds of bundles whose channels have no fixed scale: every window is normalised by itself.
NORMALISED = ("hemodynamics",)


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
