/* Parity: every layer's output as one order-free checksum, so that the first layer that differs can be told. */
#include "app.h"

#ifdef TN_OBSERVE

#include "hal.h"
#include "tn_checksum.h"

static uint32_t *checksums;
static uint64_t spoke_at;

static void begin(void)
{
    checksums = app_clear_layers().checksums;
}

static void observe(size_t layer, const app_part *part, uint64_t ticks)
{
    (void)ticks;
    for (size_t i = 0; i < part->runs; i++) {
        const uint32_t first = (uint32_t)(part->first + i * part->stride);
        checksums[layer] += tn_checksum(part->data + i * part->run, part->run, first);
    }
    if (spoke_at < app_resumed_at()) {
        spoke_at = app_resumed_at();
    }
    const uint64_t now = hal_ticks();
    if (now - spoke_at > hal_ticks_hz()) {
        spoke_at = now;
        app_busy();
    }
}

static void end(tn_device_run *run)
{
    run->layers = checksums;
    run->layers_bytes = (uint32_t)(app_layer_count() * sizeof *checksums);
}

const app_mode app_parity = {begin, observe, end};

#endif
