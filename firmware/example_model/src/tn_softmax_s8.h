/* SOFTMAX over the last axis, int8 in and out (output scale 1/256, zero point -128). */
#ifndef TN_SOFTMAX_S8_H
#define TN_SOFTMAX_S8_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t rows;
    uint32_t classes;
    uint16_t reach;     /* entries of `exponent`; codes further below the row's maximum give 0 */
    const int32_t *exponent; /* exp(-beta * scale * d) in Q0.31, by the distance d below the maximum */
} tn_softmax_s8;

/* out may lie exactly over in. */
void tn_softmax_s8_run(const tn_softmax_s8 *p, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif
#endif
