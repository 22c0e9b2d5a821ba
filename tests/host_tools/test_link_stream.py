"""The client against the device application around a streamed model: slices go in as they come.

What is tested: every mode's answer is exact, whatever the frames' size does to the slices, over a sound line and over
one that loses, repeats, holds back and invents frames; no slice is pushed twice. The fake model fails when it gets
another number of slices than a window has, and each slice changes the output at its own place.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.links import (
    FaultyPipe,
    MadLine,
    ScriptedPipe,
    build_fake,
    fake_checksums,
    fake_outputs,
    interleave,
    windows,
)
from thumbnet.host_tools.devices.host import open_host
from thumbnet.host_tools.devices.process import ProcessPipe
from thumbnet.host_tools.errors import DeviceError, LinkError
from thumbnet.host_tools.link import protocol
from thumbnet.host_tools.link.client import DeviceClient
from thumbnet.host_tools.link.exchange import Exchange, Timing
from thumbnet.host_tools.link.frames import Frame, encode_frame
from thumbnet.host_tools.link.protocol import Hello, Mode, Refusal, Type

BRISK = Timing(timeout=10.0, retry=0.02, per_byte=0.0, run_timeout=10.0, run_retry=0.02)
SIZE = 3000
KINDS = [(992, 4), (64, 4), (64, 100), (992, 1500)]
"""Payload, and bytes of a slice: many slices to a frame, few, a slice over several frames, two slices in all."""


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"payload-{kind[0]}-slice-{kind[1]}")
def kind(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def channels(kind: tuple[int, int]) -> int:
    return kind[1]


@pytest.fixture(scope="module")
def program(kind: tuple[int, int]) -> Path:
    """Observed build with sanitizers."""
    return build_fake(input_bytes=SIZE, payload=kind[0], channels=kind[1], observe=True, sanitize=True)


@pytest.fixture
def pipe(program: Path) -> Iterator[ProcessPipe]:
    with open_host(program) as opened:
        yield opened


@pytest.fixture
def client(pipe: ProcessPipe) -> DeviceClient:
    return DeviceClient(pipe)


def begin(pipe: ProcessPipe, channels: int, mode: int = Mode.INFER) -> Exchange:
    exchange = Exchange(pipe, BRISK)
    exchange.ask(Type.STREAM_BEGIN, protocol.STREAM_BEGIN.pack(SIZE, channels, mode))
    return exchange


def test_hello_tells_the_slices(client, channels):
    hello = client.hello()
    assert (hello.slices, hello.slice_bytes, hello.channels) == (SIZE // channels, channels, channels)
    assert hello.is_streamed
    assert hello.modes == set(Mode)
    assert hello.input_bytes == SIZE


def test_infer_and_parity_are_exact(client):
    for block in windows(4, SIZE, seed=1):
        assert client.infer(block) == fake_outputs(block)
        reply = client.parity(block)
        assert (reply.outputs, reply.checksums) == (fake_outputs(block), fake_checksums(block))
    assert client.infer(block) == fake_outputs(block)


def test_profile_tells_the_pushes(client, channels):
    (block,) = windows(1, SIZE, seed=3)
    reply = client.profile(block)
    assert reply.outputs == fake_outputs(block)
    assert len(reply.layer_ticks) == 3
    assert reply.ticks > 0
    pushes = reply.pushes
    assert pushes is not None
    assert 0 < pushes.push_mean <= pushes.push_max
    assert 0 <= pushes.push_max_at < SIZE // channels
    assert pushes.finish >= 0


def test_stream_gives_a_result_for_every_window(client, channels):
    blocks = windows(3, SIZE, seed=4)
    samples = b"".join(interleave(block, channels) for block in blocks) + bytes(17)
    rng = random.Random(channels)
    chunks = []
    while samples:
        cut = rng.randrange(2500)
        chunks.append(samples[:cut])
        samples = samples[cut:]
    results = list(client.stream(chunks))
    assert [result.outputs for result in results] == [fake_outputs(block) for block in blocks]
    assert [result.position for result in results] == [SIZE, 2 * SIZE, 3 * SIZE]


def test_a_window_that_was_given_up_leaves_nothing_behind(pipe, client, channels):
    next(client.stream([bytes([5]) * (SIZE + 700)]), None)
    (block,) = windows(1, SIZE, seed=5)
    reply = client.parity(block)
    assert (reply.outputs, reply.checksums) == (fake_outputs(block), fake_checksums(block))


@pytest.mark.parametrize("settings", [{"channels": 3}, {"window_bytes": SIZE - 4}])
def test_a_stream_that_does_not_fit_is_refused_here(client, settings):
    with pytest.raises(LinkError, match=r"cannot fill windows of \d+ bytes \(the model takes \d+ slices of \d+ bytes"):
        next(client.stream([b"x"], **settings))


def test_the_device_refuses_what_is_wrong(pipe, channels):
    wrong = [
        (Type.WRITE, protocol.WRITE.pack(0) + b"x", Refusal.MODE),
        (Type.RUN, protocol.RUN.pack(Mode.INFER, zlib.crc32(bytes(SIZE))), Refusal.MODE),
        (Type.STREAM_BEGIN, protocol.STREAM_BEGIN.pack(SIZE, channels + 1, Mode.INFER), Refusal.RANGE),
        (Type.STREAM_BEGIN, protocol.STREAM_BEGIN.pack(SIZE - channels, channels, Mode.INFER), Refusal.RANGE),
        (Type.STREAM_BEGIN, protocol.STREAM_BEGIN.pack(SIZE, channels, Mode.STREAM), Refusal.MODE),
        (Type.STREAM_BEGIN, protocol.STREAM_BEGIN.pack(SIZE, channels, 99), Refusal.MODE),
        (Type.STREAM_PUSH, protocol.STREAM_PUSH.pack(0) + b"x", Refusal.POSITION),
    ]
    for kind, payload, refusal in wrong:
        with pytest.raises(LinkError, match=f"host refused {kind.name}: {protocol.REASONS[refusal][:12]}"):
            Exchange(pipe, BRISK).ask(kind, payload)


def test_a_push_is_carried_out_once_however_often_it_comes(pipe, channels):
    (block,) = windows(1, SIZE, seed=6)
    samples = interleave(block, channels)
    exchange = begin(pipe, channels)
    for position in range(0, SIZE, 50):
        push = Frame(
            Type.STREAM_PUSH, position, protocol.STREAM_PUSH.pack(position) + samples[position : position + 50]
        )
        pipe.write(encode_frame(push) * 3)
        pipe.read(0.0)
    with pytest.raises(LinkError, match="expects other samples"):
        exchange.ask(Type.STREAM_PUSH, protocol.STREAM_PUSH.pack(50) + samples[50:100])
    client = DeviceClient(pipe)
    assert client.stats().duplicates >= 2 * SIZE // 50
    reply = exchange.ask(Type.READ, protocol.READ.pack(0, 0, 60))
    assert reply == fake_outputs(block)[:60]


def test_a_model_that_fails_tells_its_code(client):
    with pytest.raises(DeviceError, match=r"the model on host failed with code -7"):
        client.infer(b"\x7f" + bytes(SIZE - 1))
    assert client.infer(bytes(SIZE)) == fake_outputs(bytes(SIZE))


@pytest.mark.parametrize("seed", range(2))
def test_results_stay_exact_over_a_bad_line(program, seed):
    with open_host(program) as sound:
        faulty = FaultyPipe(sound, seed, rate=4e-4)
        client = DeviceClient(faulty, BRISK)
        for block in windows(6, SIZE, seed):
            assert client.infer(block) == fake_outputs(block)
            reply = client.parity(block)
            assert (reply.outputs, reply.checksums) == (fake_outputs(block), fake_checksums(block))
        assert faulty.faults > 0
        assert client.repeats > 0


@pytest.mark.parametrize("seed", range(4))
def test_late_and_repeated_frames_never_give_a_wrong_result(program, seed):
    """A line that reorders may end a window in an error, but what comes as a result is right, and it goes on."""
    right = 0
    with open_host(program) as sound:
        line = MadLine(sound, seed, rate=0.03)
        client = DeviceClient(line, BRISK)
        for number, block in enumerate(windows(12, SIZE, seed)):
            try:
                if number % 2:
                    reply = client.parity(block)
                    assert (reply.outputs, reply.checksums) == (fake_outputs(block), fake_checksums(block))
                else:
                    assert client.infer(block) == fake_outputs(block)
            except LinkError:
                continue
            right += 1
        assert line.faults > 0
        # The line gets well, and so does the device.
        assert DeviceClient(sound).infer(block) == fake_outputs(block)
    assert right >= 6


def test_a_device_that_lost_its_place_gets_the_window_again():
    begun, refused = [], []

    def answer(frame: Frame) -> bytes:
        if frame.type == Type.HELLO:
            facts = (1024, 31, 8, 4, 0, 1000, 2, 2, 4, 4, bytes(32))
            reply = frame.payload + protocol.HELLO_REPLY.pack(0, *facts)[4:]
        elif frame.type == Type.STREAM_BEGIN:
            begun.append(frame)
            reply = b""
        elif not refused:
            refused.append(frame)
            return encode_frame(Frame(Type.REFUSED, frame.sequence, bytes([Refusal.POSITION, Type.STREAM_PUSH])))
        else:
            samples = frame.payload[4:]
            result = protocol.RESULT.pack(0, 5, 0, 0, zlib.crc32(b"abcd")) + b"abcd"
            reply = protocol.STREAM_REPLY.pack(len(samples), 1, zlib.crc32(samples)) + result
        return encode_frame(Frame(frame.type | 0x80, frame.sequence, reply))

    assert DeviceClient(ScriptedPipe(answer)).infer(bytes(range(8))) == b"abcd"
    assert len(begun) == 2


@pytest.mark.parametrize("slices", [(3, 4, 4), (2, 4, 0), (2, 4, 3)])
def test_a_hello_that_contradicts_itself_is_refused(slices):
    payload = protocol.HELLO_REPLY.pack(1, 1024, 31, 8, 4, 0, 1000, 2, *slices, bytes(32))
    with pytest.raises(LinkError, match="a hello tells of"):
        Hello.unpack(payload)


def test_slices_hold_every_channel_of_a_step():
    hello = Hello(1024, frozenset(Mode), 12, 4, 0, 1, 1, "", slices=3, slice_bytes=4, channels=2)
    assert hello.to_slices(bytes(range(12))) == bytes([0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11])
    odd = Hello(1024, frozenset(Mode), 12, 4, 0, 1, 1, "", slices=3, slice_bytes=3, channels=1)
    assert odd.to_slices(bytes(range(12))) == bytes(range(9))
