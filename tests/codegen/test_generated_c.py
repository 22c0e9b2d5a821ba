"""Generated C under every compiler at hand: no warning, C99 and C++, several models in one program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from random import Random

import numpy as np
import pytest
from property.graphs import SmallGraph
from support import oracle
from support.hostile_names import HOSTILE, chain
from support.small_models import small_model, two_inputs_model
from thumbnet.codegen import compile_model
from thumbnet.codegen.reference import run_model
from thumbnet.codegen.reference.interpreter import run_graph
from thumbnet.codegen.tflite import read_graph

C99 = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef", "-Werror")
STRICT_C = ("-Wstrict-prototypes", "-Wmissing-prototypes", "-Wcast-qual", "-Wwrite-strings", "-Wcomment", "-Wtrigraphs")
CPLUSPLUS = ("-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-fsyntax-only")
SCHEDULES = ("whole", "stream")
CORES = {
    "cortex-m0": ("-mcpu=cortex-m0", "-mfloat-abi=soft"),
    "cortex-m3": ("-mcpu=cortex-m3", "-mfloat-abi=soft"),
    "cortex-m4": ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    "cortex-m7": ("-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"),
    "cortex-m33": ("-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
    "cortex-m55": ("-mcpu=cortex-m55", "-mfloat-abi=hard"),
}


def need(tool: str) -> str:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    return tool


def call(*command: str | Path, given: bytes = b"") -> bytes:
    """Run a command; its diagnostics become the failure."""
    done = subprocess.run([str(part) for part in command], input=given, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[:3000]
    return done.stdout


def sources(folder: Path) -> list[Path]:
    return sorted((folder / "src").glob("*.c"))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("observe", [False, True])
def test_no_warnings(compiler: str, schedule: str, observe: bool, tmp_path: Path) -> None:
    need(compiler)
    compile_model(small_model(), target="host", schedule=schedule, app=True).write(tmp_path)
    flags = [*C99, *STRICT_C, *(["-DTN_OBSERVE=1"] if observe else [])]
    for source in sources(tmp_path):
        call(compiler, *flags, "-I", tmp_path / "src", "-c", source, "-o", tmp_path / "out.o")


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("core", CORES)
def test_no_warnings_on_cores(core: str, schedule: str, tmp_path: Path) -> None:
    need("arm-none-eabi-gcc")
    compile_model(small_model(), target=core, schedule=schedule, app=True).write(tmp_path)
    for source in sources(tmp_path):
        flags = [*CORES[core], "-mthumb", *C99, "-O2"]
        call("arm-none-eabi-gcc", *flags, "-I", tmp_path / "src", "-c", source, "-o", tmp_path / "out.o")


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_headers_are_cplusplus(compiler: str, tmp_path: Path) -> None:
    need(compiler)
    compile_model(small_model(), target="host", schedule="stream", app=True).write(tmp_path)
    for header in sorted((tmp_path / "src").glob("*.h")):
        if header.name == "tn_app_model.h":
            continue  # designated initializers: an application in C includes it
        unit = tmp_path / "unit.cpp"
        unit.write_text(f'#include "{header.name}"\n#include "{header.name}"\n')
        call(compiler, *CPLUSPLUS, "-I", tmp_path / "src", unit)


def test_functions_link_from_cplusplus(tmp_path: Path) -> None:
    need("g++")
    compile_model(small_model(), target="host").write(tmp_path)
    unit = tmp_path / "main.cpp"
    unit.write_text(
        '#include "model.h"\nstatic model_state s;\n'
        "static int8_t in[MODEL_INPUT0_BYTES], out[MODEL_OUTPUT0_BYTES];\n"
        "int main() { model_reset(&s); return model_run_one(&s, in, out); }\n"
    )
    objects = []
    for source in sources(tmp_path):
        objects.append(tmp_path / f"{source.stem}.o")
        call("cc", *C99, "-I", tmp_path / "src", "-c", source, "-o", objects[-1])
    call("g++", "-I", tmp_path / "src", unit, *objects, "-o", tmp_path / "program")
    call(tmp_path / "program")


@pytest.mark.parametrize("kernel", sorted((Path(__file__).parents[2] / "firmware/kernels/include").glob("*.h")))
def test_each_kernel_header_stands_alone(kernel: Path, tmp_path: Path) -> None:
    unit = tmp_path / "unit.c"
    unit.write_text(f'#include "{kernel.name}"\ntypedef int not_empty;\n')
    if "dsp" not in kernel.name:
        call(need("cc"), *C99, "-fsyntax-only", "-I", kernel.parent, unit)


def test_the_size_of_the_state_is_asserted(tmp_path: Path) -> None:
    need("cc")
    compiled = compile_model(small_model(), target="host")
    compiled.write(tmp_path)
    header = tmp_path / "src" / "model.h"
    text = header.read_text()
    header.write_text(re.sub(r"(#define MODEL_STATE_BYTES) \d+", rf"\1 {compiled.state_bytes + 8}", text))
    command = ["cc", "-fsyntax-only", "-I", str(tmp_path / "src"), str(tmp_path / "src" / "model.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "model_state_size_check" in done.stderr


def test_hostile_names_compile(tmp_path: Path) -> None:
    for compiler in ("gcc", "clang"):
        compile_model(chain(HOSTILE), target="host", app=True).write(tmp_path)
        source = tmp_path / "src" / "model.c"
        call(need(compiler), *C99, *STRICT_C, "-I", tmp_path / "src", "-c", source, "-o", tmp_path / "out.o")


TWO_MODELS = """
#include <stdio.h>
#include "first.h"
#include "second.h"
static first_state a;
static second_state b;
static int8_t in[FIRST_INPUT0_BYTES], out[FIRST_OUTPUT0_BYTES];
static int8_t left[SECOND_INPUT0_BYTES], right[SECOND_INPUT1_BYTES];
static int8_t sum[SECOND_OUTPUT0_BYTES], product[SECOND_OUTPUT1_BYTES];
int main(void)
{
    const second_inputs two = {left, right};
    second_outputs results = {sum, product};
    first_reset(&a);
    second_reset(&b);
    if (fread(in, 1, sizeof in, stdin) != sizeof in || fread(left, 1, sizeof left, stdin) != sizeof left
        || fread(right, 1, sizeof right, stdin) != sizeof right) {
        return 1;
    }
    for (int round = 0; round < 2; ++round) { /* taking turns disturbs neither */
        if (first_run_one(&a, in, out) != TN_OK || second_run(&b, &two, &results) != TN_OK) {
            return 2;
        }
    }
    fwrite(out, 1, sizeof out, stdout);
    fwrite(sum, 1, sizeof sum, stdout);
    fwrite(product, 1, sizeof product, stdout);
    return first_run_one(&a, NULL, out) == TN_ERROR_ARGUMENT && second_run(&b, &two, NULL) == TN_ERROR_ARGUMENT
        && first_run(NULL, NULL, NULL) == TN_ERROR_ARGUMENT ? 0 : 3;
}
"""


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_two_models_in_one_program(schedule: str, tmp_path: Path) -> None:
    need("cc")
    first = compile_model(small_model(), target="host", prefix="first", schedule=schedule)
    second = compile_model(two_inputs_model(), target="host", prefix="second")
    first.write(tmp_path)
    second.write(tmp_path)
    shared = {name for name in first.files if name in second.files}
    assert "src/tn_common.h" in shared
    assert all(first.files[name] == second.files[name] for name in shared)
    main = tmp_path / "main.c"
    main.write_text(TWO_MODELS)
    sanitize = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    call("cc", *C99, *sanitize, "-I", tmp_path / "src", main, *sources(tmp_path), "-o", tmp_path / "program")
    image = np.random.RandomState(1).randint(-128, 128, (1, 8, 8, 2)).astype(np.int8)
    pair = [np.random.RandomState(seed).randint(-128, 128, (1, 5)).astype(np.int8) for seed in (2, 3)]
    got = call(tmp_path / "program", given=b"".join(value.tobytes() for value in (image, *pair)))
    wanted = [*run_model(small_model(), [image]), *run_model(two_inputs_model(), pair)]
    assert got == b"".join(value.tobytes() for value in wanted)


OBSERVER = """
#include <stdio.h>
#include <string.h>
#include "tn_app_model.h"
void tn_observe(int layer, const void *data, size_t first, size_t runs, size_t run, size_t stride);
#define ROOM 4096
static unsigned char dump[TN_MODEL_LAYERS][ROOM];
static size_t known[TN_MODEL_LAYERS];
static const size_t size[] = {SIZES};
void tn_observe(int layer, const void *data, size_t first, size_t runs, size_t run, size_t stride)
{
    const unsigned char *from = data;
    for (size_t i = 0; i < runs; ++i, from += run, known[layer] += run) {
        memcpy(dump[layer] + first + i * stride, from, run);
    }
}
int main(void)
{
    static tn_model_state state;
    static int32_t in[TN_MODEL_INPUT_BYTES / 4], out[TN_MODEL_OUTPUT_BYTES / 4];
    if (fread(in, 1, sizeof in, stdin) != sizeof in) {
        return 1;
    }
    tn_model_reset(&state);
    if (tn_model_run(&state, (const int8_t *)in, (int8_t *)out) != TN_OK) {
        return 2;
    }
    for (int i = 0; i < TN_MODEL_LAYERS; ++i) {
        if (size[i] != 0 && known[i] != size[i]) {
            return 3; /* every byte of every layer, once */
        }
    }
    fwrite(dump, 1, sizeof dump, stdout);
    return 0;
}
"""


def observed(model: bytes, schedule: str, block: bytes, folder: Path) -> dict[int, bytes]:
    """Output of every layer by its tensor in the model, as the observation hook shows it."""
    compiled = compile_model(model, target="host", schedule=schedule, app=True)
    compiled.write(folder)
    # Layers that the compiler adds have no tensor in the model, and no size to hold them to.
    sizes = [layer.bytes if layer.tensor is not None else 0 for layer in compiled.layers]
    (folder / "main.c").write_text(OBSERVER.replace("SIZES", ", ".join(map(str, sizes))))
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-DTN_OBSERVE=1", "-fsanitize=address,undefined"]
    call("cc", *flags, "-I", folder / "src", folder / "main.c", *sources(folder), "-o", folder / "program")
    dump = call(folder / "program", given=block)
    assert [layer.index for layer in compiled.layers] == list(range(len(compiled.layers)))
    own = [layer for layer in compiled.layers if layer.tensor is not None]
    return {layer.tensor: dump[4096 * layer.index :][: layer.bytes] for layer in own}


@pytest.mark.parametrize("schedule", ["whole", "stream-h", "stream-w"])
@pytest.mark.parametrize("number", range(3))
def test_the_hook_sees_every_layer(schedule: str, number: int, tmp_path: Path) -> None:
    need("cc")
    problem = SmallGraph.random(Random(f"observe {number}"))
    model, inputs = problem.model(), problem.inputs()
    block = inputs[0].tobytes() + bytes(-inputs[0].nbytes % 4)
    graph = read_graph(model)
    wanted = run_graph(graph, inputs, keep=True)
    if oracle.available():
        interpreter = oracle.Oracle(model)
        interpreter.run(*inputs, outputs=len(graph.outputs))
        wanted |= interpreter.tensors([i for node in graph.nodes for i in node.outputs])
    seen = observed(model, schedule, block, tmp_path)
    assert seen
    for tensor, data in seen.items():
        assert data == wanted[tensor].tobytes(), tensor
