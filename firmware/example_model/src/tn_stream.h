/* Streaming execution: when a layer may fire, and where in their ring the slices under its window lie.
 *
 * Both functions are called with an axis, a depth and a size that the compiler of the generated code knows, so that what
 * is asked about borders and rings is decided there. */
#ifndef TN_STREAM_H
#define TN_STREAM_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pointers of a short window are written without a loop. */
#if defined(__GNUC__) && !defined(__clang__)
#define TN_STREAM_UNROLL _Pragma("GCC unroll 4")
#else
#define TN_STREAM_UNROLL
#endif

/* First input slice under output slice `y`, at tap 0. */
static inline int tn_stream_first(const tn_axis *axis, unsigned y)
{
    return (int)y * axis->stride - axis->pad;
}

/* Whether output slice `y` can be computed once `arrived` slices of the input are there; one at least, even for a window
 * of padding alone. */
static inline int tn_stream_ready(const tn_axis *axis, unsigned y, unsigned arrived)
{
    const int reach = (axis->kernel - 1) * axis->dilation;
    /* A window behind the last output is never ready if it would lie beyond the input. */
    const int ends = tn_stream_first(axis, axis->out) + reach >= axis->in;
    if ((int)arrived > tn_stream_first(axis, y) + reach && (reach >= axis->pad || arrived > 0u)) {
        return ends || y < axis->out;
    }
    /* Windows that reach behind the input wait for its end. */
    const int beyond = tn_stream_first(axis, axis->out - 1u) + reach >= axis->in;
    return beyond && arrived == axis->in && y < axis->out;
}

/* Point rows[0 .. axis->kernel) at the slices under output slice `y`.
 * ring: `depth` slices of `bytes` bytes; slice i lies at i modulo depth. border: what stands for a slice of padding. */
static inline void tn_stream_rows(const tn_axis *axis, unsigned y, const int8_t *ring, unsigned depth, size_t bytes,
                                  const int8_t *border, const int8_t **rows)
{
    const unsigned step = axis->dilation % depth;
    const unsigned back = (depth - axis->pad % depth) % depth;
    unsigned slot = (y * (axis->stride % depth) + back) % depth;
    TN_STREAM_UNROLL
    for (int tap = 0; tap < axis->kernel; ++tap) {
        rows[tap] = ring + slot * bytes;
        slot += step;
        slot = (depth & (depth - 1u)) == 0u ? slot & (depth - 1u) : slot >= depth ? slot - depth : slot;
    }
    const int first = tn_stream_first(axis, y);
    const int last = tn_stream_first(axis, axis->out - 1u);
    TN_STREAM_UNROLL
    for (int tap = 0; tap < axis->kernel; ++tap) {
        const int slice = first + tap * axis->dilation;
        if ((tap * axis->dilation < axis->pad && slice < 0) ||
            (last + tap * axis->dilation >= axis->in && slice >= axis->in)) {
            rows[tap] = border;
        }
    }
}

/* Every so many pixels of a slice, `pixels` of them: `bytes` bytes each, `step` bytes apart. */
static inline void tn_stream_take(const int8_t *slice, unsigned pixels, size_t step, size_t bytes, int8_t *out)
{
    for (; pixels > 0; --pixels, slice += step, out += bytes) {
        (void)memcpy(out, slice, bytes);
    }
}

#ifdef __cplusplus
}
#endif
#endif
