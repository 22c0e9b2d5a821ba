/* ADD, SUB and SQUARED_DIFFERENCE, int8: both inputs are brought to a common scale first. */
#ifndef TN_ADD_S8_H
#define TN_ADD_S8_H

#include "tn_broadcast.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One input: its zero point and the factor to the common scale, applied after a shift left by `headroom`. */
typedef struct {
    int32_t multiplier; /* see tn_requantize */
    int8_t shift;       /* -31 to 0 */
    int8_t zero_point;
} tn_operand_s8;

typedef struct {
    tn_broadcast shape;
    tn_operand_s8 in1;
    tn_operand_s8 in2;
    int32_t multiplier; /* from the common scale to the output */
    int8_t shift;
    int8_t headroom;    /* 20 for ADD and SUB, 7 for SQUARED_DIFFERENCE */
    tn_output_s8 output;
} tn_add_s8;

/* out may lie exactly over an input that has the output's shape. */
void tn_add_s8_run(const tn_add_s8 *p, const int8_t *in1, const int8_t *in2, int8_t *out);
void tn_sub_s8_run(const tn_add_s8 *p, const int8_t *in1, const int8_t *in2, int8_t *out);
void tn_squared_difference_s8_run(const tn_add_s8 *p, const int8_t *in1, const int8_t *in2, int8_t *out);

static inline int32_t tn_common_scale(const tn_operand_s8 *in, int8_t code, int headroom)
{
    return tn_shrink((code - in->zero_point) * ((int32_t)1 << headroom), in->multiplier, in->shift);
}

#ifdef __cplusplus
}
#endif
#endif
