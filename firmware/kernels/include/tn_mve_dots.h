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
#define TN_DOTS_ALONE [a0] "=&r"(a0), [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3), [s] "=w"(sums->first)
#define TN_DOTS_BOTH \
    TN_DOTS_ALONE, [b0] "=&r"(b0), [b1] "=&r"(b1), [b2] "=&r"(b2), [b3] "=&r"(b3), [t] "=w"(sums->second)
#define TN_DOTS_WORDS_ONE "\n\tvmov %e[s], %[a0], %[a1]\n\tvmov %f[s], %[a2], %[a3]"
#define TN_DOTS_WORDS_TWO TN_DOTS_WORDS_ONE "\n\tvmov %e[t], %[b0], %[b1]\n\tvmov %f[t], %[b2], %[b3]"
#define TN_DOTS_ASM(pixels, outputs) \
    __asm__ volatile(TN_DOTS_BODY(pixels) TN_DOTS_WORDS_##pixels \
                     : outputs, [a] "=&r"(a), [b] "=&r"(b), [w] "+&r"(v), [at] "+&r"(from), [end] "=&r"(end) \
                     : [runs] "n"(shape->runs), [blocks] "n"(shape->blocks), [half] "n"(shape->half), \
                       [by] "n"(tn_dots_unroll(shape->blocks)), [first_by] "n"(tn_dots_unroll(shape->blocks - 1)) \
                     : "q0", "q1", "q2", "q3", "cc", "memory")

/* One vector of each pixel, in registers. */
#define TN_DOTS_VECTOR_DOTS(kind, weights, one, two) \
    TN_DOTS_DOT(kind, one, "%q[x]", weights) TN_DOTS_DOT(kind, two, "%q[y]", weights)
#define TN_DOTS_VECTOR(load, kind, step) \
    "vldrb." load " %q[u], [%[w]], #" step "\n\tvldrb." load " %q[v], [%[w]], #" step "\n\t" \
    TN_DOTS_VECTOR_DOTS(kind, "%q[u]", "a0", "b0") "vldrb." load " %q[u], [%[w]], #" step "\n\t" \
    TN_DOTS_VECTOR_DOTS(kind, "%q[v]", "a1", "b1") "vldrb." load " %q[v], [%[w]], #" step "\n\t" \
    TN_DOTS_VECTOR_DOTS(kind, "%q[u]", "a2", "b2") TN_DOTS_VECTOR_DOTS(kind, "%q[v]", "a3", "b3")
#define TN_DOTS_VECTOR_ASM(load, kind, step, one, two) \
    __asm__ volatile(TN_DOTS_VECTOR(load, kind, step) TN_DOTS_WORDS_TWO \
                     : [s] "=w"(sums->first), [t] "=w"(sums->second), [u] "=&w"(u), [v] "=&w"(v), [w] "+&l"(w), \
                       [a0] "=&r"(a0), [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3), [b0] "=&r"(b0), \
                       [b1] "=&r"(b1), [b2] "=&r"(b2), [b3] "=&r"(b3) \
                     : [x] "w"(one), [y] "w"(two) \
                     : "memory")

/* Largest divisor up to 4. */
#define tn_dots_unroll(count) \
    ((count) <= 0 ? 1 : (count) % 4 == 0 ? 4 : (count) % 3 == 0 ? 3 : (count) % 2 == 0 ? 2 : 1)
#endif

/* Sums of four channels of each pixel. */
typedef struct {
    tn_words first;
    tn_words second;
} tn_dots_sums;

/* All codes under two pixels when one vector, or half of one, holds them. */
typedef struct {
    tn_codes first;
    tn_codes second;
    tn_halves first_half;
    tn_halves second_half;
} tn_dots_vector;

TN_INLINE tn_dots_vector tn_dots_no_vector(void)
{
    tn_dots_vector none;
    none.first = tn_codes_all(0);
    none.second = tn_codes_all(0);
    none.first_half = tn_halves_all(0);
    none.second_half = tn_halves_all(0);
    return none;
}

