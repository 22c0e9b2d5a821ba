/* Parameters of convolutions for the DSP extension. */
#ifndef TN_CONV2D_DSP_H
#define TN_CONV2D_DSP_H

#include "tn_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a pair of pixels becomes. */
#define TN_POOL_NONE 0
#define TN_POOL_ROWS 1 /* two pixels below each other become one */
#define TN_POOL_COLS 2 /* two pixels beside each other become one */

typedef struct {
    tn_axis rows;          /* window of an output row; with TN_POOL_ROWS, and for tn_conv2d_s8_dsp_two, it spans two rows
                              of the convolution */
    tn_axis cols;          /* of the convolution */
    uint16_t taps;         /* rows of one filter */
    uint16_t tap_distance; /* input rows between them */
    uint16_t row_distance; /* input rows between the two rows that are pooled, or made at a time */
    uint16_t conv_rows;    /* of the convolution's output */
    uint16_t out_cols;     /* of the output */
    uint16_t in_channels;
    uint16_t out_channels;
    uint16_t depth;        /* lanes under one filter: its codes, padded to a multiple of 4, of 8 with `lone`, of 2 if short */
    uint8_t pool;
    uint8_t is_short;      /* see tn_conv2d_dsp_short.h; the next three are not for it */
    uint8_t lone;          /* pixels without a partner are taken alone, not twice */
    uint8_t unroll;        /* a divisor of depth / 4: the inner loop takes four times as many lanes at once */
    uint8_t bytes;         /* weights lie as bytes a, b instead of lanes 256 * b + a */
    int8_t in_zero_point;
    tn_dsp_rounding rounding;
    const uint32_t *records; /* weights and constants of the channels, as the block of tn_conv2d_dsp_pairs.h takes them */
    const int8_t *border;    /* a row of padding, or NULL: rows are then checked */
} tn_conv2d_s8_dsp;

/* Codes under one filter. */
TN_INLINE int tn_conv2d_used(const tn_conv2d_s8_dsp *p)
{
    return p->taps * p->cols.kernel * p->in_channels;
}

/* Whether rows under a filter may be NULL. */
TN_INLINE int tn_conv2d_rows_missing(const tn_conv2d_s8_dsp *p)
{
    tn_axis rows = p->rows;
    rows.kernel = p->pool == TN_POOL_NONE ? p->taps : rows.kernel;
    return tn_rows_missing(&rows, p->border);
}

#ifdef __cplusplus
}
#endif
#endif
