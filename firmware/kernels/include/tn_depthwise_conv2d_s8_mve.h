/* DEPTHWISE_CONV_2D for the vector extension: lanes are eight output channels, and two pixels share their weights. */
#ifndef TN_DEPTHWISE_CONV2D_S8_MVE_H
#define TN_DEPTHWISE_CONV2D_S8_MVE_H

#include "tn_mve.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Channels go in eights; the last eight overlap those before unless there are fewer altogether. Within an eight,
 * constants are those of even lanes, then those of odd lanes. */
typedef struct {
    tn_axis rows;
    tn_axis cols;
    uint16_t in_channels;
    uint16_t channels;       /* of the output */
    int8_t in_zero_point;    /* the value that padding has */
    tn_mve_scaling scaling;
    const int8_t *weights;   /* [eights of channels][rows.kernel][cols.kernel][8] */
    const int32_t *constants; /* [eights of channels][2][TN_MVE_CONSTANTS] */
    const uint16_t *sources; /* [eights of channels][8] input channel of each; NULL when they are the same */
    const int8_t *border;    /* a row of padding, or NULL: rows are then checked */
} tn_depthwise_conv2d_s8_mve;

#if TN_HAS_MVE && defined(__OPTIMIZE__)
#define TN_HAS_DEPTHWISE_TAP 1
/* The first pixel's codes are at a, the second's at `from` and `behind`. */
#define TN_DEPTHWISE_BEGIN(from, behind) \
    "vldrb.s16 %q[v], [%[w]], #8\n\tvldrb.s16 %q[x], [%[a]]\n\t" \
    "vmullb.s16 %q[c], %q[x], %q[v]\n\tvmullt.s16 %q[d], %q[x], %q[v]\n\t" \
    "vldrb.s16 %q[x], [%[" from "]" behind "]\n\t" \
    "vmullb.s16 %q[f], %q[x], %q[v]\n\tvmullt.s16 %q[g], %q[x], %q[v]"
#define TN_DEPTHWISE_ADD(from, behind) \
    "vldrb.s16 %q[v], [%[w]], #8\n\tvldrb.s16 %q[x], [%[a]]\n\t" \
    "vmullb.s16 %q[t], %q[x], %q[v]\n\tvadd.i32 %q[c], %q[c], %q[t]\n\t" \
    "vmullt.s16 %q[t], %q[x], %q[v]\n\tvldrb.s16 %q[x], [%[" from "]" behind "]\n\t" \
    "vadd.i32 %q[d], %q[d], %q[t]\n\t" \
    "vmullb.s16 %q[t], %q[x], %q[v]\n\tvadd.i32 %q[f], %q[f], %q[t]\n\t" \
    "vmullt.s16 %q[t], %q[x], %q[v]\n\tvadd.i32 %q[g], %q[g], %q[t]"
/* Codes of both pixels in registers. */
#define TN_DEPTHWISE_BEGIN_CODES \
    "vldrb.s16 %q[v], [%[w]], #8\n\t" \
    "vmullb.s16 %q[c], %q[x], %q[v]\n\tvmullt.s16 %q[d], %q[x], %q[v]\n\t" \
    "vmullb.s16 %q[f], %q[y], %q[v]\n\tvmullt.s16 %q[g], %q[y], %q[v]"
#define TN_DEPTHWISE_ADD_CODES \
    "vldrb.s16 %q[v], [%[w]], #8\n\t" \
    "vmullb.s16 %q[t], %q[x], %q[v]\n\tvadd.i32 %q[c], %q[c], %q[t]\n\t" \
    "vmullt.s16 %q[t], %q[x], %q[v]\n\tvadd.i32 %q[d], %q[d], %q[t]\n\t" \
    "vmullb.s16 %q[t], %q[y], %q[v]\n\tvadd.i32 %q[f], %q[f], %q[t]\n\t" \
    "vmullt.s16 %q[t], %q[y], %q[v]\n\tvadd.i32 %q[g], %q[g], %q[t]"
#define TN_DEPTHWISE_CODES(text, sum) \
    do { \
        tn_halves v; \
        tn_words t; \
        __asm__ volatile(text \
                         : [c] sum(sums->even), [d] sum(sums->odd), [f] sum(sums->other_even), \
                           [g] sum(sums->other_odd), [v] "=&w"(v), [t] "=&w"(t), [w] "+l"(e->weights) \
                         : [x] "w"(one), [y] "w"(two) \
                         : "memory"); \
    } while (0)
/* One pixel. */
#define TN_DEPTHWISE_BEGIN_LONE \
    "vldrb.s16 %q[v], [%[w]], #8\n\tvmullb.s16 %q[c], %q[x], %q[v]\n\tvmullt.s16 %q[d], %q[x], %q[v]"
