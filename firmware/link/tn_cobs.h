/* Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999): frames without a zero byte, so that zero delimits.
 *
 * Both directions stream: the encoder needs no buffer of its own, the decoder writes straight into the frame buffer.
 */
#ifndef TN_COBS_H
#define TN_COBS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Longest encoding of `count` bytes, delimiters not counted. */
#define TN_COBS_BYTES(count) ((count) + (count) / 254u + 1u)

typedef void (*tn_cobs_sink)(void *context, const uint8_t *bytes, size_t count);

/* Hand the encoding of `count` bytes, no delimiter, to `sink` piece by piece. */
void tn_cobs_encode(const uint8_t *bytes, size_t count, tn_cobs_sink sink, void *context);

typedef enum {
    TN_COBS_MORE,      /* nothing complete yet; empty frames are passed over too */
    TN_COBS_FRAME,     /* `count` decoded bytes lie in `buffer` until the next byte is decoded */
    TN_COBS_MALFORMED, /* the delimiter came inside a block */
    TN_COBS_OVERSIZE   /* the frame did not fit and was dropped */
} tn_cobs_event;

typedef struct {
    uint8_t *buffer;   /* owned by the caller */
    size_t capacity;   /* bytes in buffer */
    size_t count;      /* bytes decoded; beyond capacity they are counted once and dropped */
    uint8_t block;     /* code of the block being read, 0 before the first one */
    uint8_t left;      /* bytes of that block still to come */
} tn_cobs_decoder;

void tn_cobs_decoder_init(tn_cobs_decoder *decoder, uint8_t *buffer, size_t capacity);

/* Take one byte from the wire. After any event but TN_COBS_MORE the decoder is ready for the next frame. */
tn_cobs_event tn_cobs_decode(tn_cobs_decoder *decoder, uint8_t byte, size_t *count);

#ifdef __cplusplus
}
#endif

#endif
