#include "tn_mve.h"
#include "tn_pool2d_s8.h"

#define MOST_HALVES 256 /* codes that a sum of 16 bits holds */
#define MOST_COUNT 5781 /* codes of a window whose mean a product gives: 128.5 * count^2 < 2^32 */

/* How sums over a window become means. */
typedef struct {
    int32_t count;
    int32_t factor; /* 2^32 / count, rounded up, as bits */
    tn_output_s8 limits;
} averages;

static averages averages_of(const tn_pool2d_s8 *p, int32_t count)
{
    const uint32_t factor = count > 1 ? UINT32_MAX / (uint32_t)count + 1u : 0u;
    const averages m = {count, tn_wrapped(factor), {0, p->min, p->max}};
    return m;
}

static int32_t mean(const averages *m, int32_t sum)
{
    return (sum > 0 ? sum + m->count / 2 : sum - m->count / 2) / m->count;
}

/* Half away from zero: what the magnitudes give, with their signs. */
TN_INLINE tn_words four_averages(const averages *m, tn_words sums)
{
    if (m->count == 1) {
        return sums;
    }
    if (m->count > MOST_COUNT) {
        int32_t each[4];
        tn_words_store(each, sums);
        return tn_words_of(mean(m, each[0]), mean(m, each[1]), mean(m, each[2]), mean(m, each[3]));
    }
    const tn_words signs = tn_words_signs(sums);
    const tn_words magnitudes = tn_words_subtract(tn_words_xor(sums, signs), signs);
    const tn_words quotients = tn_words_high_bits(tn_words_add_scalar(magnitudes, m->count / 2),
                                                  tn_words_all(m->factor));
    return tn_words_subtract(tn_words_xor(quotients, signs), signs);
}

/* Up to eight channels of one pixel, whose window spans columns from `first` to before `end`. */
TN_INLINE void eight(const tn_pool2d_s8 *p, const int8_t *const *rows, int first, int end, const averages *m,
                     int channel, int count, int8_t *out)
{
    tn_words even = tn_words_all(0);
    tn_words odd = tn_words_all(0);
    for (int r = 0; r < p->rows.kernel; ++r) {
        if (rows[r] == NULL) {
            continue;
        }
        const int8_t *x = rows[r] + first * p->channels + channel;
        for (int begin = first; begin < end; begin += MOST_HALVES) {
            const int stop = end - begin > MOST_HALVES ? begin + MOST_HALVES : end;
            tn_halves sums = tn_halves_all(0);
            for (int col = begin; col < stop; ++col, x += p->channels) {
                sums = tn_halves_add(sums, count < 8 ? tn_halves_load_first(x, count) : tn_halves_load(x));
            }
            even = tn_words_add(even, tn_words_even(sums));
            odd = tn_words_add(odd, tn_words_odd(sums));
        }
    }
    const tn_halves codes = tn_halves_of_words(four_averages(m, even), four_averages(m, odd));
    tn_mve_store_eight(out, tn_mve_limit(codes, &m->limits), count);
}

/* An output may lie over the input from its start: codes under a vector of outputs are read before it is written. */
TN_HOT void tn_average_pool2d_s8_row(const tn_pool2d_s8 *p, const int8_t *const *rows, int8_t *out)
{
    const int whole = p->channels / 8 * 8;
    int32_t height = 0;
    for (int r = 0; r < p->rows.kernel; ++r) {
        height += rows[r] != NULL ? 1 : 0;
    }
    averages m = averages_of(p, 1);
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride, out += p->channels) {
        const int first = left < 0 ? 0 : left;
        const int end = left + p->cols.kernel < p->cols.in ? left + p->cols.kernel : p->cols.in;
        if (m.count != height * (end - first)) {
            m = averages_of(p, height * (end - first));
        }
        for (int channel = 0; channel < whole; channel += 8) {
            eight(p, rows, first, end, &m, channel, 8, out + channel);
        }
        if (whole < p->channels) {
            eight(p, rows, first, end, &m, whole, p->channels - whole, out + whole);
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

/* sums[i] += x[i], or = where there are none yet. */
static void add_codes(const int8_t *x, int32_t *sums, int count, int begin)
{
    int i = 0;
    for (; i + 4 <= count; i += 4) {
        const tn_words codes = tn_words_load_codes(x + i);
        tn_words_store(sums + i, begin != 0 ? codes : tn_words_add(codes, tn_words_load(sums + i)));
    }
    for (; i < count; ++i) {
        sums[i] = begin != 0 ? x[i] : sums[i] + x[i];
    }
}

TN_HOT void tn_average_pool2d_s8_add(const tn_pool2d_s8 *p, const int8_t *row, int32_t *sums, unsigned y)
{
    if (p->cols.kernel == 1u && p->cols.stride == 1u) {
        add_codes(row, sums, p->cols.out * p->channels, y == 0u);
        return;
    }
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride, sums += p->channels) {
        const int first = left < 0 ? 0 : left;
        const int end = left + p->cols.kernel < p->cols.in ? left + p->cols.kernel : p->cols.in;
        for (int col = first; col < end; ++col) {
            add_codes(row + (size_t)col * p->channels, sums, p->channels, y == 0u && col == first);
        }
    }
}

TN_HOT void tn_average_pool2d_s8_finish(const tn_pool2d_s8 *p, const int32_t *sums, int8_t *out)
{
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride) {
        const int first = left < 0 ? 0 : left;
        const int end = left + p->cols.kernel < p->cols.in ? left + p->cols.kernel : p->cols.in;
        const averages m = averages_of(p, p->rows.kernel * (end - first));
        int channel = 0;
        for (; channel + 4 <= p->channels; channel += 4, sums += 4, out += 4) {
            tn_words_store_codes(out, tn_mve_clamp(four_averages(&m, tn_words_load(sums)), &m.limits));
        }
        for (; channel < p->channels; ++channel) {
            *out++ = (int8_t)tn_clamp(mean(&m, *sums++), p->min, p->max);
        }
    }
}
