/* Profile: ticks of the whole run and, observed, of every layer; deepest use of the stack. */
#include "app.h"

#include "hal.h"

#ifdef TN_OBSERVE

static uint64_t *layer_ticks;
static uint64_t call_ticks;  /* what one call of an observer adds to the figure that it is told */
static uint64_t calls_ticks; /* the same for all calls of the run */

static void observe(size_t layer, const app_part *part, uint64_t ticks)
{
    (void)part;
    const uint64_t cost = ticks < call_ticks ? ticks : call_ticks;
    layer_ticks[layer] += ticks - cost;
    calls_ticks += cost;
}

static void run_layers(tn_device_run *run)
{
    layer_ticks = app_clear_layers().ticks;
    call_ticks = 0;
    app_observe_nothing(observe);
    call_ticks = layer_ticks[0];
    calls_ticks = 0;
    layer_ticks[0] = 0;
    run->status = app_run_observed(observe, &run->ticks);
    run->ticks -= calls_ticks;
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
