/* MUL for the DSP extension: one high multiply that rounds, one shift. Inputs broadcast. Four codes at a time become
 * lanes, their distances from the zero point. */
#ifndef TN_MUL_S8_DSP_H
#define TN_MUL_S8_DSP_H

#include "tn_broadcast.h"
#include "tn_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    tn_broadcast shape;
    int32_t multiplier; /* see tn_dsp_round */
    int32_t addend;
    int8_t zero_point1;
    int8_t zero_point2;
    tn_dsp_rounding rounding; /* with one shift */
} tn_mul_s8_dsp;

/* The code of a product; `second` is twice the distance of the second code from its zero point. */
TN_INLINE int8_t tn_mul_one(const tn_mul_s8_dsp *p, int8_t first, int32_t second)
{
    return tn_dsp_round(&p->rounding, (first - p->zero_point1) * second, p->multiplier, p->addend, 0);
}

TN_INLINE int32_t tn_mul_second(const tn_mul_s8_dsp *p, int8_t code)
{
    return 2 * code - 2 * p->zero_point2;
}

/* Products of the low lanes, of the high ones, of the high lane of `a` and the low one of `b`.
 * volatile: GCC would gather codes in a register, see tn_add_s8_dsp.h. */
TN_INLINE int32_t tn_mul_low(uint32_t a, uint32_t b)
{
#if TN_HAS_DSP
    int32_t product;
    __asm__ volatile("smulbb %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
    return product;
#else
    return tn_low_lane(a) * tn_low_lane(b);
#endif
}

TN_INLINE int32_t tn_mul_high(uint32_t a, uint32_t b)
{
#if TN_HAS_DSP
    int32_t product;
    __asm__ volatile("smultt %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
    return product;
#else
    return tn_high_lane(a) * tn_high_lane(b);
#endif
}

TN_INLINE int32_t tn_mul_high_low(uint32_t a, uint32_t b)
{
#if TN_HAS_DSP
    int32_t product;
    __asm__ volatile("smultb %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
    return product;
#else
    return tn_high_lane(a) * tn_low_lane(b);
#endif
}

TN_INLINE int8_t tn_mul_code(const tn_mul_s8_dsp *p, int32_t doubled)
{
    return tn_dsp_round(&p->rounding, doubled, p->multiplier, p->addend, 0);
}

/* Codes at out[0] and out[2] of the products of both lanes; `second` doubled. */
TN_INLINE void tn_mul_two(const tn_mul_s8_dsp *p, uint32_t first, uint32_t second, int8_t *out)
{
    out[0] = tn_mul_code(p, tn_mul_low(first, second));
    out[2] = tn_mul_code(p, tn_mul_high(first, second));
}

/* The same by one number of 16 bits, the low lane of `second`. */
TN_INLINE void tn_mul_two_by_one(const tn_mul_s8_dsp *p, uint32_t first, uint32_t second, int8_t *out)
{
    out[0] = tn_mul_code(p, tn_mul_low(first, second));
    out[2] = tn_mul_code(p, tn_mul_high_low(first, second));
}

/* Codes 0 and 2 of a word less a zero point, whose lanes are `minus` with the sign changed; codes 1 and 3. */
TN_INLINE uint32_t tn_mul_even(uint32_t minus, uint32_t codes)
{
#if TN_HAS_DSP
    return (uint32_t)__sxtab16((int16x2_t)minus, (int8x4_t)codes);
#else
    return tn_add_lanes(minus, tn_even_bytes(codes));
#endif
}

TN_INLINE uint32_t tn_mul_odd(uint32_t minus, uint32_t codes)
{
#if TN_HAS_DSP
    uint32_t lanes; /* GCC does not fold the rotation into the instruction by itself */
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(lanes) : "r"(minus), "r"(codes));
    return lanes;
#else
    return tn_add_lanes(minus, tn_odd_bytes(codes));
#endif
}

/* `fours` times four codes by four others. */
TN_INLINE void tn_mul_fours(const tn_mul_s8_dsp *p, const int8_t *in1, const int8_t *in2, int8_t *out, uint32_t fours)
{
    const uint32_t minus1 = tn_lanes(-p->zero_point1, -p->zero_point1);
    const uint32_t minus2 = tn_lanes(-p->zero_point2, -p->zero_point2);
    const int8_t *const end = out + 4u * fours;
    for (; out != end; in1 += 4, in2 += 4, out += 4) {
        const uint32_t a = tn_load4(in1);
        const uint32_t b = tn_load4(in2);
        const uint32_t even = tn_mul_even(minus2, b);
        const uint32_t odd = tn_mul_odd(minus2, b);
        tn_mul_two(p, tn_mul_even(minus1, a), tn_add_lanes(even, even), out);
        tn_mul_two(p, tn_mul_odd(minus1, a), tn_add_lanes(odd, odd), out + 1);
    }
}

/* The same by one other code, twice whose distance from its zero point is `second`. */
TN_INLINE void tn_mul_fours_by_one(const tn_mul_s8_dsp *p, const int8_t *in, int8_t zero_point, int32_t second,
                                   int8_t *out, uint32_t fours)
{
    const uint32_t minus = tn_lanes(-zero_point, -zero_point);
    const int8_t *const end = out + 4u * fours;
    for (; out != end; in += 4, out += 4) {
        const uint32_t a = tn_load4(in);
        tn_mul_two_by_one(p, tn_mul_even(minus, a), (uint32_t)second, out);
        tn_mul_two_by_one(p, tn_mul_odd(minus, a), (uint32_t)second, out + 1);
    }
}

TN_INLINE void tn_mul_row(const tn_mul_s8_dsp *p, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const uint32_t step1 = p->shape.stride1[3];
    const uint32_t step2 = p->shape.stride2[3];
    const int8_t *const end = out + p->shape.size[3];
    const uint32_t fours = p->shape.size[3] / 4u;
    if (step1 != 0u && step2 != 0u) {
        tn_mul_fours(p, in1, in2, out, fours);
    } else if (step1 != 0u) {
        tn_mul_fours_by_one(p, in1, p->zero_point1, tn_mul_second(p, *in2), out, fours);
    } else {
        tn_mul_fours_by_one(p, in2, p->zero_point2, 2 * *in1 - 2 * p->zero_point1, out, fours);
    }
    in1 += 4u * fours * step1;
    in2 += 4u * fours * step2;
    out += 4u * fours;
    for (; out != end; in1 += step1, in2 += step2) {
        *out++ = tn_mul_one(p, *in1, tn_mul_second(p, *in2));
    }
}

/* out may lie exactly over an input that has the output's shape. */
TN_INLINE void tn_mul_s8_dsp_run(const tn_mul_s8_dsp *p, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const tn_broadcast *b = &p->shape;
    for (uint32_t i = 0; i < b->size[0]; ++i) {
        for (uint32_t j = 0; j < b->size[1]; ++j) {
            for (uint32_t k = 0; k < b->size[2]; ++k, out += b->size[3]) {
                tn_mul_row(p, in1 + i * b->stride1[0] + j * b->stride1[1] + k * b->stride1[2],
                           in2 + i * b->stride2[0] + j * b->stride2[1] + k * b->stride2[2], out);
            }
        }
    }
}

#ifdef __cplusplus
}
#endif
#endif
