/* Every operator that only moves values: TRANSPOSE, SLICE, STRIDED_SLICE, SPLIT, UNPACK, CONCATENATION, PACK, PAD. */
#ifndef TN_COPY_H
#define TN_COPY_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t size[5];      /* block that moves, outermost dimension first */
    int32_t in_stride[5];  /* bytes between neighbours in the input; negative walks backwards */
    int32_t out_stride[5]; /* the same in the output */
    uint32_t in_offset;    /* byte of the block's first element */
    uint32_t out_offset;
    uint16_t run;          /* contiguous bytes that move as one innermost element */
} tn_copy;

/* in and out must not overlap. */
void tn_copy_run(const tn_copy *p, const void *in, void *out);

/* PAD along a stream: slices before the first and behind the last are border. */
typedef struct {
    tn_axis rows;   /* windows of one slice, `pad` slices of border before the first */
    tn_copy copy;   /* from a slice into the padded one */
    uint32_t bytes; /* of a padded slice */
    int8_t value;   /* of the border */
} tn_pad_s8;

/* rows[0]: the slice to pad, NULL for a slice of border. */
void tn_pad_s8_row(const tn_pad_s8 *p, const int8_t *const *rows, int8_t *out);

/* count bytes of `value`: the border of PAD. */
void tn_fill_run(void *out, int8_t value, size_t count);

#ifdef __cplusplus
}
#endif
#endif
