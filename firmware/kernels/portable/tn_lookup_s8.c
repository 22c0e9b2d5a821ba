#include "tn_lookup_s8.h"

TN_HOT void tn_lookup_s8_run(const int8_t *table, const int8_t *in, int8_t *out, size_t count)
{
    const int8_t *zero = table + 128;
    for (size_t i = 0; i < count; ++i) {
        out[i] = zero[in[i]];
    }
}
