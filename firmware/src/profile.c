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

/* A layer that was observed right after nothing was done has what being observed costs. */
static void weigh_a_call(void)
{
    layer_ticks = app_clear_layers().ticks;
    call_ticks = 0;
    app_resume();
    tn_observe(0, NULL, 0, 0, 0, 0);
    call_ticks = layer_ticks[0];
    calls_ticks = 0;
    layer_ticks[0] = 0;
}

static void begin(void)
{
    weigh_a_call();
    hal_paint_stack();
}

static void end(tn_device_run *run)
{
    run->stack_bytes = (uint32_t)hal_stack_used();
    run->ticks -= calls_ticks;
    run->layers = layer_ticks;
    run->layers_bytes = (uint32_t)(app_layer_count() * sizeof *layer_ticks);
}

const app_mode app_profile = {begin, observe, end};

#else

static void end(tn_device_run *run)
{
    run->stack_bytes = (uint32_t)hal_stack_used();
}

const app_mode app_profile = {hal_paint_stack, NULL, end};

#endif