#define TN_DEPTHWISE_ADD_LONE \
    "vldrb.s16 %q[v], [%[w]], #8\n\t" \
    "vmullb.s16 %q[t], %q[x], %q[v]\n\tvadd.i32 %q[c], %q[c], %q[t]\n\t" \
    "vmullt.s16 %q[t], %q[x], %q[v]\n\tvadd.i32 %q[d], %q[d], %q[t]"
#define TN_DEPTHWISE_LONE(text, sum) \
    do { \
        tn_halves v; \
        tn_words t; \
        __asm__ volatile(text \
                         : [c] sum(*even), [d] sum(*odd), [v] "=&w"(v), [t] "=&w"(t), [w] "+l"(e->weights) \
                         : [x] "w"(codes) \
                         : "memory"); \
    } while (0)
#define TN_DEPTHWISE_TAP(text, sum, ...) \
    do { \
        tn_halves x; \
        tn_halves v; \
        tn_words t; \
        __asm__ volatile(text \
                         : [c] sum(sums->even), [d] sum(sums->odd), [f] sum(sums->other_even), \
                           [g] sum(sums->other_odd), [x] "=&w"(x), [v] "=&w"(v), [t] "=&w"(t), [w] "+l"(e->weights) \
                         : [a] "l"(a), __VA_ARGS__ \
                         : "memory"); \
    } while (0)
#else
#define TN_HAS_DEPTHWISE_TAP 0
#endif
#define TN_MVE_TALL 8 /* rows of a window that is walked by pointers in registers */

/* An eight of channels: which ones, and their constants. */
typedef struct {
    int channel;
    int lanes; /* fewer than 8 when there are no more */
    const int8_t *weights;
    const int32_t *constants;
    const uint16_t *sources;
} tn_depthwise_mve_eight;

TN_INLINE tn_depthwise_mve_eight tn_depthwise_mve_first(const tn_depthwise_conv2d_s8_mve *p)
{
    const tn_depthwise_mve_eight first = {0, p->channels < 8 ? p->channels : 8, p->weights, p->constants, p->sources};
    return first;
}

/* The eight behind this one; channel `channels` when there is none. Weights have been walked. */
TN_INLINE void tn_depthwise_mve_next(const tn_depthwise_conv2d_s8_mve *p, tn_depthwise_mve_eight *e)
{
    e->channel = tn_mve_next_eight(e->channel, p->channels);
    e->constants += 2 * TN_MVE_CONSTANTS;
    if (p->sources != NULL) {
        e->sources += 8;
    }
}

/* The codes of a pixel at `x` that meet the eight's filters. */
TN_INLINE tn_halves tn_depthwise_mve_codes(const tn_depthwise_mve_eight *e, const int8_t *x)
{
    if (e->sources != NULL) {
        return tn_halves_gather(x, e->sources);
    }
    return e->lanes == 8 ? tn_halves_load(x) : tn_halves_load_first(x, e->lanes);
}

/* Products of one tap, weights at e->weights, with the pixels at `a` and `next` codes behind: added to the sums, which
 * are still 0 when it is the first. Goes on to the weights of the next tap. */
TN_INLINE void tn_depthwise_mve_tap(tn_depthwise_mve_eight *e, tn_mve_sums *sums, const int8_t *a,
                                    ptrdiff_t next, int begin)
{
#if TN_HAS_DEPTHWISE_TAP
    /* Assembly, because GCC loads ahead and spills. */
    if (e->sources == NULL && e->lanes == 8) {
        if (begin != 0) {
            if (__builtin_constant_p(next) && next >= 0 && next <= 127) {
                TN_DEPTHWISE_TAP(TN_DEPTHWISE_BEGIN("a", ", %[next]"), "=&w", [next] "n"(next & 127));
            } else {
                TN_DEPTHWISE_TAP(TN_DEPTHWISE_BEGIN("b", ""), "=&w", [b] "l"(a + next));
            }
        } else if (__builtin_constant_p(next) && next >= 0 && next <= 127) {
            TN_DEPTHWISE_TAP(TN_DEPTHWISE_ADD("a", ", %[next]"), "+w", [next] "n"(next & 127));
        } else {
            TN_DEPTHWISE_TAP(TN_DEPTHWISE_ADD("b", ""), "+w", [b] "l"(a + next));
        }
        return;
    }
#endif
    const tn_halves one = tn_depthwise_mve_codes(e, a);
    const tn_halves two = tn_depthwise_mve_codes(e, a + next);
#if TN_HAS_DEPTHWISE_TAP
    if (begin != 0) {
        TN_DEPTHWISE_CODES(TN_DEPTHWISE_BEGIN_CODES, "=&w");
    } else {
        TN_DEPTHWISE_CODES(TN_DEPTHWISE_ADD_CODES, "+w");
    }
#else
    const tn_halves filter = tn_halves_load(e->weights);
    (void)begin;
    sums->even = tn_words_add(sums->even, tn_words_even_products(one, filter));
    sums->odd = tn_words_add(sums->odd, tn_words_odd_products(one, filter));
    sums->other_even = tn_words_add(sums->other_even, tn_words_even_products(two, filter));
    sums->other_odd = tn_words_add(sums->other_odd, tn_words_odd_products(two, filter));
    e->weights += 8;
#endif
}

