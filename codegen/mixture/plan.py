"""A mixture of experts as the compiler takes it: its parts, how they are put together, and the archive of both.

The archive is a zip without compression, so that equal mixtures are equal bytes: ``mixture.json`` and the .tflite files
that it names. ``docs/compiler.md`` states what is computed between the parts.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CompositionError

DESCRIPTION = "mixture.json"
KIND = "mixture"
#: What the gate may read.
READS = ("input", "features")
#: How one network for all tasks may read the mixed features; "" where its input's shape tells.
ORDERS = ("task-major", "feature-major")
#: Experts of one window at most, as ``tn_mixture.h`` has room for.
MOST_CHOSEN = 16
MOST_EXPERTS = 255
_ZIP = b"PK\x03\x04"
_EPOCH_OF_ZIP = (1980, 1, 1, 0, 0, 0)
_KEYS = ("kind", "gate", "experts", "towers", "k", "tasks")
_OPTIONAL = ("bottom", "gate_reads", "mixed", "patient")


@dataclass(frozen=True)
class Task:
    """One output: value = offset + scale * (what its tower gives), in `unit`."""

    name: str
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Mixture:
    """Parts of a mixture of experts, each the bytes of a .tflite file.

    Attributes
    ----------
    gate : bytes
        Logits for the choice (one per expert, where it gives them) and for mixing (one per task and expert).
    experts : tuple of bytes
        Networks of one structure; features out.
    towers : tuple of bytes
        One network for all tasks, or networks of one structure, one per task.
    k : int
        Experts that run.
    tasks : tuple of Task
        The outputs.
    bottom : bytes or None
        Network in front of all experts.
    gate_reads : str
        ``input``, or ``features``, what the bottom gives.
    mixed : str
        Order of the mixed features, one of :data:`ORDERS`; empty where the shape of the towers' input tells.
    patient_scale, patient_offset : tuple of float
        Calibration of each task's value: value' = offset + scale * value.
    """

    gate: bytes
    experts: tuple[bytes, ...]
    towers: tuple[bytes, ...]
    k: int
    tasks: tuple[Task, ...]
    bottom: bytes | None = None
    gate_reads: str = "input"
    mixed: str = ""
    patient_scale: tuple[float, ...] = ()
    patient_offset: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    def to_bytes(self) -> bytes:
        """The archive."""
        towers = [f"tower{n}.tflite" for n in range(len(self.towers))] if len(self.towers) > 1 else ["towers.tflite"]
        experts = [f"expert{n}.tflite" for n in range(len(self.experts))]
        files = {"gate.tflite": self.gate, **dict(zip(experts, self.experts, strict=True))}
        files |= dict(zip(towers, self.towers, strict=True))
        if self.bottom is not None:
            files["bottom.tflite"] = self.bottom
        description = {
            "kind": KIND,
            **({} if self.bottom is None else {"bottom": "bottom.tflite"}),
            "gate": "gate.tflite",
            "gate_reads": self.gate_reads,
            "experts": experts,
            "towers": towers,
            **({"mixed": self.mixed} if self.mixed else {}),
            "k": self.k,
            "tasks": [{"name": t.name, "unit": t.unit, "scale": t.scale, "offset": t.offset} for t in self.tasks],
            "patient": {"scale": list(self.patient_scale), "offset": list(self.patient_offset)},
        }
        text = json.dumps(description, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, data in ((DESCRIPTION, text.encode()), *sorted(files.items())):
                entry = zipfile.ZipInfo(name, _EPOCH_OF_ZIP)
                entry.create_system = 3
                archive.writestr(entry, data)
        return buffer.getvalue()


def is_mixture(data: bytes) -> bool:
    """Whether the bytes are an archive of :meth:`Mixture.to_bytes`; a .tflite file is none."""
    return data.startswith(_ZIP)


def read_mixture(data: bytes) -> Mixture:
    """The mixture of an archive.

    Raises
    ------
    CompositionError
        When it is no archive, lacks a part, or its description does not say what it must.
    """
    files, description = unpack(data)
    return compose(description, files)


def unpack(data: bytes) -> tuple[dict[str, bytes], Any]:
    """The files of an archive by name, and its description as read; CompositionError where it is no archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        description = json.loads(files.pop(DESCRIPTION))
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError, RuntimeError) as error:
        raise CompositionError(f"the composed model is no archive with a {DESCRIPTION}: {error}") from None
    return files, description


