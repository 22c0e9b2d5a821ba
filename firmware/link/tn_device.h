/* The device's side of the protocol's messages, over a model that is described by pointers and one function.
 *
 * Any firmware that can run its model on one input block, or push slices into it, can use it and so take part in
 * parity runs: fill in a tn_device_model, call tn_device_init(), then tn_link_serve().
 */
#ifndef TN_DEVICE_H
#define TN_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "tn_link.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a run gives besides the output block. */
typedef struct {
    int status;            /* the model's own return code, 0 when it ran */
    uint64_t ticks;        /* of the model alone; left at 0, the library's own count stands in */
    uint32_t stack_bytes;  /* deepest use during the run; 0: not measured in this mode */
    const void *layers;    /* one record a layer, as the mode defines it, little-endian; NULL: none */
    uint32_t layers_bytes;
} tn_device_run;

/* A streamed model takes its input slice by slice as the samples arrive. A slice holds every channel of one step,
 * a channel slice_bytes / channels bytes. */
typedef struct {
    uint16_t slices;      /* of a window; 0: the model is not streamed */
    uint16_t slice_bytes;
    uint16_t channels;
    uint8_t *slice;       /* slice_bytes bytes, for a slice that two frames share */
    void (*begin)(void *context, uint8_t mode); /* starts a window; modes as for run() below, and TN_MODE_PUSHES */
    void (*push)(void *context, const uint8_t *samples, uint32_t slices);
    void (*finish)(void *context, tn_device_run *run); /* after the last slice; `run` is zeroed on entry */
} tn_device_stream;

typedef struct {
    const char *hash;       /* SHA-256 of the model file, 64 hexadecimal digits */
    uint8_t *input;         /* input tensors back to back; received samples are written here, nowhere else; NULL and
                             * unused with a streamed model */
    uint32_t input_bytes;
    const uint8_t *output;  /* output tensors back to back */
    uint32_t output_bytes;
    uint32_t state_bytes;   /* for the host's information */
    uint16_t layers;
    uint16_t modes;         /* bits (1 << TN_MODE_...) */
    uint32_t ticks_hz;
    /* Runs the model in TN_MODE_INFER, _PARITY or _PROFILE (only modes listed above); `run` is zeroed on entry. */
    void (*run)(void *context, uint8_t mode, tn_device_run *run);
    tn_device_stream stream; /* in place of input and run() */
    void *context;
} tn_device_model;

typedef struct {
    tn_link link;
    const tn_device_model *model;
    tn_device_run last;       /* what TN_READ of TN_REGION_LAYERS gives */
    uint64_t stream_ticks;    /* spent on the window so far */
    uint32_t stream_window;   /* bytes of a window; 0: no stream */
    uint32_t stream_channels; /* samples come interleaved, a window holds channel after channel */
    uint32_t stream_fill;     /* bytes of the window that have come */
    uint32_t stream_position; /* bytes since the stream began, modulo 2^32 */
    uint32_t stream_crc;      /* CRC-32 of those bytes of the window */
    uint8_t stream_mode;
} tn_device;

/* Both descriptions must outlive the device. */
void tn_device_init(tn_device *device, const tn_device_model *model, const tn_link_port *port);

#ifdef __cplusplus
}
#endif

#endif
