#include "tn_pool2d_s8.h"

/* Half away from zero, clamped. */
static int8_t window_mean(const tn_pool2d_s8 *p, int32_t sum, int32_t count)
{
    const int32_t rounded = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
    return (int8_t)tn_clamp(rounded, p->min, p->max);
}

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
            *out++ = window_mean(p, sum, count);
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

/* Columns from `first` to before `end` under output column `x`. */
typedef struct {
    int first;
    int end;
} tn_pool_span;

static tn_pool_span window_span(const tn_pool2d_s8 *p, int x)
{
    const int left = x * p->cols.stride - p->cols.pad;
    const int right = left + p->cols.kernel;
    const tn_pool_span found = {left < 0 ? 0 : left, right < p->cols.in ? right : p->cols.in};
    return found;
}

static int32_t column_sum(const tn_pool2d_s8 *p, const int8_t *row, const tn_pool_span *under, int channel)
{
    int32_t sum = 0;
    const int8_t *in = row + (size_t)under->first * p->channels + (size_t)channel;
    for (int col = under->first; col < under->end; ++col, in += p->channels) {
        sum += *in;
    }
    return sum;
}

TN_HOT void tn_average_pool2d_s8_add(const tn_pool2d_s8 *p, const int8_t *row, int32_t *sums, unsigned y)
{
    for (int x = 0; x < p->cols.out; ++x) {
        const tn_pool_span under = window_span(p, x);
        for (int channel = 0; channel < p->channels; ++channel, ++sums) {
            *sums = (y == 0 ? 0 : *sums) + column_sum(p, row, &under, channel);
        }
    }
}

TN_HOT void tn_average_pool2d_s8_finish(const tn_pool2d_s8 *p, const int32_t *sums, int8_t *out)
{
    for (int x = 0; x < p->cols.out; ++x) {
        const tn_pool_span under = window_span(p, x);
        for (int channel = 0; channel < p->channels; ++channel) {
            *out++ = window_mean(p, *sums++, p->rows.kernel * (under.end - under.first));
        }
    }
}

TN_HOT void tn_average_pool2d_s8_add_few(const tn_pool2d_s8 *p, const int8_t *row, int8_t *sums, unsigned y)
{
    for (int x = 0; x < p->cols.out; ++x) {
        const tn_pool_span under = window_span(p, x);
        for (int channel = 0; channel < p->channels; ++channel, sums += 2) {
            tn_store_16(sums, (y == 0 ? 0 : tn_load_16(sums)) + column_sum(p, row, &under, channel));
        }
    }
}

TN_HOT void tn_average_pool2d_s8_finish_few(const tn_pool2d_s8 *p, const int8_t *sums, int8_t *out)
{
    for (int x = 0; x < p->cols.out; ++x) {
        const tn_pool_span under = window_span(p, x);
        for (int channel = 0; channel < p->channels; ++channel, sums += 2) {
            *out++ = window_mean(p, tn_load_16(sums), p->rows.kernel * (under.end - under.first));
        }
    }
}
