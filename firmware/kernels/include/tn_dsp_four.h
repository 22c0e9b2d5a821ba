/* Four channels at once for the DSP extension: four accumulators, widened codes by lanes of weights, and codes out of
 * them. Constants are read from a table by the word, in the order of the steps below.
 *
 * An accumulator is kept as `scaled = +-acc * 2^k`: weights are lanes of 16 bits, so that the compiler can choose k for
 * each channel such that TFLite's multiplier m gives the code with the same shift for all:
 *
 *   TN_DSP_RISING  code = (offset + (scaled * m >> 32)) >> shift, where no code comes from a negative accumulator
 *   TN_DSP_SIGNED  code = (offset + scaled * slope + unsigned(scaled) * step) >> 32 >> shift
 *   TN_DSP_PACKED  TFLite's two roundings with the shift beside the bias: the least constants
 *
 * TFLite rounds half away from zero, in units of its first rounding; these are 2^(32 + shift - n) here, n being the
 * channel's own shift. In the second form they are the step: read as unsigned, a negative number has 2^32 added, so
 * that the product with `step` adds it for one of the signs. It costs one instruction and no comparison. */
#ifndef TN_DSP_FOUR_H
#define TN_DSP_FOUR_H

#include "tn_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Blocks that name registers, with shifts that only optimized code knows to be constant. */
#if TN_HAS_DSP && defined(__OPTIMIZE__)
#define TN_FOUR_BLOCKS 1
#else
#define TN_FOUR_BLOCKS 0
#endif

/* Unroll a loop of at most so many steps. */
#if defined(__GNUC__) && !defined(__clang__)
#define TN_UNROLL_3 _Pragma("GCC unroll 3")
#define TN_UNROLL_9 _Pragma("GCC unroll 9")
#else
#define TN_UNROLL_3
#define TN_UNROLL_9
#endif

/* Accumulators of four channels. */
typedef struct {
    int32_t a;
    int32_t b;
    int32_t c;
    int32_t d;
} tn_dsp_four;

/* How accumulators become codes, and what of the table belongs to a channel. */
typedef struct {
    uint8_t kind;
    uint8_t shift; /* to the right, at the end; TN_DSP_PLAINLY: not used */
    tn_output_s8 output;
} tn_dsp_form;
#define TN_DSP_RISING 0  /* multiplier, offset */
#define TN_DSP_SIGNED 1  /* offset in 64 bits, slope, step */
#define TN_DSP_PLAINLY 2 /* multiplier and shift of tn_requantize; scaled is acc */
#define TN_DSP_PACKED 3  /* the word of tn_dsp_round_packed, multiplier; scaled is 2 * acc, and the bias stands here */

/* Start from the biases. Gives the table behind them. */
TN_INLINE const uint32_t *tn_four_begin(const tn_dsp_form *form, tn_dsp_four *acc, const uint32_t *table)
{
    if (form->kind == TN_DSP_PACKED) {
        const tn_dsp_four none = {0, 0, 0, 0};
        *acc = none;
        return table;
    }
#if TN_FOUR_BLOCKS
    register int32_t a __asm__("r4");
    register int32_t b __asm__("r5");
    register int32_t c __asm__("r6");
    register int32_t d __asm__("r8");
    __asm__ volatile("ldmia %0!, {r4, r5, r6, r8}" : "+r"(table), "=r"(a), "=r"(b), "=r"(c), "=r"(d));
    const tn_dsp_four start = {a, b, c, d};
    *acc = start;
    return table;
#else
    const tn_dsp_four start = {(int32_t)table[0], (int32_t)table[1], (int32_t)table[2], (int32_t)table[3]};
    *acc = start;
    return table + 4;
#endif
}

#if TN_FOUR_BLOCKS
/* Widen the four codes in r12 and add their products with the next weights of the table. */
#define TN_FOUR_MULTIPLY                \
    "ldrd r9, r10, [%[table]], 8\n\t"   \
    "sxtb16 r11, r12\n\t"              \
    "sxtb16 r12, r12, ror 8\n\t"       \
    "smlabb %[a], r11, r9, %[a]\n\t"   \
    "smlabb %[b], r12, r10, %[b]\n\t"  \
    "smlatt %[c], r11, r9, %[c]\n\t"   \
    "smlatt %[d], r12, r10, %[d]"
