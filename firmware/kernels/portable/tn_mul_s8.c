#include "tn_mul_s8.h"

static void multiply_row(const void *params, const int8_t *in1, int step1, const int8_t *in2, int step2, int8_t *out,
                         uint32_t count)
{
    const tn_mul_s8 *p = params;
    for (uint32_t i = 0; i < count; ++i, in1 += step1, in2 += step2) {
        const int32_t product = (*in1 - p->zero_point1) * (*in2 - p->zero_point2);
        out[i] = tn_store_s8(tn_requantize(product, p->multiplier, p->shift), &p->output);
    }
}

TN_HOT void tn_mul_s8_run(const tn_mul_s8 *p, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    tn_broadcast_run(&p->shape, multiply_row, p, in1, in2, out);
}
