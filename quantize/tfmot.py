"""The one door to TensorFlow's model optimization toolkit (tfmot): nothing else imports it.

tfmot 0.8.1 wraps models of Keras 2 only (`tf_keras`). TensorFlow 2.16 and later bring Keras 3 unless
``TF_USE_LEGACY_KERAS=1`` is set before it is first imported; tfmot then fails far from the cause, with a layer that "is
not a `tf.keras` layer". Here the versions are looked at first, and the error names the fix.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

from .errors import ToolkitError
from .graph import copy_model

TESTED = {"tensorflow": "2.21.0", "tf-keras": "2.21.0", "tensorflow-model-optimization": "0.8.1"}
"""Versions that go together; pruning and quantization-aware training are tested with these."""

FIX = "pip install " + " ".join(f"'{name}=={version}'" for name, version in TESTED.items())


def load_tfmot() -> ModuleType:
    """Return the `tensorflow_model_optimization` module, after checking that it can work.

    Returns
    -------
    module
        With `sparsity.keras`, `quantization.keras` and `clustering.keras`.

    Raises
    ------
    ToolkitError
        When a package is missing, versions do not go together, or TensorFlow was loaded with Keras 3.
    """
    check_versions({name: _version(name) for name in TESTED})
    _check_keras()
    try:
        import tensorflow_model_optimization as tfmot
    # Versions that do not fit fail in imports and attributes alike.
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise ToolkitError(
            f"tensorflow-model-optimization cannot be loaded ({type(error).__name__}: {reason}): {FIX}"
        ) from error
    return tfmot


def check_versions(found: dict[str, str | None]) -> None:
    """Refuse versions that do not go together.

    Parameters
    ----------
    found : dict of str to str or None
        Version of each package of `TESTED`; None where it is not installed.

    Raises
    ------
    ToolkitError
        Names the package, what is there, and the command that puts it right.
    """
    for name, tested in TESTED.items():
        version = found[name]
        if version is None:
            raise ToolkitError(f"pruning and quantization-aware training need {name}, which is not installed: {FIX}")
        if _minor(version) != _minor(tested):
            raise ToolkitError(
                f"{name} {version} does not go with the others ({_others(found, name)}); tested is {tested}: {FIX}"
            )


def with_sparsity(model: Any, share: float | None) -> Any:
    """Wrap convolutions and dense layers so that training keeps part of their weights at 0.

    The weights with the smallest magnitude of each layer are chosen anew every hundred steps. Depthwise kernels are
    never pruned.

    Parameters
    ----------
    model : keras.Model
        Left as it was.
    share : float or None
        Of each kernel's weights, above 0 and below 1; None: two of every four along the input channels, in
        layers whose input channels are a multiple of four.

    Returns
    -------
    keras.Model
        To be trained, then given to :func:`without_wrappers`.
    """
    import tf_keras as keras

    sparsity = load_tfmot().sparsity.keras
    # The first training step is step 1, and masks are made where (step - begin) is a multiple of the frequency.
    settings: dict[str, Any] = {"pruning_schedule": sparsity.ConstantSparsity(share or 0.5, begin_step=1)}
    if share is None:
        settings["sparsity_m_by_n"] = (2, 4)

    def wrap(layer: Any) -> Any:
        chosen = type(layer) in (keras.layers.Conv2D, keras.layers.Dense)
        if not chosen or (share is None and layer.input_shape[-1] % 4):
            return layer
        return sparsity.prune_low_magnitude(layer, **settings)

    wrapped = keras.models.clone_model(copy_model(model), clone_function=wrap)
    for layer in _pruned(wrapped):
        layer.pruning_step.assign(0)
    return wrapped


def without_wrappers(model: Any) -> Any:
    """Return a plain model from one of :func:`with_sparsity`, its chosen weights at exactly 0."""
    for layer in _pruned(model):
        layer.pruning_obj.weight_mask_op()
    return copy_model(load_tfmot().sparsity.keras.strip_pruning(model))


def _pruned(model: Any) -> list[Any]:
    return [layer for layer in model.layers if hasattr(layer, "pruning_obj")]


def quantization_aware(model: Any, *, keep_zeros: bool = False) -> Any:
    """Return a model that computes with the rounding of int8 while it trains.

    Parameters
    ----------
    model : keras.Model
        A functional model without models inside; left as it was.
    keep_zeros : bool
        Weights that are 0 stay 0.

    Raises
    ------
    ToolkitError
        tfmot does not know how to quantize a layer of it.
    """
    tfmot = load_tfmot()
    quantization = tfmot.quantization.keras
    copy = copy_model(model)
    try:
        if not keep_zeros:
            return quantization.quantize_model(copy)
        scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme
        with quantization.quantize_scope():
            return quantization.quantize_apply(quantization.quantize_annotate_model(copy), scheme())
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ToolkitError(f"model '{model.name}' cannot be trained quantization-aware: {reason}") from error


def _check_keras() -> None:
    """Refuse a TensorFlow that was loaded with Keras 3, which no setting changes any more."""
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() not in ("1", "true"):
        raise ToolkitError(
            f"TF_USE_LEGACY_KERAS is {os.environ.get('TF_USE_LEGACY_KERAS')!r}, and tfmot needs Keras 2; "
            "run `export TF_USE_LEGACY_KERAS=1` before starting Python"
        )
    loaded = sys.modules.get("tensorflow")
    if loaded is None:
        return
    if not loaded.keras.Model.__module__.startswith("tf_keras"):
        raise ToolkitError(
            "TensorFlow was loaded with Keras 3, and tfmot wraps models of Keras 2 only; run `export "
            "TF_USE_LEGACY_KERAS=1` before starting Python, or import thumbnet before tensorflow"
        )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _others(found: dict[str, str | None], name: str) -> str:
    return ", ".join(f"{other} {version}" for other, version in found.items() if other != name)
