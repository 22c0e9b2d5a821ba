"""Windows over rings: tn_stream.h against the plain definition, for every axis of a small grid."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

INCLUDE = Path(__file__).resolve().parents[2] / "firmware" / "kernels" / "include"
PROGRAM = r"""
#include <stdio.h>
#include "tn_stream.h"

static int8_t ring[64 * 3];
static int8_t border[3];

static int last_slice(const tn_axis *a, int y) { return y * a->stride - a->pad + (a->kernel - 1) * a->dilation; }

static int wrong(const tn_axis *a)
{
    for (unsigned y = 0; y <= a->out; ++y) {
        const int last = last_slice(a, (int)y) < a->in - 1 ? last_slice(a, (int)y) : a->in - 1;
        for (unsigned arrived = 0; arrived <= a->in; ++arrived) {
            const int ready = y < a->out && arrived > 0 && (int)arrived > last;
            if (tn_stream_ready(a, y, arrived) != ready) {
                return 1;
            }
        }
        for (unsigned depth = 1; y < a->out && depth <= 12; ++depth) {
            const int8_t *rows[8];
            tn_stream_rows(a, y, ring, depth, 3, border, rows);
            for (int tap = 0; tap < a->kernel; ++tap) {
                const int slice = (int)y * a->stride - a->pad + tap * a->dilation;
                const int8_t *at = slice < 0 || slice >= a->in ? border : ring + (unsigned)slice % depth * 3;
                if (rows[tap] != at) {
                    return 2;
                }
            }
        }
    }
    return 0;
}

int main(void)
{
    unsigned cases = 0;
    for (int in = 1; in <= 13; ++in)
        for (int kernel = 1; kernel <= 5; ++kernel)
            for (int stride = 1; stride <= 4; ++stride)
                for (int dilation = 1; dilation <= 3; ++dilation)
                    for (int pad = 0; pad <= (kernel - 1) * dilation; ++pad)
                        for (int behind = 0; behind <= (kernel - 1) * dilation; ++behind) {
                            const int room = in + pad + behind - (kernel - 1) * dilation;
                            if (room < 1) {
                                continue;
                            }
                            /* with and without a window that fits and is left out, as when pooling drops a row */
                            const int most = (room - 1) / stride + 1;
                            for (int out = most; out >= 1 && out >= most - 1; --out) {
                                const tn_axis axis = {(uint16_t)in, (uint16_t)out, (uint16_t)kernel,
                                                      (uint16_t)stride, (uint16_t)dilation, (uint16_t)pad};
                                const int error = wrong(&axis);
                                if (error != 0) {
                                    printf("error %d: in %d out %d kernel %d stride %d dilation %d pad %d\n", error, in,
                                           out, kernel, stride, dilation, pad);
                                    return 1;
                                }
                                ++cases;
                            }
                        }
    printf("%u\n", cases);
    return 0;
}
"""


def test_every_window_over_every_ring(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    (tmp_path / "rows.c").write_text(PROGRAM)
    command = [compiler, "-std=c99", "-O2", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{INCLUDE}"]
    built = subprocess.run(
        [*command, "rows.c", "-o", "rows"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr[:2000]
    done = subprocess.run(["./rows"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr)[:2000]
    assert int(done.stdout) > 10_000
