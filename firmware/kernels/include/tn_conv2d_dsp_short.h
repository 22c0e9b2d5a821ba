/* Filters of at most eight codes: a channel's record is fetched as a whole, for two pixels.
 *
 * Records, for every output channel: its bias; its weights as lanes; multiplier and addend; with TN_DSP_EACH the shift.
 * Bias and weights are doubled, or scaled, so that sums are what tn_dsp_round takes.
 *
 * With pooling the second pixel is gathered as its difference from the first: the larger sum is the first one plus the
 * difference where that is positive, which one USAT and one addition give. */
#ifndef TN_CONV2D_DSP_SHORT_H
#define TN_CONV2D_DSP_SHORT_H

#include "tn_conv2d_dsp_gather.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Code `index` under a pixel, in the order of the filter. */
TN_INLINE int32_t tn_conv2d_short_code(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left, int index)
{
    if (index >= tn_conv2d_used(p)) {
        return 0;
    }
    const int run = p->cols.kernel * p->in_channels;
    const int8_t *const row = rows[index / run * p->tap_distance];
    const int col = left + index % run / p->in_channels * p->cols.dilation;
    if ((tn_conv2d_rows_missing(p) != 0 && row == NULL) ||
        (tn_dsp_inside(&p->cols) == 0 && (col < 0 || col >= p->cols.in))) {
        return p->in_zero_point;
    }
    return row[col * p->in_channels + index % p->in_channels];
}

TN_INLINE uint32_t tn_conv2d_short_lanes(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left, int index)
{
    const int32_t low = tn_conv2d_short_code(p, rows, left, index);
    if (index + 1 >= tn_conv2d_used(p)) {
        return (uint32_t)low; /* the other lane has no weight */
    }
    return tn_pack_lanes(low, tn_conv2d_short_code(p, rows, left, index + 1));
}

/* Gather a pixel to depth / 2 words. */
TN_INLINE void tn_conv2d_short_gather(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left, uint32_t *x)
{
    if (p->in_channels % 4 == 0) {
        tn_conv2d_gather_words(p, rows, left, x, 1);
        return;
    }
    x[0] = tn_conv2d_short_lanes(p, rows, left, 0);
    if (p->depth > 2) {
        x[1] = tn_conv2d_short_lanes(p, rows, left, 2);
    }
    if (p->depth > 4) {
        x[2] = tn_conv2d_short_lanes(p, rows, left, 4);
    }
    if (p->depth > 6) {
        x[3] = tn_conv2d_short_lanes(p, rows, left, 6);
    }
}

/* The second of two gathered pixels becomes its difference from the first. */
TN_INLINE void tn_conv2d_short_differences(const tn_conv2d_s8_dsp *p, uint32_t *x)
{
    const int words = p->depth / 2;
    x[words] = tn_subtract_lanes(x[words], x[0]);
    if (words > 1) {
        x[words + 1] = tn_subtract_lanes(x[words + 1], x[1]);
    }
    if (words > 2) {
        x[words + 2] = tn_subtract_lanes(x[words + 2], x[2]);
    }
    if (words > 3) {
        x[words + 3] = tn_subtract_lanes(x[words + 3], x[3]);
    }
}

#if TN_HAS_DSP_BLOCKS
/* Parts of the blocks below, which are specialized by constants: `pooled`, `signs` and `whole` of tn_dsp_rounding.
 * Sum of the second pixel from the first weights on, with the bias in r2 or as a difference. */
#define TN_SHORT_SECOND(x, w)            \
    ".if %c[pooled]\n\t"                 \
    "smuad %[s], " x ", " w "\n\t"       \
    ".else\n\t"                          \
    "smlad %[s], " x ", " w ", r2\n\t"   \
    ".endif\n\t"
