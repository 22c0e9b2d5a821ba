#include "tn_quantize_f32_s8.h"

#include <string.h>

TN_HOT void tn_dequantize_s8_f32_run(const tn_quantize_f32_s8 *p, const int8_t *in, void *out, size_t count)
{
    unsigned char *to = out;
    for (size_t i = 0; i < count; ++i, to += sizeof(float)) {
        const int32_t distance = in[i] - p->zero_point;
        const float value = p->scale * (float)distance;
        (void)memcpy(to, &value, sizeof value); /* the bytes are an int32_t or an int8_t array to the caller */
    }
}
