/* nRF51822: 16 MHz, UART0, and TIMER0 as the counter, because the chip has no SysTick. */
#include <stdbool.h>

#include "hal_cortex_m.h"

#define CLOCK_HFCLKSTART HAL_REGISTER(0x40000000u)
#define CLOCK_HFCLKSTARTED HAL_REGISTER(0x40000100u)
#define GPIO_OUTSET HAL_REGISTER(0x50000508u)
#define GPIO_DIRSET HAL_REGISTER(0x50000518u)
#define GPIO_PIN_CNF(pin) HAL_REGISTER(0x50000700u + 4u * (pin))
#define UART_STARTRX HAL_REGISTER(HAL_UART_BASE + 0x000u)
#define UART_STARTTX HAL_REGISTER(HAL_UART_BASE + 0x008u)
#define UART_RXDRDY HAL_REGISTER(HAL_UART_BASE + 0x108u)
#define UART_TXDRDY HAL_REGISTER(HAL_UART_BASE + 0x11Cu)
#define UART_INTENSET HAL_REGISTER(HAL_UART_BASE + 0x304u)
#define UART_ERRORSRC HAL_REGISTER(HAL_UART_BASE + 0x480u)
#define UART_ENABLE HAL_REGISTER(HAL_UART_BASE + 0x500u)
#define UART_PSELTXD HAL_REGISTER(HAL_UART_BASE + 0x50Cu)
#define UART_PSELRXD HAL_REGISTER(HAL_UART_BASE + 0x514u)
#define UART_RXD HAL_REGISTER(HAL_UART_BASE + 0x518u)
#define UART_TXD HAL_REGISTER(HAL_UART_BASE + 0x51Cu)
#define UART_BAUDRATE HAL_REGISTER(HAL_UART_BASE + 0x524u)
#define TIMER_START HAL_REGISTER(0x40008000u)
#define TIMER_STOP HAL_REGISTER(0x40008004u)
#define TIMER_CLEAR HAL_REGISTER(0x4000800Cu)
#define TIMER_CAPTURE0 HAL_REGISTER(0x40008040u)
#define TIMER_BITMODE HAL_REGISTER(0x40008508u)
#define TIMER_PRESCALER HAL_REGISTER(0x40008510u)
#define TIMER_CC0 HAL_REGISTER(0x40008540u)

#define UART_ON 4u
#define INT_RXDRDY (1u << 2)
#define ERROR_OVERRUN 1u
#define PIN_INPUT_PULLED_UP (3u << 2)
#define BITMODE_32 3u
#define TRIGGER 1u
#define WAIT_LIMIT 100000u /* readings; the crystal starts within a few milliseconds */

static bool sending;

/* The rate of the internal oscillator is the crystal's, only less exact. */
uint32_t hal_clock_start(void)
{
    CLOCK_HFCLKSTARTED = 0u;
    CLOCK_HFCLKSTART = TRIGGER;
    for (uint32_t i = 0; i < WAIT_LIMIT && CLOCK_HFCLKSTARTED == 0u; i++) {
    }
    return HAL_CLOCK_HZ;
}

/* The rate's register counts 2^32 / 16 MHz and keeps the upper 20 bits. */
static uint32_t baud_register(uint32_t clock_hz)
{
    const uint64_t exact = (((uint64_t)HAL_UART_BAUD << 32) + clock_hz / 2u) / clock_hz;
    return ((uint32_t)exact + 0x800u) & 0xFFFFF000u;
}

void hal_uart_start(uint32_t clock_hz)
{
    GPIO_OUTSET = 1u << HAL_UART_TX_PIN;
    GPIO_DIRSET = 1u << HAL_UART_TX_PIN;
    GPIO_PIN_CNF(HAL_UART_RX_PIN) = PIN_INPUT_PULLED_UP; /* an open RX pin stays idle */
    UART_PSELTXD = HAL_UART_TX_PIN;
    UART_PSELRXD = HAL_UART_RX_PIN;
    UART_BAUDRATE = baud_register(clock_hz);
    UART_ENABLE = UART_ON;
    UART_RXDRDY = 0u;
    UART_TXDRDY = 0u;
    UART_STARTRX = TRIGGER;
    UART_STARTTX = TRIGGER;
    UART_INTENSET = INT_RXDRDY;
}

void hal_uart_send(uint8_t byte)
{
    while (sending && UART_TXDRDY == 0u) {
    }
    UART_TXDRDY = 0u;
    sending = true;
    UART_TXD = byte;
}

/* The event is cleared before the byte is read: the next byte, already behind it, sets the event again. */
void hal_uart_rx_isr(void)
{
    const uint32_t errors = UART_ERRORSRC;
    if ((errors & ERROR_OVERRUN) != 0u) {
        UART_ERRORSRC = ERROR_OVERRUN;
        hal_receive_lost();
    }
    if (UART_RXDRDY != 0u) {
        UART_RXDRDY = 0u;
        hal_received((uint8_t)UART_RXD);
    }
}

/* ---- TIMER0 counts 32 bits at 16 MHz: it wraps in 268 s, far longer than a model runs between two readings ---- */

static uint32_t last;
static uint64_t rounds; /* what has wrapped, in ticks */

void hal_counter_start(void)
{
    TIMER_STOP = TRIGGER;
    TIMER_BITMODE = BITMODE_32;
    TIMER_PRESCALER = 0u;
    TIMER_CLEAR = TRIGGER;
    last = 0u;
    rounds = 0u;
    TIMER_START = TRIGGER;
}

void hal_counter_stop(void)
{
    TIMER_STOP = TRIGGER;
}

uint64_t hal_counter_read(void)
{
    TIMER_CAPTURE0 = TRIGGER;
    const uint32_t now = TIMER_CC0;
    if (now < last)
        rounds += (uint64_t)1 << 32;
    last = now;
    return rounds + now;
}
