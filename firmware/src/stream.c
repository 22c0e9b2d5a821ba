/* A streamed model: slices go from the link's frame into the model, and the window is never in memory. */
#include "app.h"

#include <string.h>

#include "tn_app_model.h"

#ifdef TN_MODEL_SLICES

/* Tensors are written as 32-bit words too. */
#define WORDS(bytes) (((bytes) + 3u) / 4u)

/* The hello and the link count in 16 bits. */
typedef char slices_can_be_told[TN_MODEL_SLICES <= 65535 && TN_MODEL_SLICE_BYTES <= 65535 ? 1 : -1];

/* Little-endian, as the host reads it; see TN_REGION_LAYERS. */
typedef struct {
    uint32_t pushes;
    uint32_t longest_at;
    uint64_t ticks;
    uint64_t longest_ticks;
    uint64_t finish_ticks;
} push_record;

typedef char record_has_the_protocols_size[sizeof(push_record) == TN_PUSHES_BYTES ? 1 : -1];

static uint32_t output[WORDS(TN_MODEL_OUTPUT_BYTES)];
static uint8_t app_shared_slice[TN_MODEL_SLICE_BYTES];
static tn_model_state state;
static push_record record;
static uint8_t window_mode;

static void note_push(uint64_t ticks)
{
    if (ticks > record.longest_ticks) {
        record.longest_ticks = ticks;
        record.longest_at = record.pushes;
    }
    record.ticks += ticks;
    record.pushes++;
}

static void push_one_by_one(const uint8_t *samples, uint32_t slices)
{
    for (; slices > 0u; slices--, samples += TN_MODEL_SLICE_BYTES) {
        app_resume();
        tn_model_push(&state, (const int8_t *)samples, 1);
        note_push(app_pause());
    }
}

static void begin(void *context, uint8_t mode)
{
    (void)context;
    window_mode = mode;
    app_begin(mode);
    app_resume();
    tn_model_reset(&state);
    (void)app_pause();
}

static void push(void *context, const uint8_t *samples, uint32_t slices)
{
    (void)context;
    if (window_mode == TN_MODE_PUSHES) {
        push_one_by_one(samples, slices);
        return;
    }
    app_resume();
    tn_model_push(&state, (const int8_t *)samples, slices);
    (void)app_pause();
}

static void finish(void *context, tn_device_run *run)
{
    (void)context;
    app_resume();
    run->status = tn_model_finish(&state, (int8_t *)output);
    record.finish_ticks = app_pause();
    app_end(run);
}

static void clear_record(void)
{
    memset(&record, 0, sizeof record);
}

static void give_record(tn_device_run *run)
{
    run->layers = &record;
    run->layers_bytes = sizeof record;
}

const app_mode app_pushes = {clear_record, NULL, give_record};

void app_describe_model(tn_device_model *model)
{
    tn_model_reset(&state);
    model->output = (const uint8_t *)output;
    model->modes |= 1u << TN_MODE_PUSHES;
    model->stream = (tn_device_stream){
        .slices = TN_MODEL_SLICES,
        .slice_bytes = TN_MODEL_SLICE_BYTES,
        .channels = TN_MODEL_SLICE_CHANNELS,
        .slice = app_shared_slice,
        .begin = begin,
        .push = push,
        .finish = finish,
    };
}

#endif
