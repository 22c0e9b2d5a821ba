#include "tn_device.h"

#include <string.h>

#include "tn_crc32.h"

#define HASH_BYTES 32u

static uint8_t hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return (uint8_t)(digit - '0');
    }
    return (uint8_t)((digit | 0x20) - 'a' + 10);
}

static uint8_t hello(tn_device *device, tn_link_request *request)
{
    const tn_device_model *model = device->model;
    if (request->payload_bytes != 4u) {
        return TN_REFUSED_LENGTH;
    }
    uint8_t *at = request->reply;
    at = tn_put32(at, tn_get32(request->payload));
    at = tn_put16(at, TN_LINK_PAYLOAD);
    at = tn_put16(at, model->modes);
    at = tn_put32(at, model->input_bytes);
    at = tn_put32(at, model->output_bytes);
    at = tn_put32(at, model->state_bytes);
    at = tn_put32(at, model->ticks_hz);
    at = tn_put16(at, model->layers);
    at = tn_put16(at, model->stream.slices);
    at = tn_put16(at, model->stream.slice_bytes);
    at = tn_put16(at, model->stream.channels);
    for (size_t i = 0; i < HASH_BYTES; i++) {
        *at++ = (uint8_t)(hex_digit(model->hash[2u * i]) << 4 | hex_digit(model->hash[2u * i + 1u]));
    }
    request->reply_bytes = TN_HELLO_REPLY_BYTES;
    return 0;
}

static int has_mode(const tn_device *device, uint8_t mode)
{
    return mode <= TN_MODE_PUSHES && (device->model->modes >> mode & 1u) != 0u;
}

static int is_streamed(const tn_device *device)
{
    return device->model->stream.slices != 0u;
}

/* Runs the model, or ends its stream, and writes the result at `reply`: the fixed part, then as much of the output as
 * fits. */
static uint32_t run_model(tn_device *device, uint8_t mode, uint8_t *reply, uint32_t room)
{
    const tn_device_model *model = device->model;
    const tn_link_port *port = device->link.port;
    tn_link_busy(&device->link);
    memset(&device->last, 0, sizeof device->last);
    const uint64_t start = port->ticks(port->context);
    if (is_streamed(device)) {
        model->stream.finish(model->context, &device->last);
    } else {
        model->run(model->context, mode, &device->last);
    }
    const uint64_t ticks = port->ticks(port->context) - start;
    if (device->last.ticks == 0u) {
        device->last.ticks = device->stream_ticks + ticks;
    }
    device->stream_ticks = 0;

    uint32_t inlined = room - TN_RESULT_BYTES;
    if (inlined > model->output_bytes) {
        inlined = model->output_bytes;
    }
    uint8_t *at = reply;
    at = tn_put32(at, (uint32_t)device->last.status);
    at = tn_put64(at, device->last.ticks);
    at = tn_put32(at, device->last.stack_bytes);
    at = tn_put32(at, device->last.layers_bytes);
    at = tn_put32(at, tn_crc32(0, model->output, model->output_bytes));
    memcpy(at, model->output, inlined);
    return TN_RESULT_BYTES + inlined;
}

static uint8_t write_input(tn_device *device, tn_link_request *request)
{
    const tn_device_model *model = device->model;
    if (request->payload_bytes < TN_WRITE_BYTES) {
        return TN_REFUSED_LENGTH;
    }
    if (is_streamed(device)) {
        return TN_REFUSED_MODE;
    }
    const uint32_t offset = tn_get32(request->payload);
    const uint32_t count = (uint32_t)(request->payload_bytes - TN_WRITE_BYTES);
    if (offset > model->input_bytes || count > model->input_bytes - offset) {
        return TN_REFUSED_RANGE;
    }
    memcpy(model->input + offset, request->payload + TN_WRITE_BYTES, count);
    device->stream_window = 0; /* the block no longer holds the stream's window */
    request->reply_bytes = 0;
    return 0;
}

