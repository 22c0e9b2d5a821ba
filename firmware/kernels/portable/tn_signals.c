#include "tn_signals.h"

static int32_t saturated(int64_t value)
{
    if (value < -TN_SIGNAL_LIMIT) {
        return -TN_SIGNAL_LIMIT;
    }
    return value > TN_SIGNAL_LIMIT ? TN_SIGNAL_LIMIT : (int32_t)value;
}

int32_t tn_biquad_step(const tn_biquad *p, tn_biquad_state *s, int32_t x)
{
    int64_t sum = (int64_t)p->b0 * x + s->rest;
    sum += (int64_t)p->b1 * s->x1;
    sum += (int64_t)p->b2 * s->x2;
    sum += (int64_t)p->c1 * s->y1;
    sum += (int64_t)p->c2 * s->y2;
    const int32_t y = saturated(sum >> p->shift);
    s->rest = (int32_t)(sum & (((int64_t)1 << p->shift) - 1));
    s->x2 = s->x1;
    s->x1 = x;
    s->y2 = s->y1;
    s->y1 = y;
    return y;
}

void tn_resample_put(const tn_resample *p, int32_t *history, uint16_t *newest, int32_t x)
{
    *newest = (uint16_t)(*newest + 1u == p->count ? 0u : *newest + 1u);
    history[*newest] = x;
}

int32_t tn_resample_get(const tn_resample *p, const int32_t *history, unsigned newest, unsigned phase)
{
    const int32_t *taps = p->taps + (size_t)phase * p->count;
    int64_t sum = (int64_t)1 << (p->shift - 1);
    unsigned at = newest;
    for (unsigned tap = 0; tap < p->count; ++tap) {
        sum += (int64_t)taps[tap] * history[at];
        at = at == 0u ? p->count - 1u : at - 1u;
    }
    return saturated(sum >> p->shift);
}

static int8_t min_max_code(int32_t code)
{
    return (int8_t)(code < -128 ? -128 : code > 127 ? 127 : code);
}

void tn_min_max_codes(const tn_min_max *p, const int32_t *window, size_t n, size_t step, int8_t *out)
{
    int32_t low = window[0];
    int32_t high = window[0];
    for (size_t i = 1; i < n; ++i) {
        const int32_t value = window[i * step];
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    const int64_t span = high > low ? (int64_t)high - low : 1;
    const int64_t whole = (2 * span) << p->shift;
    for (size_t i = 0; i < n; ++i) {
        const int64_t above = (int64_t)window[i * step] - low;
        out[i * step] = min_max_code(p->least + (int32_t)((2 * above * p->steps + span * p->rest) / whole));
    }
}

void tn_min_max_codes_s16(const tn_min_max *p, const int16_t *window, size_t n, size_t step, int8_t *out)
{
    int32_t low = window[0];
    int32_t high = window[0];
    for (size_t i = 1; i < n; ++i) {
        const int32_t value = window[i * step];
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    const uint32_t span = high > low ? (uint32_t)(high - low) : 1u;
    const uint32_t whole = (2u * span) << p->shift;
    const uint32_t steps = 2u * (uint32_t)p->steps;
    const uint32_t rest = span * (uint32_t)p->rest;
    for (size_t i = 0; i < n; ++i) {
        const uint32_t above = (uint32_t)(window[i * step] - low);
        out[i * step] = min_max_code(p->least + (int32_t)((above * steps + rest) / whole));
    }
}
