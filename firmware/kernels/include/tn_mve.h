/* The vector extension of Armv8.1-M (MVE, Helium): sixteen 8-bit, eight 16-bit or four 32-bit lanes in one register. A
 * compiler without it gets the same results from plain C, so that kernels for it can be tested anywhere. */
#ifndef TN_MVE_H
#define TN_MVE_H

#include <string.h>

#include "tn_dsp.h"

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include <arm_mve.h>
#define TN_HAS_MVE 1
typedef int8x16_t tn_codes;  /* sixteen codes */
typedef int16x8_t tn_halves; /* eight codes, widened */
typedef int32x4_t tn_words;  /* four codes, widened, or four accumulators */
#else
#define TN_HAS_MVE 0
typedef struct {
    int8_t lane[16];
} tn_codes;
typedef struct {
    int16_t lane[8];
} tn_halves;
typedef struct {
    int32_t lane[4];
} tn_words;
#endif

#if defined(__GNUC__)
#define TN_UNROLL(times) TN_PRAGMA(GCC unroll times)
#define TN_PRAGMA(text) _Pragma(#text)
#else
#define TN_UNROLL(times)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* How accumulators become codes; two roundings, as TFLite has them. */
typedef struct {
    uint8_t left;   /* whether a channel scales up: its accumulator is shifted left first */
    uint8_t signs;  /* TN_MVE_POSITIVE, ... */
    tn_output_s8 output;
} tn_mve_scaling;
#define TN_MVE_POSITIVE 0 /* no code below the zero point can come out: halves may round up */
#define TN_MVE_SHIFTED 1  /* every channel has a second rounding, half away from zero */
#define TN_MVE_ANY 2

/* Words per four channels of the constants: biases, multipliers, shifts right as negative numbers, shifts left. */
#define TN_MVE_CONSTANTS 16
#define TN_MVE_MULTIPLIERS 4
#define TN_MVE_SHIFTS 8
#define TN_MVE_LEFTS 12

/* ---- codes, sixteen at a time ---- */

TN_INLINE tn_codes tn_codes_load(const int8_t *x)
{
#if TN_HAS_MVE
    return vldrbq_s8(x);
#else
    tn_codes v = {{0}};
    (void)memcpy(v.lane, x, sizeof v.lane);
    return v;
#endif
}

/* The first `count` codes, 1 to 16, and zeros. Memory behind them is not read. */
TN_INLINE tn_codes tn_codes_load_first(const int8_t *x, int count)
{
#if TN_HAS_MVE
    return vldrbq_z_s8(x, vctp8q((uint32_t)count));
#else
    tn_codes v = {{0}};
    (void)memcpy(v.lane, x, (size_t)count);
    return v;
#endif
}

TN_INLINE tn_codes tn_codes_all(int8_t code)
{
#if TN_HAS_MVE
    return vdupq_n_s8(code);
#else
    tn_codes v = {{0}};
    (void)memset(v.lane, code, sizeof v.lane);
    return v;
#endif
}

TN_INLINE void tn_codes_store(int8_t *x, tn_codes v)
{
#if TN_HAS_MVE
    vstrbq_s8(x, v);
#else
    (void)memcpy(x, v.lane, sizeof v.lane);
#endif
}

TN_INLINE void tn_codes_store_first(int8_t *x, tn_codes v, int count)
{
#if TN_HAS_MVE
    vstrbq_p_s8(x, v, vctp8q((uint32_t)count));
#else
    (void)memcpy(x, v.lane, (size_t)count);
#endif
}

TN_INLINE tn_codes tn_codes_max(tn_codes a, tn_codes b)
{
#if TN_HAS_MVE
    return vmaxq_s8(a, b);
#else
    for (int i = 0; i < 16; ++i) {
        a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    }
    return a;
#endif
}

TN_INLINE tn_codes tn_codes_min(tn_codes a, tn_codes b)
{
#if TN_HAS_MVE
    return vminq_s8(a, b);
#else
    for (int i = 0; i < 16; ++i) {
        a.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
    }
    return a;
#endif
}