static uint8_t run_once(tn_device *device, tn_link_request *request)
{
    const tn_device_model *model = device->model;
    if (request->payload_bytes != TN_RUN_BYTES) {
        return TN_REFUSED_LENGTH;
    }
    const uint8_t mode = request->payload[0];
    if (is_streamed(device) || mode == TN_MODE_STREAM || !has_mode(device, mode)) {
        return TN_REFUSED_MODE;
    }
    if (tn_crc32(0, model->input, model->input_bytes) != tn_get32(request->payload + 1)) {
        return TN_REFUSED_INPUT;
    }
    request->reply_bytes = run_model(device, mode, request->reply, TN_LINK_PAYLOAD);
    return 0;
}

static uint8_t read_region(tn_device *device, tn_link_request *request)
{
    if (request->payload_bytes != TN_READ_BYTES) {
        return TN_REFUSED_LENGTH;
    }
    const uint8_t region = request->payload[0];
    const uint32_t offset = tn_get32(request->payload + 1);
    const uint32_t count = tn_get16(request->payload + 5);
    const void *bytes = region == TN_REGION_OUTPUT ? device->model->output : device->last.layers;
    const uint32_t size = region == TN_REGION_OUTPUT ? device->model->output_bytes : device->last.layers_bytes;
    if (region > TN_REGION_LAYERS || bytes == NULL) {
        return TN_REFUSED_MODE;
    }
    if (count > TN_LINK_PAYLOAD || offset > size || count > size - offset) {
        return TN_REFUSED_RANGE;
    }
    memcpy(request->reply, (const uint8_t *)bytes + offset, count);
    request->reply_bytes = count;
    return 0;
}

static int window_fits(const tn_device *device, uint32_t window, uint32_t channels)
{
    const tn_device_stream *stream = &device->model->stream;
    if (is_streamed(device)) {
        return window == (uint32_t)stream->slices * stream->slice_bytes && channels == stream->channels;
    }
    return window != 0u && window <= device->model->input_bytes && channels != 0u && window % channels == 0u;
}

static uint8_t stream_begin(tn_device *device, tn_link_request *request)
{
    if (request->payload_bytes != TN_STREAM_BEGIN_BYTES) {
        return TN_REFUSED_LENGTH;
    }
    const uint32_t window = tn_get32(request->payload);
    const uint32_t channels = tn_get16(request->payload + 4);
    const uint8_t mode = request->payload[6];
    if (!has_mode(device, TN_MODE_STREAM) || mode == TN_MODE_STREAM || !has_mode(device, mode)) {
        return TN_REFUSED_MODE;
    }
    if (!window_fits(device, window, channels)) {
        return TN_REFUSED_RANGE;
    }
    device->stream_window = window;
    device->stream_channels = channels;
    device->stream_mode = mode;
    device->stream_fill = 0;
    device->stream_position = 0;
    device->stream_ticks = 0;
    if (!is_streamed(device)) {
        memset(device->model->input, 0, device->model->input_bytes);
    }
    return 0;
}

/* Samples come slice by slice, one byte a channel; a window holds all of channel 0, then all of channel 1, ... */
static void fill_window(tn_device *device, const uint8_t *samples, uint32_t count)
{
    const uint32_t length = device->stream_window / device->stream_channels;
    uint32_t channel = device->stream_fill % device->stream_channels;
    uint32_t slice = device->stream_fill / device->stream_channels;
    for (uint32_t i = 0; i < count; i++) {
        device->model->input[channel * length + slice] = samples[i];
        channel++;
        if (channel == device->stream_channels) {
            channel = 0;
            slice++;
        }
    }
}

/* Whole slices go from the frame to the model; one that two frames share is put together beside it. */
static void push_slices(tn_device *device, const uint8_t *samples, uint32_t count)
{
    const tn_device_stream *stream = &device->model->stream;
    void *context = device->model->context;
    const uint32_t size = stream->slice_bytes;
    const uint32_t begun = device->stream_fill % size;
    if (begun > 0u) {
        const uint32_t missing = size - begun;
        const uint32_t part = count < missing ? count : missing;
        memcpy(stream->slice + begun, samples, part);
        samples += part;
        count -= part;
        if (part < missing) {
            return;
        }
        stream->push(context, stream->slice, 1);
    }
    const uint32_t whole = count / size;
    if (whole > 0u) {
        stream->push(context, samples, whole);
    }
    memcpy(stream->slice, samples + whole * size, count - whole * size);
}

