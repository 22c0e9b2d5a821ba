#include "tn_copy.h"

#include <string.h>

static void copy_line(const tn_copy *p, const uint8_t *in, uint8_t *out)
{
    for (uint32_t i = 0; i < p->size[4]; ++i, in += p->in_stride[4], out += p->out_stride[4]) {
        if (p->run == 1) {
            *out = *in;
        } else {
            (void)memcpy(out, in, p->run);
        }
    }
}

static void copy_plane(const tn_copy *p, const uint8_t *in, uint8_t *out)
{
    for (uint32_t i = 0; i < p->size[2]; ++i, in += p->in_stride[2], out += p->out_stride[2]) {
        const uint8_t *from = in;
        uint8_t *to = out;
        for (uint32_t j = 0; j < p->size[3]; ++j, from += p->in_stride[3], to += p->out_stride[3]) {
            copy_line(p, from, to);
        }
    }
}

TN_HOT void tn_copy_run(const tn_copy *p, const void *in, void *out)
{
    const uint8_t *slab_in = (const uint8_t *)in + p->in_offset;
    uint8_t *slab_out = (uint8_t *)out + p->out_offset;
    for (uint32_t i = 0; i < p->size[0]; ++i, slab_in += p->in_stride[0], slab_out += p->out_stride[0]) {
        const uint8_t *from = slab_in;
        uint8_t *to = slab_out;
        for (uint32_t j = 0; j < p->size[1]; ++j, from += p->in_stride[1], to += p->out_stride[1]) {
            copy_plane(p, from, to);
        }
    }
}

void tn_fill_run(void *out, int8_t value, size_t count)
{
    (void)memset(out, value, count);
}

TN_HOT void tn_pad_s8_row(const tn_pad_s8 *p, const int8_t *const *rows, int8_t *out)
{
    (void)memset(out, p->value, p->bytes);
    if (rows[0] != NULL) {
        tn_copy_run(&p->copy, rows[0], out);
    }
}
