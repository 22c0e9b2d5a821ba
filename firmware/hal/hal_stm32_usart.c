/* The USART of STM32 F1 and F4 (status and data in two registers). */
#include "hal_stm32.h"

#define USART_SR HAL_REGISTER(HAL_UART_BASE + 0x00u)
#define USART_DR HAL_REGISTER(HAL_UART_BASE + 0x04u)
#define USART_BRR HAL_REGISTER(HAL_UART_BASE + 0x08u)
#define USART_CR1 HAL_REGISTER(HAL_UART_BASE + 0x0Cu)

#define SR_OVERRUN (1u << 3)
#define SR_RX_FULL (1u << 5)
#define SR_TX_EMPTY (1u << 7)
#define CR1_RX_TX_AND_RX_INTERRUPT ((1u << 13) | (1u << 5) | (1u << 3) | (1u << 2))

void hal_usart_start(uint32_t bus_hz)
{
    USART_BRR = (bus_hz + HAL_UART_BAUD / 2u) / HAL_UART_BAUD;
    USART_CR1 = CR1_RX_TX_AND_RX_INTERRUPT;
}

void hal_uart_send(uint8_t byte)
{
    while ((USART_SR & SR_TX_EMPTY) == 0u) {
    }
    USART_DR = byte;
}

/* Reading the status, then the data register, also clears the overrun flag. */
void hal_uart_rx_isr(void)
{
    const uint32_t status = USART_SR;
    const uint8_t byte = (uint8_t)USART_DR;
    if ((status & SR_OVERRUN) != 0u)
        hal_receive_lost();
    if ((status & SR_RX_FULL) != 0u)
        hal_received(byte);
}
