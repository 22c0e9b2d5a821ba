/* Throws rubbish at the device's side of the link and checks that it always recovers.
 *
 * Usage: fuzz_link SEED BYTES. Deterministic. Feeds BYTES bytes or more: noise, damaged frames, sound frames of
 * arbitrary and of nearly right messages. Every few actions a sound hello has to get exactly its answer, the counters
 * have to add up, and every second time a whole inference has to give the right output. Buffers are allocated at their
 * exact size, so that AddressSanitizer sees the first byte beyond them. Ends with 0 and prints the counters, or says
 * what went wrong and ends with 1. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tn_crc32.h"
#include "tn_device.h"

#define INPUT_BYTES 1500u
#define OUTPUT_BYTES 300u
#define LAYERS 3u
#define WIRE_MAX 70000u
#ifdef STREAMED
#define CHANNELS STREAMED /* bytes of a slice */
#define SLICES (INPUT_BYTES / CHANNELS)
#else
#define CHANNELS 4u
#define SLICES 0u
#endif

static uint64_t seed;
static uint64_t fed;
static uint8_t *wire; /* to the device */
static size_t wire_count, wire_taken;
static uint8_t *answer; /* from the device */
static size_t answer_count;
static uint8_t *input, *output; /* a streamed model keeps the slices that it got at `input` */
static uint8_t *shared_slice;
static uint32_t arrived, stream_mode;
static uint16_t asked; /* sequence number of the last sound request */
static uint32_t records[LAYERS];
static uint64_t runs;
static tn_device device;

static void fail(const char *what)
{
    (void)fprintf(stderr, "after %" PRIu64 " bytes: %s\n", fed, what);
    exit(1);
}

static uint32_t draw(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % below);
}

static size_t port_read(void *context, uint8_t *bytes, size_t max)
{
    (void)context;
    size_t count = wire_count - wire_taken;
    const size_t limit = 1u + draw((uint32_t)max);
    count = count < limit ? count : limit;
    memcpy(bytes, wire + wire_taken, count);
    wire_taken += count;
    return count;
}

static void port_write(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    if (answer_count + count > WIRE_MAX) {
        answer_count = 0; /* nobody listens to what rubbish brings about */
    }
    memcpy(answer + answer_count, bytes, count);
    answer_count += count;
}

static uint64_t port_ticks(void *context)
{
    (void)context;
    return fed;
}

static void run(void *context, uint8_t mode, tn_device_run *result)
{
    (void)context;
    runs++;
    for (uint32_t i = 0; i < OUTPUT_BYTES; i++) {
        output[i] = (uint8_t)(input[i * (INPUT_BYTES / OUTPUT_BYTES)] ^ 0xA5u);
    }
    if (mode == TN_MODE_PARITY) {
        result->layers = records;
        result->layers_bytes = sizeof records;
    } else if (mode != TN_MODE_INFER) {
        fail("a mode that the model does not have was run");
    }
}

/* ---- the same model, streamed ---- */

static void begin(void *context, uint8_t mode)
{
    (void)context;
    arrived = 0;
    stream_mode = mode;
}

static void push(void *context, const uint8_t *samples, uint32_t slices)
{
    (void)context;
    if (slices == 0u || arrived + slices > INPUT_BYTES / CHANNELS) {
        fail("a push of no slices, or of more than a window has");
    }
    memcpy(input + arrived * CHANNELS, samples, slices * CHANNELS);
    arrived += slices;
}

static void finish(void *context, tn_device_run *result)
{
    if (arrived != INPUT_BYTES / CHANNELS) {
        fail("a window was finished without all of its slices");
    }
    run(context, (uint8_t)stream_mode, result);
    arrived = 0;
}

static void put_noise(uint32_t count, int zeros)
{
    for (uint32_t i = 0; i < count; i++) {
        wire[wire_count++] = zeros ? (uint8_t)draw(256) : (uint8_t)(1u + draw(255));
    }
}

static void put_bytes(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    memcpy(wire + wire_count, bytes, count);
    wire_count += count;
}

