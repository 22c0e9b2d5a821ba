#include "tn_add_s8.h"

static void add_row(const void *params, const int8_t *in1, int step1, const int8_t *in2, int step2, int8_t *out,
                    uint32_t count)
{
    const tn_add_s8 *p = params;
    for (uint32_t i = 0; i < count; ++i, in1 += step1, in2 += step2) {
        const int32_t a = tn_common_scale(&p->in1, *in1, p->headroom);
        const int32_t b = tn_common_scale(&p->in2, *in2, p->headroom);
        out[i] = tn_store_s8(tn_shrink(a + b, p->multiplier, p->shift), &p->output);
    }
}

TN_HOT void tn_add_s8_run(const tn_add_s8 *p, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    tn_broadcast_run(&p->shape, add_row, p, in1, in2, out);
}
