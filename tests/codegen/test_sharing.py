"""The setting that leans to size: layers share kernels, every byte stays, less code comes out.

What is tested: with sanitizers on the host, that outputs are equal; on Cortex-M4 and M55, that the code compiles
without a warning, and that the example's becomes smaller.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from property.networks import separable, tcn
from property.runtimes import Host, difference, pack, unpack
from support import oracle
from thumbnet.codegen import OptionError, compile_model
from thumbnet.codegen.targets import TARGETS

EXAMPLE = Path(__file__).resolve().parents[2] / "firmware" / "example_model" / "model.tflite"
HOSTS = [name for name in TARGETS if name.startswith("host")]
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
CORES = {
    "cortex-m4": ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    "cortex-m55": ("-mcpu=cortex-m55", "-mfloat-abi=hard"),
}


def deep() -> bytes:
    """Layers enough of each kind to share copies."""
    return separable(70, (8, 8, 12, 16, 16), 3, 1)


class Small(Host):
    """Generated C leaning to size."""

    def __init__(self, target: str, schedule: str) -> None:
        self.name, self.target, self.schedule = f"size, {target}, {schedule}", target, schedule

    def outputs(self, model: bytes, inputs: list[np.ndarray], folder: Path) -> list[np.ndarray]:
        compiled = compile_model(model, target=self.target, schedule=self.schedule, optimize="size", app=True)
        compiled.write(folder)
        self.build(folder)
        return unpack(self.execute(folder, pack(inputs, compiled.inputs)), compiled.outputs)


@pytest.mark.parametrize("schedule", ["whole", "stream"])
@pytest.mark.parametrize("target", HOSTS)
@pytest.mark.parametrize("build", [deep, tcn], ids=["deep", "tcn"])
def test_every_byte(build, target: str, schedule: str, tmp_path: Path) -> None:
    if not oracle.available() or shutil.which("cc") is None:
        pytest.skip("the tflite-micro wheel or a C compiler is not installed")
    model = build()
    shape = compile_model(model, target=target).inputs[0].shape
    inputs = [np.random.RandomState(4).randint(-128, 128, shape).astype(np.int8)]
    (got,) = Small(target, schedule).outputs(model, inputs, tmp_path)
    assert not difference(got, oracle.run_model(model, inputs)[0])


def code_bytes(optimize: str, core: str, folder: Path) -> int:
    compiled = compile_model(EXAMPLE.read_bytes(), target=core, schedule="stream", optimize=optimize)
    compiled.write(folder)
    command = ["arm-none-eabi-gcc", *CORES[core], "-mthumb", "-O2", *WARNINGS, f"-I{folder}/src"]
    done = subprocess.run(
        [*command, "-c", f"{folder}/src/model.c", "-o", f"{folder}/model.o"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:2000]
    size = subprocess.run(["arm-none-eabi-size", f"{folder}/model.o"], capture_output=True, text=True, check=True)
    return int(size.stdout.splitlines()[1].split()[0])


@pytest.mark.parametrize("core", CORES)
def test_the_example_becomes_smaller(core: str, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    assert code_bytes("size", core, tmp_path / "size") < code_bytes("speed", core, tmp_path / "speed")


def test_copies_are_shared_and_layers_keep_their_parameters() -> None:
    compiled = compile_model(deep(), target="cortex-m4", schedule="stream", optimize="size")
    text = compiled.files["src/model.c"]
    copies = re.findall(r"^TN_OUTLINE void (model_\w+_dsp_\w+)\(const", text, re.MULTILINE)
    assert copies
    for name in copies:
        calls = re.findall(rf"^ +{name}\((&model_l\w+),", text, re.MULTILINE)
        assert len(set(calls)) >= 3


def test_other_words_are_refused() -> None:
    with pytest.raises(OptionError, match=r"optimize 'small'.*speed, size"):
        compile_model(deep(), optimize="small")
