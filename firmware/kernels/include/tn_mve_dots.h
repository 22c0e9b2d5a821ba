/* Sums of products of one or two pixels by four channels: the inner loop of convolutions for the vector extension. */
#ifndef TN_MVE_DOTS_H
#define TN_MVE_DOTS_H

#include "tn_mve.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Constants of a layer that the loop is made for. */
typedef struct {
    int runs;   /* contiguous parts under a pixel */
    int blocks; /* times 16 codes in each */
    int half;   /* whether 8 more follow */
} tn_dots_shape;

#define TN_DOTS_MOST 255 /* blocks of a run: their bytes are an immediate */

#if TN_HAS_MVE && defined(__OPTIMIZE__)
#define TN_HAS_DOTS 1
#else
#define TN_HAS_DOTS 0
#endif

#if TN_HAS_DOTS
/* Assembly, because sums live in even registers only, and GCC moves and spills when eight are wanted. Widening
 * loads take addresses from low registers only; r7 stays free for a frame pointer.
 * Sums are a0 to a3 and b0 to b3, the pixels' codes are at a and b, the weights at w. */
#define TN_DOTS_DOT(kind, sum, x, v) "vmladav" kind " %[" sum "], " x ", " v "\n\t"
#define TN_DOTS_LOAD(kind, v, from) "vldrb." kind " " v ", [%[" from "]]"
#define TN_DOTS_TWO(load, kind, step) \
    TN_DOTS_LOAD(load, "q0", "a") ", #" step "\n\t" \
    TN_DOTS_LOAD(load, "q1", "b") ", #" step "\n\t" \
    TN_DOTS_LOAD(load, "q2", "w") ", #" step "\n\t" \
    TN_DOTS_LOAD(load, "q3", "w") ", #" step "\n\t" \
    TN_DOTS_DOT(kind, "a0", "q0", "q2") TN_DOTS_DOT(kind, "b0", "q1", "q2") \
    TN_DOTS_LOAD(load, "q2", "w") ", #" step "\n\t" \
    TN_DOTS_DOT(kind, "a1", "q0", "q3") TN_DOTS_DOT(kind, "b1", "q1", "q3") \
    TN_DOTS_LOAD(load, "q3", "w") ", #" step "\n\t" \
    TN_DOTS_DOT(kind, "a2", "q0", "q2") TN_DOTS_DOT(kind, "b2", "q1", "q2") \
    TN_DOTS_DOT(kind, "a3", "q0", "q3") TN_DOTS_DOT(kind, "b3", "q1", "q3")
#define TN_DOTS_ONE(load, kind, step) \
    TN_DOTS_LOAD(load, "q0", "a") ", #" step "\n\t" \
    TN_DOTS_LOAD(load, "q2", "w") ", #" step "\n\t" \
    TN_DOTS_LOAD(load, "q3", "w") ", #" step "\n\t" \
    TN_DOTS_DOT(kind, "a0", "q0", "q2") \
    TN_DOTS_LOAD(load, "q2", "w") ", #" step "\n\t" \
    TN_DOTS_DOT(kind, "a1", "q0", "q3") \
    TN_DOTS_LOAD(load, "q3", "w") ", #" step "\n\t" \
    TN_DOTS_DOT(kind, "a2", "q0", "q2") TN_DOTS_DOT(kind, "a3", "q0", "q3")
#define TN_DOTS_ZERO_ONE "movs %[a0], #0\n\tmovs %[a1], #0\n\tmovs %[a2], #0\n\tmovs %[a3], #0\n\t"
#define TN_DOTS_ZERO_TWO TN_DOTS_ZERO_ONE "movs %[b0], #0\n\tmovs %[b1], #0\n\tmovs %[b2], #0\n\tmovs %[b3], #0\n\t"
/* `count` times the accumulating block, unrolled `by` times, which divides it. */
#define TN_DOTS_MANY(pixels, label, count, by) \
    ".if " count " > " by "\n\tadd %[end], %[a], #16 * (" count ")\n" label ":\n\t.endif\n\t" \
    ".if " count " > 0\n\t.rept " by "\n\t" TN_DOTS_##pixels("8", "a.s8", "16") ".endr\n\t.endif\n\t" \
    ".if " count " > " by "\n\tcmp %[a], %[end]\n\tbne " label "b\n\t.endif\n\t"
/* One run makes its sums with its first block, several start from zero. */
#define TN_DOTS_BODY(pixels) \
    ".if %c[runs] == 1\n\tldrd %[a], %[b], [%[at]]\n\t" \
    ".if %c[blocks] > 0\n\t" TN_DOTS_##pixels("8", ".s8", "16") \
    TN_DOTS_MANY(pixels, "1", "(%c[blocks] - 1)", "%c[first_by]") \
    ".if %c[half]\n\t" TN_DOTS_##pixels("s16", "a.s16", "8") ".endif\n\t" \
    ".else\n\t" TN_DOTS_##pixels("s16", ".s16", "8") ".endif\n\t" \
    ".else\n\t" TN_DOTS_ZERO_##pixels "ldrd %[a], %[b], [%[at]], #8\n2:\n\t" \
    TN_DOTS_MANY(pixels, "3", "%c[blocks]", "%c[by]") \
    ".if %c[half]\n\t" TN_DOTS_##pixels("s16", "a.s16", "8") ".endif\n\t" \
    "ldrd %[a], %[b], [%[at]], #8\n\tcmp %[a], #0\n\tbne 2b\n\t.endif"
