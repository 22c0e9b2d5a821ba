/* Two inputs of up to four dimensions, broadcast against each other, visited row by row. */
#ifndef TN_BROADCAST_H
#define TN_BROADCAST_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t size[4];    /* output dimensions, outermost first */
    uint32_t stride1[4]; /* elements between neighbours of input 1 along each dimension; 0 repeats */
    uint32_t stride2[4]; /* the same for input 2 */
} tn_broadcast;

/* Computes size[3] output codes; step1 and step2 are 0 (one code for all) or 1. */
typedef void tn_broadcast_row(const void *params, const int8_t *in1, int step1, const int8_t *in2, int step2,
                              int8_t *out, uint32_t count);

/* Calls `row` for every innermost row in order. The output may lie exactly over an input that is not repeated. */
static inline void tn_broadcast_run(const tn_broadcast *b, tn_broadcast_row *row, const void *params,
                                    const int8_t *in1, const int8_t *in2, int8_t *out)
{
    for (uint32_t i = 0; i < b->size[0]; ++i) {
        for (uint32_t j = 0; j < b->size[1]; ++j) {
            for (uint32_t k = 0; k < b->size[2]; ++k, out += b->size[3]) {
                row(params, in1 + i * b->stride1[0] + j * b->stride1[1] + k * b->stride1[2], (int)b->stride1[3],
                    in2 + i * b->stride2[0] + j * b->stride2[1] + k * b->stride2[2], (int)b->stride2[3], out,
                    b->size[3]);
            }
        }
    }
}

#ifdef __cplusplus
}
#endif
#endif