/* The codes of a table of 256, for codes -128 to 127 in order, at the sixteen of `at`. */
TN_INLINE tn_codes tn_codes_lookup(const int8_t *table, tn_codes at)
{
#if TN_HAS_MVE
    return vldrbq_gather_offset_s8(table, veorq_u8(vreinterpretq_u8_s8(at), vdupq_n_u8(128)));
#else
    for (int i = 0; i < 16; ++i) {
        at.lane[i] = table[at.lane[i] + 128];
    }
    return at;
#endif
}

/* acc + the sum of sixteen codes. */
TN_INLINE int32_t tn_codes_sum_add(int32_t acc, tn_codes a)
{
#if TN_HAS_MVE
    return vaddvaq_s8(acc, a);
#else
    for (int i = 0; i < 16; ++i) {
        acc += a.lane[i];
    }
    return acc;
#endif
}

/* Sum of sixteen products. */
TN_INLINE int32_t tn_codes_dot(tn_codes a, tn_codes b)
{
#if TN_HAS_MVE
    return vmladavq_s8(a, b);
#else
    int32_t sum = 0;
    for (int i = 0; i < 16; ++i) {
        sum += a.lane[i] * b.lane[i];
    }
    return sum;
#endif
}

/* The same, added to `acc`. */
TN_INLINE int32_t tn_codes_dot_add(int32_t acc, tn_codes a, tn_codes b)
{
#if TN_HAS_MVE
    return vmladavaq_s8(acc, a, b);
#else
    return acc + tn_codes_dot(a, b);
#endif
}

/* ---- codes widened to 16 bits, eight at a time ---- */

TN_INLINE tn_halves tn_halves_load(const int8_t *x)
{
#if TN_HAS_MVE
    return vldrbq_s16(x);
#else
    tn_halves v = {{0}};
    for (int i = 0; i < 8; ++i) {
        v.lane[i] = x[i];
    }
    return v;
#endif
}

/* The first `count` codes, 1 to 8, widened, and zeros. */
TN_INLINE tn_halves tn_halves_load_first(const int8_t *x, int count)
{
#if TN_HAS_MVE
    return vldrbq_z_s16(x, vctp16q((uint32_t)count));
#else
    tn_halves v = {{0}};
    for (int i = 0; i < count; ++i) {
        v.lane[i] = x[i];
    }
    return v;
#endif
}

/* The codes x[at[0]], ..., x[at[7]], widened. */
TN_INLINE tn_halves tn_halves_gather(const int8_t *x, const uint16_t *at)
{
#if TN_HAS_MVE
    return vldrbq_gather_offset_s16(x, vldrhq_u16(at));
#else
    tn_halves v = {{0}};
    for (int i = 0; i < 8; ++i) {
        v.lane[i] = x[at[i]];
    }
    return v;
#endif
}

TN_INLINE tn_halves tn_halves_all(int16_t value)
{
#if TN_HAS_MVE
    return vdupq_n_s16(value);
#else
    const tn_halves v = {{value, value, value, value, value, value, value, value}};
    return v;
#endif
}

TN_INLINE tn_halves tn_halves_max(tn_halves a, tn_halves b)
{
#if TN_HAS_MVE
    return vmaxq_s16(a, b);
#else
    for (int i = 0; i < 8; ++i) {
        a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    }
    return a;
#endif
}

TN_INLINE tn_halves tn_halves_min(tn_halves a, tn_halves b)
{
#if TN_HAS_MVE
    return vminq_s16(a, b);
#else
    for (int i = 0; i < 8; ++i) {
        a.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
    }
    return a;
#endif
}

/* Sums that fit. */
TN_INLINE tn_halves tn_halves_add(tn_halves a, tn_halves b)
{
#if TN_HAS_MVE
    return vaddq_s16(a, b);
#else
    for (int i = 0; i < 8; ++i) {
        a.lane[i] = (int16_t)(a.lane[i] + b.lane[i]);
    }
    return a;
#endif
}

