/* Reliable requests and replies over any byte pipe.
 *
 * The host asks, the device answers, and only the host retransmits: the device needs no timers. A frame is the pair
 * of delimiters around the COBS encoding of header, payload and CRC-32 (tn_protocol.h). A frame that does not decode
 * is counted and dropped; the host asks again. A request that was already answered (same type and sequence number as
 * the last one) is answered again with the kept reply, never carried out twice. At most one request is in flight, so
 * a receive ring of TN_LINK_WIRE_BYTES never overflows while the device is listening.
 *
 * Memory: one received frame and one sent frame of TN_LINK_PAYLOAD + 8 bytes each; nothing is allocated.
 */
#ifndef TN_LINK_H
#define TN_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "tn_cobs.h"
#include "tn_protocol.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Longest payload of a frame in either direction, announced in the hello. 64 to 32768. By default a frame just fits a
 * receive ring of 1024 bytes. */
#ifndef TN_LINK_PAYLOAD
#define TN_LINK_PAYLOAD 992
#endif

#if TN_LINK_PAYLOAD < 64 || TN_LINK_PAYLOAD > 32768
#error "TN_LINK_PAYLOAD must lie between 64 and 32768"
#endif

#define TN_LINK_FRAME_BYTES (TN_HEADER_BYTES + (TN_LINK_PAYLOAD) + TN_CRC_BYTES)
/* Longest frame on the wire with both delimiters. */
#define TN_LINK_WIRE_BYTES (TN_COBS_BYTES(TN_LINK_FRAME_BYTES) + 2u)

/* The byte pipe and the clock, supplied by the firmware. */
typedef struct {
    size_t (*read)(void *context, uint8_t *bytes, size_t max);         /* what is there, 0 to max; never blocks */
    void (*write)(void *context, const uint8_t *bytes, size_t count);  /* returns when all is queued or sent */
    void (*wait)(void *context);                                       /* sleeps until read has something */
    uint64_t (*ticks)(void *context);                                  /* monotonic; its rate is in the hello */
    uint32_t (*lost)(void *context);                                   /* received bytes dropped so far; may be NULL */
    void *context;
} tn_link_port;

/* Numbers since start-up; each wraps. The reply to TN_STATS carries them in this order. */
typedef struct {
    uint32_t bytes;      /* received, delimiters included */
    uint32_t frames;     /* whole and sound */
    uint32_t malformed;  /* COBS block cut short, or too short to be a frame */
    uint32_t corrupted;  /* CRC-32 differs */
    uint32_t oversize;   /* longer than TN_LINK_FRAME_BYTES */
    uint32_t duplicates; /* answered before, answered again */
    uint32_t refused;    /* sound but answered with TN_REFUSED, or no request at all */
    uint32_t replies;    /* sent, TN_BUSY not counted */
} tn_link_counters;

#define TN_LINK_COUNTERS 8u

/* A request for the handler, and where its reply goes. */
typedef struct {
    uint8_t type;
    const uint8_t *payload;
    size_t payload_bytes;
    uint8_t *reply;       /* TN_LINK_PAYLOAD bytes */
    size_t reply_bytes;   /* 0 on entry */
} tn_link_request;

/* Carries out a request; returns 0, or a TN_REFUSED_ code to be sent in place of the reply. */
typedef uint8_t (*tn_link_handler)(void *context, tn_link_request *request);

typedef struct {
    const tn_link_port *port;
    tn_link_handler handler;
    void *handler_context;
    tn_link_counters counters;
    tn_cobs_decoder decoder;
    size_t kept_bytes;       /* of the last reply in sent, 0 before the first */
    uint16_t sequence;       /* of the request being or last carried out */
    uint8_t type;            /* its type */
    uint8_t received[TN_LINK_FRAME_BYTES];
    uint8_t sent[TN_LINK_FRAME_BYTES];
} tn_link;

void tn_link_init(tn_link *link, const tn_link_port *port, tn_link_handler handler, void *handler_context);

/* Take in what the pipe has and answer the requests in it; returns the bytes read, 0 when there was nothing. */
size_t tn_link_poll(tn_link *link);

/* Poll and wait for ever. */
void tn_link_serve(tn_link *link);

/* From inside a handler: tell the host that its request was taken and takes time. */
void tn_link_busy(tn_link *link);

/* Tell the host that the processor has stopped at `exception`. Uses no state that a fault could have broken but the
 * sequence number and port->write. */
void tn_link_fault(tn_link *link, uint32_t exception);

/* Little-endian fields of a payload */
uint16_t tn_get16(const uint8_t *bytes);
uint32_t tn_get32(const uint8_t *bytes);
uint8_t *tn_put16(uint8_t *bytes, uint16_t value); /* returns the byte after the field */
uint8_t *tn_put32(uint8_t *bytes, uint32_t value);
uint8_t *tn_put64(uint8_t *bytes, uint64_t value);

#ifdef __cplusplus
}
#endif

#endif