/* A sum becomes what is left to be shifted. */
#define TN_SHORT_SCALE(sum, factor, addend)                      \
    ".if %c[signs]\n\t"                                          \
    "smmlar r2, " sum ", " factor ", " addend "\n\t"             \
    "add " sum ", r2, " sum ", asr 31\n\t"                      \
    ".elseif %c[whole]\n\t"                                      \
    "smmla " sum ", " sum ", " factor ", " addend "\n\t"         \
    ".else\n\t"                                                  \
    "smmlar " sum ", " sum ", " factor ", " addend "\n\t"        \
    ".endif\n\t"
#define TN_SHORT_FINISH(factor, addend)       \
    ".if %c[pooled]\n\t"                      \
    "usat %[s], 31, %[s]\n\t"                 \
    "add %[f], %[f], %[s]\n\t"                \
    ".else\n\t"                               \
    TN_SHORT_SCALE("%[s]", factor, addend)    \
    ".endif\n\t"                              \
    TN_SHORT_SCALE("%[f]", factor, addend)
/* A word of `x` as an operand: GCC gives up where it could fetch it from memory too. */
TN_INLINE uint32_t tn_conv2d_short_word(const uint32_t *x, int index)
{
    uint32_t word = x[index];
    __asm__("" : "+r"(word));
    return word;
}
#define TN_SHORT_RESULTS [f] "=&r"(*first), [s] "=&r"(*second), [r] "+&r"(record)
#define TN_SHORT_KINDS                                                                                                \
    [pooled] "i"(p->pool != TN_POOL_NONE), [signs] "i"(p->rounding.signs != 0), [whole] "i"(p->rounding.whole != 0)

