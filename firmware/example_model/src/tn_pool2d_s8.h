/* MAX_POOL_2D and AVERAGE_POOL_2D, int8. Input and output have the same scale and zero point. */
#ifndef TN_POOL2D_S8_H
#define TN_POOL2D_S8_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    tn_axis rows; /* dilation 1 */
    tn_axis cols; /* dilation 1 */
    uint16_t channels;
    int8_t min;
    int8_t max;
} tn_pool2d_s8;

/* One output row; rows as for tn_conv2d_s8_row. Padding takes no part.
 * The output may lie over the input, from the input's first byte or before it, when pad < stride on both axes. */
void tn_max_pool2d_s8_row(const tn_pool2d_s8 *p, const int8_t *const *rows, int8_t *out);
void tn_average_pool2d_s8_row(const tn_pool2d_s8 *p, const int8_t *const *rows, int8_t *out);

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
void tn_max_pool2d_s8_run(const tn_pool2d_s8 *p, const int8_t **rows, const int8_t *in, int8_t *out);
void tn_average_pool2d_s8_run(const tn_pool2d_s8 *p, const int8_t **rows, const int8_t *in, int8_t *out);

/* Pooling over all rows of a stream (rows.out is 1, rows.pad is 0): add row `y`, counted from 0, then finish.
 * sums, best: cols.out * channels elements; set by row 0. */
void tn_average_pool2d_s8_add(const tn_pool2d_s8 *p, const int8_t *row, int32_t *sums, unsigned y);
void tn_average_pool2d_s8_finish(const tn_pool2d_s8 *p, const int32_t *sums, int8_t *out);
/* The same over at most 256 codes: sums of 16 bits, at any address. */
void tn_average_pool2d_s8_add_few(const tn_pool2d_s8 *p, const int8_t *row, int8_t *sums, unsigned y);
void tn_average_pool2d_s8_finish_few(const tn_pool2d_s8 *p, const int8_t *sums, int8_t *out);
void tn_max_pool2d_s8_add(const tn_pool2d_s8 *p, const int8_t *row, int8_t *best, unsigned y);
void tn_max_pool2d_s8_finish(const tn_pool2d_s8 *p, const int8_t *best, int8_t *out);

#ifdef __cplusplus
}
#endif
#endif
