#include "tn_mve.h"
#include "tn_reduce_s8.h"

/* Constants of four neighbouring outputs, and how they become codes. */
typedef struct {
    int32_t constants[TN_MVE_CONSTANTS];
    tn_mve_scaling scaling;
} means;

static void means_of(const tn_reduce_s8 *p, means *m)
{
    const int32_t left = p->shift > 0 ? p->shift : 0;
    tn_words_store(m->constants, tn_words_all(p->offset));
    tn_words_store(m->constants + TN_MVE_MULTIPLIERS, tn_words_all(p->multiplier));
    tn_words_store(m->constants + TN_MVE_SHIFTS, tn_words_all(p->shift - left));
    tn_words_store(m->constants + TN_MVE_LEFTS, tn_words_all(left));
    m->scaling.left = 1;
    m->scaling.signs = TN_MVE_ANY;
    m->scaling.output = p->output;
}

TN_INLINE tn_words four_means(const means *m, tn_words sums)
{
    return tn_mve_scale(&m->scaling, tn_words_add(sums, tn_words_load(m->constants)), m->constants);
}

static int8_t axis_mean(const tn_reduce_s8 *p, int32_t sum)
{
    return tn_store_s8(tn_requantize(sum + p->offset, p->multiplier, p->shift), &p->output);
}

/* Sum of `count` codes, `stride` apart. */
static int32_t total_line(const int8_t *x, uint32_t count, uint32_t stride)
{
    int32_t sum = 0;
    uint32_t k = 0;
    if (stride == 1u) {
        for (; k + 16u <= count; k += 16u, x += 16) {
            sum = tn_codes_sum_add(sum, tn_codes_load(x));
        }
    }
    for (; k < count; ++k, x += stride) {
        sum += *x;
    }
    return sum;
}

static int32_t total(const tn_reduce_s8 *p, const int8_t *in)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < p->reduced_size[0]; ++i) {
        for (uint32_t j = 0; j < p->reduced_size[1]; ++j) {
            const int8_t *x = in + i * p->reduced_stride[0] + j * p->reduced_stride[1];
            sum += total_line(x, p->reduced_size[2], p->reduced_stride[2]);
        }
    }
    return sum;
}

/* Sums of four neighbouring outputs. */
static tn_words total_four(const tn_reduce_s8 *p, const int8_t *in)
{
    tn_words sums = tn_words_all(0);
    for (uint32_t i = 0; i < p->reduced_size[0]; ++i) {
        for (uint32_t j = 0; j < p->reduced_size[1]; ++j) {
            const int8_t *x = in + i * p->reduced_stride[0] + j * p->reduced_stride[1];
            for (uint32_t k = 0; k < p->reduced_size[2]; ++k, x += p->reduced_stride[2]) {
                sums = tn_words_add(sums, tn_words_load_codes(x));
            }
        }
    }
    return sums;
}

/* Outputs along the innermost kept dimension that go in fours. */
static uint32_t in_fours(const tn_reduce_s8 *p)
{
    return p->stride[2] == 1u ? p->size[2] / 4u * 4u : 0u;
}

TN_HOT void tn_mean_s8_run(const tn_reduce_s8 *p, const int8_t *in, int8_t *out)
{
    means m;
    means_of(p, &m);
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            const int8_t *x = in + i * p->stride[0] + j * p->stride[1];
            uint32_t k = 0;
            for (; k < in_fours(p); k += 4u, out += 4) {
                tn_words_store_codes(out, four_means(&m, total_four(p, x + k)));
            }
            for (; k < p->size[2]; ++k) {
                *out++ = axis_mean(p, total(p, x + k * p->stride[2]));
            }
        }
    }
}

TN_HOT void tn_mean_s8_add(const tn_reduce_s8 *p, const int8_t *slice, int32_t *sums, unsigned y)
{
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            const int8_t *x = slice + i * p->stride[0] + j * p->stride[1];
            uint32_t k = 0;
            for (; k < in_fours(p); k += 4u, sums += 4) {
                const tn_words sum = total_four(p, x + k);
                tn_words_store(sums, y == 0u ? sum : tn_words_add(sum, tn_words_load(sums)));
            }
            for (; k < p->size[2]; ++k, ++sums) {
                const int32_t sum = total(p, x + k * p->stride[2]);
                *sums = y == 0u ? sum : *sums + sum;
            }
        }
    }
}

TN_HOT void tn_mean_s8_finish(const tn_reduce_s8 *p, const int32_t *sums, int8_t *out)
{
    const uint32_t count = p->size[0] * p->size[1] * p->size[2];
    means m;
    means_of(p, &m);
    uint32_t i = 0;
    for (; i + 4u <= count; i += 4u) {
        tn_words_store_codes(out + i, four_means(&m, tn_words_load(sums + i)));
    }
    for (; i < count; ++i) {
        out[i] = axis_mean(p, sums[i]);
    }
}
