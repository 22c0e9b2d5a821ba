"""The device's frame parser and dispatcher under rubbish, with AddressSanitizer and UBSan on this computer.

What is tested: whatever comes in, nothing is read or written out of bounds, the next sound request is answered, and
inferences stay right. Deterministic: a failure names seed and byte, and the same arguments show it again.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.links import LINK

HERE = Path(__file__).parent
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-g", "-O1")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


KINDS = {
    **{f"payload-{payload}": (f"-DTN_LINK_PAYLOAD={payload}",) for payload in (1024, 64)},
    # A slice fits many times, once, or not at all into a frame.
    **{f"stream-{size}": ("-DTN_LINK_PAYLOAD=64", f"-DSTREAMED={size}u") for size in (4, 60, 300)},
}


@pytest.fixture(scope="module", params=KINDS)
def fuzzer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fuzz") / "fuzz_link"
    sources = [str(path) for path in (HERE / "fuzz_link.c", *sorted(LINK.glob("*.c")))]
    options = [*FLAGS, *SANITIZERS, *KINDS[request.param], f"-I{LINK}"]
    subprocess.run(["cc", *options, *sources, "-o", str(made)], check=True)
    return made


def fuzz(program: Path, seed: int, count: int) -> None:
    done = subprocess.run([str(program), str(seed), str(count)], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    fed, runs, frames, malformed, corrupted, oversize, duplicates, refused = map(int, done.stdout.split())
    assert fed >= count
    # Every kind of trouble did come up.
    assert min(runs, malformed, corrupted, oversize, duplicates, refused) > 20, done.stdout
    assert frames > refused + duplicates


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_five_million_bytes_of_rubbish(fuzzer: Path, seed: int) -> None:
    fuzz(fuzzer, seed, 5_000_000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
def test_a_hundred_million_bytes_of_rubbish(fuzzer: Path, seed: int) -> None:
    fuzz(fuzzer, seed, 100_000_000)
