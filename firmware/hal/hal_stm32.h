/* Between the files of the STM32 families: a wait that ends, and the USART that F1 and F4 have alike. */
#ifndef HAL_STM32_H
#define HAL_STM32_H

#include <stdbool.h>

#include "hal_cortex_m.h"

/* Whether the bits of `mask` become `value` in good time; a crystal starts within a few milliseconds. */
static inline bool hal_becomes(const volatile uint32_t *reg, uint32_t mask, uint32_t value)
{
    enum { READINGS = 100000 };
    for (int i = 0; i < READINGS; i++) {
        if ((*reg & mask) == value)
            return true;
    }
    return false;
}

/* Sets rate and interrupt of the USART at HAL_UART_BASE, whose bus runs at `bus_hz`; pins and clocks are the
 * family's. */
void hal_usart_start(uint32_t bus_hz);

#endif