static void put_frame(uint8_t version, uint8_t type, uint16_t sequence, const uint8_t *payload, size_t count)
{
    static uint8_t frame[TN_LINK_FRAME_BYTES + 400u];
    static const uint8_t delimiter = 0;
    frame[0] = version;
    frame[1] = type;
    (void)tn_put16(frame + 2, sequence);
    if (count > 0u) {
        memcpy(frame + TN_HEADER_BYTES, payload, count);
    }
    (void)tn_put32(frame + TN_HEADER_BYTES + count, tn_crc32(0, frame, TN_HEADER_BYTES + count));
    put_bytes(NULL, &delimiter, 1);
    tn_cobs_encode(frame, TN_HEADER_BYTES + count + TN_CRC_BYTES, put_bytes, NULL);
    put_bytes(NULL, &delimiter, 1);
}

/* Numbers at which something changes are likelier than others. */
static uint32_t odd_number(void)
{
    static const uint32_t limits[] = {0, 1, OUTPUT_BYTES, INPUT_BYTES, TN_LINK_PAYLOAD, 0xFFFFu, 0x80000000u, 0xFFFFFFFFu};
    const uint32_t near = limits[draw(sizeof limits / sizeof limits[0])] + draw(5) - 2u;
    return draw(4) == 0u ? draw(INPUT_BYTES) : near;
}

/* A message that may be right; fields in the order of tn_protocol.h. */
static void put_message(void)
{
    uint8_t payload[TN_LINK_PAYLOAD + 16];
    uint8_t *at = payload;
    const uint8_t type = (uint8_t)(1u + draw(8));
    for (size_t i = 0; i < sizeof payload; i++) {
        payload[i] = (uint8_t)draw(256);
    }
    if (type == TN_HELLO || type == TN_WRITE) {
        at = tn_put32(at, odd_number());
    } else if (type == TN_RUN) {
        *at++ = (uint8_t)draw(5);
        at = tn_put32(at, draw(2) == 0u ? tn_crc32(0, input, INPUT_BYTES) : odd_number());
    } else if (type == TN_READ) {
        *at++ = (uint8_t)draw(3);
        at = tn_put16(tn_put32(at, odd_number()), (uint16_t)odd_number());
    } else if (type == TN_STREAM_BEGIN) {
        const int fits = draw(2) == 0u;
        at = tn_put32(at, fits ? INPUT_BYTES : odd_number());
        at = tn_put16(at, (uint16_t)(fits ? CHANNELS : draw(2) == 0u ? draw(6) : odd_number()));
        *at++ = (uint8_t)(draw(2) == 0u ? TN_MODE_INFER : draw(6));
    } else if (type == TN_STREAM_PUSH) {
        at = tn_put32(at, draw(4) == 0u ? odd_number() : device.stream_position);
    }
    size_t count = (size_t)(at - payload);
    if (type == TN_WRITE || type == TN_STREAM_PUSH || draw(8) == 0u) {
        count += draw(draw(8) == 0u ? (uint32_t)(sizeof payload - count) + 1u : 50u);
    }
    if (draw(8) == 0u) {
        count = draw((uint32_t)count + 1u);
    }
    put_frame(TN_PROTOCOL_VERSION, type, (uint16_t)draw(draw(2) == 0u ? 4 : 65536), payload, count);
}

static void put_arbitrary_frame(void)
{
    uint8_t payload[TN_LINK_PAYLOAD + 300];
    const uint32_t count = draw(draw(8) == 0u ? sizeof payload + 1u : 40u);
    for (uint32_t i = 0; i < count; i++) {
        payload[i] = (uint8_t)(draw(3) == 0u ? 0u : draw(256));
    }
    const uint8_t version = draw(4) == 0u ? (uint8_t)draw(256) : (uint8_t)TN_PROTOCOL_VERSION;
    put_frame(version, (uint8_t)draw(256), (uint16_t)draw(65536), payload, count);
}

static void damage(size_t from)
{
    for (uint32_t i = 1u + draw(3); i > 0u && wire_count > from; i--) {
        const size_t at = from + draw((uint32_t)(wire_count - from));
        const uint32_t kind = draw(8);
        if (kind == 0u) {
            wire_count = at; /* cut off */
        } else if (kind == 1u) {
            memmove(wire + at, wire + at + 1, wire_count - at - 1u);
            wire_count--;
        } else {
            wire[at] = (uint8_t)(kind == 2u ? 0u : wire[at] ^ 1u << draw(8));
        }
    }
}

static void put_rubbish(void)
{
    const size_t start = wire_count;
    switch (draw(8)) {
    case 0:
        put_noise(draw(100), 1);
        break;
    case 1:
        put_noise(draw(100), 0);
        break;
    case 2:
        if (draw(4) == 0u) {
            put_noise(TN_LINK_FRAME_BYTES + draw(300), 0);
        }
        break;
    case 3:
        put_arbitrary_frame();
        break;
    case 4:
        put_message();
        damage(start);
        break;
    case 5: /* what a host does that heard no answer */
        put_message();
        put_bytes(NULL, wire + start, wire_count - start);
        break;
    default:
        put_message();
        break;
    }
}

