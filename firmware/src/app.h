/* The device application: one generated model behind the device link.
 *
 * The model's work of one inference comes in pieces: one piece, or with a streamed model every push and finish. A mode
 * (tn_protocol.h) tells who looks at the layers meanwhile and what the host learns besides the output. What observing
 * costs, reading the clock included, is taken out of every figure.
 */
#ifndef APP_H
#define APP_H

#include <stddef.h>
#include <stdint.h>

#include "tn_device.h"

/* Fill in where the model's input goes and what runs it; the rest of the description is main()'s. Once. */
void app_describe_model(tn_device_model *model);

/* Tell the host that the work goes on. */
void app_busy(void);

/* ---- the pieces of one inference ---- */

void app_begin(uint8_t mode);
void app_resume(void);
/* Ticks of the model since app_resume(). */
uint64_t app_pause(void);
/* Fills in all of `run` but its status. */
void app_end(tn_device_run *run);

/* Ticks at the last app_resume(). */
uint64_t app_resumed_at(void);

/* ---- modes ---- */

/* Part of a layer's output: `runs` runs of `run` bytes, back to back at `data`, that lie `stride` bytes apart in the
 * tensor, the first of them at byte `first`. */
typedef struct {
    const uint8_t *data;
    size_t first;
    size_t runs;
    size_t run;
    size_t stride;
} app_part;

typedef struct {
    void (*begin)(void);
    /* Sees a part of a layer's output. `ticks`: since the last part of any layer, observers left out. */
    void (*observe)(size_t layer, const app_part *part, uint64_t ticks);
    void (*end)(tn_device_run *run); /* `run` has its ticks already */
} app_mode;

extern const app_mode app_parity;  /* checksum of every layer; only with TN_OBSERVE */
extern const app_mode app_profile; /* deepest use of the stack; with TN_OBSERVE the ticks of every layer */
extern const app_mode app_pushes;  /* ticks of single pushes; only of a streamed model */

/* ---- observed layers ---- */

#ifdef TN_OBSERVE

/* One record a layer, of the mode that ran last. */
typedef union {
    uint32_t *checksums;
    uint64_t *ticks;
} app_layer_records;

app_layer_records app_clear_layers(void);
size_t app_layer_count(void);

/* Called by the generated code whenever a layer has written a part of its output; see app_part. */
void tn_observe(int layer, const void *data, size_t first, size_t runs, size_t run, size_t stride);

#endif

#endif
