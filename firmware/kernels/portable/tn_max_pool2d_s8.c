#include "tn_pool2d_s8.h"

/* out[i] = max(out[i], x[i]). */
static inline void take_larger(const int8_t *x, int8_t *out, int count)
{
    for (int i = 0; i < count; ++i) {
        if (x[i] > out[i]) {
            out[i] = x[i];
        }
    }
}

static inline void copy(const int8_t *x, int8_t *out, int count)
{
    for (int i = 0; i < count; ++i) {
        out[i] = x[i];
    }
}

/* The first tap is copied and the others compared with it, in the order of their addresses: an output that lies over
 * the input from its start only ever overwrites taps that are done. */
static inline void pixel(const tn_pool2d_s8 *p, const int8_t *const *rows, int first, int end, int8_t *out)
{
    const int channels = p->channels;
    int started = 0;
    for (int r = 0; r < p->rows.kernel; ++r) {
        if (rows[r] == NULL) {
            continue;
        }
        const int8_t *x = rows[r] + first * channels;
        for (int col = first; col < end; ++col, x += channels) {
            if (started != 0) {
                take_larger(x, out, channels);
            } else {
                copy(x, out, channels);
                started = 1;
            }
        }
    }
}

TN_HOT void tn_max_pool2d_s8_row(const tn_pool2d_s8 *p, const int8_t *const *rows, int8_t *out)
{
    const int clamped = p->min > INT8_MIN || p->max < INT8_MAX;
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride, out += p->channels) {
        const int first = left < 0 ? 0 : left;
        const int end = left + p->cols.kernel < p->cols.in ? left + p->cols.kernel : p->cols.in;
        pixel(p, rows, first, end, out);
        for (int i = 0; clamped && i < p->channels; ++i) {
            out[i] = (int8_t)tn_clamp(out[i], p->min, p->max);
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

TN_HOT void tn_max_pool2d_s8_add(const tn_pool2d_s8 *p, const int8_t *row, int8_t *best, unsigned y)
{
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride, best += p->channels) {
        const int first = left < 0 ? 0 : left;
        const int end = left + p->cols.kernel < p->cols.in ? left + p->cols.kernel : p->cols.in;
        for (int col = first; col < end; ++col) {
            if (y == 0 && col == first) {
                copy(row + col * p->channels, best, p->channels);
            } else {
                take_larger(row + col * p->channels, best, p->channels);
            }
        }
    }
}

TN_HOT void tn_max_pool2d_s8_finish(const tn_pool2d_s8 *p, const int8_t *best, int8_t *out)
{
    for (int i = 0; i < p->cols.out * p->channels; ++i) {
        out[i] = (int8_t)tn_clamp(best[i], p->min, p->max);
    }
}
