#include "tn_link.h"

#include <string.h>

#include "tn_crc32.h"

uint16_t tn_get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | ((uint32_t)bytes[1] << 8));
}

uint32_t tn_get32(const uint8_t *bytes)
{
    return (uint32_t)tn_get16(bytes) | ((uint32_t)tn_get16(bytes + 2) << 16);
}

uint8_t *tn_put16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
    return bytes + 2;
}

uint8_t *tn_put32(uint8_t *bytes, uint32_t value)
{
    return tn_put16(tn_put16(bytes, (uint16_t)value), (uint16_t)(value >> 16));
}

uint8_t *tn_put64(uint8_t *bytes, uint64_t value)
{
    return tn_put32(tn_put32(bytes, (uint32_t)value), (uint32_t)(value >> 32));
}

void tn_link_init(tn_link *link, const tn_link_port *port, tn_link_handler handler, void *handler_context)
{
    memset(link, 0, sizeof *link);
    link->port = port;
    link->handler = handler;
    link->handler_context = handler_context;
    tn_cobs_decoder_init(&link->decoder, link->received, sizeof link->received);
}

/* The delimiter in front ends whatever noise came before, so that noise never costs a frame. */
static void transmit(tn_link *link, const uint8_t *frame, size_t count)
{
    static const uint8_t delimiter = 0;
    const tn_link_port *port = link->port;
    port->write(port->context, &delimiter, 1);
    tn_cobs_encode(frame, count, port->write, port->context);
    port->write(port->context, &delimiter, 1);
}

/* Completes a frame whose payload is in place; returns its bytes. */
static size_t seal(const tn_link *link, uint8_t *frame, uint8_t type, size_t payload_bytes)
{
    const size_t covered = TN_HEADER_BYTES + payload_bytes;
    frame[0] = TN_PROTOCOL_VERSION;
    frame[1] = type;
    (void)tn_put16(frame + 2, link->sequence);
    (void)tn_put32(frame + covered, tn_crc32(0, frame, covered));
    return covered + TN_CRC_BYTES;
}

void tn_link_busy(tn_link *link)
{
    uint8_t frame[TN_HEADER_BYTES + TN_CRC_BYTES];
    transmit(link, frame, seal(link, frame, TN_BUSY, 0));
}

void tn_link_fault(tn_link *link, uint32_t exception)
{
    uint8_t frame[TN_HEADER_BYTES + 4u + TN_CRC_BYTES];
    (void)tn_put32(frame + TN_HEADER_BYTES, exception);
    transmit(link, frame, seal(link, frame, TN_FAULT, 4));
}

static void reply(tn_link *link, uint8_t type, size_t payload_bytes)
{
    link->kept_bytes = seal(link, link->sent, type, payload_bytes);
    link->counters.replies++;
    transmit(link, link->sent, link->kept_bytes);
}

static void refuse(tn_link *link, uint8_t code)
{
    uint8_t *payload = link->sent + TN_HEADER_BYTES;
    link->counters.refused++;
    payload[0] = code;
    payload[1] = link->type;
    reply(link, TN_REFUSED, 2);
}

/* A hello starts a session: its sequence number may be that of an earlier session's last request. */
static int answered_before(const tn_link *link, uint8_t type, uint16_t sequence)
{
    return link->kept_bytes > 0u && type != TN_HELLO && type == link->type && sequence == link->sequence;
}

static void take_request(tn_link *link, size_t payload_bytes)
{
    const uint8_t *frame = link->received;
    const uint8_t type = frame[1];
    const uint16_t sequence = tn_get16(frame + 2);
    if (answered_before(link, type, sequence)) {
        link->counters.duplicates++;
        link->counters.replies++;
        transmit(link, link->sent, link->kept_bytes);
        return;
    }
    link->type = type;
    link->sequence = sequence;
    if (frame[0] != TN_PROTOCOL_VERSION) {
        refuse(link, TN_REFUSED_VERSION);
        return;
    }
    tn_link_request request = {
        .type = type,
        .payload = frame + TN_HEADER_BYTES,
        .payload_bytes = payload_bytes,
        .reply = link->sent + TN_HEADER_BYTES,
        .reply_bytes = 0,
    };
    link->kept_bytes = 0;
    const uint8_t refusal = link->handler(link->handler_context, &request);
    if (refusal != 0u) {
        refuse(link, refusal);
    } else {
        reply(link, (uint8_t)(type | TN_REPLY), request.reply_bytes);
    }
}

static void take_frame(tn_link *link, size_t count)
{
    if (count < TN_HEADER_BYTES + TN_CRC_BYTES) {
        link->counters.malformed++;
        return;
    }
    const size_t covered = count - TN_CRC_BYTES;
    if (tn_crc32(0, link->received, covered) != tn_get32(link->received + covered)) {
        link->counters.corrupted++;
        return;
    }
    link->counters.frames++;
    if ((link->received[1] & TN_REPLY) != 0u) {
        link->counters.refused++; /* our own echo, or another device: answering would never end */
        return;
    }
    take_request(link, covered - TN_HEADER_BYTES);
}

static void take_byte(tn_link *link, uint8_t byte)
{
    size_t count = 0;
    switch (tn_cobs_decode(&link->decoder, byte, &count)) {
    case TN_COBS_FRAME:
        take_frame(link, count);
        break;
    case TN_COBS_MALFORMED:
        link->counters.malformed++;
        break;
    case TN_COBS_OVERSIZE:
        link->counters.oversize++;
        break;
    case TN_COBS_MORE:
        break;
    }
}

size_t tn_link_poll(tn_link *link)
{
    uint8_t bytes[32];
    const size_t count = link->port->read(link->port->context, bytes, sizeof bytes);
    link->counters.bytes += (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        take_byte(link, bytes[i]);
    }
    return count;
}

void tn_link_serve(tn_link *link)
{
    for (;;) {
        if (tn_link_poll(link) == 0u) {
            link->port->wait(link->port->context);
        }
    }
}