/* The same for one pixel. */
TN_INLINE void tn_depthwise_mve_lone_tap(tn_depthwise_mve_eight *e, tn_words *even, tn_words *odd, const int8_t *a,
                                         int begin)
{
    const tn_halves codes = tn_depthwise_mve_codes(e, a);
#if TN_HAS_DEPTHWISE_TAP
    if (begin != 0) {
        TN_DEPTHWISE_LONE(TN_DEPTHWISE_BEGIN_LONE, "=&w");
    } else {
        TN_DEPTHWISE_LONE(TN_DEPTHWISE_ADD_LONE, "+w");
    }
#else
    const tn_halves filter = tn_halves_load(e->weights);
    (void)begin;
    *even = tn_words_add(*even, tn_words_even_products(codes, filter));
    *odd = tn_words_add(*odd, tn_words_odd_products(codes, filter));
    e->weights += 8;
#endif
}

/* Store the codes of two pixels. */
TN_INLINE void tn_depthwise_mve_store(const tn_depthwise_conv2d_s8_mve *p, const tn_depthwise_mve_eight *e,
                                      const tn_mve_sums *sums, int8_t *out)
{
    tn_mve_eights both;
    tn_mve_scale_eights(&p->scaling, sums, e->constants, &both);
    tn_mve_store_eight(out, both.first, e->lanes);
    tn_mve_store_eight(out + p->channels, both.second, e->lanes);
}

/* Where a pixel's codes begin for the eight. */
TN_INLINE int tn_depthwise_mve_offset(const tn_depthwise_conv2d_s8_mve *p, const tn_depthwise_mve_eight *e)
{
    return p->sources != NULL ? 0 : e->channel;
}

/* Point every other of `taps` at what the taps of the window that begins at column `left` meet. */
TN_INLINE void tn_depthwise_mve_under(const tn_depthwise_conv2d_s8_mve *p, const int8_t *const *rows, int left,
                                      const int8_t *padding, const int8_t **taps)
{
    for (int r = 0; r < p->rows.kernel; ++r) {
        const int8_t *const row = rows[r];
        const int missing = tn_rows_missing(&p->rows, p->border) != 0 && row == NULL;
        int col = left;
        for (int i = 0; i < p->cols.kernel; ++i, col += p->cols.dilation) {
            const int inside = !missing && col >= 0 && col < p->cols.in;
            *taps = inside ? row + col * p->in_channels : padding;
            taps += 2;
        }
    }
}

/* The pixel whose window begins at column `left`, and the one right of it, anywhere.
 * padding: in_channels codes that stand for what lies outside. */
TN_INLINE void tn_depthwise_mve_border(const tn_depthwise_conv2d_s8_mve *p, const int8_t *const *rows, int left,
                                       int8_t *out, const int8_t *padding, const int8_t **taps)
{
    const int count = p->rows.kernel * p->cols.kernel;
    tn_depthwise_mve_eight e = tn_depthwise_mve_first(p);
    tn_depthwise_mve_under(p, rows, left, padding, taps);
    tn_depthwise_mve_under(p, rows, left + p->cols.stride, padding, taps + 1);
    for (; e.channel < p->channels; tn_depthwise_mve_next(p, &e)) {
        const int at = tn_depthwise_mve_offset(p, &e);
        tn_mve_sums sums = tn_mve_no_sums();
        TN_UNROLL(9)
        for (int tap = 0; tap < count; ++tap) {
            const int8_t *const a = taps[2 * tap];
            tn_depthwise_mve_tap(&e, &sums, a + at, taps[2 * tap + 1] - a, tap == 0);
        }
        tn_depthwise_mve_store(p, &e, &sums, out + e.channel);
    }
}