static void feed(void)
{
    fed += wire_count;
    while (tn_link_poll(&device.link) > 0u) {
    }
    if (wire_taken != wire_count) {
        fail("the device left bytes unread");
    }
    wire_count = 0;
    wire_taken = 0;
}

/* The last frame that the device sent; returns its payload's bytes. */
static size_t last_answer(uint8_t type, uint16_t sequence, uint8_t *frame)
{
    tn_cobs_decoder decoder;
    size_t found = 0;
    static uint8_t buffer[TN_LINK_FRAME_BYTES];
    tn_cobs_decoder_init(&decoder, buffer, sizeof buffer);
    for (size_t i = 0; i < answer_count; i++) {
        size_t count = 0;
        const tn_cobs_event event = tn_cobs_decode(&decoder, answer[i], &count);
        if (event == TN_COBS_FRAME) {
            memcpy(frame, buffer, count);
            found = count;
        } else if (event != TN_COBS_MORE) {
            fail("the device sent a malformed frame");
        }
    }
    if (found < TN_HEADER_BYTES + TN_CRC_BYTES || frame[1] != type || tn_get16(frame + 2) != sequence) {
        fail("a sound request got no answer, or another one's");
    }
    const size_t covered = found - TN_CRC_BYTES;
    if (tn_crc32(0, frame, covered) != tn_get32(frame + covered)) {
        fail("an answer's CRC-32 is wrong");
    }
    return covered - TN_HEADER_BYTES;
}

static size_t ask(uint8_t type, const uint8_t *payload, size_t count, uint8_t *frame)
{
    asked++;
    answer_count = 0;
    put_frame(TN_PROTOCOL_VERSION, type, asked, payload, count);
    feed();
    return last_answer((uint8_t)(type | TN_REPLY), asked, frame);
}

static void check_hello(void)
{
    uint8_t frame[TN_LINK_FRAME_BYTES];
    uint8_t nonce[4];
    const uint32_t number = draw(0xFFFFFFFFu);
    (void)tn_put32(nonce, number);
    const size_t count = ask(TN_HELLO, nonce, sizeof nonce, frame);
    const uint8_t *payload = frame + TN_HEADER_BYTES;
    if (count != TN_HELLO_REPLY_BYTES || tn_get32(payload) != number || tn_get32(payload + 8) != INPUT_BYTES) {
        fail("the hello is answered wrongly");
    }
}

#ifdef STREAMED

/* What a bad line brings in the middle of a window: noise, a piece that came before, one that comes too early. */
static void disturb(const uint8_t *block, uint32_t at)
{
    uint8_t payload[TN_LINK_PAYLOAD];
    const uint32_t position = draw(2) == 0u ? draw(at + 1u) : at + 1u + draw(INPUT_BYTES);
    if (draw(3) == 0u) {
        put_noise(draw(60), 1);
    }
    if (position != at) {
        const uint32_t count = draw(TN_LINK_PAYLOAD - TN_STREAM_PUSH_BYTES);
        memcpy(tn_put32(payload, position), block, count);
        const uint16_t late = (uint16_t)(asked - draw(1000));
        put_frame(TN_PROTOCOL_VERSION, TN_STREAM_PUSH, late, payload, TN_STREAM_PUSH_BYTES + count);
    }
    feed();
}

/* Frames of any size; returns the bytes of the last answer, whose result lies at `head`. */
static size_t send_window(const uint8_t *block, uint8_t *frame, const uint8_t **head)
{
    uint8_t payload[TN_LINK_PAYLOAD];
    size_t count = 0;
    *tn_put16(tn_put32(payload, INPUT_BYTES), CHANNELS) = TN_MODE_INFER;
    (void)ask(TN_STREAM_BEGIN, payload, TN_STREAM_BEGIN_BYTES, frame);
    for (uint32_t at = 0; at < INPUT_BYTES;) {
        uint32_t piece = 1u + draw(TN_LINK_PAYLOAD - TN_STREAM_PUSH_BYTES);
        piece = piece < INPUT_BYTES - at ? piece : INPUT_BYTES - at;
        if (draw(3) == 0u) {
            disturb(block, at);
        }
        memcpy(tn_put32(payload, at), block + at, piece);
        count = ask(TN_STREAM_PUSH, payload, TN_STREAM_PUSH_BYTES + piece, frame);
        at += piece;
        const uint8_t *answered = frame + TN_HEADER_BYTES;
        if (tn_get32(answered) != at || tn_get32(answered + 4) != (at == INPUT_BYTES) ||
            tn_get32(answered + 8) != tn_crc32(0, block, at)) {
            fail("a push is answered wrongly");
        }
    }
    *head = frame + TN_HEADER_BYTES + TN_STREAM_REPLY_BYTES;
    return count - TN_STREAM_REPLY_BYTES;
}

