#include "tn_softmax_s8.h"

/* Bits before the binary point of the sum of exponentials (Q12.19). */
#define SUM_INTEGER_BITS 12
/* 48/17 and -32/17 in Q2.29: the linear first guess of Newton's reciprocal. */
#define GUESS_OFFSET 1515870810
#define GUESS_SLOPE (-1010580540)

static int32_t saturating_shift_left(int32_t value, int bits)
{
    const int32_t limit = INT32_MAX >> bits;
    return value > limit ? INT32_MAX : value < -limit - 1 ? INT32_MIN : (int32_t)((uint32_t)value << bits);
}

/* 1 / (1 + x) for x in [0, 1), both Q0.31, by three Newton steps on half the denominator. */
static int32_t reciprocal_of_one_plus(int32_t x)
{
    const int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t guess = GUESS_OFFSET + tn_high_mul(half, GUESS_SLOPE);
    for (int step = 0; step < 3; ++step) {
        const int32_t error = ((int32_t)1 << 29) - tn_high_mul(half, guess);
        guess += saturating_shift_left(tn_high_mul(guess, error), 2);
    }
    return saturating_shift_left(guess, 1);
}

static int leading_zeros(uint32_t value)
{
    int count = 0;
    for (; value < 0x80000000u; value <<= 1) {
        ++count;
    }
    return count;
}

static int32_t exponent(const tn_softmax_s8 *p, int32_t distance)
{
    return distance < p->reach ? p->exponent[distance] : 0;
}

TN_HOT void tn_softmax_s8_run(const tn_softmax_s8 *p, const int8_t *in, int8_t *out)
{
    for (uint32_t row = 0; row < p->rows; ++row, in += p->classes, out += p->classes) {
        int32_t best = INT8_MIN;
        for (uint32_t i = 0; i < p->classes; ++i) {
            best = in[i] > best ? in[i] : best;
        }
        int32_t sum = 0;
        for (uint32_t i = 0; i < p->classes; ++i) {
            sum += tn_round_shift(exponent(p, best - in[i]), SUM_INTEGER_BITS);
        }
        /* sum = (1 + fraction) * 2^(SUM_INTEGER_BITS - zeros), at least 1 because the maximum contributes 1. */
        const int zeros = leading_zeros((uint32_t)sum);
        const int32_t scale = reciprocal_of_one_plus((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
        const int bits = SUM_INTEGER_BITS - zeros + 31 - 8;
        for (uint32_t i = 0; i < p->classes; ++i) {
            const int32_t share = tn_round_shift(tn_high_mul(scale, exponent(p, best - in[i])), bits);
            out[i] = (int8_t)tn_clamp(share + INT8_MIN, INT8_MIN, INT8_MAX);
        }
    }
}
