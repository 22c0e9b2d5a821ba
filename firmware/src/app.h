/* The device application: one generated model behind the device link.
 *
 * Each mode fills in a tn_device_run; the link library reads the input, sends the output and the layers' records.
 */
#ifndef APP_H
#define APP_H

#include <stddef.h>
#include <stdint.h>

#include "tn_device.h"

/* Run the model once from the input block to the output block; returns the model's code. */
int app_run_model(void);

/* Tell the host that the work goes on. */
void app_busy(void);

void app_infer(tn_device_run *run);   /* outputs */
void app_parity(tn_device_run *run);  /* outputs, checksum of every layer; only with TN_OBSERVE */
void app_profile(tn_device_run *run); /* ticks, stack; with TN_OBSERVE the ticks of every layer */

#ifdef TN_OBSERVE

/* Part of a layer's output: `runs` runs of `run` bytes, back to back at `data`, that lie `stride` bytes apart in the
 * tensor, the first of them at byte `first`. */
typedef struct {
    const uint8_t *data;
    size_t first;
    size_t runs;
    size_t run;
    size_t stride;
} app_part;

/* Sees a part of a layer's output. `ticks`: since the last part of any layer, observers left out. */
typedef void (*app_observer)(size_t layer, const app_part *part, uint64_t ticks);

/* Run the model under observation; returns its code and the ticks of the model alone. */
int app_run_observed(app_observer observer, uint64_t *ticks);

/* Have layer 0 observed right after nothing was done: the ticks told are what being observed costs. */
void app_observe_nothing(app_observer observer);

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