/* Saturates. */
TN_INLINE tn_halves tn_halves_add_scalar(tn_halves a, int16_t b)
{
#if TN_HAS_MVE
    return vqaddq_n_s16(a, b);
#else
    for (int i = 0; i < 8; ++i) {
        a.lane[i] = (int16_t)tn_clamp(a.lane[i] + b, INT16_MIN, INT16_MAX);
    }
    return a;
#endif
}

/* The nearest codes, still 16 bits apart; only their lowest 8 bits count. */
TN_INLINE tn_halves tn_halves_saturate(tn_halves a)
{
#if TN_HAS_MVE
    __asm__("vqmovnb.s16 %q0, %q0" : "+w"(a));
    return a;
#else
    for (int i = 0; i < 8; ++i) {
        a.lane[i] = (int16_t)tn_clamp(a.lane[i], INT8_MIN, INT8_MAX);
    }
    return a;
#endif
}

/* The lowest 8 bits of each lane, as codes. */
TN_INLINE void tn_halves_store_codes(int8_t *x, tn_halves v)
{
#if TN_HAS_MVE
    vstrbq_s16(x, v);
#else
    for (int i = 0; i < 8; ++i) {
        x[i] = (int8_t)v.lane[i];
    }
#endif
}

TN_INLINE void tn_halves_store_first(int8_t *x, tn_halves v, int count)
{
#if TN_HAS_MVE
    vstrbq_p_s16(x, v, vctp16q((uint32_t)count));
#else
    for (int i = 0; i < count; ++i) {
        x[i] = (int8_t)v.lane[i];
    }
#endif
}

/* Sum of eight products. */
TN_INLINE int32_t tn_halves_dot(tn_halves a, tn_halves b)
{
#if TN_HAS_MVE
    return vmladavq_s16(a, b);
#else
    int32_t sum = 0;
    for (int i = 0; i < 8; ++i) {
        sum += a.lane[i] * b.lane[i];
    }
    return sum;
#endif
}

TN_INLINE int32_t tn_halves_dot_add(int32_t acc, tn_halves a, tn_halves b)
{
#if TN_HAS_MVE
    return vmladavaq_s16(acc, a, b);
#else
    return acc + tn_halves_dot(a, b);
#endif
}

/* ---- 32 bits, four at a time; sums and products wrap around ---- */

TN_INLINE int32_t tn_wrapped(uint32_t bits)
{
    int32_t value;
    (void)memcpy(&value, &bits, sizeof value);
    return value;
}

TN_INLINE tn_words tn_words_load(const int32_t *x)
{
#if TN_HAS_MVE
    return vldrwq_s32(x);
#else
    tn_words v = {{0}};
    (void)memcpy(v.lane, x, sizeof v.lane);
    return v;
#endif
}

TN_INLINE void tn_words_store(int32_t *x, tn_words v)
{
#if TN_HAS_MVE
    vstrwq_s32(x, v);
#else
    (void)memcpy(x, v.lane, sizeof v.lane);
#endif
}

/* Four codes, widened. */
TN_INLINE tn_words tn_words_load_codes(const int8_t *x)
{
#if TN_HAS_MVE
    return vldrbq_s32(x);
#else
    tn_words v = {{0}};
    for (int i = 0; i < 4; ++i) {
        v.lane[i] = x[i];
    }
    return v;
#endif
}

/* The first `count` codes, 1 to 4, widened, and zeros. */
TN_INLINE tn_words tn_words_load_first(const int8_t *x, int count)
{
#if TN_HAS_MVE
    return vldrbq_z_s32(x, vctp32q((uint32_t)count));
#else
    tn_words v = {{0}};
    for (int i = 0; i < count; ++i) {
        v.lane[i] = x[i];
    }
    return v;
#endif
}

/* The codes x[at[0]], ..., x[at[3]], widened. */
TN_INLINE tn_words tn_words_gather_codes(const int8_t *x, const uint32_t *at)
{
#if TN_HAS_MVE
    return vldrbq_gather_offset_s32(x, vldrwq_u32(at));
#else
    tn_words v = {{0}};
    for (int i = 0; i < 4; ++i) {
        v.lane[i] = x[at[i]];
    }
    return v;
#endif
}

