/* DEPTHWISE_CONV_2D, int8, per-channel scales, any depth multiplier. */
#ifndef TN_DEPTHWISE_CONV2D_S8_H
#define TN_DEPTHWISE_CONV2D_S8_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    tn_axis rows;
    tn_axis cols;
    uint16_t in_channels;
    uint16_t depth_multiplier; /* output channels per input channel */
    int8_t in_zero_point;      /* the value that padding has */
    tn_output_s8 output;
    const int8_t *weights;     /* [rows.kernel][cols.kernel][in_channels * depth_multiplier] */
    const tn_channel *channels; /* per output channel */
} tn_depthwise_conv2d_s8;

/* One output row; arguments as for tn_conv2d_s8_row. */
void tn_depthwise_conv2d_s8_row(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows, int8_t *out);

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
void tn_depthwise_conv2d_s8_run(const tn_depthwise_conv2d_s8 *p, const int8_t **rows, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif
#endif
