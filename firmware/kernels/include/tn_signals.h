/* Preprocessing of sampled signals in integers: second-order sections, polyphase resampling, quantization.
 *
 * A value is a sample of the converter with bits behind a binary point; it lies within plus and minus
 * TN_SIGNAL_LIMIT, where every step saturates. */
#ifndef TN_SIGNALS_H
#define TN_SIGNALS_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TN_SIGNAL_LIMIT 268435455 /* 2^28 - 1 */

/* y = (b0 x + b1 x1 + b2 x2 + c1 y1 + c2 y2 + rest) >> shift */
typedef struct {
    int32_t b0;
    int32_t b1;
    int32_t b2;
    int32_t c1; /* -a1 */
    int32_t c2; /* -a2 */
    uint8_t shift; /* 1 to 30 */
} tn_biquad;

typedef struct {
    int32_t x1;
    int32_t x2;
    int32_t y1;
    int32_t y2;
    int32_t rest; /* what the last shift cut off */
} tn_biquad_state;

/* One of `up` filters per output sample, over the newest `count` samples. */
typedef struct {
    const int32_t *taps; /* [up][count], for the newest sample first */
    uint16_t count;
    uint8_t shift; /* 1 to 30 */
} tn_resample;

/* Codes per value: multiplier / 2^shift. */
typedef struct {
    int32_t multiplier;
    uint8_t shift; /* 1 to 62 */
} tn_signal_scale;

/* Normalisation of a window: `steps` / 2^shift codes stand for its whole span, `least` and `rest` / 2^(shift + 1) for
 * its lower end, rounding included: code = least + (2 (x - min) steps + span rest) / (2 span 2^shift), rounded down. */
typedef struct {
    int32_t steps;
    int32_t rest; /* 2^shift to 3 2^shift */
    int32_t least;
    uint8_t shift;
} tn_min_max;

/* A sample of a converter of `bits` bits, clipped to it, with `point` bits behind the binary point. */
static inline int32_t tn_signal_value(int32_t count, int bits, int point)
{
    const int32_t half = (int32_t)1 << (bits - 1);
    return tn_clamp(count, -half, half - 1) * ((int32_t)1 << point);
}

static inline int32_t tn_signal_magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

/* The code of a value, halves up, clipped to plus and minus 127. */
static inline int8_t tn_signal_code(const tn_signal_scale *p, int32_t value)
{
    const int64_t rounded = ((int64_t)value * p->multiplier + ((int64_t)1 << (p->shift - 1))) >> p->shift;
    return (int8_t)(rounded < -127 ? -127 : rounded > 127 ? 127 : rounded);
}

/* The section's next value. */
int32_t tn_biquad_step(const tn_biquad *p, tn_biquad_state *s, int32_t x);

/* Keep a sample. history: the newest `count` samples; newest: place of the last one. */
void tn_resample_put(const tn_resample *p, int32_t *history, uint16_t *newest, int32_t x);

/* Output of the filter number `phase`. */
int32_t tn_resample_get(const tn_resample *p, const int32_t *history, unsigned newest, unsigned phase);

/* Codes of a window of n values of one channel, `step` elements apart in `window` and in `out`. All of a flat window is
 * its lower end. n: at least 1. */
void tn_min_max_codes(const tn_min_max *p, const int32_t *window, size_t n, size_t step, int8_t *out);

/* The same of counts, in 32 bits: span (2 steps + rest) stays below 2^32. */
void tn_min_max_codes_s16(const tn_min_max *p, const int16_t *window, size_t n, size_t step, int8_t *out);

#ifdef __cplusplus
}
#endif
#endif
