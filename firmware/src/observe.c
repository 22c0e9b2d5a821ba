/* What observing a layer costs is taken out of every figure: its time by reading the clock before and after. */
#include "app.h"

#ifdef TN_OBSERVE

#include <string.h>

#include "hal.h"
#include "tn_app_model.h"

static app_observer current;
static uint64_t resumed_at; /* when the model last went on */
static uint64_t set_aside;  /* ticks spent observing since the run began */

static union {
    uint32_t checksums[TN_MODEL_LAYERS];
    uint64_t ticks[TN_MODEL_LAYERS];
} layers;

void tn_observe(int layer, const void *data, size_t first, size_t runs, size_t run, size_t stride)
{
    if (current == NULL || layer < 0 || layer >= TN_MODEL_LAYERS) {
        return;
    }
    const uint64_t arrived_at = hal_ticks();
    const app_part part = {data, first, runs, run, stride};
    current((size_t)layer, &part, arrived_at - resumed_at);
    const uint64_t now = hal_ticks();
    set_aside += now - arrived_at;
    resumed_at = now;
}

int app_run_observed(app_observer observer, uint64_t *ticks)
{
    current = observer;
    set_aside = 0;
    const uint64_t start = hal_ticks();
    resumed_at = start;
    const int status = app_run_model();
    *ticks = hal_ticks() - start - set_aside;
    current = NULL;
    return status;
}

void app_observe_nothing(app_observer observer)
{
    current = observer;
    resumed_at = hal_ticks();
    tn_observe(0, NULL, 0, 0, 0, 0);
    current = NULL;
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
