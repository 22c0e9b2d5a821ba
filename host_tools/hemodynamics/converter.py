"""What a device does between its converter and the network, and recordings as that converter gives them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import HostToolsError

if TYPE_CHECKING:
    from thumbnet.quantize.bundle import Bundle

    from .recipe import HemoRecipe

CHANNEL = "PPG"


def declared(recipe: HemoRecipe) -> dict[str, Any]:
    """Return the declaration of a recipe's converter, ending in windows between -1 and 1.

    The steps are those that the training windows went through: filters and resampling where windows are cut from
    recordings, resampling alone where they come cut.

    Raises
    ------
    ConfigError
        When the converter's rate has no small ratio to that of the windows.
    """
    from thumbnet.quantize.signals import declare_window
    from thumbnet.training.hemodynamics.readers import ppg_bp
    from thumbnet.training.hemodynamics.sources import PPG_BP, WFDB
    from thumbnet.training.hemodynamics.windows import WindowConfig

    source = recipe.source
    cut = source.windows if source.source in (PPG_BP, WFDB) else WindowConfig()
    usual = ppg_bp.RATE if source.source == PPG_BP else cut.rate
    rate = recipe.converter.rate or usual
    return declare_window(CHANNEL, recipe.converter.bits, rate, cut.steps(rate))


def read_counts(path: Path, bundle: Bundle) -> np.ndarray[Any, Any]:
    """Counts of the bundle's converter that a recording of a PPG gives.

    Parameters
    ----------
    path : pathlib.Path
        A WFDB header (.hea) of one segment that names a PPG, at any rate; or samples at the converter's rate, as .npy
        (also windows of them) or as .csv with one number a line. Whole numbers of .npy are counts.
    bundle : Bundle
        With a declaration.

    Returns
    -------
    ndarray of int32, shape (1, samples)
        Numbers that are no counts span three quarters of the converter's range.

    Raises
    ------
    HostToolsError, TrainingError
        When the recording cannot be read, or holds something else.
    """
    from thumbnet.quantize.signals import window_counts

    declaration = bundle.signals or {}
    if path.suffix == ".hea":
        signal, rate = _wfdb_ppg(path)
    else:
        signal, rate = _numbers(path), float(declaration["rate"])
        if signal.dtype.kind == "i":
            return signal.reshape(1, -1).astype(np.int32)
    flat = signal.reshape(-1).astype(float)
    if not np.isfinite(flat).all():
        raise HostToolsError(f"{path} must hold finite samples, got {int((~np.isfinite(flat)).sum())} others")
    unit = (flat - flat.min()) / max(float(np.ptp(flat)), 1e-30)
    counts: np.ndarray[Any, Any] = window_counts(declaration, unit[None], rate)[0].T
    return counts


def _wfdb_ppg(path: Path) -> tuple[np.ndarray[Any, Any], float]:
    from thumbnet.training.hemodynamics.readers.wfdb_header import read_header, read_signals
    from thumbnet.training.hemodynamics.readers.wfdb_records import PPG_NAMES

    header = read_header(path)
    names = [signal.name.strip().upper() for signal in header.signals]
    place = next((names.index(name) for name in PPG_NAMES if name in names), None)
    if place is None:
        raise HostToolsError(f"{path} must name a PPG ({', '.join(PPG_NAMES)}) in one segment, got {names}")
    return read_signals(header, path.parent, [place])[0], header.rate


def _numbers(path: Path) -> np.ndarray[Any, Any]:
    from ..windows import read_npy

    if path.suffix != ".csv":
        array = read_npy(path)
    elif path.is_file():
        try:
            array = np.loadtxt(path, delimiter=",", ndmin=1)
        except ValueError as error:
            raise HostToolsError(f"{path} must hold one number a line: {error}") from None
    else:
        raise HostToolsError(f"there is no file {path}")
    if array.ndim > 2 or not array.size or array.dtype.kind not in "if":
        raise HostToolsError(
            f"{path} must hold samples of one PPG, (samples) or (windows, samples), got {array.dtype} {array.shape}"
        )
    return array
