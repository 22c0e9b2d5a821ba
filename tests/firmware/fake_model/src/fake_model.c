#include "tn_app_model.h"

#include <string.h>

#ifdef TN_OBSERVE
void tn_observe(int layer, const void *data, size_t first, size_t runs, size_t run, size_t stride);
#define observe_all(layer, data, bytes) tn_observe((layer), (data), 0, 1, (bytes), 0)
#else
#define observe_all(layer, data, bytes) ((void)0)
#endif

#define FAKE_RUN 4

void tn_model_reset(tn_model_state *s)
{
    memset(s, 0, sizeof *s);
}

int tn_model_run(tn_model_state *s, const int8_t *in, int8_t *out)
{
    if (in[0] == 127) {
        return -7;
    }
    if (in[0] == 126) {
        __builtin_trap();
    }
    for (int i = 0; i < FAKE_INPUT_BYTES; i++) {
        s->work[i] = (int8_t)(uint8_t)((uint8_t)in[i] + 1u);
    }
    observe_all(0, s->work, FAKE_INPUT_BYTES);
    for (int i = 0; i < FAKE_INPUT_BYTES; i++) {
        s->work[i] = (int8_t)(s->work[i] ^ 0x55);
    }
    observe_all(1, s->work, FAKE_INPUT_BYTES);
    for (int i = 0; i < TN_MODEL_OUTPUT_BYTES; i++) {
        out[i] = s->work[i * FAKE_STEP];
    }
    observe_all(2, out, TN_MODEL_OUTPUT_BYTES);
    return 0;
}
