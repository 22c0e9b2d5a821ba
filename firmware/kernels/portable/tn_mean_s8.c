#include "tn_reduce_s8.h"

static int32_t total(const tn_reduce_s8 *p, const int8_t *in)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < p->reduced_size[0]; ++i) {
        for (uint32_t j = 0; j < p->reduced_size[1]; ++j) {
            const int8_t *x = in + i * p->reduced_stride[0] + j * p->reduced_stride[1];
            for (uint32_t k = 0; k < p->reduced_size[2]; ++k, x += p->reduced_stride[2]) {
                sum += *x;
            }
        }
    }
    return sum;
}

static int8_t axis_mean(const tn_reduce_s8 *p, int32_t sum)
{
    return tn_store_s8(tn_requantize(sum + p->offset, p->multiplier, p->shift), &p->output);
}

TN_HOT void tn_mean_s8_run(const tn_reduce_s8 *p, const int8_t *in, int8_t *out)
{
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            for (uint32_t k = 0; k < p->size[2]; ++k) {
                *out++ = axis_mean(p, total(p, in + i * p->stride[0] + j * p->stride[1] + k * p->stride[2]));
            }
        }
    }
}

TN_HOT void tn_mean_s8_add(const tn_reduce_s8 *p, const int8_t *slice, int32_t *sums, unsigned y)
{
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            for (uint32_t k = 0; k < p->size[2]; ++k, ++sums) {
                const int32_t sum = total(p, slice + i * p->stride[0] + j * p->stride[1] + k * p->stride[2]);
                *sums = y == 0 ? sum : *sums + sum;
            }
        }
    }
}

TN_HOT void tn_mean_s8_finish(const tn_reduce_s8 *p, const int32_t *sums, int8_t *out)
{
    const uint32_t count = p->size[0] * p->size[1] * p->size[2];
    for (uint32_t i = 0; i < count; ++i) {
        out[i] = axis_mean(p, sums[i]);
    }
}

TN_HOT void tn_mean_s8_add_few(const tn_reduce_s8 *p, const int8_t *slice, int8_t *sums, unsigned y)
{
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            for (uint32_t k = 0; k < p->size[2]; ++k, sums += 2) {
                const int32_t sum = total(p, slice + i * p->stride[0] + j * p->stride[1] + k * p->stride[2]);
                tn_store_16(sums, y == 0 ? sum : tn_load_16(sums) + sum);
            }
        }
    }
}

TN_HOT void tn_mean_s8_finish_few(const tn_reduce_s8 *p, const int8_t *sums, int8_t *out)
{
    const uint32_t count = p->size[0] * p->size[1] * p->size[2];
    for (uint32_t i = 0; i < count; ++i) {
        out[i] = axis_mean(p, tn_load_16(sums + 2 * i));
    }
}
