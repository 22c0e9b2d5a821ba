"""Hypnograms: annotations or codes in, one stage per epoch out.

One rule decides for both: an epoch has the stage that covers more than half of it. Where none does (two
stages share it evenly, or movement and unknown prevail) the epoch is `DROPPED`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from ..errors import HypnogramError
from .edf_header import ANNOTATIONS_LABEL, EdfHeader, read_edf_header
from .quiet_mne import quiet_mne
from .stages import DROPPED, EPOCH_SECONDS, REM, SLEEP_EDF_STAGES, STAGES, W

_STAGE_PREFIX = "Sleep stage"
_TEXTS = dict(
    zip((*range(len(STAGES)), DROPPED), ("W", "1", "2", "3", "R", "?"), strict=True),
)
_LONGEST_SECONDS = 7 * 86400
_CODE_TOLERANCE = 0.05


@dataclass(frozen=True)
class Hypnogram:
    """Stages of consecutive epochs.

    Attributes
    ----------
    labels : numpy.ndarray
        int64, shape (epochs,): 0 to 4, or `DROPPED`.
    start : float
        Seconds from the start of the recording to the first epoch.
    epoch_seconds : float
        Length of an epoch.
    lights_off, lights_on : float or None
        Seconds from the start of the recording to the times at which somebody went to bed and got up; None where
        the recording does not say.
    """

    labels: np.ndarray
    start: float
    epoch_seconds: float = EPOCH_SECONDS
    lights_off: float | None = None
    lights_on: float | None = None

    @property
    def onsets(self) -> np.ndarray:
        """Seconds from the start of the recording to each epoch, float64."""
        return self.start + self.epoch_seconds * np.arange(len(self.labels))


def stages_from_annotations(
    onsets: Sequence[float],
    durations: Sequence[float],
    texts: Sequence[str],
    epoch_seconds: float = EPOCH_SECONDS,
    source: str = "annotations",
) -> Hypnogram:
    """Return the stage of each epoch from scored stretches of time.

    The first stretch begins the first epoch. A stretch without a duration lasts until the next one (the last:
    one epoch). Texts that speak of no stage ("Lights off") are passed over.

    Parameters
    ----------
    onsets, durations : sequence of float
        Seconds from the start of the recording; seconds.
    texts : sequence of str
        "Sleep stage W", "Sleep stage 1", ..., "Movement time".
    epoch_seconds : float
        Length of an epoch.
    source : str
        Named in errors.

    Returns
    -------
    Hypnogram

    Raises
    ------
    HypnogramError
        When there are no stages, one is unknown, or stretches overlap.
    """
    spans = _stage_spans(onsets, durations, texts, epoch_seconds, source)
    start = spans[0][0]
    end = max(stop for _, stop, _ in spans)
    if not 0 < end - start <= _LONGEST_SECONDS:
        raise HypnogramError(f"{source}: stages must span at most 7 days, got {end - start:g} s")
    count = int(np.ceil((end - start) / epoch_seconds - 1e-9))
    coverage = np.zeros((count, len(STAGES) + 1))
    for begin, stop, label in spans:
        first = int((begin - start) // epoch_seconds)
        edges = start + epoch_seconds * np.arange(first, min(count, _last(stop - start, epoch_seconds)))
        index = first + np.arange(len(edges))
        coverage[index, label] += np.clip(np.minimum(stop, edges + epoch_seconds) - np.maximum(begin, edges), 0, None)
    crowded = np.flatnonzero(coverage.sum(axis=1) > epoch_seconds + 1e-3)
    if len(crowded):
        at = start + epoch_seconds * crowded[0]
        raise HypnogramError(f"{source}: scored stretches must not overlap, two do in the epoch at {at:g} s")
    return Hypnogram(_prevailing(coverage, epoch_seconds), start, epoch_seconds)


def _last(seconds: float, epoch_seconds: float) -> int:
    return int(np.ceil(seconds / epoch_seconds - 1e-9))


def _stage_spans(
    onsets: Sequence[float],
    durations: Sequence[float],
    texts: Sequence[str],
    epoch_seconds: float,
    source: str,
) -> list[tuple[float, float, int]]:
    """Return (begin, stop, label) of each scored stretch in time order."""
    scored = sorted(
        (float(onset), float(duration), _label_of(text, source))
        for onset, duration, text in zip(onsets, durations, texts, strict=True)
        if text in SLEEP_EDF_STAGES or text.startswith(_STAGE_PREFIX)
    )
    if not scored:
        raise HypnogramError(f"{source}: no hypnogram, none of {len(texts)} annotations is a sleep stage")
    spans = []
    for i, (onset, duration, label) in enumerate(scored):
        if not (np.isfinite([onset, duration]).all() and duration >= 0):
            raise HypnogramError(f"{source}: a stage must have a finite onset and duration, got {onset}, {duration}")
        following = scored[i + 1][0] if i + 1 < len(scored) else onset + epoch_seconds
        spans.append((onset, onset + duration if duration else following, label))
    return spans


def _label_of(text: str, source: str) -> int:
    if text not in SLEEP_EDF_STAGES:
        raise HypnogramError(f"{source}: a stage must be one of {list(SLEEP_EDF_STAGES)}, got {text!r}")
    return SLEEP_EDF_STAGES[text]


def stages_from_codes(
    codes: np.ndarray,
    rate: float,
    labels: Mapping[int, int],
    epoch_seconds: float = EPOCH_SECONDS,
    source: str = "hypnogram channel",
) -> Hypnogram:
    """Return the stage of each whole epoch from a signal of integer codes.

    Parameters
    ----------
    codes : numpy.ndarray
        Samples of the code channel at its own rate.
    rate : float
        Samples per second.
    labels : mapping of int to int
        Label (or `DROPPED`) of each code.
    epoch_seconds : float
        Length of an epoch; a last, shorter one is left out.
    source : str
        Named in errors.

    Returns
    -------
    Hypnogram

    Raises
    ------
    HypnogramError
        When a code is no integer or not in `labels`, or there is not one epoch.
    """
    rounded = np.rint(codes)
    # Written so that NaN, too, counts as astray.
    astray = np.flatnonzero(~(np.abs(codes - rounded) <= _CODE_TOLERANCE))
    if len(astray):
        raise HypnogramError(f"{source}: codes must be integers, got {codes[astray[0]]:g} at sample {astray[0]}")
    integers = rounded.astype(np.int64)
    unknown = sorted(set(np.unique(integers).tolist()) - set(labels))
    if unknown:
        raise HypnogramError(f"{source}: codes must be among {sorted(labels)}, got {unknown}")
    epoch = np.floor(np.arange(len(codes)) / rate / epoch_seconds + 1e-9).astype(np.int64)
    count = int(len(codes) / rate / epoch_seconds + 1e-9)
    if count < 1:
        raise HypnogramError(f"{source}: codes last {len(codes) / rate:g} s, one epoch is {epoch_seconds:g} s")
    whole = epoch < count
    coverage = np.zeros((count, len(STAGES) + 1))
    values = np.array([labels[code] for code in integers[whole].tolist()])
    np.add.at(coverage, (epoch[whole], values), 1 / rate)
    return Hypnogram(_prevailing(coverage, epoch_seconds), 0.0, epoch_seconds)


def _prevailing(coverage: np.ndarray, epoch_seconds: float) -> np.ndarray:
    """Return the label that covers more than half of each epoch; the last column is `DROPPED`."""
    labels = coverage.argmax(axis=1)
    labels[(coverage.max(axis=1) <= epoch_seconds / 2 + 1e-6) | (labels == len(STAGES))] = DROPPED
    return labels.astype(np.int64)


def near_sleep(labels: np.ndarray, epochs: int) -> np.ndarray:
    """Return a mask of the epochs from `epochs` before the first sleep to `epochs` after the last.

    Everything is kept where nobody sleeps.
    """
    asleep = np.flatnonzero((labels > W) & (labels <= REM))
    mask = np.ones(len(labels), dtype=bool)
    if len(asleep):
        mask[: max(0, asleep[0] - epochs)] = False
        mask[asleep[-1] + epochs + 1 :] = False
    return mask


def read_annotated_stages(
    path: Path, recording: EdfHeader | None = None, epoch_seconds: float = EPOCH_SECONDS
) -> Hypnogram:
    """Read the stages from the annotations of an EDF+ file.

    Parameters
    ----------
    path : pathlib.Path
        The hypnogram file, or a recording with annotations of its own.
    recording : EdfHeader or None
        The recording it belongs to; where both know their start, onsets are counted from the recording's.
    epoch_seconds : float
        Length of an epoch.

    Returns
    -------
    Hypnogram

    Raises
    ------
    RecordingError, HypnogramError
        When the file cannot be read, or has no stages.
    """
    header = read_edf_header(path)
    if not any(signal.label == ANNOTATIONS_LABEL for signal in header.signals):
        raise HypnogramError(f"{path.name}: no hypnogram, the file has no {ANNOTATIONS_LABEL!r} signal")
    with quiet_mne(path, HypnogramError) as mne:
        annotations = mne.read_annotations(path)
    shift = 0.0
    if recording is not None and recording.start and header.start:
        shift = (header.start - recording.start).total_seconds()
    onsets, texts = annotations.onset + shift, annotations.description
    stages = stages_from_annotations(onsets, annotations.duration, texts, epoch_seconds, path.name)
    return replace(stages, **_lights(onsets, texts))


def _lights(onsets: Sequence[float], texts: Sequence[str]) -> dict[str, float | None]:
    """First "lights off" and last "lights on" among annotations."""
    found: dict[str, float | None] = {"lights_off": None, "lights_on": None}
    for onset, text in sorted(zip(onsets, texts, strict=True)):
        plain = re.sub(r"[^a-z]", "", text.lower())
        if plain in ("lightsoff", "lightsout") and found["lights_off"] is None:
            found["lights_off"] = float(onset)
        elif plain == "lightson":
            found["lights_on"] = float(onset)
    return found


def read_text_stages(
    path: Path,
    labels: Mapping[int, int],
    seconds_per_code: float,
    epoch_seconds: float = EPOCH_SECONDS,
) -> Hypnogram:
    """Read the stages from a text file of one integer code per line, as ISRUC-Sleep and DREAMS have them.

    Parameters
    ----------
    path : pathlib.Path
        The text file; empty lines and headings in square brackets are passed over.
    labels : mapping of int to int
        Label (or `DROPPED`) of each code.
    seconds_per_code : float
        Length of what each code speaks of.
    epoch_seconds : float
        Length of an epoch.

    Returns
    -------
    Hypnogram
        From the start of the recording.

    Raises
    ------
    HypnogramError
        When the file is missing, a line is no integer, or a code is not in `labels`.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HypnogramError(f"{path.name}: the hypnogram cannot be read ({error})") from None
    codes = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("["):
            continue
        try:
            codes.append(int(text.split()[0]))
        except ValueError:
            raise HypnogramError(f"{path.name}: line {number} must be an integer code, got {text[:20]!r}") from None
    if not labels:
        raise HypnogramError(f"{path.name}: signals.hypnogram_codes must map its codes to stages, got none")
    return stages_from_codes(np.asarray(codes, float), 1 / seconds_per_code, labels, epoch_seconds, path.name)