/* Where tn_four_begin has put the accumulators: without these names GCC moves them about. */
#define TN_FOUR_TAKE(acc)                            \
    register int32_t a __asm__("r4") = (acc)->a; \
    register int32_t b __asm__("r5") = (acc)->b; \
    register int32_t c __asm__("r6") = (acc)->c; \
    register int32_t d __asm__("r8") = (acc)->d
#define TN_FOUR_GIVE(acc) \
    (acc)->a = a;         \
    (acc)->b = b;         \
    (acc)->c = c;         \
    (acc)->d = d
#define TN_FOUR_OPERANDS(table) \
    [table] "+r"(table), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d)
#else
TN_INLINE void tn_four_multiply(tn_dsp_four *acc, uint32_t codes, const uint32_t *weights)
{
    const uint32_t even = tn_even_bytes(codes);
    const uint32_t odd = tn_odd_bytes(codes);
    acc->a = tn_mac_low(acc->a, even, weights[0]);
    acc->b = tn_mac_low(acc->b, odd, weights[1]);
    acc->c = tn_mac_high(acc->c, even, weights[0]);
    acc->d = tn_mac_high(acc->d, odd, weights[1]);
}
#endif

/* Add one tap: the four codes at `*x + at` by four weights, lanes {0, 2} and {1, 3}. */
TN_INLINE const uint32_t *tn_four_tap(tn_dsp_four *acc, const int8_t *const *x, size_t at, const uint32_t *table)
{
#if TN_FOUR_BLOCKS
    TN_FOUR_TAKE(acc);
    __asm__ volatile("ldr r12, %[x]\n\tldr r12, [r12, %[at]]\n\t" TN_FOUR_MULTIPLY
                     : TN_FOUR_OPERANDS(table)
                     : [x] "m"(*x), [at] "r"(at)
                     : "r9", "r10", "r11", "r12", "memory");
    TN_FOUR_GIVE(acc);
    return table;
#else
    tn_four_multiply(acc, tn_load4(*x + at), table);
    return table + 2;
#endif
}

/* The same at `*x`, which moves on to the next four. */
TN_INLINE const uint32_t *tn_four_next_tap(tn_dsp_four *acc, const int8_t **x, const uint32_t *table)
{
#if TN_FOUR_BLOCKS
    TN_FOUR_TAKE(acc);
    __asm__ volatile("ldr r12, [%[x]], #4\n\t" TN_FOUR_MULTIPLY
                     : [x] "+r"(*x), TN_FOUR_OPERANDS(table)
                     :
                     : "r9", "r10", "r11", "r12", "memory");
    TN_FOUR_GIVE(acc);
    return table;
#else
    tn_four_multiply(acc, tn_load4(*x), table);
    *x += 4;
    return table + 2;
#endif
}

/* A code from a rounded sum, within the fused activation. */
TN_INLINE int8_t tn_form_limit(const tn_dsp_form *form, int32_t code)
{
    int32_t limited = code;
    if (form->output.min > INT8_MIN) {
        limited = tn_larger(limited, form->output.min);
    }
    if (form->output.max < INT8_MAX) {
        limited = limited < form->output.max ? limited : form->output.max;
    }
    return (int8_t)limited;
}

/* Two codes in the first form. */
TN_INLINE const uint32_t *tn_form_rising(const tn_dsp_form *form, int32_t a, int32_t b, const uint32_t *table,
                                         int8_t *out)
{
    int32_t first;
    int32_t second;
#if TN_FOUR_BLOCKS
    __asm__ volatile("ldmia %[table]!, {r9, r10, r11, r12}\n\t"
                     "smmla %[first], %[a], r9, r10\n\t"
                     "smmla %[second], %[b], r11, r12\n\t"
                     "ssat %[first], #8, %[first], asr %[shift]\n\t"
                     "ssat %[second], #8, %[second], asr %[shift]"
                     : [table] "+r"(table), [first] "=&r"(first), [second] "=&r"(second)
                     : [a] "r"(a), [b] "r"(b), [shift] "i"(form->shift)
                     : "r9", "r10", "r11", "r12");
#else
    const int64_t product1 = (int64_t)a * (int32_t)table[0];
    const int64_t product2 = (int64_t)b * (int32_t)table[2];
    const uint32_t sum1 = (uint32_t)(product1 >> 32) + table[1];
    const uint32_t sum2 = (uint32_t)(product2 >> 32) + table[3];
    first = tn_saturate((int32_t)sum1 >> form->shift);
    second = tn_saturate((int32_t)sum2 >> form->shift);
    table += 4;
#endif
    out[0] = tn_form_limit(form, first);
    out[1] = tn_form_limit(form, second);
    return table;
}

