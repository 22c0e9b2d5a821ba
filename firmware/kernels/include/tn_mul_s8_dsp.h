/* MUL for the DSP extension: one high multiply that rounds, one shift. Inputs broadcast. */
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

TN_INLINE void tn_mul_row(const tn_mul_s8_dsp *p, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const uint32_t step1 = p->shape.stride1[3];
    const uint32_t step2 = p->shape.stride2[3];
    const int8_t *const end = out + p->shape.size[3];
    const int8_t *const fours = out + p->shape.size[3] / 4 * 4;
    for (; out != fours; in1 += 4 * step1, in2 += 4 * step2, out += 4) {
        const int32_t second = tn_mul_second(p, in2[0]);
        out[0] = tn_mul_one(p, in1[0], second);
        out[1] = tn_mul_one(p, in1[step1], step2 == 0 ? second : tn_mul_second(p, in2[step2]));
        out[2] = tn_mul_one(p, in1[2 * step1], step2 == 0 ? second : tn_mul_second(p, in2[2 * step2]));
        out[3] = tn_mul_one(p, in1[3 * step1], step2 == 0 ? second : tn_mul_second(p, in2[3 * step2]));
    }
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