TN_INLINE tn_words tn_words_all(int32_t value)
{
#if TN_HAS_MVE
    return vdupq_n_s32(value);
#else
    const tn_words v = {{value, value, value, value}};
    return v;
#endif
}

TN_INLINE tn_words tn_words_of(int32_t a, int32_t b, int32_t c, int32_t d)
{
#if TN_HAS_MVE
    /* GCC moves lane by lane. */
    tn_words v;
    __asm__("vmov %e0, %1, %2\n\tvmov %f0, %3, %4"
            : "=&w"(v)
            : "r"(a), "r"(b), "r"(c), "r"(d));
    return v;
#else
    const tn_words v = {{a, b, c, d}};
    return v;
#endif
}

TN_INLINE tn_words tn_words_add(tn_words a, tn_words b)
{
#if TN_HAS_MVE
    return vaddq_s32(a, b);
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] = tn_wrapped((uint32_t)a.lane[i] + (uint32_t)b.lane[i]);
    }
    return a;
#endif
}

TN_INLINE tn_words tn_words_add_scalar(tn_words a, int32_t b)
{
#if TN_HAS_MVE
    return vaddq_n_s32(a, b);
#else
    return tn_words_add(a, tn_words_all(b));
#endif
}

TN_INLINE tn_words tn_words_subtract(tn_words a, tn_words b)
{
#if TN_HAS_MVE
    return vsubq_s32(a, b);
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] = tn_wrapped((uint32_t)a.lane[i] - (uint32_t)b.lane[i]);
    }
    return a;
#endif
}

TN_INLINE tn_words tn_words_multiply(tn_words a, tn_words b)
{
#if TN_HAS_MVE
    return vmulq_s32(a, b);
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] = tn_wrapped((uint32_t)a.lane[i] * (uint32_t)b.lane[i]);
    }
    return a;
#endif
}

TN_INLINE tn_words tn_words_multiply_scalar(tn_words a, int32_t b)
{
#if TN_HAS_MVE
    return vmulq_n_s32(a, b);
#else
    return tn_words_multiply(a, tn_words_all(b));
#endif
}

/* acc + a * b. */
TN_INLINE tn_words tn_words_multiply_add(tn_words acc, tn_words a, int32_t b)
{
#if TN_HAS_MVE
    return vmlaq_n_s32(acc, a, b);
#else
    return tn_words_add(acc, tn_words_multiply_scalar(a, b));
#endif
}

TN_INLINE tn_words tn_words_max(tn_words a, tn_words b)
{
#if TN_HAS_MVE
    return vmaxq_s32(a, b);
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    }
    return a;
#endif
}

TN_INLINE tn_words tn_words_min(tn_words a, tn_words b)
{
#if TN_HAS_MVE
    return vminq_s32(a, b);
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
    }
    return a;
#endif
}

/* -1 where negative, else 0. */
TN_INLINE tn_words tn_words_signs(tn_words a)
{
#if TN_HAS_MVE
    return vshrq_n_s32(a, 31);
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] = a.lane[i] < 0 ? -1 : 0;
    }
    return a;
#endif
}

TN_INLINE tn_words tn_words_and(tn_words a, tn_words b)
{
#if TN_HAS_MVE
    return vandq_s32(a, b);
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] &= b.lane[i];
    }
    return a;
#endif
}

TN_INLINE tn_words tn_words_xor(tn_words a, tn_words b)
{
#if TN_HAS_MVE
    return veorq_s32(a, b);
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] ^= b.lane[i];
    }
    return a;
#endif
}

/* Upper halves of products of 64 bits, all unsigned. */
TN_INLINE tn_words tn_words_high_bits(tn_words a, tn_words b)
{
#if TN_HAS_MVE
    return vreinterpretq_s32_u32(vmulhq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] = tn_wrapped((uint32_t)((uint64_t)(uint32_t)a.lane[i] * (uint32_t)b.lane[i] >> 32));
    }
    return a;
#endif
}

/* floor(a / 2^bits); bits: 0 to 31. */
TN_INLINE tn_words tn_words_shift_right(tn_words a, int bits)
{
#if TN_HAS_MVE
    return vshlq_r_s32(a, -bits);
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] >>= bits;
    }
    return a;
