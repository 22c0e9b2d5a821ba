#include "tn_quantize_f32_s8.h"

#include <string.h>

/* Beyond this every code saturates, whatever the zero point. */
#define REACH 256.0f

static int32_t round_half_away(float value)
{
    const int32_t whole = (int32_t)value;
    const float rest = value - (float)whole; /* exact */
    return whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0);
}

TN_HOT void tn_quantize_f32_s8_run(const tn_quantize_f32_s8 *p, const void *in, int8_t *out, size_t count)
{
    const unsigned char *from = in;
    for (size_t i = 0; i < count; ++i, from += sizeof(float)) {
        float value;
        (void)memcpy(&value, from, sizeof value); /* the bytes are an int32_t or an int8_t array to the caller */
        value /= p->scale;
        int32_t code = value >= REACH ? (int32_t)INT8_MAX : (int32_t)INT8_MIN;
        if (value > -REACH && value < REACH) {
            code = round_half_away(value) + p->zero_point;
        }
        out[i] = (int8_t)tn_clamp(code, INT8_MIN, INT8_MAX);
    }
}
