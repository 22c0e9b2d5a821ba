/* One inference under the eyes of a mode: its clock and its observers. */
#include "app.h"

#include <string.h>

#include "hal.h"
#include "tn_app_model.h"

static const app_mode infer = {NULL, NULL, NULL};

static const app_mode *current = &infer;
static uint64_t started_at; /* of the piece under way */
static uint64_t resumed_at; /* when the model last went on */
static uint64_t set_aside;  /* ticks spent observing since the piece began */
static uint64_t total;
static uint64_t pause_ticks; /* what a piece in which nothing happens takes */

static const app_mode *mode_of(uint8_t mode)
{
    switch (mode) {
    case TN_MODE_PROFILE:
        return &app_profile;
#ifdef TN_OBSERVE
    case TN_MODE_PARITY:
        return &app_parity;
#endif
#ifdef TN_MODEL_SLICES
    case TN_MODE_PUSHES:
        return &app_pushes;
#endif
    default:
        return &infer;
    }
}

/* The mean of several: a tick is longer than an instruction on some boards. */
static void weigh_the_clock(void)
{
    enum { PAUSES = 16 };
    total = 0;
    pause_ticks = 0;
    for (int i = 0; i < PAUSES; i++) {
        app_resume();
        (void)app_pause();
    }
    pause_ticks = (total + PAUSES / 2u) / PAUSES;
    total = 0;
}

void app_begin(uint8_t mode)
{
    weigh_the_clock();
    current = mode_of(mode);
    if (current->begin != NULL) {
        current->begin();
    }
}

void app_resume(void)
{
    set_aside = 0;
    started_at = hal_ticks();
    resumed_at = started_at;
}

uint64_t app_pause(void)
{
    const uint64_t ticks = hal_ticks() - started_at - set_aside;
    const uint64_t piece = ticks < pause_ticks ? 0u : ticks - pause_ticks;
    total += piece;
    return piece;
}

uint64_t app_resumed_at(void)
{
    return started_at;
}

void app_end(tn_device_run *run)
{
    run->ticks = total;
    if (current->end != NULL) {
        current->end(run);
    }
}

#ifdef TN_OBSERVE

static union {
    uint32_t checksums[TN_MODEL_LAYERS];
    uint64_t ticks[TN_MODEL_LAYERS];
} layers;

void tn_observe(int layer, const void *data, size_t first, size_t runs, size_t run, size_t stride)
{
    if (current->observe == NULL || layer < 0 || layer >= TN_MODEL_LAYERS) {
        return;
    }
    const uint64_t arrived_at = hal_ticks();
    const app_part part = {data, first, runs, run, stride};
    current->observe((size_t)layer, &part, arrived_at - resumed_at);
    const uint64_t now = hal_ticks();
    set_aside += now - arrived_at;
    resumed_at = now;
}

app_layer_records app_clear_layers(void)
{
    memset(&layers, 0, sizeof layers);
    return (app_layer_records){.ticks = layers.ticks};
}

size_t app_layer_count(void)
{
    return TN_MODEL_LAYERS;
}

#endif
