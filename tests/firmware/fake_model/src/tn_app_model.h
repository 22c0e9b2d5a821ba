/* A model small enough to check by hand, in the shape of generated code: three layers over one block of bytes.
 * layer 0: x + 1    layer 1: x XOR 0x55    layer 2: every FAKE_STEP-th byte
 * With FAKE_CHANNELS it is streamed: slices of that many bytes, layers 0 and 1 fire with every slice.
 * An input whose first byte is 127 makes the model fail with -7, one of 126 the processor. */
#ifndef TN_APP_MODEL_H
#define TN_APP_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifndef FAKE_INPUT_BYTES
#define FAKE_INPUT_BYTES 3000
#endif
#define FAKE_STEP 5

#define TN_MODEL_HASH "00112233445566778899aabbccddeeff0123456789ABCDEF0123456789ABCDEF"
#define TN_MODEL_LAYERS 3
#define TN_MODEL_INPUT_BYTES FAKE_INPUT_BYTES
#define TN_MODEL_OUTPUT_BYTES (FAKE_INPUT_BYTES / FAKE_STEP)
#define TN_MODEL_STATE_BYTES FAKE_INPUT_BYTES

#ifdef FAKE_CHANNELS
#define TN_MODEL_SLICES (FAKE_INPUT_BYTES / FAKE_CHANNELS)
#define TN_MODEL_SLICE_BYTES FAKE_CHANNELS
#define TN_MODEL_SLICE_CHANNELS FAKE_CHANNELS
#endif

typedef struct {
    int8_t work[FAKE_INPUT_BYTES];
#ifdef FAKE_CHANNELS
    uint32_t arrived;
    int8_t first;
#endif
} tn_model_state;

void tn_model_reset(tn_model_state *s);
#ifdef FAKE_CHANNELS
void tn_model_push(tn_model_state *s, const int8_t *samples, size_t slices);
int tn_model_finish(tn_model_state *s, int8_t *out);
#else
int tn_model_run(tn_model_state *s, const int8_t *in, int8_t *out);
#endif

#endif
