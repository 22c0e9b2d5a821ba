#include "tn_lookup_s8.h"

TN_HOT void tn_lookup_s8_run(const int8_t *table, const int8_t *in, int8_t *out, size_t count)
{
    const int8_t *zero = table + 128;
    size_t i = 0;
    for (; i + 4u <= count; i += 4u, in += 4, out += 4) {
        out[0] = zero[in[0]];
        out[1] = zero[in[1]];
        out[2] = zero[in[2]];
        out[3] = zero[in[3]];
    }
    for (; i < count; ++i) {
        *out++ = zero[*in++];
    }
}