def write_annotated_stages(
    path: Path,
    onsets: Sequence[float],
    durations: Sequence[float],
    texts: Sequence[str],
    start: datetime | None = None,
) -> None:
    """Write scored stretches as an EDF+ annotation file, as Sleep-EDF has them.

    Parameters
    ----------
    path : pathlib.Path
        File to write.
    onsets, durations : sequence of float
        Seconds from the start of the recording; seconds.
    texts : sequence of str
        Annotation texts, such as those of `runs_of_stages`.
    start : datetime.datetime or None
        Start of the recording.
    """
    import edfio

    when = {} if start is None else {"starttime": start.time()}
    identity = None if start is None else edfio.Recording(startdate=start.date())
    edfio.Edf(
        [],
        annotations=[
            edfio.EdfAnnotation(float(onset), float(duration), text)
            for onset, duration, text in zip(onsets, durations, texts, strict=True)
        ],
        recording=identity,
        **when,
    ).write(path)


def runs_of_stages(labels: np.ndarray, start: float = 0.0, epoch_seconds: float = EPOCH_SECONDS):
    """Return (onsets, durations, texts) of the runs of equal labels, texts as in Sleep-EDF.

    Parameters
    ----------
    labels : numpy.ndarray
        Label of each consecutive epoch, 0 to 4 or `DROPPED`.
    start : float
        Seconds from the start of the recording to the first epoch.
    epoch_seconds : float
        Length of an epoch.
    """
    edges = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1, append=labels[-1] - 1))
    onsets = start + epoch_seconds * edges[:-1]
    texts = [f"{_STAGE_PREFIX} {_TEXTS[int(labels[edge])]}" for edge in edges[:-1]]
    return onsets, epoch_seconds * np.diff(edges), texts
