/* Streaming execution: when a layer may fire, and where in their ring the slices under its window lie. */
#ifndef TN_STREAM_H
#define TN_STREAM_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether output slice `y` can be computed once `arrived` slices of the input are there; one at least, even for a window
 * of padding alone. */
static inline int tn_stream_ready(const tn_axis *axis, unsigned y, unsigned arrived)
{
    const int last = (int)y * axis->stride - axis->pad + (axis->kernel - 1) * axis->dilation;
    return y < axis->out && arrived > 0u && (int)arrived > (last < axis->in ? last : axis->in - 1);
}

/* Point rows[0 .. axis->kernel) at the slices under output slice `y`; NULL stands for padding.
 * ring: `depth` slices of `bytes` bytes; slice i lies at i modulo depth. */
static inline void tn_stream_rows(const tn_axis *axis, unsigned y, const int8_t *ring, unsigned depth, size_t bytes,
                                  const int8_t **rows)
{
    int slice = (int)y * axis->stride - axis->pad;
    for (int tap = 0; tap < axis->kernel; ++tap, slice += axis->dilation) {
        rows[tap] = slice < 0 || slice >= axis->in ? NULL : ring + (unsigned)slice % depth * bytes;
    }
}

#ifdef __cplusplus
}
#endif
#endif