#define TN_DOTS_ALONE [a0] "=&r"(a0), [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3)
#define TN_DOTS_BOTH TN_DOTS_ALONE, [b0] "=&r"(b0), [b1] "=&r"(b1), [b2] "=&r"(b2), [b3] "=&r"(b3)
#define TN_DOTS_ASM(pixels, sums) \
    __asm__ volatile(TN_DOTS_BODY(pixels) \
                     : sums, [a] "=&r"(a), [b] "=&r"(b), [w] "+&r"(v), [at] "+&r"(from), [end] "=&r"(end) \
                     : [runs] "n"(shape->runs), [blocks] "n"(shape->blocks), [half] "n"(shape->half), \
                       [by] "n"(tn_dots_unroll(shape->blocks)), [first_by] "n"(tn_dots_unroll(shape->blocks - 1)) \
                     : "q0", "q1", "q2", "q3", "cc", "memory")

/* Largest divisor up to 4. */
#define tn_dots_unroll(count) \
    ((count) <= 0 ? 1 : (count) % 4 == 0 ? 4 : (count) % 3 == 0 ? 3 : (count) % 2 == 0 ? 2 : 1)
#endif

/* The same as tn_dots for one short run: the compiler may keep weights in registers. */
TN_INLINE const int8_t *tn_dots_short(const tn_dots_shape *shape, int32_t acc[2][4], const int8_t *const *at,
                                      const int8_t *w, int pixels)
{
    const int8_t *a = at[0];
    const int8_t *b = at[1];
    TN_UNROLL(2)
    for (int block = 0; block < shape->blocks; ++block, a += 16, b += 16) {
        const tn_codes first = tn_codes_load(a);
        const tn_codes second = pixels == 2 ? tn_codes_load(b) : first;
        TN_UNROLL(4)
        for (int c = 0; c < 4; ++c, w += 16) {
            const tn_codes v = tn_codes_load(w);
            acc[0][c] = block == 0 ? tn_codes_dot(first, v) : tn_codes_dot_add(acc[0][c], first, v);
            if (pixels == 2) {
                acc[1][c] = block == 0 ? tn_codes_dot(second, v) : tn_codes_dot_add(acc[1][c], second, v);
            }
        }
    }
    if (shape->half != 0) {
        const tn_halves first = tn_halves_load(a);
        const tn_halves second = pixels == 2 ? tn_halves_load(b) : first;
        TN_UNROLL(4)
        for (int c = 0; c < 4; ++c, w += 8) {
            const tn_halves v = tn_halves_load(w);
            acc[0][c] = shape->blocks == 0 ? tn_halves_dot(first, v) : tn_halves_dot_add(acc[0][c], first, v);
            if (pixels == 2) {
                acc[1][c] = shape->blocks == 0 ? tn_halves_dot(second, v) : tn_halves_dot_add(acc[1][c], second, v);
            }
        }
    }
    return w;
}

/* tn_dots without assembly, for runs of any length. */
TN_INLINE const int8_t *tn_dots_plain(const tn_dots_shape *shape, int32_t acc[2][4], const int8_t *const *at,
                                      const int8_t *w, int pixels)
{
    for (int i = 0; i < 4; ++i) {
        acc[0][i] = 0;
        acc[1][i] = 0;
    }
    for (int run = 0; run < shape->runs; ++run) {
        for (int pixel = 0; pixel < pixels; ++pixel) {
            const int8_t *x = at[2 * run + pixel];
            const int8_t *v = w;
            for (int block = 0; block < shape->blocks; ++block, x += 16, v += 64) {
                const tn_codes codes = tn_codes_load(x);
                for (int c = 0; c < 4; ++c) {
                    acc[pixel][c] = tn_codes_dot_add(acc[pixel][c], codes, tn_codes_load(v + 16 * c));
                }
            }
            for (int c = 0; shape->half && c < 4; ++c) {
                acc[pixel][c] = tn_halves_dot_add(acc[pixel][c], tn_halves_load(x), tn_halves_load(v + 8 * c));
            }
        }
        w += 64 * shape->blocks + 32 * shape->half;
    }
    return w;
}

/* acc[pixel][channel] = sum of products.
 * at: for every run a pointer to the first pixel's codes and one to the second's, then two that are NULL.
 * w: [runs][blocks][4 channels][16], after the blocks of a run [4 channels][8] when it has a half.
 * Returns the weights behind those. */
TN_INLINE const int8_t *tn_dots(const tn_dots_shape *shape, int32_t acc[2][4], const int8_t *const *at,
                                const int8_t *w, int pixels)
{
#if TN_HAS_DOTS
    if (shape->blocks > TN_DOTS_MOST) {
        return tn_dots_plain(shape, acc, at, w, pixels);
    }
    register int32_t a0 __asm__("r0");
    register int32_t a1 __asm__("r2");
    register int32_t a2 __asm__("r4");
    register int32_t a3 __asm__("r6");
    register const int8_t *a __asm__("r1");
    register const int8_t *b __asm__("r3");
    register const int8_t *v __asm__("r5") = w;
    register const int8_t *const *from __asm__("r9") = at;
    register const int8_t *end __asm__("r11");
    if (pixels == 2) {
        register int32_t b0 __asm__("r8");
        register int32_t b1 __asm__("r10");
        register int32_t b2 __asm__("r12");
        register int32_t b3 __asm__("lr");
        TN_DOTS_ASM(TWO, TN_DOTS_BOTH);
        acc[1][0] = b0;
        acc[1][1] = b1;
        acc[1][2] = b2;
        acc[1][3] = b3;
    } else {
        TN_DOTS_ASM(ONE, TN_DOTS_ALONE);
    }
    acc[0][0] = a0;
    acc[0][1] = a1;
    acc[0][2] = a2;
    acc[0][3] = a3;
    return v;
#else
    return tn_dots_plain(shape, acc, at, w, pixels);
#endif
}

#ifdef __cplusplus
}
#endif
#endif
