/* thumbnet kernels: types and arithmetic that every kernel shares.
 *
 * Numbers follow TensorFlow Lite's 8-bit scheme: real = scale * (code - zero point), int8 codes, int32 accumulators.
 * Kernels never allocate, never keep state of their own and touch no floating-point register. */
#ifndef TN_COMMON_H
#define TN_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* GCC before 13 gets masks wrong when it turns loops into MVE instructions by itself; kernels name theirs. */
#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#pragma GCC optimize("no-tree-loop-vectorize", "no-tree-slp-vectorize")
#endif
/* Loads of vectors have no address to spare for a step, which GCC makes a copy for. */
#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-auto-inc-dec")
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Section or attribute of read-only model data, and of the functions that run it: override to place them. */
#ifndef TN_CONST
#define TN_CONST
#endif
#ifndef TN_HOT
#define TN_HOT
#endif

/* Functions that a layer has of its own, and their local arrays. */
#if defined(__GNUC__)
#define TN_OUTLINE static __attribute__((noinline))
#define TN_SCRATCH __attribute__((aligned(8)))
#else
#define TN_OUTLINE static
#define TN_SCRATCH
#endif

/* Results of the generated functions. */
#define TN_OK 0
#define TN_ERROR_ARGUMENT (-1) /* a pointer is null */
#define TN_ERROR_STATE (-2)    /* slices of the stream are missing */

/* Constants of one output channel of a convolution. See tn_scale_s8. */
typedef struct {
    int32_t bias;            /* start of the accumulator, the input's zero point folded in: b - zero point * sum(w) */
    int32_t multiplier;      /* of the accumulator */
    int32_t offset;          /* for accumulators from 0 up, in units of 512; or TN_PLAIN */
    int32_t offset_negative; /* for accumulators below 0, in units of 512; or the shift of a plain channel */
} tn_channel;
#define TN_PLAIN INT32_MIN

/* How a window moves along one spatial axis. Sizes in elements of that axis, all at most 65535. */
typedef struct {
    uint16_t in;       /* length of the input */
    uint16_t out;      /* length of the output */
    uint16_t kernel;   /* taps, at least 1 */
    uint16_t stride;   /* step of the window, at least 1 */
    uint16_t dilation; /* distance between taps, at least 1 */
    uint16_t pad;      /* padding before the first element */
} tn_axis;

/* Whether no window reaches over an end of its axis. */
static inline int tn_axis_inside(const tn_axis *axis)
{
    return axis->pad == 0 && (axis->out - 1) * axis->stride + (axis->kernel - 1) * axis->dilation < axis->in;
}

/* Limits of an int8 output: the fused activation, as codes. */
typedef struct {
    int8_t zero_point;
    int8_t min;
    int8_t max;
} tn_output_s8;

/* round(a * b / 2^31), half up. b: not negative, or a is not INT32_MIN. */
static inline int32_t tn_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* round(value / 2^bits), half away from zero; bits: 0 to 31. */
static inline int32_t tn_round_shift(int32_t value, int bits)
{
    const int32_t mask = (int32_t)(((uint32_t)1 << bits) - 1u);
    const int32_t threshold = (mask >> 1) + (value < 0 ? 1 : 0);
    return (value >> bits) + ((value & mask) > threshold ? 1 : 0);
}

/* round(acc * multiplier * 2^(shift - 31)) the way TFLite Micro does it: once in the high multiply, once more in the
 * shift.
 * acc: |acc * 2^max(shift, 0)| < 2^31; multiplier: 0 to 2^31 - 1; shift: -31 to 30. */
static inline int32_t tn_requantize(int32_t acc, int32_t multiplier, int shift)
{
    const int left = shift > 0 ? shift : 0;
    const int right = shift > 0 ? 0 : -shift;
    return tn_round_shift(tn_high_mul((int32_t)((uint32_t)acc << left), multiplier), right);
}

/* tn_requantize where the shift is known not to be positive. */
static inline int32_t tn_shrink(int32_t acc, int32_t multiplier, int shift)
{
    return tn_round_shift(tn_high_mul(acc, multiplier), -shift);
}

static inline int32_t tn_clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Add the zero point and clamp to the fused activation. */
static inline int8_t tn_store_s8(int32_t value, const tn_output_s8 *out)
{
    return (int8_t)tn_clamp(value + out->zero_point, out->min, out->max);
}

/* The code of a finished accumulator, exactly as tn_requantize gives it. The compiler has proven for this channel that
 * one multiply-add places every step of the result where two roundings place it; TN_PLAIN marks the rest. */
static inline int8_t tn_scale_s8(const tn_channel *channel, int32_t acc, const tn_output_s8 *out)
{
    if (channel->offset == TN_PLAIN) {
        return tn_store_s8(tn_requantize(acc, channel->multiplier, channel->offset_negative), out);
    }
    const int32_t offset = acc < 0 ? channel->offset_negative : channel->offset;
    const int64_t scaled = (int64_t)acc * channel->multiplier + (int64_t)offset * 512;
    return (int8_t)tn_clamp((int32_t)(scaled >> 32), out->min, out->max);
}

/* A number of 16 bits at any address. */
static inline int32_t tn_load_16(const int8_t *at)
{
    int16_t value;
    (void)memcpy(&value, at, sizeof value);
    return value;
}

static inline void tn_store_16(int8_t *at, int32_t value)
{
    const int16_t narrow = (int16_t)value;
    (void)memcpy(at, &narrow, sizeof narrow);
}

/* Point rows[0 .. axis->kernel) at the input rows under output row `y`; NULL stands for a row of padding.
 * in: the whole tensor, row_bytes apart. */
static inline void tn_window_rows(const tn_axis *axis, const int8_t *in, size_t row_bytes, int y, const int8_t **rows)
{
    int source = y * axis->stride - axis->pad;
    for (int tap = 0; tap < axis->kernel; ++tap, source += axis->dilation) {
        rows[tap] = source < 0 || source >= axis->in ? NULL : in + (size_t)source * row_bytes;
    }
}

#ifdef __cplusplus
}
#endif
#endif
