"""SCons script of the thumbnet platform: flags, program, and the targets size, qemu and upload."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from SCons.Script import AlwaysBuild, Builder, COMMAND_LINE_TARGETS, Default, DefaultEnvironment

env = DefaultEnvironment()
platform = env.PioPlatform()
board = env.BoardConfig()
PLATFORM_DIR = Path(platform.get_dir())
ABOUT = board.get("thumbnet")
CORE_FLAGS = json.loads((PLATFORM_DIR / "cores.json").read_text(encoding="utf-8"))[ABOUT["target"]]
DEFAULT_QEMU_PORT = 4555


def fail(message):
    sys.stderr.write(f"Error: {message}\n")
    env.Exit(1)


def write_if_changed(path, text):
    path = Path(path)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def memory_script():
    """The board's memory as linker script commands."""
    (flash, flash_bytes), (ram, ram_bytes) = ABOUT["flash"], ABOUT["ram"]
    return (
        "MEMORY\n{\n"
        f"    FLASH (rx) : ORIGIN = {flash}, LENGTH = {flash_bytes}\n"
        f"    RAM (rw) : ORIGIN = {ram}, LENGTH = {ram_bytes}\n"
        f"}}\nSTACK_SIZE = {ABOUT['stack']};\n"
    )


# Folders in macros and in debug information, as spelled and as resolved: the image must not depend on them.
# The compiler tries the last one first: sorted, a folder comes after those around it.
def prefix_maps():
    folders = {
        "model": os.environ.get("THUMBNET_MODEL_DIR"),
        "build": env.subst("$BUILD_DIR"),
        "src": env.subst("$PROJECT_SRC_DIR"),
        "firmware": env.subst("$PROJECT_DIR"),
    }
    spelled = {(path, name) for name, path in folders.items() if path}
    resolved = {(os.path.realpath(path), name) for path, name in spelled}
    return [f"-ffile-prefix-map={path}={name}" for path, name in sorted(spelled | resolved)]


write_if_changed(env.subst("$BUILD_DIR/memory.ld"), memory_script())

env.Replace(
    AR="arm-none-eabi-ar",
    AS="arm-none-eabi-gcc",
    CC="arm-none-eabi-gcc",
    CXX="arm-none-eabi-g++",
    OBJCOPY="arm-none-eabi-objcopy",
    RANLIB="arm-none-eabi-ranlib",
    SIZETOOL="arm-none-eabi-size",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPROGREGEXP=r"^(?:\.vectors|\.text|\.rodata|\.ARM\.exidx|\.data)\s+(\d+).*",
    SIZEDATAREGEXP=r"^(?:\.stack|\.data|\.bss)\s+(\d+).*",
)

env.Append(
    CFLAGS=["-std=c11"],
    CCFLAGS=[
        *CORE_FLAGS,
        *prefix_maps(),
        "-O2",
        "-ffunction-sections",
        "-fdata-sections",
        "-fno-common",
        "-fno-unwind-tables",
        "-fno-asynchronous-unwind-tables",
        "-Wall",
        "-Wextra",
        "-Wconversion",
    ],
    CPPDEFINES=[*sorted(ABOUT["defines"].items()), ("THUMBNET_BOARD", f'\\"{board.id}\\"')],
    LINKFLAGS=[
        *CORE_FLAGS,
        "-nostartfiles",
        "--specs=nano.specs",
        "-Wl,--gc-sections",
        "-Wl,--orphan-handling=warn",
        # Substituted here: SCons quotes a literal with spaces, but splits what a variable brings.
        "-Wl,-Map=" + env.subst("$BUILD_DIR/firmware.map"),
    ],
    LIBPATH=[str(PLATFORM_DIR / "ldscripts")],
    LIBS=["c_nano", "gcc"],
    BUILDERS={
        "ElfToBin": Builder(action="$OBJCOPY -O binary $SOURCES $TARGET", suffix=".bin"),
        "ElfToHex": Builder(action="$OBJCOPY -O ihex $SOURCES $TARGET", suffix=".hex"),
    },
)
env.Replace(LDSCRIPT_PATH=str(PLATFORM_DIR / "ldscripts" / "cortex_m.ld"))