/* One code in the second form. */
TN_INLINE const uint32_t *tn_form_signed(const tn_dsp_form *form, int32_t scaled, const uint32_t *table, int8_t *out)
{
#if TN_FOUR_BLOCKS
    register int32_t code __asm__("r10");
    __asm__ volatile("ldmia %[table]!, {r9, r10, r11, r12}\n\t"
                     "smlal r9, r10, %[a], r11\n\t"
                     "umlal r9, r10, %[a], r12\n\t"
                     "ssat r10, #8, r10, asr %[shift]"
                     : [table] "+r"(table), "=&r"(code)
                     : [a] "r"(scaled), [shift] "i"(form->shift)
                     : "r9", "r11", "r12");
#else
    const uint64_t offset = (uint64_t)table[1] << 32 | table[0];
    const int64_t product = (int64_t)scaled * (int32_t)table[2];
    const uint64_t line = (uint64_t)product;
    const uint64_t step = (uint64_t)(uint32_t)scaled * table[3];
    const uint64_t sum = offset + line + step;
    const uint32_t high = (uint32_t)(sum >> 32);
    const int32_t code = tn_saturate((int32_t)high >> form->shift);
    table += 4;
#endif
    *out = tn_form_limit(form, code);
    return table;
}

/* One code in the first form, with constants that are shared with others. */
TN_INLINE int8_t tn_form_shared(const tn_dsp_form *form, int32_t scaled, uint32_t multiplier, uint32_t offset)
{
    int32_t code;
#if TN_FOUR_BLOCKS
    __asm__ volatile("smmla %0, %1, %2, %3\n\tssat %0, #8, %0, asr %4"
                     : "=r"(code)
                     : "r"(scaled), "r"(multiplier), "r"(offset), "i"(form->shift));
#else
    const int64_t product = (int64_t)scaled * (int32_t)multiplier;
    const uint32_t sum = (uint32_t)(product >> 32) + offset;
    code = tn_saturate((int32_t)sum >> form->shift);
#endif
    return tn_form_limit(form, code);
}

/* One code by TFLite's two roundings. */
TN_INLINE const uint32_t *tn_form_plain(const tn_dsp_form *form, int32_t acc, const uint32_t *table, int8_t *out)
{
    *out = tn_store_s8(tn_requantize(acc, (int32_t)table[0], (int32_t)table[1]), &form->output);
    return table + 2;
}

/* One code by the same, with the bias added at last. */
TN_INLINE const uint32_t *tn_form_packed(const tn_dsp_form *form, int32_t scaled, const uint32_t *table, int8_t *out)
{
    const tn_output_s8 *const limits = &form->output;
    int32_t bias;
    int32_t multiplier;
    table = tn_load_two(table, &bias, &multiplier);
    const uint32_t word = (uint32_t)bias;
    *out = tn_dsp_round_packed(limits, limits->min < limits->zero_point, scaled + (bias >> 8), multiplier,
                               tn_dsp_addend(limits, word), word);
    return table;
}

/* Four codes. */
TN_INLINE const uint32_t *tn_four_store(const tn_dsp_form *form, const tn_dsp_four *acc, const uint32_t *table,
                                        int8_t *out)
{
    if (form->kind == TN_DSP_RISING) {
        table = tn_form_rising(form, acc->a, acc->b, table, out);
        return tn_form_rising(form, acc->c, acc->d, table, out + 2);
    }
    if (form->kind == TN_DSP_SIGNED) {
        table = tn_form_signed(form, acc->a, table, out);
        table = tn_form_signed(form, acc->b, table, out + 1);
        table = tn_form_signed(form, acc->c, table, out + 2);
        return tn_form_signed(form, acc->d, table, out + 3);
    }
    if (form->kind == TN_DSP_PACKED) {
        table = tn_form_packed(form, acc->a, table, out);
        table = tn_form_packed(form, acc->b, table, out + 1);
        table = tn_form_packed(form, acc->c, table, out + 2);
        return tn_form_packed(form, acc->d, table, out + 3);
    }
    table = tn_form_plain(form, acc->a, table, out);
    table = tn_form_plain(form, acc->b, table, out + 1);
    table = tn_form_plain(form, acc->c, table, out + 2);
    return tn_form_plain(form, acc->d, table, out + 3);
}

#ifdef __cplusplus
}
#endif
#endif
