/* QUANTIZE and DEQUANTIZE between float32 and int8: the only kernels that touch floating point. */
#ifndef TN_QUANTIZE_F32_S8_H
#define TN_QUANTIZE_F32_S8_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    float scale; /* of the int8 side, above zero */
    int8_t zero_point;
} tn_quantize_f32_s8;

/* out = round(in / scale) + zero point, half away from zero; the division is in single precision.
 * in: count floats at any address. out may lie over in, from its first byte or before it.
 * Values beyond the codes saturate; NaN gives the lowest code. */
void tn_quantize_f32_s8_run(const tn_quantize_f32_s8 *p, const void *in, int8_t *out, size_t count);

/* out = (in - zero point) * scale, exact before its one rounding to float. out: count floats at any address. */
void tn_dequantize_s8_f32_run(const tn_quantize_f32_s8 *p, const int8_t *in, void *out, size_t count);

#ifdef __cplusplus
}
#endif
#endif
