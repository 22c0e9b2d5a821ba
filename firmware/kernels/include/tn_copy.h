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

/* count bytes of `value`: the border of PAD. */
void tn_fill_run(void *out, int8_t value, size_t count);

#ifdef __cplusplus
}
#endif
#endif