/* The same for the one pixel. */
TN_INLINE void tn_depthwise_mve_lone(const tn_depthwise_conv2d_s8_mve *p, const int8_t *const *rows, int left,
                                     int8_t *out, const int8_t *padding, const int8_t **taps)
{
    const int count = p->rows.kernel * p->cols.kernel;
    tn_depthwise_mve_eight e = tn_depthwise_mve_first(p);
    tn_depthwise_mve_under(p, rows, left, padding, taps);
    for (; e.channel < p->channels; tn_depthwise_mve_next(p, &e)) {
        const int at = tn_depthwise_mve_offset(p, &e);
        tn_words even = tn_words_all(0);
        tn_words odd = tn_words_all(0);
        TN_UNROLL(9)
        for (int tap = 0; tap < count; ++tap) {
            tn_depthwise_mve_lone_tap(&e, &even, &odd, taps[2 * tap] + at, tap == 0);
        }
        tn_mve_store_eight(out + e.channel, tn_mve_scale_sums(&p->scaling, even, odd, e.constants), e.lanes);
    }
}

/* `pairs` times two pixels whose windows lie inside the input; the first window begins at column `left`. */
TN_INLINE void tn_depthwise_mve_inside(const tn_depthwise_conv2d_s8_mve *p, const int8_t *const *rows, int left,
                                       int pairs, int8_t *out)
{
    const int next = p->cols.stride * p->in_channels;
    tn_depthwise_mve_eight e = tn_depthwise_mve_first(p);
    for (; e.channel < p->channels; tn_depthwise_mve_next(p, &e)) {
        const int8_t *x[TN_MVE_TALL];
        const int8_t *const weights = e.weights;
        int8_t *to = out + e.channel;
        TN_UNROLL(8)
        for (int r = 0; r < p->rows.kernel; ++r) {
            x[r] = rows[r] + left * p->in_channels + tn_depthwise_mve_offset(p, &e);
        }
        for (int i = 0; i < pairs; ++i, to += 2 * p->channels) {
            tn_mve_sums sums = tn_mve_no_sums();
            e.weights = weights;
            TN_UNROLL(8)
            for (int r = 0; r < p->rows.kernel; ++r) {
                TN_UNROLL(8)
                for (int k = 0; k < p->cols.kernel; ++k) {
                    const int8_t *const a = x[r] + k * p->cols.dilation * p->in_channels;
                    tn_depthwise_mve_tap(&e, &sums, a, next, r == 0 && k == 0);
                }
                x[r] += 2 * next;
            }
            tn_depthwise_mve_store(p, &e, &sums, to);
        }
    }
}

/* Output row; arguments as for tn_depthwise_conv2d_s8_row, but that `border` stands for padding where there is one.
 * scratch: in_channels codes. taps: scratch for 2 * rows.kernel * cols.kernel pointers. */
TN_INLINE void tn_depthwise_conv2d_s8_mve_row(const tn_depthwise_conv2d_s8_mve *p, const int8_t *const *rows,
                                              int8_t *out, int8_t *scratch, const int8_t **taps)
{
    const int inside =
        p->rows.kernel <= TN_MVE_TALL && tn_mve_rows_inside(&p->rows, p->border, rows, p->rows.kernel, 1);
    const int first = (tn_mve_inside_first(&p->cols) + 1) / 2 * 2; /* pairs start at even pixels */
    const int pairs = (tn_mve_inside_end(&p->cols) - first) / 2;
    int x = 0;
    if (!inside || 2 * pairs != p->cols.out) {
        tn_mve_fill(scratch, p->in_zero_point, p->in_channels);
    }
    while (x < p->cols.out) {
        const int left = x * p->cols.stride - p->cols.pad;
        if (inside && pairs > 0 && x == first) {
            tn_depthwise_mve_inside(p, rows, left, pairs, out);
            x += 2 * pairs;
            out += 2 * pairs * p->channels;
        } else if (p->cols.out % 2u == 0u || x + 1 < p->cols.out) {
            tn_depthwise_mve_border(p, rows, left, out, scratch, taps);
            x += 2;
            out += 2 * p->channels;
        } else {
            tn_depthwise_mve_lone(p, rows, left, out, scratch, taps);
            x += 1;
        }
    }
}

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
TN_INLINE void tn_depthwise_conv2d_s8_mve_run(const tn_depthwise_conv2d_s8_mve *p, const int8_t **rows,
                                              const int8_t *in, int8_t *out, int8_t *scratch, const int8_t **taps)
{
    for (int y = 0; y < p->rows.out; ++y, out += (size_t)p->cols.out * p->channels) {
        tn_border_rows(&p->rows, in, (size_t)p->cols.in * p->in_channels, y, p->border, rows);
        tn_depthwise_conv2d_s8_mve_row(p, rows, out, scratch, taps);
    }
}

#ifdef __cplusplus
}
#endif
#endif
