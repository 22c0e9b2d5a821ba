/* CONV_2D and FULLY_CONNECTED, int8, per-channel scales. */
#ifndef TN_CONV2D_S8_H
#define TN_CONV2D_S8_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    tn_axis rows;
    tn_axis cols;
    uint16_t in_channels;
    uint16_t out_channels;
    int8_t in_zero_point;      /* the value that padding has */
    tn_output_s8 output;
    const int8_t *weights;     /* [out_channels][rows.kernel][cols.kernel][in_channels] */
    const tn_channel *channels; /* [out_channels] */
} tn_conv2d_s8;

/* One output row.
 * rows: rows.kernel pointers to input rows of cols.in * in_channels codes, NULL for a row of padding.
 * out: cols.out * out_channels codes; must not overlap the input. */
void tn_conv2d_s8_row(const tn_conv2d_s8 *p, const int8_t *const *rows, int8_t *out);

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
void tn_conv2d_s8_run(const tn_conv2d_s8 *p, const int8_t **rows, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif
#endif
