"""The link library in C against the libraries that define its formats: zlib's CRC-32, cobs, our NumPy checksum.

What is tested: the arithmetic, the numbers that C and Python share, and that both compilers find nothing to warn
about. What is not: requests and replies (tests/host_tools/test_link_client.py) and hostile input (tests/fuzz/link).
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st
from support.links import FAKE_MODEL, LINK, ROOT
from thumbnet.host_tools.link import frames, protocol
from thumbnet.host_tools.link.checksum import layer_checksum

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SINK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t)
FRAME, MALFORMED, OVERSIZE = 1, 2, 3

# Blocks end at 254 bytes without a zero: lengths around it, and few distinct values, find the corners.
DATA = st.one_of(
    st.binary(max_size=700),
    st.lists(st.sampled_from([b"\0", b"\1", b"\xff" * 253, b"\x80" * 254, b"\7" * 255]), max_size=6).map(b"".join),
)


class Decoder(ctypes.Structure):
    _fields_ = (
        ("buffer", ctypes.POINTER(ctypes.c_uint8)),
        ("capacity", ctypes.c_size_t),
        ("count", ctypes.c_size_t),
        ("block", ctypes.c_uint8),
        ("left", ctypes.c_uint8),
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    made = tmp_path_factory.mktemp("link") / "link.so"
    sources = [str(LINK / name) for name in ("tn_crc32.c", "tn_cobs.c", "tn_checksum.c")]
    subprocess.run(["cc", *STRICT, "-O1", "-shared", "-fPIC", *sources, "-o", str(made)], check=True)
    loaded = ctypes.CDLL(str(made))
    loaded.tn_crc32.restype = ctypes.c_uint32
    loaded.tn_crc32.argtypes = (ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t)
    loaded.tn_checksum.restype = ctypes.c_uint32
    loaded.tn_checksum.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32)
    loaded.tn_cobs_encode.restype = None
    loaded.tn_cobs_encode.argtypes = (ctypes.c_char_p, ctypes.c_size_t, SINK, ctypes.c_void_p)
    return loaded


def c_encode(library: ctypes.CDLL, data: bytes) -> bytes:
    out = bytearray()
    sink = SINK(lambda _, pieces, count: out.extend(pieces[:count]))
    library.tn_cobs_encode(data, len(data), sink, None)
    return bytes(out)


def c_decode(library: ctypes.CDLL, wire: bytes, capacity: int) -> list[bytes | int]:
    """Frames that the bytes complete; a number for an event that is none."""
    buffer = (ctypes.c_uint8 * max(capacity, 1))()
    decoder, count, found = Decoder(), ctypes.c_size_t(), []
    library.tn_cobs_decoder_init(ctypes.byref(decoder), buffer, ctypes.c_size_t(capacity))
    for byte in wire:
        event = library.tn_cobs_decode(ctypes.byref(decoder), ctypes.c_uint8(byte), ctypes.byref(count))
        if event:
            found.append(bytes(buffer[: count.value]) if event == FRAME else event)
    return found


@given(data=DATA, cut=st.integers(0, 700))
def test_crc32_is_zlibs_in_one_piece_or_two(library, data, cut):
    assert library.tn_crc32(0, data, len(data)) == zlib.crc32(data)
    head, tail = data[:cut], data[cut:]
    assert library.tn_crc32(library.tn_crc32(0, head, len(head)), tail, len(tail)) == zlib.crc32(data)


@given(data=DATA)
def test_cobs_is_the_librarys_in_both_directions(library, data):
    encoded = c_encode(library, data)
    assert encoded == cobs.encode(data)
    assert len(encoded) <= len(data) + len(data) // 254 + 1
    assert c_decode(library, b"\0" + encoded + b"\0\0" + encoded + b"\0", len(data)) == [data, data]


@given(wire=st.binary(min_size=1, max_size=300).map(lambda data: data.replace(b"\0", b"\1")))
def test_cobs_refuses_what_the_library_refuses(library, wire):
    try:
        expected: list[bytes | int] = [cobs.decode(wire)]
    except cobs.DecodeError:
        expected = [MALFORMED]
    assert c_decode(library, wire + b"\0", 400) == expected


@given(data=st.binary(min_size=1, max_size=300), missing=st.integers(1, 300))
def test_a_frame_that_does_not_fit_is_dropped_and_the_next_one_is_read(library, data, missing):
    capacity = max(0, len(data) - missing)
    short = data[:capacity]
    wire = cobs.encode(data) + b"\0" + cobs.encode(short) + b"\0"
    assert c_decode(library, wire, capacity) == [OVERSIZE, short]


@settings(max_examples=50)
@given(data=st.binary(max_size=3000), cut=st.integers(0, 3000), first=st.integers(0, 2**32 - 1))
def test_layer_checksum_is_the_devices_and_the_sum_of_its_pieces(library, data, cut, first):
    assert layer_checksum(data, first) == library.tn_checksum(data, len(data), first)
    head, tail = data[:cut], data[cut:]
    pieces = layer_checksum(tail, first + len(head)) + layer_checksum(head, first)
    assert pieces % 2**32 == layer_checksum(data, first)


def test_layer_checksum_of_arrays_is_that_of_their_bytes(library):
    rng = np.random.default_rng(1)
    for array in (
        rng.integers(-128, 128, (3, 1000, 40), np.int8),
        rng.integers(-(2**31), 2**31, (7, 11), np.int32),
        rng.standard_normal((5, 9)).astype(np.float32),
        rng.integers(-128, 128, (6, 8), np.int8).T,
        np.zeros(0, np.int8),
    ):
        data = array.tobytes()
        assert layer_checksum(array) == library.tn_checksum(data, len(data), 0)
    # More than the NumPy side hashes at a time.
    large = rng.integers(-128, 128, 1_000_003, np.int8).tobytes()
    assert layer_checksum(large) == library.tn_checksum(large, len(large), 0)


def test_layer_checksum_tells_a_changed_and_a_swapped_element():
    rng = np.random.default_rng(2)
    tensor = rng.integers(0, 256, 500, np.uint8)
    original = layer_checksum(tensor)
    for at in range(499):
        changed = tensor.copy()
        changed[at] ^= np.uint8(1 << int(rng.integers(8)))
        assert layer_checksum(changed) != original
        swapped = tensor.copy()
        swapped[[at, at + 1]] = swapped[[at + 1, at]]
        assert (layer_checksum(swapped) != original) == (tensor[at] != tensor[at + 1])


def header_numbers() -> dict[str, int]:
    text = (LINK / "tn_protocol.h").read_text()
    return {name: int(value, 0) for name, value in re.findall(r"#define TN_(\w+) (0x[0-9A-F]+|\d+)u", text)}


def test_header_and_python_agree_on_every_number():
    numbers = header_numbers()
    shared = {"PROTOCOL_VERSION": frames.VERSION, "REPLY": protocol.REPLY, "HEADER_BYTES": 4, "CRC_BYTES": 4}
    shared |= {member.name: member.value for member in protocol.Type}
    shared |= {f"MODE_{member.name}": member.value for member in protocol.Mode}
    shared |= {f"REGION_{member.name}": member.value for member in protocol.Region}
    shared |= {f"REFUSED_{member.name}": member.value for member in protocol.Refusal}
    layouts = ("HELLO_REPLY", "WRITE", "RUN", "READ", "STREAM_BEGIN", "STREAM_PUSH", "RESULT", "STREAM_REPLY", "PUSHES")
    shared |= {f"{name}_BYTES": getattr(protocol, name).size for name in layouts}
    assert numbers == shared
    assert set(protocol.REASONS) == set(protocol.Refusal)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(
    "flags",
    [(), ("-DTN_OBSERVE=1", "-DTN_LINK_PAYLOAD=64"), ("-DFAKE_CHANNELS=4",), ("-DFAKE_CHANNELS=4", "-DTN_OBSERVE=1")],
    ids=["plain", "observed-64", "stream", "stream-observed"],
)
def test_compilers_find_nothing_to_warn_about(compiler, flags, tmp_path: Path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    firmware = ROOT / "firmware"
    folders = (LINK, firmware / "src", FAKE_MODEL / "src")
    includes = [f"-I{folder}" for folder in (*folders, firmware / "hal")]
    sources = [str(path) for folder in folders for path in sorted(folder.glob("*.c"))]
    done = subprocess.run(
        [compiler, *STRICT, "-O2", *flags, *includes, "-c", *sources], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_headers_serve_cpp(tmp_path: Path):
    source = tmp_path / "all.cpp"
    names = sorted(path.name for path in LINK.glob("*.h"))
    source.write_text("".join(f'#include "{name}"\n' for name in names))
    done = subprocess.run(
        ["c++", "-Wall", "-Wextra", "-Werror", f"-I{LINK}", "-fsyntax-only", str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
