/* MEAN and REDUCE_MAX, int8, over any set of axes: the tensor is seen as alternating kept and reduced dimensions. */
#ifndef TN_REDUCE_S8_H
#define TN_REDUCE_S8_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t size[3];   /* kept dimensions, outermost first; 1 where there are fewer */
    uint32_t stride[3]; /* codes between neighbours along them */
    uint32_t reduced_size[3];
    uint32_t reduced_stride[3];
    int32_t offset;     /* MEAN: added to every sum: -(input zero point) * reduced elements */
    int32_t multiplier; /* see tn_requantize; the division by the count is part of it */
    int8_t shift;
    tn_output_s8 output;
} tn_reduce_s8;

void tn_mean_s8_run(const tn_reduce_s8 *p, const int8_t *in, int8_t *out);
void tn_reduce_max_s8_run(const tn_reduce_s8 *p, const int8_t *in, int8_t *out);

/* MEAN over a stream: add slice `y`, counted from 0, then finish. The loops are those of one slice, offset and
 * multiplier those of the whole stream. sums: one element per output; set by slice 0. */
void tn_mean_s8_add(const tn_reduce_s8 *p, const int8_t *slice, int32_t *sums, unsigned y);
void tn_mean_s8_finish(const tn_reduce_s8 *p, const int32_t *sums, int8_t *out);
/* The same over at most 256 codes: sums of 16 bits, at any address. */
void tn_mean_s8_add_few(const tn_reduce_s8 *p, const int8_t *slice, int8_t *sums, unsigned y);
void tn_mean_s8_finish_few(const tn_reduce_s8 *p, const int8_t *sums, int8_t *out);

/* REDUCE_MAX over a stream, in the same way. best: one code per output. */
void tn_reduce_max_s8_add(const tn_reduce_s8 *p, const int8_t *slice, int8_t *best, unsigned y);
void tn_reduce_max_s8_finish(const tn_reduce_s8 *p, const int8_t *best, int8_t *out);

#ifdef __cplusplus
}
#endif
#endif