#endif
}

/* a * 2^bits; bits: 0 to 30. */
TN_INLINE tn_words tn_words_shift_left(tn_words a, tn_words bits)
{
#if TN_HAS_MVE
    return vshlq_s32(a, bits);
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] = tn_wrapped((uint32_t)a.lane[i] << bits.lane[i]);
    }
    return a;
#endif
}

/* round(a / 2^-shift), half up; shift: -31 to 0. */
TN_INLINE tn_words tn_words_round_shift(tn_words a, tn_words shift)
{
#if TN_HAS_MVE
    return vrshlq_s32(a, shift);
#else
    for (int i = 0; i < 4; ++i) {
        const int64_t half = ((int64_t)1 << -shift.lane[i]) >> 1;
        a.lane[i] = (int32_t)((a.lane[i] + half) >> -shift.lane[i]);
    }
    return a;
#endif
}

/* tn_high_mul. */
TN_INLINE tn_words tn_words_high_mul(tn_words a, tn_words b)
{
#if TN_HAS_MVE
    return vqrdmulhq_s32(a, b);
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] = tn_high_mul(a.lane[i], b.lane[i]);
    }
    return a;
#endif
}

/* Lanes 0, 2, 4 and 6. */
TN_INLINE tn_words tn_words_even(tn_halves a)
{
#if TN_HAS_MVE
    return vmovlbq_s16(a);
#else
    const tn_words v = {{a.lane[0], a.lane[2], a.lane[4], a.lane[6]}};
    return v;
#endif
}

/* Lanes 1, 3, 5 and 7. */
TN_INLINE tn_words tn_words_odd(tn_halves a)
{
#if TN_HAS_MVE
    return vmovltq_s16(a);
#else
    const tn_words v = {{a.lane[1], a.lane[3], a.lane[5], a.lane[7]}};
    return v;
#endif
}

/* Products of lanes 0, 2, 4 and 6. */
TN_INLINE tn_words tn_words_even_products(tn_halves a, tn_halves b)
{
#if TN_HAS_MVE
    return vmullbq_int_s16(a, b);
#else
    tn_words v = {{0}};
    for (int i = 0; i < 4; ++i) {
        v.lane[i] = a.lane[2 * i] * b.lane[2 * i];
    }
    return v;
#endif
}

/* Products of lanes 1, 3, 5 and 7. */
TN_INLINE tn_words tn_words_odd_products(tn_halves a, tn_halves b)
{
#if TN_HAS_MVE
    return vmulltq_int_s16(a, b);
#else
    tn_words v = {{0}};
    for (int i = 0; i < 4; ++i) {
        v.lane[i] = a.lane[2 * i + 1] * b.lane[2 * i + 1];
    }
    return v;
#endif
}

/* The nearest halves: lanes 0, 2, 4 and 6 from `even`, the others from `odd`. */
TN_INLINE tn_halves tn_halves_of_words(tn_words even, tn_words odd)
{
#if TN_HAS_MVE
    tn_halves v;
    __asm__("vqmovnb.s32 %q0, %q1\n\tvqmovnt.s32 %q0, %q2" : "=&w"(v) : "w"(even), "w"(odd));
    return v;
#else
    tn_halves v = {{0}};
    for (int i = 0; i < 4; ++i) {
        v.lane[2 * i] = (int16_t)tn_clamp(even.lane[i], INT16_MIN, INT16_MAX);
        v.lane[2 * i + 1] = (int16_t)tn_clamp(odd.lane[i], INT16_MIN, INT16_MAX);
    }
    return v;
#endif
}

/* The nearest codes, still 32 bits apart; only their lowest 8 bits count. */
TN_INLINE tn_words tn_words_saturate(tn_words a)
{
#if TN_HAS_MVE
    /* The rest of each lane is never read, which GCC cannot know. */
    tn_words v;
    __asm__("vqmovnb.s32 %q0, %q1\n\tvqmovnb.s16 %q0, %q0" : "=w"(v) : "w"(a));
    return v;
#else
    for (int i = 0; i < 4; ++i) {
        a.lane[i] = tn_clamp(a.lane[i], INT8_MIN, INT8_MAX);
    }
    return a;
#endif
}

