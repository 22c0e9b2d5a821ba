/* Device application: serves one generated model over the board's serial port. */
#include "app.h"

#include "hal.h"
#include "tn_app_model.h"

static tn_device app_link;

/* At most one frame is under way, and a repeated small request or two while the model runs. */
typedef char receive_ring_holds_a_frame[HAL_RX_RING_BYTES >= TN_LINK_WIRE_BYTES ? 1 : -1];

void app_busy(void)
{
    tn_link_busy(&app_link.link);
}

/* The host learns why the device fell silent. */
void hal_fault(uint32_t exception)
{
    tn_link_fault(&app_link.link, exception);
}

static size_t port_read(void *context, uint8_t *bytes, size_t max)
{
    (void)context;
    return hal_read(bytes, max);
}

static void port_write(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    hal_write(bytes, count);
}

static uint64_t port_ticks(void *context)
{
    (void)context;
    return hal_ticks();
}

static void port_wait(void *context)
{
    (void)context;
    hal_wait();
}

static uint32_t port_lost(void *context)
{
    (void)context;
    return hal_rx_lost();
}

#ifdef TN_OBSERVE
#define PARITY_BIT (1u << TN_MODE_PARITY)
#else
#define PARITY_BIT 0u
#endif

static tn_device_model model = {
    .hash = TN_MODEL_HASH,
    .input_bytes = TN_MODEL_INPUT_BYTES,
    .output_bytes = TN_MODEL_OUTPUT_BYTES,
    .state_bytes = TN_MODEL_STATE_BYTES,
    .layers = TN_MODEL_LAYERS,
    .modes = 1u << TN_MODE_INFER | 1u << TN_MODE_PROFILE | 1u << TN_MODE_STREAM | PARITY_BIT,
};

static const tn_link_port port = {
    .read = port_read,
    .write = port_write,
    .wait = port_wait,
    .ticks = port_ticks,
    .lost = port_lost,
};

int main(void)
{
    hal_init();
    model.ticks_hz = hal_ticks_hz();
    app_describe_model(&model);
    tn_device_init(&app_link, &model, &port);
    tn_link_serve(&app_link.link);
}
