/* Profile: ticks of the whole run and, observed, of every layer; deepest use of the stack. */
#include "app.h"

#include "hal.h"

#ifdef TN_OBSERVE

static uint64_t *layer_ticks;

static void observe(size_t layer, const app_part *part, uint64_t ticks)
{
    (void)part;
    layer_ticks[layer] += ticks;
}

static void run_layers(tn_device_run *run)
{
    layer_ticks = app_clear_layers().ticks;
    app_observe_nothing(observe);
    const uint64_t empty = layer_ticks[0];
    layer_ticks[0] = 0;
    run->status = app_run_observed(observe, &run->ticks);
    for (size_t i = 0; i < app_layer_count(); i++) {
        const uint64_t cost = layer_ticks[i] < empty ? layer_ticks[i] : empty;
        layer_ticks[i] -= cost;
        run->ticks -= cost;
    }
    run->layers = layer_ticks;
    run->layers_bytes = (uint32_t)(app_layer_count() * sizeof *layer_ticks);
}

#else

static void run_layers(tn_device_run *run)
{
    const uint64_t start = hal_ticks();
    run->status = app_run_model();
    run->ticks = hal_ticks() - start;
}

#endif

void app_profile(tn_device_run *run)
{
    hal_paint_stack();
    run_layers(run);
    run->stack_bytes = (uint32_t)hal_stack_used();
}