/* The lowest 8 bits of each lane, as codes. */
TN_INLINE void tn_words_store_codes(int8_t *x, tn_words v)
{
#if TN_HAS_MVE
    vstrbq_s32(x, v);
#else
    for (int i = 0; i < 4; ++i) {
        x[i] = (int8_t)v.lane[i];
    }
#endif
}

TN_INLINE void tn_words_store_first(int8_t *x, tn_words v, int count)
{
#if TN_HAS_MVE
    vstrbq_p_s32(x, v, vctp32q((uint32_t)count));
#else
    for (int i = 0; i < count; ++i) {
        x[i] = (int8_t)v.lane[i];
    }
#endif
}

/* ---- pieces of kernels ---- */

/* The nearest codes of the fused activation. */
TN_INLINE tn_words tn_mve_clamp(tn_words v, const tn_output_s8 *out)
{
    if (out->min > INT8_MIN) {
        v = tn_words_max(v, tn_words_all(out->min));
    }
    if (out->max < INT8_MAX) {
        v = tn_words_min(v, tn_words_all(out->max));
    }
    return out->min > INT8_MIN && out->max < INT8_MAX ? v : tn_words_saturate(v);
}

/* Four finished accumulators, scaled, without zero point and limits; constants: of their channels. */
TN_INLINE tn_words tn_mve_shrink(const tn_mve_scaling *scaling, tn_words acc, const int32_t *constants)
{
    const tn_words shifts = tn_words_load(constants + TN_MVE_SHIFTS);
    if (scaling->left != 0u) {
        acc = tn_words_shift_left(acc, tn_words_load(constants + TN_MVE_LEFTS));
    }
    tn_words v = tn_words_high_mul(acc, tn_words_load(constants + TN_MVE_MULTIPLIERS));
    if (scaling->signs == TN_MVE_SHIFTED) {
        v = tn_words_add(v, tn_words_signs(v));
    } else if (scaling->signs == TN_MVE_ANY) {
        v = tn_words_add(v, tn_words_signs(tn_words_and(v, shifts))); /* not where nothing is shifted out */
    }
    return tn_words_round_shift(v, shifts);
}

/* The eight of channels behind that at `channel`: the last eight overlap those before, unless there are fewer
 * altogether. `channels` when there is none. */
TN_INLINE int tn_mve_next_eight(int channel, int channels)
{
    const int next = channel + 8;
    const int last = next + 8 > channels ? channels - 8 : next;
    return next < channels ? last : channels;
}

/* Codes of four finished accumulators. */
TN_INLINE tn_words tn_mve_scale(const tn_mve_scaling *scaling, tn_words acc, const int32_t *constants)
{
    const tn_words v = tn_mve_shrink(scaling, acc, constants);
    return tn_mve_clamp(tn_words_add_scalar(v, scaling->output.zero_point), &scaling->output);
}

/* Codes of eight scaled accumulators. */
TN_INLINE tn_halves tn_mve_limit(tn_halves scaled, const tn_output_s8 *out)
{
    tn_halves v = tn_halves_add_scalar(scaled, out->zero_point);
    if (out->min > INT8_MIN) {
        v = tn_halves_max(v, tn_halves_all(out->min));
    }
    if (out->max < INT8_MAX) {
        v = tn_halves_min(v, tn_halves_all(out->max));
    }
    return out->min > INT8_MIN && out->max < INT8_MAX ? v : tn_halves_saturate(v);
}

/* Codes of eight finished accumulators; constants: of the even channels, behind them of the odd ones. */
TN_INLINE tn_halves tn_mve_scale_eight(const tn_mve_scaling *scaling, tn_words even, tn_words odd,
                                       const int32_t *constants)
{
    even = tn_mve_shrink(scaling, even, constants);
    odd = tn_mve_shrink(scaling, odd, constants + TN_MVE_CONSTANTS);
    return tn_mve_limit(tn_halves_of_words(even, odd), &scaling->output);
}