#else

static size_t send_window(const uint8_t *block, uint8_t *frame, const uint8_t **head)
{
    uint8_t payload[TN_LINK_PAYLOAD];
    for (uint32_t at = 0; at < INPUT_BYTES;) {
        uint32_t count = TN_LINK_PAYLOAD - TN_WRITE_BYTES;
        count = count < INPUT_BYTES - at ? count : INPUT_BYTES - at;
        memcpy(tn_put32(payload, at), block + at, count);
        (void)ask(TN_WRITE, payload, TN_WRITE_BYTES + count, frame);
        at += count;
    }
    payload[0] = TN_MODE_INFER;
    (void)tn_put32(payload + 1, tn_crc32(0, block, INPUT_BYTES));
    *head = frame + TN_HEADER_BYTES;
    return ask(TN_RUN, payload, TN_RUN_BYTES, frame);
}

#endif

static void check_inference(void)
{
    uint8_t frame[TN_LINK_FRAME_BYTES];
    uint8_t block[INPUT_BYTES];
    const uint8_t *head;
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] = (uint8_t)draw(256);
    }
    const size_t count = send_window(block, frame, &head);
    head += TN_RESULT_BYTES;
    for (size_t i = 0; i < count - TN_RESULT_BYTES; i++) {
        if (head[i] != (uint8_t)(block[i * (INPUT_BYTES / OUTPUT_BYTES)] ^ 0xA5u)) {
            fail("an inference gave a wrong output");
        }
    }
    if (memcmp(block, input, INPUT_BYTES) != 0) {
        fail("the input block is not what was written");
    }
}

static void *exactly(size_t count)
{
    void *memory = calloc(count, 1);
    if (memory == NULL) {
        fail("no memory");
    }
    return memory;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fail("usage: fuzz_link SEED BYTES");
    }
    seed = strtoull(argv[1], NULL, 10) * 2654435769u + 1u;
    const uint64_t total = strtoull(argv[2], NULL, 10);
    wire = exactly(WIRE_MAX);
    answer = exactly(WIRE_MAX);
    input = exactly(INPUT_BYTES);
    output = exactly(OUTPUT_BYTES);
    shared_slice = exactly(CHANNELS);

    const tn_device_model model = {
        .hash = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        .input = SLICES > 0u ? NULL : input,
        .run = run,
        .stream = {SLICES, CHANNELS, CHANNELS, shared_slice, begin, push, finish},
        .input_bytes = INPUT_BYTES,
        .output = output,
        .output_bytes = OUTPUT_BYTES,
        .layers = LAYERS,
        .modes = 1u << TN_MODE_INFER | 1u << TN_MODE_PARITY | 1u << TN_MODE_STREAM,
        .ticks_hz = 1,
    };
    const tn_link_port port = {.read = port_read, .write = port_write, .ticks = port_ticks};
    tn_device_init(&device, &model, &port);

    for (uint64_t round = 0; fed < total; round++) {
        for (uint32_t i = 1u + draw(12); i > 0u; i--) {
            put_rubbish();
        }
        feed();
        check_hello();
        if (round % 2u == 0u) {
            check_inference();
        }
        if (device.link.counters.bytes != (uint32_t)fed) {
            fail("the device counted other bytes than it was fed");
        }
    }
    const tn_link_counters *c = &device.link.counters;
    (void)printf("%" PRIu64 " %" PRIu64 " %u %u %u %u %u %u\n", fed, runs, (unsigned)c->frames, (unsigned)c->malformed,
                 (unsigned)c->corrupted, (unsigned)c->oversize, (unsigned)c->duplicates, (unsigned)c->refused);
    free(wire);
    free(answer);
    free(input);
    free(output);
    free(shared_slice);
    return 0;
}
