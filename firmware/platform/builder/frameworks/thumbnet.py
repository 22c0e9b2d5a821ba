"""SCons script of the framework: what every image holds besides src/: HAL, link library, model."""

import os
import sys
from pathlib import Path

Import("env")  # noqa: F821

FIRMWARE = Path(env.PioPlatform().get_dir()).parent  # noqa: F821
HAL = ["cortex_m", *env.BoardConfig().get("thumbnet.hal")]  # noqa: F821
MODEL = Path(os.environ.get("THUMBNET_MODEL_DIR") or FIRMWARE / "example_model").resolve()

if not (MODEL / "src" / "tn_app_model.h").is_file():
    sys.stderr.write(
        f"Error: THUMBNET_MODEL_DIR: {MODEL} is not a generated model library: no src/tn_app_model.h there.\n"
    )
    env.Exit(1)  # noqa: F821

env.Append(CPPPATH=[str(FIRMWARE / "hal"), str(FIRMWARE / "link"), str(MODEL / "src")])  # noqa: F821
env.BuildSources("$BUILD_DIR/hal", str(FIRMWARE / "hal"), " ".join(f"+<hal_{part}.c>" for part in HAL))  # noqa: F821
env.BuildSources("$BUILD_DIR/link", str(FIRMWARE / "link"))  # noqa: F821
env.BuildSources("$BUILD_DIR/model", str(MODEL / "src"))  # noqa: F821
