/* Between the parts of the Cortex-M implementation: hal_cortex_m.c (start-up, vectors, clock tick, stack)
 * and one serial driver (hal_cmsdk.c or hal_stm32f4.c). Applications include hal.h only.
 *
 * The platform defines these per board, from its JSON file:
 *   HAL_CLOCK_HZ        processor clock that the tick counter counts
 *   HAL_UART_BASE       address of the serial port's registers
 *   HAL_UART_RX_IRQ     interrupt number of its receiver
 *   HAL_UART_BAUD       bits per second (no meaning in QEMU, which sends at once)
 *   HAL_CRYSTAL_HZ      hal_stm32f4.c only: the crystal's frequency, a whole number of MHz */
#ifndef HAL_CORTEX_M_H
#define HAL_CORTEX_M_H

#include "hal.h"

#define HAL_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Given by the serial driver. */

/* Brings the processor to HAL_CLOCK_HZ; returns the rate that it really runs at. */
uint32_t hal_clock_start(void);
/* Starts the serial port with its receive interrupt on; `clock_hz` is hal_clock_start()'s answer. */
void hal_uart_start(uint32_t clock_hz);
/* Waits for room in the transmitter, then gives it one byte. */
void hal_uart_send(uint8_t byte);
/* Interrupt handler: passes what came to hal_received() or hal_receive_lost(). */
void hal_uart_rx_isr(void);

/* Given to the serial driver, for its interrupt handler. */
void hal_received(uint8_t byte);
void hal_receive_lost(void);

#endif
