/* What the device application may ask of a board: bytes in and out, a clock, a stack gauge.
 *
 * One implementation per family of boards (hal_cmsdk.c, hal_stm32f1.c, hal_nrf51.c, ... over hal_cortex_m.c), and
 * hal_posix.c where the board is this computer. None allocates memory. Every function but hal_fault()
 * is called from thread context only. */
#ifndef HAL_H
#define HAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that may wait for hal_read(): a power of two. */
#ifndef HAL_RX_RING_BYTES
#define HAL_RX_RING_BYTES 1024u
#endif

/* Starts clock, serial port and tick counter, and enables interrupts. Once, first thing in main(). */
void hal_init(void);

/* Copies up to `capacity` received bytes, in order, and returns how many; 0 when none wait. Never blocks. */
size_t hal_read(uint8_t *bytes, size_t capacity);

/* Sends `size` bytes; returns when the last one is in the transmitter. */
void hal_write(const uint8_t *bytes, size_t size);

/* Sleeps until hal_read() has something to give; returns at once when it has already.
 * A byte that arrives between the check and the sleep ends the sleep. */
void hal_wait(void);

/* Bytes lost since hal_init() because the ring was full or the receiver overran; modulo 2^32. */
uint32_t hal_rx_lost(void);

/* Monotonic time since hal_init(), in units of 1 / hal_ticks_hz() seconds, hal_wait()'s sleep left out;
 * never wraps in practice.
 * Real Cortex-M: processor cycles. QEMU with `-icount shift=6`: an instruction takes 64 ns, so that
 * instructions = ticks * 1e9 / (64 * hal_ticks_hz()). Host: nanoseconds. */
uint64_t hal_ticks(void);
uint32_t hal_ticks_hz(void);

/* Fills the unused part of the stack with a pattern; hal_stack_used() then gives the deepest use since,
 * in bytes from the top of the stack, callers of hal_paint_stack() included. 0 means "not measured" (host). */
void hal_paint_stack(void);
size_t hal_stack_used(void);

/* Bytes reserved for the stack at link time; 0 on the host. */
size_t hal_stack_size(void);

/* Called once after a processor fault (stack overflow included), interrupts off, on an emptied stack, with
 * the number of the exception: 3 hard fault, as long as nobody enables 4 memory, 5 bus, 6 usage, 7 secure
 * fault. The application may define it, to tell the host with hal_write(), which works here; the
 * default sends nothing. The processor sleeps for good when it returns. Never called on the host. */
void hal_fault(uint32_t exception);

#ifdef __cplusplus
}
#endif

#endif
