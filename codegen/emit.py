"""Turn a schedule into C: decisions here, layout in the templates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from .errors import OptionError
from .ir import Graph
from .memory import aligned
from .model import LayerInfo, TensorInfo
from .ops.base import Array, Call, Init
from .schedule import Schedule, Step
from .targets import Target

CTYPES = {
    **{name: f"{name}_t" for name in ("int8", "uint8", "int16", "int32")},
    "bool": "uint8_t",
    "float32": "float",
}
#: Bytes of one number of each array type; `tn_channel` is four of them.
_ITEM_BYTES = {"int8_t": 1, "int32_t": 4, "tn_channel": 4}
KERNELS = Path(__file__).resolve().parent.parent / "firmware" / "kernels"
MANIFEST_SCHEMA = 1
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}")
_LINE = 110
# Words that C or C++ keep for themselves and a prefix could hit.
_KEYWORDS = frozenset(
    """
    auto bool break case catch char class const continue default delete do double else enum explicit export extern
    false float for friend goto if inline int long mutable namespace new nullptr operator private protected public
    register restrict return short signed sizeof static struct switch template this throw true try typedef typename
    union unsigned using virtual void volatile while
    """.split()
)


def check_prefix(prefix: str) -> str:
    """Accept a prefix of generated names; OptionError when it is not an identifier."""
    if not _IDENTIFIER.fullmatch(prefix) or prefix in _KEYWORDS or prefix.startswith("tn_"):
        raise OptionError(
            f"prefix '{prefix}' is not allowed: a letter, then at most 40 letters, digits or underscores, "
            "no C keyword and not starting with 'tn_'"
        )
    return prefix


# --- C literals ---------------------------------------------------------------------------------------------


def c_array(values: npt.NDArray[Any]) -> list[str]:
    """Lines of numbers for the inside of an array initializer."""
    lines: list[str] = []
    line = ""
    rows = values.tolist() if _is_struct(values) else values.reshape(-1).tolist()
    for value in rows:
        item = (c_initializer(value, {}) if isinstance(value, list) else c_number(value)) + ","
        if line and len(line) + 1 + len(item) > _LINE - 4:
            lines.append(line)
            line = ""
        line = f"{line} {item}" if line else item
    return [*lines, line] if line else lines


def _is_struct(values: npt.NDArray[Any]) -> bool:
    """Arrays of structures are held as int64, one row an element; everything else has its own type."""
    return values.dtype == np.int64 and values.ndim == 2


def c_number(value: int | float) -> str:
    """Exact C literal."""
    if isinstance(value, float):
        return f"{value.hex()}f"
    return "(-2147483647 - 1)" if value == -(2**31) else str(value)


def c_initializer(value: Init, names: Mapping[str, str]) -> str:
    """One-line initializer; strings in it are formatted with `names`."""
    if isinstance(value, str):
        return value.format(**names)
    if isinstance(value, int):
        return c_number(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f".{key} = {c_initializer(item, names)}" for key, item in value.items()) + "}"
    return "{" + ", ".join(c_initializer(item, names) for item in value) + "}"


# --- pieces of the generated file ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _ArrayText:
    name: str
    ctype: str
    length: int
    lines: list[str]


@dataclass(frozen=True)
class _StructText:
    name: str
    ctype: str
    fields: list[tuple[str, str]]


@dataclass(frozen=True)
class _StepText:
    index: int
    comment: str
    arrays: list[_ArrayText]
    structs: list[_StructText]
    calls: list[str]
    output: str
    output_bytes: int


class Emitter:
    """Writes the files of one model."""

    def __init__(self, graph: Graph, schedule: Schedule, prefix: str, target: Target) -> None:
        self.graph = graph
        self.schedule = schedule
        self.prefix = check_prefix(prefix)
        self.target = target

    @property
    def state_bytes(self) -> int:
        """Size of the generated state structure: row pointers, then the arena."""
        rows = self.schedule.window_rows * self.target.pointer_bytes
        arena = max(self.schedule.plan.bytes, 4)
        unit = self.target.pointer_bytes if rows else 4
        return -(-(rows + arena) // unit) * unit

    def place(self, tensor: int) -> str:
        """C expression of a tensor's address."""
        place = self.schedule.places[tensor]
        if place.kind == "input":
            return f"in->input{place.at}"
        if place.kind == "output":
            return f"out->output{place.at}"
        if place.kind == "constant":
            return f"{self.prefix}_t{place.at}"
        return f"arena + {place.at}" if place.at else "arena"

    def steps(self) -> list[_StepText]:
        """Every step as text."""
        return [self._step(step) for step in self.schedule.steps]

    def constants(self) -> list[_ArrayText]:
        """Constant tensors that kernels read as ordinary inputs."""
        used: dict[int, _ArrayText] = {}
        for step in self.schedule.steps:
            text = " ".join(argument for call in step.lowered.calls for argument in call.arguments)
            for position, index in enumerate(step.node.inputs):
                if index is None or f"{{in{position}}}" not in text:
                    continue
                tensor = self.graph.tensors[index]
                if tensor.data is not None:
                    array = Array(f"t{index}", CTYPES[tensor.dtype], tensor.data)
                    used[index] = self._array(array, f"{self.prefix}_t{index}")
        return list(used.values())

    def _array(self, array: Array, name: str) -> _ArrayText:
        return _ArrayText(
            name,
            array.ctype,
            len(array.values) if _is_struct(array.values) else int(array.values.size),
            c_array(array.values),
        )

    def _step(self, step: Step) -> _StepText:
        base = f"{self.prefix}_l{step.index}"
        names = {array.name: f"{base}_{array.name}" for array in step.lowered.arrays}
        names["rows"] = "s->rows"
        for position, index in enumerate(step.node.inputs):
            if index is not None and index in self.schedule.places:
                names[f"in{position}"] = self.place(index)
        names |= {f"out{position}": self.place(index) for position, index in enumerate(step.node.outputs)}
        structs: list[_StructText] = []
        calls = []
        for number, call in enumerate(step.lowered.calls):
            name = base if len(step.lowered.calls) == 1 else f"{base}_{number}"
            if call.struct:
                structs.append(_struct(call, name, names))
            calls.append(_call(call, {**names, "params": f"&{name}"}))
        output = self.graph.output(step.node)
        arrays = [self._array(array, names[array.name]) for array in step.lowered.arrays]
        return _StepText(
            step.index, self._comment(step), arrays, structs, calls, self.place(output.index), output.bytes
        )

    def _comment(self, step: Step) -> str:
        node, graph = step.node, self.graph
        sources = [graph.tensors[i] for i in node.inputs if i is not None and graph.tensors[i].data is None]
        target = graph.output(node)
        shapes = " and ".join(str(list(t.shape)) for t in sources)
        attributes = ", ".join(f"{key}={value}" for key, value in node.attrs.items())
        text = f"layer {step.index}: {node.op} {shapes} -> {list(target.shape)}" + (
            f", {attributes}" if attributes else ""
        )
        return f"{text}, '{_comment_safe(target.name)}'"