def compose(description: Any, files: Mapping[str, bytes]) -> Mixture:
    """The mixture that a composition describes, the value of ``composition`` in a bundle's manifest.

    Parameters
    ----------
    description : dict
        ``kind``, ``gate``, ``experts``, ``towers``, ``k``, ``tasks``, and where there are ``bottom``, ``gate_reads``
        and ``patient``.
    files : mapping of str to bytes
        The .tflite files by name.

    Raises
    ------
    CompositionError
        Names the key, what it allows and what it got.
    """
    _check_keys(description)
    towers = description["towers"] if isinstance(description["towers"], list) else [description["towers"]]
    tasks = description["tasks"]
    if not isinstance(tasks, list) or not all(isinstance(task, Mapping) for task in tasks):
        raise CompositionError(f"composition: tasks must be a list of objects, got {tasks!r}")
    patient = description.get("patient", {})
    if not isinstance(patient, Mapping):
        raise CompositionError(f"composition: patient must be an object with scale and offset, got {patient!r}")
    bottom = description.get("bottom")
    return Mixture(
        gate=_file(files, "gate", description["gate"]),
        experts=tuple(_file(files, "experts", name) for name in _list(description, "experts")),
        towers=tuple(_file(files, "towers", name) for name in towers),
        k=description["k"],
        tasks=tuple(_task(task) for task in tasks),
        bottom=None if bottom is None else _file(files, "bottom", bottom),
        gate_reads=description.get("gate_reads", "input" if bottom is None else "features"),
        mixed=description.get("mixed", ""),
        patient_scale=_numbers(patient, "scale"),
        patient_offset=_numbers(patient, "offset"),
    )


def _check_keys(description: Any) -> None:
    if not isinstance(description, Mapping):
        raise CompositionError(f"composition must be an object, got {description!r}")
    if description.get("kind") != KIND:
        raise CompositionError(f"composition: kind must be '{KIND}', got {description.get('kind')!r}")
    missing = [key for key in _KEYS if key not in description]
    if missing:
        raise CompositionError(f"composition lacks '{missing[0]}'; required are {', '.join(_KEYS)}")
    unknown = [key for key in description if key not in (*_KEYS, *_OPTIONAL)]
    if unknown:
        raise CompositionError(f"composition: unknown key {unknown[0]!r}; known are {', '.join((*_KEYS, *_OPTIONAL))}")


def _list(description: Mapping[str, Any], key: str) -> list[Any]:
    value = description[key]
    if not isinstance(value, list):
        raise CompositionError(f"composition: {key} must be a list of files, got {value!r}")
    return value


def _file(files: Mapping[str, bytes], key: str, name: Any) -> bytes:
    if not isinstance(name, str) or name not in files:
        raise CompositionError(f"composition: {key} names the file {name!r}, which is not there")
    return files[name]


def _task(row: Mapping[str, Any]) -> Task:
    unknown = sorted(set(row) - {"name", "unit", "scale", "offset"})
    if unknown or not isinstance(row.get("name"), str) or not isinstance(row.get("unit", ""), str):
        raise CompositionError(f"composition: a task has name, unit, scale and offset, got {dict(row)!r}")
    numbers = [row.get("scale", 1.0), row.get("offset", 0.0)]
    if not all(_finite(value) for value in numbers):
        raise CompositionError(f"composition: scale and offset of task '{row['name']}' must be numbers, got {numbers}")
    return Task(row["name"], row.get("unit", ""), float(numbers[0]), float(numbers[1]))


def _numbers(patient: Mapping[str, Any], key: str) -> tuple[float, ...]:
    values = patient.get(key, [])
    if not isinstance(values, list) or not all(_finite(value) for value in values):
        raise CompositionError(f"composition: {key} of patient must be a list of numbers, got {values!r}")
    return tuple(float(value) for value in values)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check(mixture: Mixture) -> None:
    experts, tasks = len(mixture.experts), len(mixture.tasks)
    if not 1 <= experts <= MOST_EXPERTS:
        raise CompositionError(f"composition: experts must be 1 to {MOST_EXPERTS} networks, got {experts}")
    most = min(experts, MOST_CHOSEN)
    if not isinstance(mixture.k, int) or isinstance(mixture.k, bool) or not 1 <= mixture.k <= most:
        raise CompositionError(f"composition: k must be 1 to {most} of the {experts} experts, got {mixture.k!r}")
    if not tasks:
        raise CompositionError("composition: tasks must name at least one output, got none")
    if len(mixture.towers) not in (1, tasks):
        raise CompositionError(
            f"composition: towers must be one network for all tasks or one for each of the {tasks}, "
            f"got {len(mixture.towers)}"
        )
    if mixture.gate_reads not in READS or (mixture.gate_reads == "features" and mixture.bottom is None):
        allowed = READS if mixture.bottom is not None else READS[:1]
        raise CompositionError(f"composition: gate_reads must be {' or '.join(allowed)}, got {mixture.gate_reads!r}")
    if mixture.mixed not in ("", *ORDERS):
        raise CompositionError(f"composition: mixed must be {' or '.join(ORDERS)}, got {mixture.mixed!r}")
    _check_patient(mixture.patient_scale, mixture.patient_offset, tasks)


def _check_patient(scale: Sequence[float], offset: Sequence[float], tasks: int) -> None:
    for name, values in (("scale", scale), ("offset", offset)):
        if len(values) not in (0, tasks):
            raise CompositionError(f"composition: {name} of patient must have {tasks} values, got {len(values)}")
