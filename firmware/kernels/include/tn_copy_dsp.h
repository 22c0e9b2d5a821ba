/* tn_copy with its sizes as constants: blocks of a few bytes move by a few loads and stores. */
#ifndef TN_COPY_DSP_H
#define TN_COPY_DSP_H

#include <string.h>

#include "tn_copy.h"
#include "tn_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef tn_copy tn_copy_dsp;

/* A few short runs are written without a loop. */
#if defined(__GNUC__) && !defined(__clang__)
#define TN_COPY_UNROLL _Pragma("GCC unroll 4")
#else
#define TN_COPY_UNROLL
#endif

TN_INLINE void tn_copy_lines(const tn_copy_dsp *p, const uint8_t *in, uint8_t *out)
{
    for (uint32_t i = 0; i < p->size[3]; ++i, in += p->in_stride[3], out += p->out_stride[3]) {
        const uint8_t *from = in;
        uint8_t *to = out;
        TN_COPY_UNROLL
        for (uint32_t j = 0; j < p->size[4]; ++j, from += p->in_stride[4], to += p->out_stride[4]) {
            (void)memcpy(to, from, p->run);
        }
    }
}

/* in and out must not overlap. */
TN_INLINE void tn_copy_dsp_run(const tn_copy_dsp *p, const void *in, void *out)
{
    const uint8_t *slab_in = (const uint8_t *)in + p->in_offset;
    uint8_t *slab_out = (uint8_t *)out + p->out_offset;
    for (uint32_t i = 0; i < p->size[0]; ++i, slab_in += p->in_stride[0], slab_out += p->out_stride[0]) {
        const uint8_t *plane_in = slab_in;
        uint8_t *plane_out = slab_out;
        for (uint32_t j = 0; j < p->size[1]; ++j, plane_in += p->in_stride[1], plane_out += p->out_stride[1]) {
            const uint8_t *from = plane_in;
            uint8_t *to = plane_out;
            for (uint32_t k = 0; k < p->size[2]; ++k, from += p->in_stride[2], to += p->out_stride[2]) {
                tn_copy_lines(p, from, to);
            }
        }
    }
}

#ifdef __cplusplus
}
#endif
#endif
