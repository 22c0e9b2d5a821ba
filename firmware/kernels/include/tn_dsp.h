/* The DSP extension of Armv7E-M and Armv8-M: two signed 16-bit lanes in one register. A compiler without it gets the
 * same results from plain C, so that kernels for it can be tested anywhere. */
#ifndef TN_DSP_H
#define TN_DSP_H

#include <string.h>

#include "tn_common.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
#include <arm_acle.h>
#define TN_HAS_DSP 1
#else
#define TN_HAS_DSP 0
#endif
/* Blocks that name registers need those that only optimized code leaves free. */
#if TN_HAS_DSP && defined(__OPTIMIZE__)
#define TN_HAS_DSP_BLOCKS 1
#else
#define TN_HAS_DSP_BLOCKS 0
#endif

/* Kernels of this tier are functions of their headers: the generated code makes one copy per layer, in which the
 * layer's constants fold loops and checks away. Where the instructions are emulated, speed is no aim. */
#if TN_HAS_DSP
#define TN_INLINE static inline __attribute__((always_inline))
#else
#define TN_INLINE static inline
#endif
#if defined(__GNUC__)
#define TN_ALIGNED4(pointer) __builtin_assume_aligned((pointer), 4)
#else
#define TN_ALIGNED4(pointer) (pointer)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Constants of an output channel whose result one multiply-add gives: (acc * multiplier + offset) / 2^32. */
typedef struct {
    int32_t bias; /* start of the accumulator */
    int32_t multiplier;
    int64_t offset;
} tn_dsp_channel;

/* The same where negative accumulators take another offset. A channel without a proof has `negative` TN_DSP_PLAIN,
 * and `offset` is the shift of tn_requantize. */
typedef struct {
    int32_t bias;
    int32_t multiplier;
    int64_t offset;
    int64_t negative;
} tn_dsp_signed_channel;
#define TN_DSP_PLAIN (-((int64_t)1 << 62))

/* tn_axis_inside of a copy that may be for several lengths: one tap without padding has its element in all of them. */
TN_INLINE int tn_dsp_inside(const tn_axis *axis)
{
    return (axis->kernel == 1 && axis->pad == 0) || tn_axis_inside(axis) != 0;
}

/* Whether rows may be NULL: outside the input, without a row of padding `border` to stand for them. */
TN_INLINE int tn_rows_missing(const tn_axis *axis, const int8_t *border)
{
    return border == NULL && tn_dsp_inside(axis) == 0;
}

/* tn_window_rows, with `border` for rows of padding. */
TN_INLINE void tn_border_rows(const tn_axis *axis, const int8_t *in, size_t row_bytes, int y, const int8_t *border,
                              const int8_t **rows)
{
    tn_window_rows(axis, in, row_bytes, y, rows);
    for (int tap = 0; border != NULL && tap < axis->kernel; ++tap) {
        rows[tap] = rows[tap] == NULL ? border : rows[tap];
    }
}

/* Four codes as one word, the first in the lowest byte; any alignment. */
TN_INLINE uint32_t tn_load4(const int8_t *x)
{
    uint32_t word;
    (void)memcpy(&word, x, sizeof word);
    return word;
}

TN_INLINE int32_t tn_low_lane(uint32_t lanes)
{
    return (int16_t)(uint16_t)(lanes & 0xffffu);
}

TN_INLINE int32_t tn_high_lane(uint32_t lanes)
{
    return (int16_t)(uint16_t)(lanes >> 16);
}

TN_INLINE uint32_t tn_lanes(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

/* tn_lanes of numbers that are known at run time only. */
TN_INLINE uint32_t tn_pack_lanes(int32_t low, int32_t high)
{
#if TN_HAS_DSP
    uint32_t lanes;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(lanes) : "r"(low), "r"(high));
    return lanes;
#else
    return tn_lanes(low, high);
#endif
}

