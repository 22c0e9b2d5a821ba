"""The client against the device application as a program of this computer, and against devices that misbehave.

What is tested: every mode's answer is exact, over a sound line and over one that loses, changes, doubles, delays and
invents bytes; whatever a device does wrong ends in one sentence. What is not: QEMU and serial ports
(test_devices.py), real models (test_parity_*.py).
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.links import (
    FAKE_HASH,
    FaultyPipe,
    ScriptedPipe,
    build_fake,
    fake_checksums,
    fake_outputs,
    interleave,
    windows,
)
from thumbnet.host_tools.devices.host import open_host
from thumbnet.host_tools.devices.process import ProcessPipe
from thumbnet.host_tools.errors import DeviceClosed, DeviceError, DeviceFaulted, DeviceTimeout, LinkError
from thumbnet.host_tools.link import protocol
from thumbnet.host_tools.link.client import DeviceClient
from thumbnet.host_tools.link.exchange import Exchange, Timing
from thumbnet.host_tools.link.frames import Frame, FrameDecoder, encode_frame
from thumbnet.host_tools.link.protocol import Mode, Refusal, Region, Type

BRISK = Timing(timeout=10.0, retry=0.02, per_byte=0.0, run_timeout=10.0, run_retry=0.02)
HASTY = Timing(timeout=0.2, retry=0.05, per_byte=0.0, run_timeout=0.2, run_retry=0.05)
SIZE = 3000


@pytest.fixture(scope="module", params=[992, 64], ids="payload-{}".format)
def program(request: pytest.FixtureRequest) -> Path:
    """Observed build with sanitizers."""
    return build_fake(input_bytes=SIZE, payload=request.param, observe=True, sanitize=True)


@pytest.fixture
def pipe(program: Path) -> Iterator[ProcessPipe]:
    with open_host(program) as opened:
        yield opened


@pytest.fixture
def client(pipe: ProcessPipe) -> DeviceClient:
    return DeviceClient(pipe)


# ---- a sound line ----


def test_hello_tells_the_model_and_its_sizes(client):
    hello = client.hello()
    assert hello.model_hash == FAKE_HASH
    assert (hello.input_bytes, hello.output_bytes, hello.state_bytes, hello.layers) == (SIZE, SIZE // 5, SIZE, 3)
    assert hello.modes == set(Mode) - {Mode.PUSHES}
    assert not hello.is_streamed
    assert hello.payload_bytes in (64, 992)
    assert hello.ticks_hz == 10**9


def test_infer_is_exact(client):
    for block in windows(5, SIZE, seed=1):
        assert client.infer(block) == fake_outputs(block)
    # A device that is slow to start may be greeted again; nothing else is repeated on a good line.
    greetings = client.repeats
    assert client.infer(windows(1, SIZE, seed=2)[0]) == fake_outputs(windows(1, SIZE, seed=2)[0])
    assert client.repeats == greetings


def test_parity_gives_outputs_and_the_checksum_of_every_layer(client):
    for block in windows(3, SIZE, seed=2):
        reply = client.parity(block)
        assert reply.outputs == fake_outputs(block)
        assert reply.checksums == fake_checksums(block)


def test_profile_gives_ticks_of_the_whole_and_of_every_layer(client):
    (block,) = windows(1, SIZE, seed=3)
    reply = client.profile(block)
    assert reply.outputs == fake_outputs(block)
    assert len(reply.layer_ticks) == 3
    assert 0 < sum(reply.layer_ticks) <= reply.ticks
    assert reply.stack_bytes == 0


@pytest.mark.parametrize("channels", [1, 4, 3000])
def test_stream_gives_a_result_for_every_window(client, channels):
    blocks = windows(3, SIZE, seed=4)
    samples = b"".join(interleave(block, channels) for block in blocks) + bytes(17)
    rng = random.Random(channels)
    chunks = []
    while samples:
        cut = rng.randrange(2500)
        chunks.append(samples[:cut])
        samples = samples[cut:]
    results = list(client.stream(chunks, channels=channels))
    assert [result.outputs for result in results] == [fake_outputs(block) for block in blocks]
    assert [result.position for result in results] == [SIZE, 2 * SIZE, 3 * SIZE]


def test_stream_of_short_windows_gives_several_results_for_a_chunk(client):
    head = bytes(range(1, 61))
    expected = [fake_outputs(head[at : at + 20].ljust(SIZE, b"\0")) for at in (0, 20, 40)]
    assert [result.outputs for result in client.stream([head], window_bytes=20)] == expected
    # The windows have overwritten what an upload would have left out.
    (block,) = windows(1, SIZE, seed=5)
    assert client.infer(block) == fake_outputs(block)


@pytest.mark.parametrize(
    "settings", [{"channels": 0}, {"channels": 7}, {"window_bytes": 0}, {"window_bytes": SIZE + 1}]
)
def test_a_stream_that_does_not_fit_is_refused_here(client, settings):
    with pytest.raises(LinkError, match=r"cannot fill windows of \d+ bytes"):
        next(client.stream([b"x"], **settings))


def test_only_what_changed_is_sent_again(client):
    (block,) = windows(1, SIZE, seed=6)
    client.infer(block)
    before = client.stats().received
    assert client.infer(block) == fake_outputs(block)
    assert client.stats().received - before < 400


def test_a_model_that_fails_tells_its_code(client):
    with pytest.raises(DeviceError, match=r"the model on host failed with code -7"):
        client.infer(b"\x7f" + bytes(SIZE - 1))
    assert client.infer(bytes(SIZE)) == fake_outputs(bytes(SIZE))


def test_a_block_of_the_wrong_size_is_refused_here(client):
    with pytest.raises(LinkError, match="takes inputs of 3000 bytes, not 2999"):
        client.infer(bytes(SIZE - 1))


def test_a_build_that_observes_nothing_has_no_parity_mode():
    with open_host(build_fake(input_bytes=SIZE)) as opened:
        client = DeviceClient(opened)
        with pytest.raises(LinkError, match="the firmware of host was built without the mode parity"):
            client.parity(bytes(SIZE))
        assert client.profile(bytes(SIZE)).layer_ticks == ()


def test_another_model_is_refused(pipe):
    with pytest.raises(LinkError, match=f"runs the model {FAKE_HASH[:12]}, not ffffffffffff; flash it again"):
        DeviceClient(pipe, model_hash="FF" * 32).hello()
    assert DeviceClient(pipe, model_hash=FAKE_HASH.upper()).hello().layers == 3


# ---- the device's own checks ----


@pytest.mark.parametrize(
    ("kind", "payload", "refusal"),
    [
        (Type.HELLO, b"abc", Refusal.LENGTH),
        (Type.WRITE, b"abc", Refusal.LENGTH),
        (Type.WRITE, protocol.WRITE.pack(SIZE) + b"x", Refusal.RANGE),
        (Type.WRITE, protocol.WRITE.pack(2**32 - 1) + b"xx", Refusal.RANGE),
        (Type.RUN, b"\0", Refusal.LENGTH),
        (Type.RUN, protocol.RUN.pack(Mode.STREAM, zlib.crc32(bytes(SIZE))), Refusal.MODE),
        (Type.RUN, protocol.RUN.pack(200, zlib.crc32(bytes(SIZE))), Refusal.MODE),
        (Type.RUN, protocol.RUN.pack(Mode.INFER, 12345), Refusal.INPUT),
        (Type.READ, protocol.READ.pack(Region.OUTPUT, SIZE // 5, 1), Refusal.RANGE),
        (Type.READ, protocol.READ.pack(Region.LAYERS, 0, 4), Refusal.MODE),
        (Type.READ, protocol.READ.pack(9, 0, 1), Refusal.MODE),
        (Type.STREAM_BEGIN, protocol.STREAM_BEGIN.pack(SIZE, 7, Mode.INFER), Refusal.RANGE),
        (Type.STREAM_BEGIN, protocol.STREAM_BEGIN.pack(SIZE, 1, Mode.STREAM), Refusal.MODE),
        (Type.STREAM_BEGIN, protocol.STREAM_BEGIN.pack(SIZE, 1, Mode.PUSHES), Refusal.MODE),
        (Type.STREAM_BEGIN, protocol.STREAM_BEGIN.pack(SIZE, 1, Mode.INFER)[:6], Refusal.LENGTH),
        (Type.STREAM_PUSH, protocol.STREAM_PUSH.pack(0) + b"x", Refusal.POSITION),
        (Type.STATS, b"x", Refusal.LENGTH),
    ],
)
def test_the_device_refuses_what_is_wrong(pipe, kind, payload, refusal):
    with pytest.raises(LinkError, match=f"host refused {kind.name}: {protocol.REASONS[refusal][:12]}"):
        Exchange(pipe, BRISK).ask(kind, payload)
    assert DeviceClient(pipe).stats().refused == 1


def test_the_device_counts_what_goes_wrong(pipe, client):
    sound = encode_frame(Frame(Type.STATS, 7))
    changed = bytearray(encode_frame(Frame(Type.STATS, 8)))
    changed[4] ^= 0x40
    pipe.write(sound + sound + bytes(changed) + b"\0\x09ab\0" + b"\0" + b"x" * 40_000 + b"\0")
    pipe.write(encode_frame(Frame(Type.STATS | 0x80, 9)) + encode_frame(Frame(0x55, 10)))
    stats = client.stats()
    assert (stats.duplicates, stats.corrupted, stats.malformed, stats.oversize) == (1, 1, 1, 1)
    assert (stats.refused, stats.frames, stats.replies, stats.lost) == (2, 5, 3, 0)


def test_a_request_is_carried_out_once_however_often_it_comes(pipe, client):
    list(client.stream([bytes(10)]))
    push = Frame(Type.STREAM_PUSH, 1234, protocol.STREAM_PUSH.pack(10) + bytes(5))
    pipe.write(encode_frame(push) * 3)
    assert client.stats().duplicates == 2
    reply = Exchange(pipe, BRISK).ask(Type.STREAM_PUSH, protocol.STREAM_PUSH.pack(15))
    assert protocol.STREAM_REPLY.unpack(reply) == (15, 0, zlib.crc32(bytes(15)))


def test_an_older_protocol_version_is_told(pipe):
    decoder = FrameDecoder()
    pipe.write(encode_frame(Frame(Type.STATS, 1, version=9)))
    found: list[Frame] = []
    while not found:
        found = decoder.feed(pipe.read(5.0))
    assert found == [Frame(Type.REFUSED, 1, bytes([Refusal.VERSION, Type.STATS]))]


# ---- an unsound line ----


@pytest.mark.parametrize("seed", range(2))
def test_results_stay_exact_over_a_bad_line(program, seed):
    with open_host(program) as sound:
        faulty = FaultyPipe(sound, seed, rate=4e-4)
        client = DeviceClient(faulty, BRISK)
        for block in windows(6, SIZE, seed):
            assert client.infer(block) == fake_outputs(block)
            reply = client.parity(block)
            assert (reply.outputs, reply.checksums) == (fake_outputs(block), fake_checksums(block))
        blocks = windows(2, SIZE, seed + 100)
        results = client.stream([b"".join(blocks)])
        assert [result.outputs for result in results] == [fake_outputs(block) for block in blocks]
        assert faulty.faults > 0
        assert client.repeats > 0


def test_a_line_that_carries_hardly_anything_ends_in_a_sentence(program):
    with open_host(program) as sound:
        client = DeviceClient(FaultyPipe(sound, 1, rate=0.3), HASTY)
        with pytest.raises((DeviceTimeout, LinkError), match="the device host "):
            client.infer(bytes(SIZE))


# ---- devices that misbehave ----


def hello_reply(frame: Frame, **changes: object) -> bytes:
    facts = {"size": 1024, "modes": 15, "inputs": 8, "outputs": 4, "state": 0, "hz": 1000, "layers": 2} | changes
    nonce = changes.get("nonce", frame.payload)
    payload = nonce + struct.pack("<HHIIIIHHI32s", *list(facts.values())[:7], 0, 0, bytes(32))  # type: ignore[operator]
    return encode_frame(Frame(frame.type | 0x80, frame.sequence, payload))


def scripted(answers: dict[int, object], timing: Timing = HASTY) -> DeviceClient:
    """A device that says hello and answers each type as told."""

    def answer(frame: Frame) -> bytes:
        told = answers.get(frame.type)
        if callable(told):
            return bytes(told(frame))
        if isinstance(told, bytes):
            return encode_frame(Frame(frame.type | 0x80, frame.sequence, told))
        return hello_reply(frame) if frame.type == Type.HELLO else b""

    return DeviceClient(ScriptedPipe(answer), timing)


def result(status: int = 0, layers: int = 0, outputs: bytes = b"abcd", crc: int | None = None) -> bytes:
    return protocol.RESULT.pack(status, 5, 0, layers, zlib.crc32(outputs) if crc is None else crc) + outputs


def test_silence_ends_in_a_timeout_that_says_how_often_it_was_tried():
    pipe = ScriptedPipe(lambda frame: b"")
    with pytest.raises(DeviceTimeout, match=r"the device board X did not answer HELLO within 0\.2\d* s and 2 repet"):
        DeviceClient(pipe, HASTY).hello()
    assert pipe.asked == [Type.HELLO] * 3


def test_rubbish_is_told_from_silence():
    pipe = ScriptedPipe(lambda frame: b"U-Boot 2019.07\r\n\0")
    with pytest.raises(LinkError, match=r"board X sent \d+ bytes but no sound frame within .* or another baud rate"):
        DeviceClient(pipe, HASTY).hello()


def test_an_echo_is_not_an_answer():
    with pytest.raises(DeviceTimeout, match="did not answer HELLO"):
        DeviceClient(ScriptedPipe(encode_frame), HASTY).hello()


def test_another_protocol_version_is_told():
    pipe = ScriptedPipe(lambda frame: encode_frame(Frame(Type.REFUSED, frame.sequence, b"\1\1", version=1)))
    with pytest.raises(LinkError, match="board X speaks version 1 of the link protocol, these tools version 2"):
        DeviceClient(pipe, HASTY).hello()


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({Type.HELLO: b"short"}, "a hello reply has 64 bytes, not 5"),
        ({Type.HELLO: lambda f: hello_reply(f, nonce=b"\0\1\2\3")}, "answered another hello"),
        ({Type.HELLO: lambda f: hello_reply(f, size=63)}, "announces payloads of 63 bytes, not 64 to 32768"),
        ({Type.WRITE: b"?"}, "answered WRITE with 1 bytes, not 0"),
        ({Type.WRITE: b"", Type.RUN: b"?"}, "a result has at least 24 bytes, not 1"),
        ({Type.WRITE: b"", Type.RUN: result(crc=1)}, "the output block of board X arrived changed"),
        ({Type.WRITE: b"", Type.RUN: result(outputs=b"ab")[:-1], Type.READ: b"?"}, "READ with 1 bytes, not 3"),
        ({Type.WRITE: b"", Type.RUN: result(layers=3), Type.READ: b"abc"}, "gave 3 bytes of layer records of 4"),
        ({Type.WRITE: lambda f: encode_frame(Frame(0xFF, f.sequence, b"\x63\2"))}, "refused WRITE: code 99"),
        ({Type.WRITE: lambda f: encode_frame(Frame(0xFF, f.sequence, b"\3"))}, "a refusal reply has 2 bytes, not 1"),
    ],
)
def test_answers_against_the_protocol_end_in_a_sentence(answers, sentence):
    with pytest.raises(LinkError, match=sentence):
        scripted(answers).parity(bytes(8))


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (b"1234", "with 4 bytes, not 12 or more"),
        (struct.pack("<III", 9, 0, 0), r"took 9 of 3 bytes"),
        (bytes(12), "took 0 of 3"),
        (struct.pack("<III", 3, 0, 0), "has other samples than were sent"),
    ],
)
def test_stream_answers_against_the_protocol_end_in_a_sentence(reply, sentence):
    client = scripted({Type.STREAM_BEGIN: b"", Type.STREAM_PUSH: reply})
    with pytest.raises(LinkError, match=sentence):
        list(client.stream([b"abc"]))


def test_a_processor_fault_is_told():
    client = scripted({Type.WRITE: b"", Type.RUN: lambda f: encode_frame(Frame(Type.FAULT, f.sequence, b"\3\0\0\0"))})
    with pytest.raises(DeviceFaulted, match=r"the processor of board X stopped with a hard fault \(exception 3\)"):
        client.infer(bytes(8))


def test_a_busy_device_is_waited_for_and_its_lost_result_asked_for_again():
    asked = []

    def run(frame: Frame) -> bytes:
        asked.append(frame.sequence)
        busy = encode_frame(Frame(Type.BUSY, frame.sequence))
        return busy if len(asked) == 1 else encode_frame(Frame(Type.RUN | 0x80, frame.sequence, result()))

    timing = Timing(timeout=0.1, retry=0.04, per_byte=0.0, run_timeout=5.0, run_retry=0.3)
    assert scripted({Type.WRITE: b"", Type.RUN: run}, timing).infer(bytes(8)) == b"abcd"
    assert len(set(asked)) == 1 < len(asked)


def test_a_device_that_was_reset_gets_its_input_again():
    written, refused = [], []

    def write(frame: Frame) -> bytes:
        written.append(frame.payload)
        return encode_frame(Frame(Type.WRITE | 0x80, frame.sequence))

    def run(frame: Frame) -> bytes:
        if len(written) == 1 and refused:
            return encode_frame(Frame(Type.REFUSED, frame.sequence, bytes([Refusal.INPUT, Type.RUN])))
        refused.append(frame)
        return encode_frame(Frame(Type.RUN | 0x80, frame.sequence, result()))

    client = scripted({Type.WRITE: write, Type.RUN: run})
    assert client.infer(bytes(8)) == client.infer(bytes(8)) == b"abcd"
    assert len(written) == 2


def test_a_device_that_goes_away_is_told(program):
    with open_host(program) as opened:
        client = DeviceClient(opened)
        with pytest.raises(DeviceClosed, match="the device host "):
            client.infer(b"\x7e" + bytes(SIZE - 1))