/* Store four codes, or the first `count` when they are fewer. */
TN_INLINE void tn_mve_store(int8_t *out, tn_words codes, int count)
{
    if (count >= 4) {
        tn_words_store_codes(out, codes);
    } else {
        tn_words_store_first(out, codes, count);
    }
}

/* Accumulators of eight channels, without bias, of two pixels. */
typedef struct {
    tn_words even;
    tn_words odd;
    tn_words other_even;
    tn_words other_odd;
} tn_mve_sums;

typedef struct {
    tn_halves first;
    tn_halves second;
} tn_mve_eights;

TN_INLINE tn_mve_sums tn_mve_no_sums(void)
{
    const tn_words zero = tn_words_all(0);
    const tn_mve_sums sums = {zero, zero, zero, zero};
    return sums;
}

#if TN_HAS_MVE && defined(__OPTIMIZE__)
#define TN_HAS_MVE_TAIL 1
/* Of accumulators that share their constants, those in `each`: biases, multipliers, and shifts with the sign of a
 * second rounding. */
#define TN_MVE_SCALED(each, at) \
    "vldrw.32 %q[t], [%[k], #" at "]\n\t" each(TN_MVE_BIASED) \
    "vldrw.32 %q[t], [%[k], #" at " + 16]\n\t" each(TN_MVE_MULTIPLIED) \
    "vldrw.32 %q[t], [%[k], #" at " + 32]\n\t" each(TN_MVE_ROUNDED)
#define TN_MVE_BIASED(a) "vadd.i32 %q[" a "], %q[" a "], %q[t]\n\t"
#define TN_MVE_MULTIPLIED(a) "vqrdmulh.s32 %q[" a "], %q[" a "], %q[t]\n\t"
#define TN_MVE_ROUNDED(a) \
    ".if %c[signs] == 1\n\tvshr.s32 %q[u], %q[" a "], #31\n\tvadd.i32 %q[" a "], %q[" a "], %q[u]\n\t.endif\n\t" \
    ".if %c[signs] == 2\n\tvand %q[u], %q[" a "], %q[t]\n\tvshr.s32 %q[u], %q[u], #31\n\t" \
    "vadd.i32 %q[" a "], %q[" a "], %q[u]\n\t.endif\n\tvrshl.s32 %q[" a "], %q[" a "], %q[t]\n\t"
#define TN_MVE_EVEN(what) what("c")
#define TN_MVE_ODD(what) what("d")
#define TN_MVE_EVENS(what) what("c") what("f")
#define TN_MVE_ODDS(what) what("d") what("g")
#else
#define TN_HAS_MVE_TAIL 0
#endif

/* Codes of one pixel, eight channels; constants: as for tn_mve_scale_eight. */
TN_INLINE tn_halves tn_mve_scale_sums(const tn_mve_scaling *scaling, tn_words even, tn_words odd,
                                      const int32_t *constants)
{
#if TN_HAS_MVE_TAIL
    /* Assembly, because GCC takes constants out of loops and spills them. */
    if (__builtin_constant_p(scaling->signs) && __builtin_constant_p(scaling->left) && scaling->left == 0u) {
        tn_words t;
        tn_words u;
        __asm__ volatile(TN_MVE_SCALED(TN_MVE_EVEN, "0") TN_MVE_SCALED(TN_MVE_ODD, "64")
                         "vqmovnb.s32 %q[c], %q[c]\n\tvqmovnt.s32 %q[c], %q[d]"
                         : [c] "+&w"(even), [d] "+&w"(odd), [t] "=&w"(t), [u] "=&w"(u)
                         : [k] "r"(constants), [signs] "n"(scaling->signs)
                         : "memory");
        return tn_mve_limit(vreinterpretq_s16_s32(even), &scaling->output);
    }
#endif
    return tn_mve_scale_eight(scaling, tn_words_add(even, tn_words_load(constants)),
                              tn_words_add(odd, tn_words_load(constants + TN_MVE_CONSTANTS)), constants);
}