/* Bytes 0 and 2 of a word as lanes. */
TN_INLINE uint32_t tn_even_bytes(uint32_t word)
{
#if TN_HAS_DSP
    return (uint32_t)__sxtb16((int8x4_t)word);
#else
    return tn_lanes((int8_t)(uint8_t)(word & 0xffu), (int8_t)(uint8_t)(word >> 16 & 0xffu));
#endif
}

/* Bytes 1 and 3 of a word as lanes. */
TN_INLINE uint32_t tn_odd_bytes(uint32_t word)
{
#if TN_HAS_DSP
    /* GCC does not fold the rotation into the instruction by itself. */
    uint32_t lanes;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(lanes) : "r"(word));
    return lanes;
#else
    return tn_even_bytes(word >> 8 | word << 24);
#endif
}

/* acc + a.low * b.low + a.high * b.high. */
TN_INLINE int32_t tn_mac2(int32_t acc, uint32_t a, uint32_t b)
{
#if TN_HAS_DSP
    return __smlad((int16x2_t)a, (int16x2_t)b, acc);
#else
    return acc + tn_low_lane(a) * tn_low_lane(b) + tn_high_lane(a) * tn_high_lane(b);
#endif
}

/* The same, bits beyond 32 lost. */
TN_INLINE int32_t tn_mac2_wrap(int32_t acc, uint32_t a, uint32_t b)
{
#if TN_HAS_DSP
    return __smlad((int16x2_t)a, (int16x2_t)b, acc);
#else
    const int32_t products = tn_low_lane(a) * tn_low_lane(b) + tn_high_lane(a) * tn_high_lane(b);
    const uint32_t sum = (uint32_t)acc + (uint32_t)products;
    return (int32_t)sum;
#endif
}

/* acc + a.low * b.low. */
TN_INLINE int32_t tn_mac_low(int32_t acc, uint32_t a, uint32_t b)
{
#if TN_HAS_DSP
    return __smlabb((int32_t)a, (int32_t)b, acc);
#else
    return acc + tn_low_lane(a) * tn_low_lane(b);
#endif
}

/* acc + a.high * b.high. */
TN_INLINE int32_t tn_mac_high(int32_t acc, uint32_t a, uint32_t b)
{
#if TN_HAS_DSP
    return __smlatt((int32_t)a, (int32_t)b, acc);
#else
    return acc + tn_high_lane(a) * tn_high_lane(b);
#endif
}

/* a + b, lane by lane. */
TN_INLINE uint32_t tn_add_lanes(uint32_t a, uint32_t b)
{
#if TN_HAS_DSP
    return (uint32_t)__sadd16((int16x2_t)a, (int16x2_t)b);
#else
    return tn_lanes(tn_low_lane(a) + tn_low_lane(b), tn_high_lane(a) + tn_high_lane(b));
#endif
}

/* a - b, lane by lane. */
TN_INLINE uint32_t tn_subtract_lanes(uint32_t a, uint32_t b)
{
#if TN_HAS_DSP
    return (uint32_t)__ssub16((int16x2_t)a, (int16x2_t)b);
#else
    return tn_lanes(tn_low_lane(a) - tn_low_lane(b), tn_high_lane(a) - tn_high_lane(b));
#endif
}

/* The value, 0 where it is negative. */
TN_INLINE int32_t tn_positive(int32_t value)
{
#if TN_HAS_DSP
    int32_t positive;
    __asm__("usat %0, #31, %1" : "=r"(positive) : "r"(value));
    return positive;
#else
    return value < 0 ? 0 : value;
#endif
}

/* Twice the larger of a and b; |a|, |b|: below 2^29. */
TN_INLINE int32_t tn_twice_larger(int32_t a, int32_t b)
{
#if TN_HAS_DSP
    int32_t rise; /* no comparison, and no shift of its own */
    __asm__("usat %0, #31, %1, lsl #1" : "=r"(rise) : "r"(b - a));
    return rise + a * 2;
#else
    return 2 * (a > b ? a : b);
#endif
}