/* The first `count` codes at `a` and `b`, of 16 at most. */
TN_INLINE void tn_dots_vector_load(tn_dots_vector *x, const int8_t *a, const int8_t *b, int count)
{
    if (count > 8) {
        x->first = count < 16 ? tn_codes_load_first(a, count) : tn_codes_load(a);
        x->second = count < 16 ? tn_codes_load_first(b, count) : tn_codes_load(b);
    } else {
        x->first_half = count < 8 ? tn_halves_load_first(a, count) : tn_halves_load(a);
        x->second_half = count < 8 ? tn_halves_load_first(b, count) : tn_halves_load(b);
    }
}

/* As tn_dots for `count` codes of two pixels that are in registers; w: [4 channels][16], or [4 channels][8] of eight
 * codes or fewer. */
TN_INLINE const int8_t *tn_dots_one_vector(const tn_dots_vector *x, tn_dots_sums *sums, const int8_t *w, int count)
{
#if TN_HAS_DOTS
    register int32_t a0 __asm__("r0");
    register int32_t a1 __asm__("r2");
    register int32_t a2 __asm__("r4");
    register int32_t a3 __asm__("r6");
    register int32_t b0 __asm__("r8");
    register int32_t b1 __asm__("r10");
    register int32_t b2 __asm__("r12");
    register int32_t b3 __asm__("lr");
    tn_codes u;
    tn_codes v;
    if (count > 8) {
        TN_DOTS_VECTOR_ASM("8", ".s8", "16", x->first, x->second);
    } else {
        TN_DOTS_VECTOR_ASM("s16", ".s16", "8", x->first_half, x->second_half);
    }
    return w;
#else
    int32_t acc[2][4];
    const int step = count > 8 ? 16 : 8;
    for (int c = 0; c < 4; ++c, w += step) {
        if (count > 8) {
            acc[0][c] = tn_codes_dot(x->first, tn_codes_load(w));
            acc[1][c] = tn_codes_dot(x->second, tn_codes_load(w));
        } else {
            acc[0][c] = tn_halves_dot(x->first_half, tn_halves_load(w));
            acc[1][c] = tn_halves_dot(x->second_half, tn_halves_load(w));
        }
    }
    sums->first = tn_words_of(acc[0][0], acc[0][1], acc[0][2], acc[0][3]);
    sums->second = tn_words_of(acc[1][0], acc[1][1], acc[1][2], acc[1][3]);
    return w;
#endif
}

/* tn_dots without assembly, for runs of any length. */
TN_INLINE const int8_t *tn_dots_plain(const tn_dots_shape *shape, tn_dots_sums *sums, const int8_t *const *at,
                                      const int8_t *w, int pixels)
{
    int32_t acc[2][4] = {{0}};
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
    sums->first = tn_words_of(acc[0][0], acc[0][1], acc[0][2], acc[0][3]);
    sums->second = tn_words_of(acc[1][0], acc[1][1], acc[1][2], acc[1][3]);
    return w;
}

/* Sums of products of four channels with one or two pixels; one leaves the second's sums alone.
 * at: for every run a pointer to the first pixel's codes and one to the second's, then two that are NULL.
 * w: [runs][blocks][4 channels][16], after the blocks of a run [4 channels][8] when it has a half.
 * Returns the weights behind those. */
TN_INLINE const int8_t *tn_dots(const tn_dots_shape *shape, tn_dots_sums *sums, const int8_t *const *at,
                                const int8_t *w, int pixels)
{
#if TN_HAS_DOTS
    if (shape->blocks > TN_DOTS_MOST) {
        return tn_dots_plain(shape, sums, at, w, pixels);
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
    } else {
        TN_DOTS_ASM(ONE, TN_DOTS_ALONE);
    }
    return v;
#else
    return tn_dots_plain(shape, sums, at, w, pixels);
#endif
}

#ifdef __cplusplus
}
#endif
#endif