/* Codes of two pixels, eight channels each; constants: as for tn_mve_scale_eight. */
TN_INLINE void tn_mve_scale_eights(const tn_mve_scaling *scaling, const tn_mve_sums *sums, const int32_t *constants,
                                   tn_mve_eights *codes)
{
#if TN_HAS_MVE_TAIL
    /* Assembly, because GCC takes constants out of loops and spills them. */
    if (__builtin_constant_p(scaling->signs) && __builtin_constant_p(scaling->left) && scaling->left == 0u) {
        tn_words even = sums->even;
        tn_words odd = sums->odd;
        tn_words other_even = sums->other_even;
        tn_words other_odd = sums->other_odd;
        tn_words t;
        tn_words u;
        __asm__ volatile(TN_MVE_SCALED(TN_MVE_EVENS, "0") TN_MVE_SCALED(TN_MVE_ODDS, "64")
                         "vqmovnb.s32 %q[c], %q[c]\n\tvqmovnt.s32 %q[c], %q[d]\n\t"
                         "vqmovnb.s32 %q[f], %q[f]\n\tvqmovnt.s32 %q[f], %q[g]"
                         : [c] "+&w"(even), [d] "+&w"(odd), [f] "+&w"(other_even), [g] "+&w"(other_odd),
                           [t] "=&w"(t), [u] "=&w"(u)
                         : [k] "r"(constants), [signs] "n"(scaling->signs)
                         : "memory");
        codes->first = tn_mve_limit(vreinterpretq_s16_s32(even), &scaling->output);
        codes->second = tn_mve_limit(vreinterpretq_s16_s32(other_even), &scaling->output);
        return;
    }
#endif
    codes->first = tn_mve_scale_sums(scaling, sums->even, sums->odd, constants);
    codes->second = tn_mve_scale_sums(scaling, sums->other_even, sums->other_odd, constants);
}

/* Store eight codes, or the first `count` when they are fewer. */
TN_INLINE void tn_mve_store_eight(int8_t *out, tn_halves codes, int count)
{
    if (count >= 8) {
        tn_halves_store_codes(out, codes);
    } else {
        tn_halves_store_first(out, codes, count);
    }
}

/* Outputs along an axis whose window lies inside the input: from the first of them to behind the last. */
TN_INLINE int tn_mve_inside_first(const tn_axis *axis)
{
    return (axis->pad + axis->stride - 1) / axis->stride;
}

TN_INLINE int tn_mve_inside_end(const tn_axis *axis)
{
    const int room = axis->in - 1 - (axis->kernel - 1) * axis->dilation + axis->pad;
    const int end = room < 0 ? 0 : room / axis->stride + 1;
    return end < axis->out ? end : axis->out;
}

/* Whether an axis has no padding at all. */
TN_INLINE int tn_mve_unpadded(const tn_axis *axis)
{
    return axis->pad == 0 && tn_mve_inside_end(axis) == axis->out;
}

/* Whether rows `distance` apart, `taps` of them, can all be read; rows of padding can where `border` stands for
 * them. */
TN_INLINE int tn_mve_rows_inside(const tn_axis *axis, const int8_t *border, const int8_t *const *rows, int taps,
                                 int distance)
{
    int inside = 1;
    if (tn_rows_missing(axis, border) != 0) {
        for (int tap = 0; tap < taps; ++tap) {
            inside = inside && rows[tap * distance] != NULL;
        }
    }
    return inside;
}

/* Copy `count` codes. */
TN_INLINE void tn_mve_copy(int8_t *out, const int8_t *in, int count)
{
    int i = 0;
    for (; i + 16 <= count; i += 16) {
        tn_codes_store(out + i, tn_codes_load(in + i));
    }
    if (i < count) {
        tn_codes_store_first(out + i, tn_codes_load_first(in + i, count - i), count - i);
    }
}

/* Fill `count` codes. */
TN_INLINE void tn_mve_fill(int8_t *out, int8_t code, int count)
{
    int i = 0;
    for (; i + 16 <= count; i += 16) {
        tn_codes_store(out + i, tn_codes_all(code));
    }
    if (i < count) {
        tn_codes_store_first(out + i, tn_codes_all(code), count - i);
    }
}

#ifdef __cplusplus
}
#endif
#endif