def _struct(call: Call, name: str, names: Mapping[str, str]) -> _StructText:
    fields = [(key, c_initializer(value, names)) for key, value in call.params.items()]
    return _StructText(name, call.struct, fields)


def _call(call: Call, names: Mapping[str, str]) -> str:
    return f"{call.function}({', '.join(argument.format(**names) for argument in call.arguments)});"


def _comment_safe(text: str) -> str:
    """Layer names come from strangers: nothing in them may end the comment."""
    return re.sub(r"[^A-Za-z0-9_.:;/ \-\[\]]", "_", text).replace("*/", "*_").replace("/*", "_*")[:80]


# --- files --------------------------------------------------------------------------------------------------


def kernel_files(stems: Iterable[str], target: Target) -> dict[str, str]:
    """Kernel sources and every header they include, by file name."""
    files: dict[str, str] = {}
    pending = [f"{stem}.c" for stem in sorted(set(stems))]
    while pending:
        name = pending.pop()
        if name in files:
            continue
        folders = [*target.tiers, "include"]
        path = next(KERNELS / folder / name for folder in folders if (KERNELS / folder / name).is_file())
        files[name] = path.read_text()
        pending += [n for n in re.findall(r'#include "(tn_\w+\.h)"', files[name]) if n not in files]
    return files


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


