/* ADD and SUB for the DSP extension, of tensors of one shape, or row by row where one repeats a row. The compiler has found constants with which two products
 * and a sum in 32 bits give the result of TFLite's three roundings for each of the 65,536 pairs of codes. */
#ifndef TN_ADD_S8_DSP_H
#define TN_ADD_S8_DSP_H

#include "tn_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t count; /* codes of a row */
    uint32_t rows;
    uint32_t step1; /* codes between rows of input 1: count, or 0 where they are one and the same */
    uint32_t step2;
    int32_t factor1;
    int32_t factor2;
    int32_t offset; /* no sum leaves 32 bits */
    uint8_t shift;  /* 1 to 30 */
    uint8_t wide;   /* products are (code * factor) / 2^8, rounded down; else code * factor */
    tn_output_s8 output;
} tn_add_s8_dsp;

TN_INLINE int8_t tn_add_store(const tn_add_s8_dsp *p, int32_t sum)
{
    return tn_dsp_limit(tn_saturate_shifted(sum, p->shift), &p->output);
}

/* The code of the low lanes, each a code times 2^8. */
TN_INLINE int8_t tn_add_low(const tn_add_s8_dsp *p, uint32_t lanes1, uint32_t lanes2)
{
#if TN_HAS_DSP
    int32_t sum; /* volatile: GCC would gather four codes in a register, at one instruction more than four stores */
    __asm__ volatile("smlawb %0, %1, %2, %3\n\tsmlawb %0, %4, %5, %0"
                     : "=&r"(sum)
                     : "r"(p->factor1), "r"(lanes1), "r"(p->offset), "r"(p->factor2), "r"(lanes2));
#else
    const int64_t first = (int64_t)p->factor1 * tn_low_lane(lanes1) >> 16;
    const int64_t second = (int64_t)p->factor2 * tn_low_lane(lanes2) >> 16;
    const int32_t sum = (int32_t)(p->offset + first + second);
#endif
    return tn_add_store(p, sum);
}

/* The same with the high lanes. */
TN_INLINE int8_t tn_add_high(const tn_add_s8_dsp *p, uint32_t lanes1, uint32_t lanes2)
{
#if TN_HAS_DSP
    int32_t sum;
    __asm__ volatile("smlawt %0, %1, %2, %3\n\tsmlawt %0, %4, %5, %0"
                     : "=&r"(sum)
                     : "r"(p->factor1), "r"(lanes1), "r"(p->offset), "r"(p->factor2), "r"(lanes2));
    return tn_add_store(p, sum);
#else
    return tn_add_low(p, lanes1 >> 16, lanes2 >> 16);
#endif
}

/* Bytes 0 and 2, or 1 and 3, as the upper halves of lanes. */
TN_INLINE uint32_t tn_add_even(uint32_t codes, uint32_t upper)
{
#if TN_HAS_DSP
    uint32_t lanes; /* GCC would shift first */
    __asm__("and %0, %1, %2, lsl #8" : "=r"(lanes) : "r"(upper), "r"(codes));
    return lanes;
#else
    return codes << 8 & upper;
#endif
}

TN_INLINE int8_t tn_add_one(const tn_add_s8_dsp *p, int8_t a, int8_t b)
{
    if (p->wide != 0) {
        const int64_t first = (int64_t)p->factor1 * a >> 8;
        const int64_t second = (int64_t)p->factor2 * b >> 8;
        return tn_add_store(p, (int32_t)(p->offset + first + second));
    }
    return tn_add_store(p, p->offset + a * p->factor1 + b * p->factor2);
}

/* Four pairs of codes, each as the upper byte of a lane. */
TN_INLINE void tn_add_four(const tn_add_s8_dsp *p, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const uint32_t upper = 0xff00ff00u;
    const uint32_t a = tn_load4(in1);
    const uint32_t b = tn_load4(in2);
    const uint32_t even1 = tn_add_even(a, upper);
    const uint32_t even2 = tn_add_even(b, upper);
    out[0] = tn_add_low(p, even1, even2);
    out[1] = tn_add_low(p, a & upper, b & upper);
    out[2] = tn_add_high(p, even1, even2);
    out[3] = tn_add_high(p, a & upper, b & upper);
}

TN_INLINE void tn_add_row(const tn_add_s8_dsp *p, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const int8_t *const fours = out + p->count / 4 * 4;
    const int8_t *const end = out + p->count;
    for (; out != fours; in1 += 4, in2 += 4, out += 4) {
        if (p->wide != 0) {
            tn_add_four(p, in1, in2, out);
        } else {
            out[0] = tn_add_one(p, in1[0], in2[0]);
            out[1] = tn_add_one(p, in1[1], in2[1]);
            out[2] = tn_add_one(p, in1[2], in2[2]);
            out[3] = tn_add_one(p, in1[3], in2[3]);
        }
    }
    while (out != end) {
        *out++ = tn_add_one(p, *in1++, *in2++);
    }
}

/* out may lie exactly over an input that has the output's shape. */
TN_INLINE void tn_add_s8_dsp_run(const tn_add_s8_dsp *p, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    for (uint32_t row = 0; row < p->rows; ++row, in1 += p->step1, in2 += p->step2, out += p->count) {
        tn_add_row(p, in1, in2, out);
    }
}

#ifdef __cplusplus
}
#endif
#endif