static void take_samples(tn_device *device, const uint8_t *samples, uint32_t count)
{
    const tn_link_port *port = device->link.port;
    if (count == 0u) {
        return;
    }
    const uint64_t start = port->ticks(port->context);
    if (device->stream_fill == 0u) {
        device->stream_crc = 0;
        if (is_streamed(device)) {
            device->model->stream.begin(device->model->context, device->stream_mode);
        }
    }
    if (is_streamed(device)) {
        push_slices(device, samples, count);
        device->stream_ticks += port->ticks(port->context) - start;
    } else {
        fill_window(device, samples, count);
    }
    device->stream_crc = tn_crc32(device->stream_crc, samples, count);
    device->stream_fill += count;
    device->stream_position += count;
}

static uint8_t stream_push(tn_device *device, tn_link_request *request)
{
    if (request->payload_bytes < TN_STREAM_PUSH_BYTES) {
        return TN_REFUSED_LENGTH;
    }
    if (device->stream_window == 0u || tn_get32(request->payload) != device->stream_position) {
        return TN_REFUSED_POSITION;
    }
    const uint32_t count = (uint32_t)(request->payload_bytes - TN_STREAM_PUSH_BYTES);
    const uint32_t missing = device->stream_window - device->stream_fill;
    take_samples(device, request->payload + TN_STREAM_PUSH_BYTES, count < missing ? count : missing);
    uint32_t result = 0;
    uint32_t complete = 0;
    if (device->stream_fill == device->stream_window) {
        uint8_t *at = request->reply + TN_STREAM_REPLY_BYTES;
        result = run_model(device, device->stream_mode, at, TN_LINK_PAYLOAD - TN_STREAM_REPLY_BYTES);
        complete = 1;
        device->stream_fill = 0;
    }
    (void)tn_put32(tn_put32(tn_put32(request->reply, device->stream_position), complete), device->stream_crc);
    request->reply_bytes = TN_STREAM_REPLY_BYTES + result;
    return 0;
}

static uint8_t stats(const tn_device *device, tn_link_request *request)
{
    const tn_link_counters *counters = &device->link.counters;
    const tn_link_port *port = device->link.port;
    uint8_t *at = request->reply;
    if (request->payload_bytes != 0u) {
        return TN_REFUSED_LENGTH;
    }
    at = tn_put32(at, counters->bytes);
    at = tn_put32(at, counters->frames);
    at = tn_put32(at, counters->malformed);
    at = tn_put32(at, counters->corrupted);
    at = tn_put32(at, counters->oversize);
    at = tn_put32(at, counters->duplicates);
    at = tn_put32(at, counters->refused);
    at = tn_put32(at, counters->replies);
    at = tn_put32(at, port->lost == NULL ? 0u : port->lost(port->context));
    request->reply_bytes = (size_t)(at - request->reply);
    return 0;
}

static uint8_t handle(void *context, tn_link_request *request)
{
    tn_device *device = (tn_device *)context;
    switch (request->type) {
    case TN_HELLO:
        return hello(device, request);
    case TN_WRITE:
        return write_input(device, request);
    case TN_RUN:
        return run_once(device, request);
    case TN_READ:
        return read_region(device, request);
    case TN_STREAM_BEGIN:
        return stream_begin(device, request);
    case TN_STREAM_PUSH:
        return stream_push(device, request);
    case TN_STATS:
        return stats(device, request);
    default:
        return TN_REFUSED_UNKNOWN;
    }
}

void tn_device_init(tn_device *device, const tn_device_model *model, const tn_link_port *port)
{
    memset(device, 0, sizeof *device);
    device->model = model;
    tn_link_init(&device->link, port, handle, device);
}
