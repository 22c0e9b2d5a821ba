"""The generated folder: templates, the kernels that go along, manifest and library description."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2

from .model import LayerInfo, ScheduleInfo, TensorInfo
from .targets import Target

KERNELS = Path(__file__).resolve().parent.parent / "firmware" / "kernels"
MANIFEST_SCHEMA = 1
#: What the manifest says about the schedule; estimates would change with every new measurement.
_CERTAIN = ("name", "axis", "slices", "plan_bytes", "plan_bound", "spread", "macs_again", "segments")
#: The generated functions themselves, a call into the compiler's run-time library, and alignment.
_OWN_STACK_BYTES = 192


def render(template: str, **values: Any) -> str:
    """Fill one of the package's templates; a name that it lacks is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # the output is C
    )
    return environment.get_template(template).render(**values)


def kernel_files(names: Iterable[str], target: Target) -> dict[str, str]:
    """Kernel sources or headers, and every header they include, by file name."""
    files: dict[str, str] = {}
    pending = sorted(set(names))
    while pending:
        name = pending.pop()
        if name in files:
            continue
        folders = [*target.tiers, "include"]
        path = next(KERNELS / folder / name for folder in folders if (KERNELS / folder / name).is_file())
        files[name] = path.read_text()
        pending += [n for n in re.findall(r'#include "(tn_\w+\.h)"', files[name]) if n not in files]
    return files


def kernel_header(stem: str) -> str:
    """The header that a kernel implements is the first one it includes."""
    source = (KERNELS / "portable" / f"{stem}.c").read_text()
    found = re.search(r'#include "(tn_\w+\.h)"', source)
    assert found is not None, stem
    return found.group(1)


def stack_bound(
    stems: Iterable[str],
    inline: Iterable[tuple[str, int]] = (),
    tiers: Iterable[str] = (),
    chains: Iterable[int] = (),
) -> int:
    """Stack in bytes that one call needs at most, from the measured frames of the kernels it calls.

    `inline` are kernels that become functions of a layer, each with the bytes of its local arrays; a kernel of one of
    the `tiers` stands for the portable one of the same name; `chains` are the bytes of local arrays of functions that
    call two kernels.
    """
    measured = json.loads((KERNELS / "stack.json").read_text())
    alone = [measured["tiers"][tier] for tier in tiers if tier in measured["tiers"]] + [measured["bytes"]]
    frames: list[int] = [next(found[stem] for found in alone if stem in found) for stem in stems]
    frames += [measured["inline"][stem] + scratch for stem, scratch in inline]
    above = max((measured["inline"]["chain"] + local for local in chains), default=0)
    return _OWN_STACK_BYTES + max(frames, default=0) + above


def manifest(
    generator: str,
    prefix: str,
    target: str,
    model_hash: str,
    state_bytes: int,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    layers: Sequence[LayerInfo],
    schedule: ScheduleInfo,
) -> str:
    """Describe a generated model for tools, as JSON; of the schedule what is known for certain."""
    walk = {key: value for key, value in asdict(schedule).items() if key in _CERTAIN}
    walk["slice_bytes"] = inputs[0].bytes // schedule.slices if schedule.slices else 0
    content = {
        "schema": MANIFEST_SCHEMA,
        "generator": generator,
        "prefix": prefix,
        "target": target,
        "model_hash": model_hash,
        "state_bytes": state_bytes,
        "schedule": walk,
        "inputs": [asdict(t) for t in inputs],
        "outputs": [asdict(t) for t in outputs],
        "layers": [{k: v for k, v in asdict(layer).items() if k != "kept" or v is not None} for layer in layers],
    }
    return json.dumps(content, indent=2) + "\n"


def library_json() -> str:
    """Make the folder a PlatformIO and Arduino library."""
    content = {
        "name": "thumbnet-models",
        "version": "1.0.0",
        "description": "Neural networks compiled to C by thumbnet",
        "frameworks": "*",
        "platforms": "*",
        "build": {"srcDir": "src", "includeDir": "src"},
    }
    return json.dumps(content, indent=2) + "\n"
