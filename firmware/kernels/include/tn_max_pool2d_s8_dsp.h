/* MAX_POOL_2D for the DSP extension: four channels at a time, channels a multiple of 4. */
#ifndef TN_MAX_POOL2D_S8_DSP_H
#define TN_MAX_POOL2D_S8_DSP_H

#include "tn_bytes_dsp.h"
#include "tn_pool2d_s8.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef tn_pool2d_s8 tn_max_pool2d_s8_dsp;

/* The largest of four channels over the window's columns from `first` to before `end`, within the activation. */
TN_INLINE uint32_t tn_max_pool2d_four(const tn_max_pool2d_s8_dsp *p, const int8_t *const *rows, int first, int end,
                                      int channel)
{
    uint32_t largest = (uint32_t)(uint8_t)p->min * 0x01010101u;
    for (int r = 0; r < p->rows.kernel; ++r) {
        if (rows[r] != NULL) {
            const int8_t *x = rows[r] + first * p->channels + channel;
            for (int col = first; col < end; ++col, x += p->channels) {
                largest = tn_larger4(largest, tn_load4(x));
            }
        }
    }
    if (p->max < INT8_MAX) {
        /* The smaller of both: codes in reverse order. */
        largest = ~tn_larger4(~largest, (255u - (uint32_t)(uint8_t)p->max) * 0x01010101u);
    }
    return largest;
}

/* Output row; arguments as for tn_max_pool2d_s8_row, which may lie over the input under the same conditions: all codes
 * under four outputs are read before they are written. */
TN_INLINE void tn_max_pool2d_s8_dsp_row(const tn_max_pool2d_s8_dsp *p, const int8_t *const *rows, int8_t *out)
{
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride) {
        const int first = left < 0 ? 0 : left;
        const int end = left + p->cols.kernel < p->cols.in ? left + p->cols.kernel : p->cols.in;
        for (int channel = 0; channel < p->channels; channel += 4, out += 4) {
            tn_store4(out, tn_max_pool2d_four(p, rows, first, end, channel));
        }
    }
}

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
TN_INLINE void tn_max_pool2d_s8_dsp_run(const tn_max_pool2d_s8_dsp *p, const int8_t **rows, const int8_t *in,
                                        int8_t *out)
{
    for (int y = 0; y < p->rows.out; ++y, out += (size_t)p->cols.out * p->channels) {
        tn_window_rows(&p->rows, in, (size_t)p->cols.in * p->channels, y, rows);
        tn_max_pool2d_s8_dsp_row(p, rows, out);
    }
}

#ifdef __cplusplus
}
#endif
#endif
