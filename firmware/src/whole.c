/* A model that takes its whole input at once: the window lies in memory. */
#include "app.h"

#include "tn_app_model.h"

#ifndef TN_MODEL_SLICES

/* Tensors are read and written as 32-bit words too. */
#define WORDS(bytes) (((bytes) + 3u) / 4u)

static uint32_t input[WORDS(TN_MODEL_INPUT_BYTES)];
static uint32_t output[WORDS(TN_MODEL_OUTPUT_BYTES)];
static tn_model_state state;

static void run_mode(void *context, uint8_t mode, tn_device_run *run)
{
    (void)context;
    app_begin(mode);
    app_resume();
    run->status = tn_model_run(&state, (const int8_t *)input, (int8_t *)output);
    (void)app_pause();
    app_end(run);
}

void app_describe_model(tn_device_model *model)
{
    tn_model_reset(&state);
    model->input = (uint8_t *)input;
    model->output = (const uint8_t *)output;
    model->run = run_mode;
}

#endif
