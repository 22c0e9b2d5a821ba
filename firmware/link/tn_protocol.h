/* The numbers of the wire protocol; docs/wire-protocol.md explains them, host_tools/link/protocol.py mirrors them. */
#ifndef TN_PROTOCOL_H
#define TN_PROTOCOL_H

#define TN_PROTOCOL_VERSION 2u

/* frame = header | payload | CRC-32 of both, everything little-endian */
#define TN_HEADER_BYTES 4u /* version u8, type u8, sequence u16 */
#define TN_CRC_BYTES 4u

/* Requests, host to device. A request's reply has its type with TN_REPLY set and its sequence number. */
#define TN_HELLO 0x01u        /* nonce u32 */
#define TN_WRITE 0x02u        /* offset u32, bytes: a piece of the model's input block */
#define TN_RUN 0x03u          /* mode u8, CRC-32 of the input block u32 */
#define TN_READ 0x04u         /* region u8, offset u32, count u16 */
#define TN_STREAM_BEGIN 0x05u /* window bytes u32, channels u16, mode u8 */
#define TN_STREAM_PUSH 0x06u  /* position u32, samples */
#define TN_STATS 0x07u        /* nothing */
#define TN_REPLY 0x80u

/* Other device to host types; all carry the sequence number of the request they speak of. */
#define TN_FAULT 0xFDu /* number of the processor exception u32: the device has stopped */
#define TN_BUSY 0xFEu  /* nothing: the request was taken, the model is running */
#define TN_REFUSED 0xFFu /* code u8, type of the request u8 */

/* TN_RUN modes; bit (1 << mode) in the hello's modes says that the device has it. */
#define TN_MODE_INFER 0u
#define TN_MODE_PARITY 1u
#define TN_MODE_PROFILE 2u
#define TN_MODE_STREAM 3u /* entered by TN_STREAM_BEGIN, only a bit of the hello here */
#define TN_MODE_PUSHES 4u /* only after TN_STREAM_BEGIN: every slice is pushed and timed on its own */

/* TN_READ regions */
#define TN_REGION_OUTPUT 0u
#define TN_REGION_LAYERS 1u /* parity: one u32 checksum a layer; profile: one u64 tick count a layer; pushes: one
                             * record: pushes u32, the longest one's number u32, ticks u64 of all pushes together, of
                             * the longest one, of finish */

/* TN_REFUSED codes */
#define TN_REFUSED_VERSION 1u      /* the request is of another protocol version */
#define TN_REFUSED_UNKNOWN 2u      /* no such message */
#define TN_REFUSED_LENGTH 3u       /* the payload's length does not fit the message */
#define TN_REFUSED_RANGE 4u        /* offset, count, window or channels out of range */
#define TN_REFUSED_MODE 5u         /* no such mode or region in this build, or not with this schedule */
#define TN_REFUSED_INPUT 6u        /* the input block is not the one whose CRC-32 the host gave */
#define TN_REFUSED_POSITION 7u     /* these are not the samples that come next in the stream */

/* Payload bytes before the variable part of a message */
#define TN_HELLO_REPLY_BYTES 64u
#define TN_WRITE_BYTES 4u
#define TN_RUN_BYTES 5u
#define TN_READ_BYTES 7u
#define TN_STREAM_BEGIN_BYTES 7u
#define TN_STREAM_PUSH_BYTES 4u
#define TN_RESULT_BYTES 24u
#define TN_STREAM_REPLY_BYTES 12u
#define TN_PUSHES_BYTES 32u

#endif
