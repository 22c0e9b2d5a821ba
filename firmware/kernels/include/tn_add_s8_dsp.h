/* ADD and SUB of tensors of one shape for the DSP extension. The compiler has found constants with which one line in
 * 32 bits gives the result of TFLite's three roundings for each of the 65,536 pairs of codes. */
#ifndef TN_ADD_S8_DSP_H
#define TN_ADD_S8_DSP_H

#include "tn_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t count;
    int32_t factor1;
    int32_t factor2;
    int32_t offset; /* |codes * factors| + |offset| < 2^31 */
    uint8_t shift;  /* 1 to 30 */
    tn_output_s8 output;
} tn_add_s8_dsp;

/* out may lie exactly over an input. */
TN_INLINE void tn_add_s8_dsp_run(const tn_add_s8_dsp *p, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    for (uint32_t i = 0; i < p->count; ++i) {
        out[i] = tn_dsp_clamp((p->offset + in1[i] * p->factor1 + in2[i] * p->factor2) >> p->shift, &p->output);
    }
}

#ifdef __cplusplus
}
#endif
#endif
