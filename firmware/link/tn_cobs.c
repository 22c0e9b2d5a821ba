#include "tn_cobs.h"

#define LONGEST_RUN 254u

void tn_cobs_encode(const uint8_t *bytes, size_t count, tn_cobs_sink sink, void *context)
{
    size_t at = 0;
    for (;;) {
        size_t run = 0;
        while (run < LONGEST_RUN && at + run < count && bytes[at + run] != 0u) {
            run++;
        }
        const uint8_t block = (uint8_t)(run + 1u);
        sink(context, &block, 1);
        if (run > 0u) {
            sink(context, bytes + at, run);
        }
        at += run;
        if (at == count) {
            return;
        }
        if (run < LONGEST_RUN) {
            at++; /* the zero that this block's end stands for */
        }
    }
}

void tn_cobs_decoder_init(tn_cobs_decoder *decoder, uint8_t *buffer, size_t capacity)
{
    decoder->buffer = buffer;
    decoder->capacity = capacity;
    decoder->count = 0;
    decoder->block = 0;
    decoder->left = 0;
}

static void append(tn_cobs_decoder *decoder, uint8_t byte)
{
    if (decoder->count < decoder->capacity) {
        decoder->buffer[decoder->count] = byte;
        decoder->count++;
    } else {
        decoder->count = decoder->capacity + 1u;
    }
}

static tn_cobs_event finish(tn_cobs_decoder *decoder, size_t *count)
{
    tn_cobs_event event = TN_COBS_FRAME;
    if (decoder->block == 0u) {
        event = TN_COBS_MORE;
    } else if (decoder->count > decoder->capacity) {
        event = TN_COBS_OVERSIZE;
    } else if (decoder->left > 0u) {
        event = TN_COBS_MALFORMED;
    }
    *count = decoder->count;
    decoder->count = 0;
    decoder->block = 0;
    decoder->left = 0;
    return event;
}

tn_cobs_event tn_cobs_decode(tn_cobs_decoder *decoder, uint8_t byte, size_t *count)
{
    if (byte == 0u) {
        return finish(decoder, count);
    }
    if (decoder->left > 0u) {
        append(decoder, byte);
        decoder->left--;
        return TN_COBS_MORE;
    }
    if (decoder->block != 0u && decoder->block != 0xFFu) {
        append(decoder, 0u);
    }
    decoder->block = byte;
    decoder->left = (uint8_t)(byte - 1u);
    return TN_COBS_MORE;
}
