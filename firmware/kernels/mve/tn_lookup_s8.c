#include "tn_lookup_s8.h"

#include "tn_mve.h"

TN_HOT void tn_lookup_s8_run(const int8_t *table, const int8_t *in, int8_t *out, size_t count)
{
    size_t i = 0;
    for (; i + 16u <= count; i += 16u) {
        tn_codes_store(out + i, tn_codes_lookup(table, tn_codes_load(in + i)));
    }
    const size_t left = count - i;
    const int rest = (int)left;
    if (rest > 0) {
        tn_codes_store_first(out + i, tn_codes_lookup(table, tn_codes_load_first(in + i, rest)), rest);
    }
}