/* The larger of a and b, divided by 128; both are multiples of 256, |a|, |b|: below 2^30. */
TN_INLINE int32_t tn_larger_part(int32_t a, int32_t b)
{
#if TN_HAS_DSP
    int32_t rise;
    __asm__("usat %0, #31, %1, asr #7" : "=r"(rise) : "r"(b - a));
    return rise + (a >> 7);
#else
    return (a > b ? a : b) >> 7;
#endif
}

/* The nearest code. */
TN_INLINE int32_t tn_saturate(int32_t value)
{
#if TN_HAS_DSP
    int32_t code; /* the intrinsic is a macro that converts signs silently */
    __asm__("ssat %0, #8, %1" : "=r"(code) : "r"(value));
    return code;
#else
    return tn_clamp(value, INT8_MIN, INT8_MAX);
#endif
}

TN_INLINE int32_t tn_larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* A code within the fused activation; most layers use all codes, and their copy of the kernel has no instruction. */
TN_INLINE int8_t tn_dsp_limit(int32_t code, const tn_output_s8 *out)
{
    if (out->min > INT8_MIN) {
        code = tn_larger(code, out->min);
    }
    if (out->max < INT8_MAX) {
        code = code < out->max ? code : out->max;
    }
    return (int8_t)code;
}

/* Saturate to the fused activation. */
TN_INLINE int8_t tn_dsp_clamp(int32_t value, const tn_output_s8 *out)
{
    return tn_dsp_limit(tn_saturate(value), out);
}

/* c + round(a * b / 2^32), half up. */
TN_INLINE int32_t tn_high_mac(int32_t c, int32_t a, int32_t b)
{
#if TN_HAS_DSP
    int32_t sum;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(c));
    return sum;
