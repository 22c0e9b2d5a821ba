#include "tn_app_model.h"

#include <string.h>

#ifdef TN_OBSERVE
void tn_observe(int layer, const void *data, size_t first, size_t runs, size_t run, size_t stride);
#define observe(layer, data, first, runs, run, stride) tn_observe((layer), (data), (first), (runs), (run), (stride))
#else
#define observe(layer, data, first, runs, run, stride) ((void)0)
#endif

void tn_model_reset(tn_model_state *s)
{
    memset(s, 0, sizeof *s);
}

static void fail_on(int8_t first)
{
    if (first == 126) {
        __builtin_trap();
    }
}

static void choose_outputs(const tn_model_state *s, int8_t *out)
{
    for (int i = 0; i < TN_MODEL_OUTPUT_BYTES; i++) {
        out[i] = s->work[i * FAKE_STEP];
    }
    observe(2, out, 0, 1, TN_MODEL_OUTPUT_BYTES, 0);
}

#ifdef FAKE_CHANNELS

/* Channels of a slice lie TN_MODEL_SLICES bytes apart in the window; slices beyond it would be seen in `arrived`. */
static void take_slice(tn_model_state *s, const int8_t *slice)
{
    int8_t layer[FAKE_CHANNELS];
    const uint32_t at = s->arrived++;
    if (at == 0u) {
        s->first = slice[0];
        fail_on(s->first);
    }
    if (at >= TN_MODEL_SLICES) {
        return;
    }
    for (uint32_t c = 0; c < FAKE_CHANNELS; c++) {
        layer[c] = (int8_t)(uint8_t)((uint8_t)slice[c] + 1u);
    }
    observe(0, layer, at, FAKE_CHANNELS, 1, TN_MODEL_SLICES);
    for (uint32_t c = 0; c < FAKE_CHANNELS; c++) {
        layer[c] = (int8_t)(layer[c] ^ 0x55);
        s->work[c * TN_MODEL_SLICES + at] = layer[c];
    }
    observe(1, layer, at, FAKE_CHANNELS, 1, TN_MODEL_SLICES);
}

void tn_model_push(tn_model_state *s, const int8_t *samples, size_t slices)
{
    for (; slices > 0u; slices--, samples += FAKE_CHANNELS) {
        take_slice(s, samples);
    }
}

int tn_model_finish(tn_model_state *s, int8_t *out)
{
    if (s->first == 127) {
        return -7;
    }
    if (s->arrived != TN_MODEL_SLICES) {
        return -9;
    }
    choose_outputs(s, out);
    return 0;
}

#else

int tn_model_run(tn_model_state *s, const int8_t *in, int8_t *out)
{
    if (in[0] == 127) {
        return -7;
    }
    fail_on(in[0]);
    for (int i = 0; i < FAKE_INPUT_BYTES; i++) {
        s->work[i] = (int8_t)(uint8_t)((uint8_t)in[i] + 1u);
    }
    observe(0, s->work, 0, 1, FAKE_INPUT_BYTES, 0);
    for (int i = 0; i < FAKE_INPUT_BYTES; i++) {
        s->work[i] = (int8_t)(s->work[i] ^ 0x55);
    }
    observe(1, s->work, 0, 1, FAKE_INPUT_BYTES, 0);
    choose_outputs(s, out);
    return 0;
}

#endif
