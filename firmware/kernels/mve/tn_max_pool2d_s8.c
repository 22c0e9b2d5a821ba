#include "tn_mve.h"
#include "tn_pool2d_s8.h"

/* The largest of up to 16 channels over the window's columns from `first` to before `end`, within the activation. */
TN_INLINE void largest(const tn_pool2d_s8 *p, const int8_t *const *rows, int first, int end, int channel,
                       int count, int8_t *out)
{
    tn_codes best = tn_codes_all(p->min);
    for (int r = 0; r < p->rows.kernel; ++r) {
        if (rows[r] != NULL) {
            const int8_t *x = rows[r] + first * p->channels + channel;
            for (int col = first; col < end; ++col, x += p->channels) {
                best = tn_codes_max(best, count < 16 ? tn_codes_load_first(x, count) : tn_codes_load(x));
            }
        }
    }
    best = tn_codes_min(best, tn_codes_all(p->max));
    if (count < 16) {
        tn_codes_store_first(out, best, count);
    } else {
        tn_codes_store(out, best);
    }
}

/* An output may lie over the input from its start: codes under a vector of outputs are read before it is written. */
TN_HOT void tn_max_pool2d_s8_row(const tn_pool2d_s8 *p, const int8_t *const *rows, int8_t *out)
{
    const int whole = p->channels / 16 * 16;
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride, out += p->channels) {
        const int first = left < 0 ? 0 : left;
        const int end = left + p->cols.kernel < p->cols.in ? left + p->cols.kernel : p->cols.in;
        for (int channel = 0; channel < whole; channel += 16) {
            largest(p, rows, first, end, channel, 16, out + channel);
        }
        if (whole < p->channels) {
            largest(p, rows, first, end, whole, p->channels - whole, out + whole);
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

/* best[i] = the larger of both, or x[i]. */
static void take_larger(const int8_t *x, int8_t *best, int count, int begin)
{
    int i = 0;
    for (; i + 16 <= count; i += 16) {
        const tn_codes v = tn_codes_load(x + i);
        tn_codes_store(best + i, begin != 0 ? v : tn_codes_max(v, tn_codes_load(best + i)));
    }
    const int rest = count - i;
    if (rest > 0) {
        const tn_codes v = tn_codes_load_first(x + i, rest);
        const tn_codes larger = begin != 0 ? v : tn_codes_max(v, tn_codes_load_first(best + i, rest));
        tn_codes_store_first(best + i, larger, rest);
    }
}

TN_HOT void tn_max_pool2d_s8_add(const tn_pool2d_s8 *p, const int8_t *row, int8_t *best, unsigned y)
{
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride, best += p->channels) {
        const int first = left < 0 ? 0 : left;
        const int end = left + p->cols.kernel < p->cols.in ? left + p->cols.kernel : p->cols.in;
        for (int col = first; col < end; ++col) {
            take_larger(row + col * p->channels, best, p->channels, y == 0u && col == first);
        }
    }
}

TN_HOT void tn_max_pool2d_s8_finish(const tn_pool2d_s8 *p, const int8_t *best, int8_t *out)
{
    const tn_codes low = tn_codes_all(p->min);
    const tn_codes high = tn_codes_all(p->max);
    const int count = p->cols.out * p->channels;
    int i = 0;
    for (; i + 16 <= count; i += 16) {
        tn_codes_store(out + i, tn_codes_min(tn_codes_max(tn_codes_load(best + i), low), high));
    }
    const int rest = count - i;
    if (rest > 0) {
        const tn_codes v = tn_codes_max(tn_codes_load_first(best + i, rest), low);
        tn_codes_store_first(out + i, tn_codes_min(v, high), rest);
    }
}
