/* ADD and SUB of tensors of one shape for the vector extension; the arithmetic is that of tn_add_s8_dsp. */
#ifndef TN_ADD_S8_MVE_H
#define TN_ADD_S8_MVE_H

#include "tn_mve.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t count;
    int32_t factor1;
    int32_t factor2;
    int32_t offset; /* |codes * factors| + |offset| < 2^31 */
    uint8_t shift;  /* 1 to 30 */
    tn_output_s8 output;
} tn_add_s8_mve;

TN_INLINE tn_words tn_add_mve_codes(const tn_add_s8_mve *p, tn_words a, tn_words b)
{
    const tn_words sum = tn_words_add_scalar(tn_words_multiply_scalar(a, p->factor1), p->offset);
    const tn_words line = tn_words_multiply_add(sum, b, p->factor2);
    return tn_mve_clamp(tn_words_shift_right(line, p->shift), &p->output);
}

/* out may lie exactly over an input. */
TN_INLINE void tn_add_s8_mve_run(const tn_add_s8_mve *p, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const uint32_t last = p->count % 4u;
    const int rest = (int)last;
    const int8_t *const end = out + (p->count - last);
    TN_UNROLL(4)
    for (; out != end; in1 += 4, in2 += 4, out += 4) {
        tn_words_store_codes(out, tn_add_mve_codes(p, tn_words_load_codes(in1), tn_words_load_codes(in2)));
    }
    if (rest > 0) {
        const tn_words a = tn_words_load_first(in1, rest);
        tn_words_store_first(out, tn_add_mve_codes(p, a, tn_words_load_first(in2, rest)), rest);
    }
}

#ifdef __cplusplus
}
#endif
#endif