elf = env.BuildProgram()
env.Depends(elf, ["$LDSCRIPT_PATH", "$BUILD_DIR/memory.ld"])
image = env.ElfToBin("$BUILD_DIR/firmware", elf)
env.ElfToHex("$BUILD_DIR/firmware", elf)
AlwaysBuild(env.Alias("nobuild", image))
Default(env.Alias("buildprog", [image, "$BUILD_DIR/firmware.hex"]))

env.AddPlatformTarget("size", elf, "$SIZETOOL -A -d $SOURCES", "Sizes", "Sections of the image")


def run_qemu(target, source, env):
    """Run the image until Ctrl-C, or for THUMBNET_QEMU_SECONDS; its serial port is a TCP server."""
    emulator = shutil.which("qemu-system-arm")
    if not emulator:
        return fail("qemu-system-arm is not installed (Debian: apt install qemu-system-arm).")
    port = os.environ.get("THUMBNET_QEMU_PORT") or str(DEFAULT_QEMU_PORT)
    seconds = os.environ.get("THUMBNET_QEMU_SECONDS")
    print(f"Running on {ABOUT['machine']}, serial port at socket://127.0.0.1:{port}; Ctrl-C ends.", flush=True)
    command = [
        *(emulator, "-M", ABOUT["machine"], "-kernel", str(source[0]), "-icount", "shift=6,sleep=off"),
        *("-display", "none", "-monitor", "none", "-serial", f"tcp:127.0.0.1:{port},server=on,wait=off"),
    ]
    try:
        return subprocess.run(command, timeout=float(seconds) if seconds else None, check=False).returncode
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        return 0


env.AddPlatformTarget("qemu", elf, env.VerboseAction(run_qemu, "Starting QEMU"), "Run in QEMU", "Emulate the board")


def openocd_command():
    package = platform.get_package_dir("tool-openocd") if "tool-openocd" in platform.packages else None
    scripts = f'-s "{Path(package) / "openocd" / "scripts"}" ' if package else ""
    return (
        f"openocd {scripts}-f interface/{board.get('upload.openocd_interface')}.cfg "
        f"-f target/{board.get('upload.openocd_target')}.cfg "
        '-c "program {$SOURCE} verify reset exit"'
    )


def upload_command(protocol):
    """The command and the program it needs; None for a protocol that this board does not have."""
    if protocol == "openocd":
        return openocd_command(), "openocd"
    if protocol == "pyocd":
        # Without --no-wait pyocd waits for a probe for ever.
        return f"pyocd flash --no-wait -t {board.get('upload.pyocd_target')} $SOURCE", "pyocd"
    if protocol == "dfu":
        return f"dfu-util -a 0 -s {ABOUT['flash'][0]}:leave -D ${{SOURCES[1]}}", "dfu-util"
    return None


def check_uploader(target, source, env):
    protocol = env.subst("$UPLOAD_PROTOCOL")
    if protocol == "qemu":
        return fail(f"{board.id} has nothing to upload to; run it with `pio run -e {env['PIOENV']} -t qemu`.")
    if protocol == "custom":
        return None if env.get("UPLOADCMD") else fail("upload_protocol custom wants an upload_command.")
    if protocol not in board.get("upload.protocols"):
        return fail(f"upload_protocol must be one of {', '.join(board.get('upload.protocols'))}, not {protocol!r}.")
    program = upload_command(protocol)[1]
    if not shutil.which(program, path=str(env["ENV"]["PATH"])):
        return fail(f"upload by {protocol} needs the program {program}, which is not on the PATH.")
    return None


if "upload" in COMMAND_LINE_TARGETS and upload_command(env.subst("$UPLOAD_PROTOCOL")):
    env.Replace(UPLOADCMD=upload_command(env.subst("$UPLOAD_PROTOCOL"))[0])
env.AddPlatformTarget(
    "upload",
    [elf, image],
    [
        env.VerboseAction(check_uploader, "Looking for $UPLOAD_PROTOCOL"),
        env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE"),
    ],
    "Upload",
    "Write the image to a real board",
)
