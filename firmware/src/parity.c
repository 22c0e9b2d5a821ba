/* Parity: every layer's output as one order-free checksum, so that the first layer that differs can be told. */
#include "app.h"

#ifdef TN_OBSERVE

#include "hal.h"
#include "tn_checksum.h"

static uint32_t *checksums;
static uint64_t spoke_at;

static void observe(size_t layer, const app_part *part, uint64_t ticks)
{
    (void)ticks;
    for (size_t i = 0; i < part->runs; i++) {
        checksums[layer] += tn_checksum(part->data + i * part->run, part->run, (uint32_t)(part->first + i * part->stride));
    }
    const uint64_t now = hal_ticks();
    if (now - spoke_at > hal_ticks_hz()) {
        spoke_at = now;
        app_busy();
    }
}

void app_parity(tn_device_run *run)
{
    checksums = app_clear_layers().checksums;
    spoke_at = hal_ticks();
    run->status = app_run_observed(observe, &run->ticks);
    run->layers = checksums;
    run->layers_bytes = (uint32_t)(app_layer_count() * sizeof *checksums);
}

#endif
