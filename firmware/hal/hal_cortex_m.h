/* Between the parts of the Cortex-M implementation: hal_cortex_m.c (start-up, vectors, ticks, stack), a serial driver,
 * a clock and a counter; the board's JSON file names those (`hal`). Applications include hal.h only.
 *
 * The platform defines these per board, from its JSON file:
 *   HAL_CLOCK_HZ        processor clock, at which the counter counts
 *   HAL_UART_BASE       address of the serial port's registers
 *   HAL_UART_RX_IRQ     interrupt number of its receiver
 *   HAL_UART_BAUD       bits per second (no meaning in QEMU, which sends at once)
 *   HAL_UART_RX_PIN, HAL_UART_TX_PIN  hal_nrf51.c only: pins of port 0
 *   HAL_CRYSTAL_HZ      hal_stm32f1.c and hal_stm32f4.c only: the crystal's frequency, a whole number of MHz */
#ifndef HAL_CORTEX_M_H
#define HAL_CORTEX_M_H

#include "hal.h"

#define HAL_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Given by the family. */

/* Brings the processor to HAL_CLOCK_HZ; returns the rate that it really runs at. */
uint32_t hal_clock_start(void);

/* Given by the serial driver. */

/* Starts the serial port with its receive interrupt on; `clock_hz` is hal_clock_start()'s answer. */
void hal_uart_start(uint32_t clock_hz);
/* Waits for room in the transmitter, then gives it one byte. */
void hal_uart_send(uint8_t byte);
/* Interrupt handler: passes what came to hal_received() or hal_receive_lost(). */
void hal_uart_rx_isr(void);

/* Given by the counter: hal_systick.c, or the family where a core has none. Interrupts are off in each. */

void hal_counter_start(void); /* from zero, at HAL_CLOCK_HZ */
void hal_counter_stop(void);
uint64_t hal_counter_read(void); /* ticks since hal_counter_start() */
/* Interrupt handler, only of hal_systick.c. */
void hal_systick_isr(void);

/* Given to the serial driver, for its interrupt handler. */
void hal_received(uint8_t byte);
void hal_receive_lost(void);

#endif
