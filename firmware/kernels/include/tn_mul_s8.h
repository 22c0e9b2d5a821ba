/* MUL, int8. */
#ifndef TN_MUL_S8_H
#define TN_MUL_S8_H

#include "tn_broadcast.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    tn_broadcast shape;
    int32_t multiplier; /* from the product of the inputs' scales to the output's, see tn_requantize */
    int8_t shift;
    int8_t zero_point1;
    int8_t zero_point2;
    tn_output_s8 output;
} tn_mul_s8;

/* out may lie exactly over an input that has the output's shape. */
void tn_mul_s8_run(const tn_mul_s8 *p, const int8_t *in1, const int8_t *in2, int8_t *out);

#ifdef __cplusplus
}
#endif
#endif
