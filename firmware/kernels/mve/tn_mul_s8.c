#include "tn_mul_s8.h"

#include "tn_mve.h"

/* What up to four codes, or one for all of them, are multiplied as. */
TN_INLINE tn_words factors(const int8_t *x, int step, int count, int32_t zero_point)
{
    if (step == 0) {
        return tn_words_all(*x - zero_point);
    }
    const tn_words codes = count < 4 ? tn_words_load_first(x, count) : tn_words_load_codes(x);
    return tn_words_add_scalar(codes, -zero_point);
}

TN_INLINE tn_words products(const tn_mul_s8 *p, tn_words a, tn_words b)
{
    const int left = p->shift > 0 ? p->shift : 0;
    const tn_words shifts = tn_words_all(p->shift - left);
    const tn_words wide = tn_words_shift_left(tn_words_multiply(a, b), tn_words_all(left));
    tn_words v = tn_words_high_mul(wide, tn_words_all(p->multiplier));
    v = tn_words_add(v, tn_words_signs(tn_words_and(v, shifts))); /* half away from zero where bits are shifted out */
    v = tn_words_add_scalar(tn_words_round_shift(v, shifts), p->output.zero_point);
    return tn_mve_clamp(v, &p->output);
}

static void multiply_row(const void *params, const int8_t *in1, int step1, const int8_t *in2, int step2, int8_t *out,
                         uint32_t count)
{
    const tn_mul_s8 *p = params;
    uint32_t i = 0;
    for (; i + 4u <= count; i += 4u, in1 += 4 * step1, in2 += 4 * step2, out += 4) {
        const tn_words a = factors(in1, step1, 4, p->zero_point1);
        tn_words_store_codes(out, products(p, a, factors(in2, step2, 4, p->zero_point2)));
    }
    const uint32_t left = count - i;
    const int rest = (int)left;
    if (rest > 0) {
        const tn_words a = factors(in1, step1, rest, p->zero_point1);
        tn_words_store_first(out, products(p, a, factors(in2, step2, rest, p->zero_point2)), rest);
    }
}

TN_HOT void tn_mul_s8_run(const tn_mul_s8 *p, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    tn_broadcast_run(&p->shape, multiply_row, p, in1, in2, out);
}
