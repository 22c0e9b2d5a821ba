#include "tn_reduce_s8.h"

static int8_t reduce(const tn_reduce_s8 *p, const int8_t *in)
{
    int32_t best = INT8_MIN;
    for (uint32_t i = 0; i < p->reduced_size[0]; ++i) {
        for (uint32_t j = 0; j < p->reduced_size[1]; ++j) {
            const int8_t *x = in + i * p->reduced_stride[0] + j * p->reduced_stride[1];
            for (uint32_t k = 0; k < p->reduced_size[2]; ++k, x += p->reduced_stride[2]) {
                best = *x > best ? *x : best;
            }
        }
    }
    return (int8_t)best;
}

TN_HOT void tn_reduce_max_s8_run(const tn_reduce_s8 *p, const int8_t *in, int8_t *out)
{
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            for (uint32_t k = 0; k < p->size[2]; ++k) {
                *out++ = reduce(p, in + i * p->stride[0] + j * p->stride[1] + k * p->stride[2]);
            }
        }
    }
}

TN_HOT void tn_reduce_max_s8_add(const tn_reduce_s8 *p, const int8_t *slice, int8_t *best, unsigned y)
{
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            for (uint32_t k = 0; k < p->size[2]; ++k, ++best) {
                const int8_t code = reduce(p, slice + i * p->stride[0] + j * p->stride[1] + k * p->stride[2]);
                *best = y > 0 && *best > code ? *best : code;
            }
        }
    }
}

TN_HOT void tn_reduce_max_s8_finish(const tn_reduce_s8 *p, const int8_t *best, int8_t *out)
{
    const uint32_t count = p->size[0] * p->size[1] * p->size[2];
    for (uint32_t i = 0; i < count; ++i) {
        out[i] = best[i];
    }
}
