/* SQUARED_DIFFERENCE for the DSP extension: three high multiplies that round. Inputs broadcast. */
#ifndef TN_SQUARED_DIFFERENCE_S8_DSP_H
#define TN_SQUARED_DIFFERENCE_S8_DSP_H

#include "tn_broadcast.h"
#include "tn_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One input: how a code comes to the common scale. */
typedef struct {
    int32_t multiplier;
    int8_t zero_point;
    uint8_t right; /* shift after the high multiply, half away from zero; 0 to 30 */
    uint8_t exact; /* it has the common scale: a shift is all that is left */
} tn_difference_term;

typedef struct {
    tn_broadcast shape;
    tn_difference_term in1;
    tn_difference_term in2;
    int32_t multiplier; /* see tn_dsp_round; twice the square of the largest difference stays below 2^31 */
    int32_t addend;
    uint8_t headroom; /* bits by which a code is shifted to the left first */
    uint8_t repeats;  /* rows, next to each other in input 1, share a row of input 2: its codes are scaled once */
    tn_dsp_rounding rounding; /* with one shift */
} tn_squared_difference_s8_dsp;

TN_INLINE int32_t tn_difference_scale(const tn_squared_difference_s8_dsp *p, const tn_difference_term *in, int8_t code)
{
    if (in->exact != 0) {
        return (code - in->zero_point) * ((int32_t)1 << (p->headroom - 1));
    }
    const int32_t doubled = (code - in->zero_point) * ((int32_t)2 << p->headroom);
    if (in->right == 0) {
        return tn_high_mac(0, doubled, in->multiplier);
    }
    const int32_t value = tn_high_mac((int32_t)1 << (in->right - 1), doubled, in->multiplier);
    return (value - (doubled < 0 ? 1 : 0)) >> in->right;
}

TN_INLINE int8_t tn_squared_difference_code(const tn_squared_difference_s8_dsp *p, int32_t difference)
{
    return tn_dsp_round(&p->rounding, 2 * difference * difference, p->multiplier, p->addend, 0);
}

/* Rows one behind the other that share a row of input 2. scaled: room for it. */
TN_INLINE void tn_squared_difference_rows(const tn_squared_difference_s8_dsp *p, const int8_t *in1, const int8_t *in2,
                                          int8_t *out, int32_t *scaled)
{
    const uint32_t count = p->shape.size[3];
    /* Where a shift is all that input 1 takes, its zero point goes with the other term. */
    tn_difference_term first = p->in1;
    first.zero_point = p->in1.exact != 0 ? 0 : p->in1.zero_point;
    for (uint32_t n = 0; n < count; ++n) {
        scaled[n] = tn_difference_scale(p, &p->in2, in2[n]) + (p->in1.exact != 0 ? -tn_difference_scale(p, &p->in1, 0) : 0);
    }
    for (uint32_t k = 0; k < p->shape.size[2]; ++k) {
        const int32_t *second = scaled;
        const int8_t *const fours = out + count / 4u * 4u;
        for (; out != fours; in1 += 4, second += 4, out += 4) {
            out[0] = tn_squared_difference_code(p, tn_difference_scale(p, &first, in1[0]) - second[0]);
            out[1] = tn_squared_difference_code(p, tn_difference_scale(p, &first, in1[1]) - second[1]);
            out[2] = tn_squared_difference_code(p, tn_difference_scale(p, &first, in1[2]) - second[2]);
            out[3] = tn_squared_difference_code(p, tn_difference_scale(p, &first, in1[3]) - second[3]);
        }
        for (const int8_t *const end = fours + count % 4u; out != end;) {
            *out++ = tn_squared_difference_code(p, tn_difference_scale(p, &first, *in1++) - *second++);
        }
    }
}

TN_INLINE void tn_squared_difference_row(const tn_squared_difference_s8_dsp *p, const int8_t *in1, const int8_t *in2,
                                         int8_t *out)
{
    const int8_t *const end = out + p->shape.size[3];
    for (; out != end; in1 += p->shape.stride1[3], in2 += p->shape.stride2[3]) {
        const int32_t difference = tn_difference_scale(p, &p->in1, *in1) - tn_difference_scale(p, &p->in2, *in2);
        *out++ = tn_squared_difference_code(p, difference);
    }
}

/* out may lie exactly over an input that has the output's shape. scaled: room for a row where it repeats. */
TN_INLINE void tn_squared_difference_s8_dsp_run(const tn_squared_difference_s8_dsp *p, const int8_t *in1,
                                                const int8_t *in2, int8_t *out, int32_t *scaled)
{
    const tn_broadcast *b = &p->shape;
    for (uint32_t i = 0; i < b->size[0]; ++i) {
        for (uint32_t j = 0; j < b->size[1]; ++j) {
            if (p->repeats != 0) {
                tn_squared_difference_rows(p, in1 + i * b->stride1[0] + j * b->stride1[1],
                                           in2 + i * b->stride2[0] + j * b->stride2[1], out, scaled);
                out += b->size[2] * b->size[3];
                continue;
            }
            for (uint32_t k = 0; k < b->size[2]; ++k, out += b->size[3]) {
                tn_squared_difference_row(p, in1 + i * b->stride1[0] + j * b->stride1[1] + k * b->stride1[2],
                                          in2 + i * b->stride2[0] + j * b->stride2[1] + k * b->stride2[2], out);
            }
        }
    }
}

#ifdef __cplusplus
}
#endif
#endif
