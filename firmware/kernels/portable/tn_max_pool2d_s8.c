#include "tn_pool2d_s8.h"

TN_HOT void tn_max_pool2d_s8_row(const tn_pool2d_s8 *p, const int8_t *const *rows, int8_t *out)
{
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride) {
        const int first = left < 0 ? 0 : left;
        const int end = left + p->cols.kernel < p->cols.in ? left + p->cols.kernel : p->cols.in;
        for (int channel = 0; channel < p->channels; ++channel) {
            int32_t best = INT8_MIN;
            for (int r = 0; r < p->rows.kernel; ++r) {
                if (rows[r] == NULL) {
                    continue;
                }
                const int8_t *in = rows[r] + (size_t)first * p->channels + (size_t)channel;
                for (int col = first; col < end; ++col, in += p->channels) {
                    best = *in > best ? *in : best;
                }
            }
            *out++ = (int8_t)tn_clamp(best, p->min, p->max);
        }
    }
}

TN_HOT void tn_max_pool2d_s8_run(const tn_pool2d_s8 *p, const int8_t **rows, const int8_t *in, int8_t *out)
{
    for (int y = 0; y < p->rows.out; ++y, out += (size_t)p->cols.out * p->channels) {
        tn_window_rows(&p->rows, in, (size_t)p->cols.in * p->channels, y, rows);
        tn_max_pool2d_s8_row(p, rows, out);
    }
}
