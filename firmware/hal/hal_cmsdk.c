/* Arm's FPGA images on the MPS boards: CMSDK UART, a clock that is set before reset. */
#include "hal_cortex_m.h"

#define UART_DATA HAL_REGISTER(HAL_UART_BASE + 0x00u)
#define UART_STATE HAL_REGISTER(HAL_UART_BASE + 0x04u)
#define UART_CTRL HAL_REGISTER(HAL_UART_BASE + 0x08u)
#define UART_INTCLEAR HAL_REGISTER(HAL_UART_BASE + 0x0Cu)
#define UART_BAUDDIV HAL_REGISTER(HAL_UART_BASE + 0x10u)

#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define STATE_RX_OVERRUN 8u
#define CTRL_TX_RX_AND_RX_INTERRUPT 0x0Bu
#define INT_RX 2u
#define BAUDDIV_MIN 16u /* the port's lower bound */

uint32_t hal_clock_start(void)
{
    return HAL_CLOCK_HZ;
}

void hal_uart_start(uint32_t clock_hz)
{
    const uint32_t divider = clock_hz / HAL_UART_BAUD;
    UART_BAUDDIV = divider < BAUDDIV_MIN ? BAUDDIV_MIN : divider;
    UART_CTRL = CTRL_TX_RX_AND_RX_INTERRUPT;
}

void hal_uart_send(uint8_t byte)
{
    while ((UART_STATE & STATE_TX_FULL) != 0u) {
    }
    UART_DATA = byte;
}

void hal_uart_rx_isr(void)
{
    UART_INTCLEAR = INT_RX;
    const uint32_t state = UART_STATE;
    if ((state & STATE_RX_OVERRUN) != 0u) {
        UART_STATE = STATE_RX_OVERRUN;
        hal_receive_lost();
    }
    if ((state & STATE_RX_FULL) != 0u)
        hal_received((uint8_t)UART_DATA);
}