#else
    return c + (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

/* c + a * b / 2^32, rounded down. */
TN_INLINE int32_t tn_high_mac_whole(int32_t c, int32_t a, int32_t b)
{
#if TN_HAS_DSP
    int32_t sum;
    __asm__("smmla %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(c));
    return sum;
#else
    return c + (int32_t)(((int64_t)a * b) >> 32);
#endif
}

/* The nearest code of value / 2^bits, rounded down; one instruction where `bits` is a constant. */
TN_INLINE int32_t tn_saturate_shifted(int32_t value, int bits)
{
#if TN_HAS_DSP
    if (__builtin_constant_p(bits) != 0) {
        int32_t code;
        __asm__("ssat %0, #8, %1, asr %2" : "=r"(code) : "r"(value), "i"(bits));
        return code;
    }
#endif
    return tn_saturate(value >> bits);
}

/* How the accumulators of a layer become codes. One whose shift is to the right by 1 to 22 bits and whose accumulators
 * stay below 2^30 takes three to five instructions without any proof: the high multiply of TFLite is SMMLAR of twice
 * the accumulator, and the rounding of the shift is an addend, one less below zero. */
typedef struct {
    uint8_t shift; /* to the right, of every channel; TN_DSP_EACH; TN_DSP_BESIDE; TN_DSP_TWICE */
    uint8_t whole; /* the high multiply gives the whole part instead: proven to be exact, for accumulators that are scaled */
    uint8_t signs; /* a negative accumulator can give a code of its own: round half away from zero */
    tn_output_s8 output;
} tn_dsp_rounding;
#define TN_DSP_EACH 0    /* each channel has its shift */
#define TN_DSP_BESIDE 254 /* the same in the word of its bias, see tn_dsp_round_packed */
#define TN_DSP_TWICE 255 /* the plain sequence: `addend` of a channel is the shift of tn_requantize */

/* The code of an accumulator that is given doubled, or scaled as its constants ask for, with the constants of its channel. */
TN_INLINE int8_t tn_dsp_round(const tn_dsp_rounding *p, int32_t doubled, int32_t multiplier, int32_t addend, int shift)
{
    if (p->shift == TN_DSP_TWICE) {
        return tn_store_s8(tn_requantize(doubled / 2, multiplier, addend), &p->output);
    }
    int32_t value = p->whole != 0 ? tn_high_mac_whole(addend, doubled, multiplier)
                                  : tn_high_mac(addend, doubled, multiplier);
    if (p->signs != 0) {
        value -= doubled < 0 ? 1 : 0;
    }
    return tn_dsp_limit(tn_saturate_shifted(value, p->shift == TN_DSP_EACH ? shift : p->shift), &p->output);
}

/* value / 2^bits, rounded down, `bits` being the low byte of a word: registers shift by theirs as it stands. */
TN_INLINE int32_t tn_shift_right(int32_t value, uint32_t word)
{
#if TN_HAS_DSP
    int32_t shifted;
    __asm__("asr %0, %1, %2" : "=r"(shifted) : "r"(value), "r"(word));
    return shifted;
#else
    return value >> (word & 255u);
#endif
}

/* value * 2^bits, `bits` being the low byte of a word. */
TN_INLINE int32_t tn_shift_left(int32_t value, uint32_t word)
{
#if TN_HAS_DSP
    int32_t shifted;
    __asm__("lsl %0, %1, %2" : "=r"(shifted) : "r"(value), "r"(word));
    return shifted;
#else
    return value * (int32_t)((uint32_t)1 << (word & 255u));
#endif
}

/* Words that hold a bias times 2^8 and, in the low byte, the channel's shift less one: the addend of tn_dsp_round_packed,
 * zero point and half of what the shift cuts off. */
TN_INLINE int32_t tn_dsp_addend(const tn_output_s8 *out, uint32_t word)
{
    return tn_shift_left(2 * out->zero_point + 1, word);
}

/* tn_dsp_round with such a word in place of the shift, 1 to 22; `signs` as there. */
TN_INLINE int8_t tn_dsp_round_packed(const tn_output_s8 *out, int signs, int32_t doubled, int32_t multiplier,
                                     int32_t addend, uint32_t word)
{
    int32_t value = tn_high_mac(addend, doubled, multiplier);
    if (signs != 0) {
        value -= doubled < 0 ? 1 : 0;
    }
    return tn_dsp_limit(tn_saturate_shifted(tn_shift_right(value, word), 1), out);
}

/* The next two words of a table. */
TN_INLINE const uint32_t *tn_load_two(const uint32_t *w, int32_t *first, int32_t *second)
{
#if TN_HAS_DSP_BLOCKS
    __asm__ volatile("ldrd %0, %1, [%2], #8" : "=&r"(*first), "=&r"(*second), "+r"(w) : : "memory");
    return w;
#else
    *first = (int32_t)w[0];
    *second = (int32_t)w[1];
    return w + 2;
#endif
}

/* The code of a finished accumulator. */
TN_INLINE int8_t tn_dsp_scale(const tn_dsp_channel *channel, int32_t acc, const tn_output_s8 *out)
{
    return tn_dsp_clamp((int32_t)((channel->offset + (int64_t)acc * channel->multiplier) >> 32), out);
}

/* `proven`: every channel of the layer has a proof. */
TN_INLINE int8_t tn_dsp_scale_signed(const tn_dsp_signed_channel *channel, int32_t acc, const tn_output_s8 *out,
                                     int proven)
{
    if (!proven && channel->negative == TN_DSP_PLAIN) {
        return tn_store_s8(tn_requantize(acc, channel->multiplier, (int)channel->offset), out);
    }
    const int64_t offset = acc < 0 ? channel->negative : channel->offset;
    return tn_dsp_clamp((int32_t)((offset + (int64_t)acc * channel->multiplier) >> 32), out);
}

#ifdef __cplusplus
}
#endif
#endif
