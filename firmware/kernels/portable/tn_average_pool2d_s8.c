#include "tn_pool2d_s8.h"

TN_HOT void tn_average_pool2d_s8_row(const tn_pool2d_s8 *p, const int8_t *const *rows, int8_t *out)
{
    int32_t height = 0;
    for (int r = 0; r < p->rows.kernel; ++r) {
        height += rows[r] != NULL ? 1 : 0;
    }
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride) {
        const int first = left < 0 ? 0 : left;
        const int end = left + p->cols.kernel < p->cols.in ? left + p->cols.kernel : p->cols.in;
        const int32_t count = height * (end - first);
        for (int channel = 0; channel < p->channels; ++channel) {
            int32_t sum = 0;
            for (int r = 0; r < p->rows.kernel; ++r) {
                if (rows[r] == NULL) {
                    continue;
                }
                const int8_t *in = rows[r] + (size_t)first * p->channels + (size_t)channel;
                for (int col = first; col < end; ++col, in += p->channels) {
                    sum += *in;
                }
            }
            /* Half away from zero. */
            const int32_t mean = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
            *out++ = (int8_t)tn_clamp(mean, p->min, p->max);
        }
    }
}

TN_HOT void tn_average_pool2d_s8_run(const tn_pool2d_s8 *p, const int8_t **rows, const int8_t *in, int8_t *out)
{
    for (int y = 0; y < p->rows.out; ++y, out += (size_t)p->cols.out * p->channels) {
        tn_window_rows(&p->rows, in, (size_t)p->cols.in * p->channels, y, rows);
        tn_average_pool2d_s8_row(p, rows, out);
    }
}