/* One channel of two pixels at x[0] and x[depth / 2], up to the shift; with pooling, `first` is of both. */
TN_INLINE const uint32_t *tn_conv2d_short_block(const tn_conv2d_s8_dsp *p, const uint32_t *record, const uint32_t *x,
                                                int32_t *first, int32_t *second)
{
    if (p->depth == 2) {
        __asm__ volatile("ldmia %[r]!, {r2, r3, r4, r5}\n\t"
                         "smlad %[f], %[x0], r3, r2\n\t"
                         TN_SHORT_SECOND("%[x1]", "r3")
                         TN_SHORT_FINISH("r4", "r5")
                         : TN_SHORT_RESULTS
                         : [x0] "r"(tn_conv2d_short_word(x, 0)), [x1] "r"(tn_conv2d_short_word(x, 1)), TN_SHORT_KINDS
                         : "r2", "r3", "r4", "r5", "memory");
    } else if (p->depth == 4) {
        __asm__ volatile("ldmia %[r]!, {r2, r3, r4, r5, r6}\n\t"
                         "smlad %[f], %[x0], r3, r2\n\t"
                         TN_SHORT_SECOND("%[x2]", "r3")
                         "smlad %[f], %[x1], r4, %[f]\n\t"
                         "smlad %[s], %[x3], r4, %[s]\n\t"
                         TN_SHORT_FINISH("r5", "r6")
                         : TN_SHORT_RESULTS
                         : [x0] "r"(tn_conv2d_short_word(x, 0)), [x1] "r"(tn_conv2d_short_word(x, 1)),
                           [x2] "r"(tn_conv2d_short_word(x, 2)), [x3] "r"(tn_conv2d_short_word(x, 3)), TN_SHORT_KINDS
                         : "r2", "r3", "r4", "r5", "r6", "memory");
    } else if (p->depth == 6) {
        __asm__ volatile("ldmia %[r]!, {r2, r3, r4, r5}\n\t"
                         "ldmia %[x]!, {r6, r8, r9}\n\t"
                         "smlad %[f], r6, r3, r2\n\t"
                         "smlad %[f], r8, r4, %[f]\n\t"
                         "smlad %[f], r9, r5, %[f]\n\t"
                         "ldmia %[x], {r6, r8, r9}\n\t"
                         TN_SHORT_SECOND("r6", "r3")
                         "smlad %[s], r8, r4, %[s]\n\t"
                         "smlad %[s], r9, r5, %[s]\n\t"
                         "ldrd r3, r4, [%[r]], #8\n\t"
                         TN_SHORT_FINISH("r3", "r4")
                         : TN_SHORT_RESULTS, [x] "+&r"(x)
                         : TN_SHORT_KINDS
                         : "r2", "r3", "r4", "r5", "r6", "r8", "r9", "memory");
    } else {
        __asm__ volatile("ldmia %[r]!, {r2, r3, r4, r5, r6}\n\t"
                         "ldmia %[x]!, {r8, r9, r10, r12}\n\t"
                         "smlad %[f], r8, r3, r2\n\t"
                         "smlad %[f], r9, r4, %[f]\n\t"
                         "smlad %[f], r10, r5, %[f]\n\t"
                         "smlad %[f], r12, r6, %[f]\n\t"
                         "ldmia %[x], {r8, r9, r10, r12}\n\t"
                         TN_SHORT_SECOND("r8", "r3")
                         "smlad %[s], r9, r4, %[s]\n\t"
                         "smlad %[s], r10, r5, %[s]\n\t"
                         "smlad %[s], r12, r6, %[s]\n\t"
                         "ldrd r3, r4, [%[r]], #8\n\t"
                         TN_SHORT_FINISH("r3", "r4")
                         : TN_SHORT_RESULTS, [x] "+&r"(x)
                         : TN_SHORT_KINDS
                         : "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "memory");
    }
    return record;
}
#endif

/* The next channel of two pixels. Gives the record behind it. */
TN_INLINE const uint32_t *tn_conv2d_short_one(const tn_conv2d_s8_dsp *p, const uint32_t *record, const uint32_t *x,
                                              int8_t *out, int step)
{
    int32_t first;
    int32_t second;
#if TN_HAS_DSP_BLOCKS
    if (p->rounding.shift != TN_DSP_TWICE) {
        record = tn_conv2d_short_block(p, record, x, &first, &second);
        const int shift = p->rounding.shift == TN_DSP_EACH ? (int)*record++ : p->rounding.shift;
        if (p->pool == TN_POOL_NONE) {
            out[step] = tn_dsp_limit(tn_saturate_shifted(second, shift), &p->rounding.output);
        }
        *out = tn_dsp_limit(tn_saturate_shifted(first, shift), &p->rounding.output);
        return record;
    }
#endif
    first = (int32_t)*record++;
    second = p->pool == TN_POOL_NONE ? first : 0;
    for (int i = 0; i < p->depth / 2; ++i, ++record) {
        first = tn_mac2_wrap(first, x[i], *record);
        second = tn_mac2_wrap(second, x[p->depth / 2 + i], *record);
    }
    int32_t factor;
    int32_t addend;
    record = tn_load_two(record, &factor, &addend);
    const int shift = p->rounding.shift == TN_DSP_EACH ? (int)*record++ : 0;
    if (p->pool == TN_POOL_NONE) {
        /* The second first: without a step the first pixel's code takes its place. */
        out[step] = tn_dsp_round(&p->rounding, second, factor, addend, shift);
    } else {
        first += tn_positive(second);
    }
    *out = tn_dsp_round(&p->rounding, first, factor, addend, shift);
    return record;
}

/* All channels of two gathered pixels; see tn_conv2d_two_pixels. */
TN_INLINE void tn_conv2d_short(const tn_conv2d_s8_dsp *p, const uint32_t *x, int8_t *out, int step)
{
    const uint32_t *record = p->records;
    const int8_t *const last = out + p->out_channels;
    do {
        record = tn_conv2d_short_one(p, record, x, out, step);
        ++out;
        if (p->out_channels % 2 == 0) {
            record = tn_conv2d_short_one(p, record, x, out, step);
            ++out;
        }
    } while (out != last);
}

#ifdef __cplusplus
}
#endif
#endif