def emit_files(
    emitter: Emitter,
    *,
    generator: str,
    model_hash: str,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    layers: Sequence[LayerInfo],
    app: bool,
) -> dict[str, str]:
    """Every file of the generated library, by path relative to its folder."""
    prefix = emitter.prefix
    schedule = emitter.schedule
    steps = emitter.steps()
    stems = {kernel for step in schedule.steps for kernel in step.lowered.kernels}
    values: dict[str, Any] = {
        "p": prefix,
        "P": prefix.upper(),
        "generator": generator,
        "model_hash": model_hash,
        "target": emitter.target.name,
        "inputs": inputs,
        "outputs": outputs,
        "input_block": sum(aligned(t.bytes) for t in inputs),
        "output_block": sum(aligned(t.bytes) for t in outputs),
        "ctypes": CTYPES,
        "layers": layers,
        "steps": steps,
        "constants": emitter.constants(),
        "headers": sorted({_header(stem) for stem in stems}),
        "window_rows": schedule.window_rows,
        "arena_words": max(schedule.plan.bytes, 4) // 4,
        "state_bytes": emitter.state_bytes,
        "stack_bytes": stack_bound(stems),
        "uses_arena": any(p.kind == "arena" for p in schedule.places.values()),
        "uses_state": schedule.window_rows > 0 or schedule.plan.bytes > 0,
    }
    files = {
        f"src/{prefix}.h": render("model.h.j2", **values),
        f"src/{prefix}.c": render("model.c.j2", **values),
        f"{prefix}.json": _manifest(prefix, emitter, model_hash, generator, inputs, outputs, layers),
        "library.json": _library(),
    }
    if app:
        files["src/tn_app_model.h"] = render("app_model.h.j2", **values)
    return files | {f"src/{name}": text for name, text in kernel_files(stems, emitter.target).items()}


#: The generated run function, a call into the compiler's run-time library, and alignment.
_OWN_STACK_BYTES = 128


def stack_bound(stems: Iterable[str]) -> int:
    """Stack in bytes that one inference needs at most, from the measured frames of the kernels it calls."""
    measured: dict[str, int] = json.loads((KERNELS / "stack.json").read_text())["bytes"]
    return _OWN_STACK_BYTES + max((measured[stem] for stem in stems), default=0)


def _header(stem: str) -> str:
    """The header that a kernel implements is the first one it includes."""
    source = (KERNELS / "portable" / f"{stem}.c").read_text()
    found = re.search(r'#include "(tn_\w+\.h)"', source)
    assert found is not None, stem
    return found.group(1)


def _manifest(
    prefix: str,
    emitter: Emitter,
    model_hash: str,
    generator: str,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    layers: Sequence[LayerInfo],
) -> str:
    content = {
        "schema": MANIFEST_SCHEMA,
        "generator": generator,
        "prefix": prefix,
        "target": emitter.target.name,
        "model_hash": model_hash,
        "state_bytes": emitter.state_bytes,
        "inputs": [asdict(t) for t in inputs],
        "outputs": [asdict(t) for t in outputs],
        "layers": [asdict(layer) for layer in layers],
    }
    return json.dumps(content, indent=2) + "\n"


def _library() -> str:
    content = {
        "name": "thumbnet-models",
        "version": "1.0.0",
        "description": "Neural networks compiled to C by thumbnet",
        "frameworks": "*",
        "platforms": "*",
        "build": {"srcDir": "src", "includeDir": "src"},
    }
    return json.dumps(content, indent=2) + "\n"


def layer_infos(graph: Graph, schedule: Schedule) -> tuple[LayerInfo, ...]:
    """Describe every step."""
    return tuple(_layer_info(graph, step) for step in schedule.steps)


def _layer_info(graph: Graph, step: Step) -> LayerInfo:
    output = graph.output(step.node)
    return LayerInfo(
        index=step.index,
        node=step.node.index,
        name=output.name,
        op=step.node.op,
        tensor=output.index,
        shape=output.shape,
        dtype=output.dtype,
        bytes=output.bytes,
        macs=step.macs,
        weight_bytes=sum(int(a.values.size) * _ITEM_BYTES[a.ctype] for a in step.lowered.arrays),
    )
