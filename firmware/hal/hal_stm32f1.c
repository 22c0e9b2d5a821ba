/* STM32F100 "value line": 24 MHz from crystal or internal oscillator, USART1 on PA9 (TX) and PA10 (RX). */
#include "hal_stm32.h"

#define RCC_CR HAL_REGISTER(0x40021000u)
#define RCC_CFGR HAL_REGISTER(0x40021004u)
#define RCC_APB2ENR HAL_REGISTER(0x40021018u)
#define RCC_CFGR2 HAL_REGISTER(0x4002102Cu)
#define GPIOA_CRH HAL_REGISTER(0x40010804u)
#define GPIOA_ODR HAL_REGISTER(0x4001080Cu)

#define CR_HSION (1u << 0)
#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define CFGR_SOURCE_HSE (1u << 16) /* after the divider of CFGR2; otherwise half of the internal oscillator */
#define CFGR_DIVIDER_BIT_0 17      /* of that divider: the same bit in both registers */
#define CFGR_TIMES(factor) (((factor) - 2u) << 18)
#define CFGR_SWITCH_PLL 2u
#define CFGR_STATUS (3u << 2)
#define CFGR_STATUS_PLL (2u << 2)
#define APB2_PORT_A_AND_USART1 ((1u << 14) | (1u << 2))
#define CRH_PINS_9_AND_10 0x00000FF0u
#define CRH_TX_DRIVES_RX_PULLED 0x000008B0u

#define MHZ 1000000u
#define HSI_HZ (8u * MHZ)

/* 24 MHz from the crystal, else from the internal oscillator; should the PLL fail, 8 MHz as after reset.
 * The internal oscillator cannot be off here, so an RCC that reads zero is a model without clock
 * control: its processor runs at the full rate already. */
uint32_t hal_clock_start(void)
{
    if ((RCC_CR & CR_HSION) == 0u)
        return HAL_CLOCK_HZ;
    RCC_CR |= CR_HSEON;
    uint32_t plan = CFGR_TIMES(HAL_CLOCK_HZ / (HSI_HZ / 2u));
    if (hal_becomes(&RCC_CR, CR_HSERDY, CR_HSERDY)) {
        const uint32_t divider = HAL_CRYSTAL_HZ / (4u * MHZ) - 1u;
        RCC_CFGR2 = divider;
        plan = CFGR_SOURCE_HSE | (divider & 1u) << CFGR_DIVIDER_BIT_0 | CFGR_TIMES(HAL_CLOCK_HZ / (4u * MHZ));
    }
    RCC_CFGR = plan;
    RCC_CR |= CR_PLLON;
    if (!hal_becomes(&RCC_CR, CR_PLLRDY, CR_PLLRDY))
        return HSI_HZ;
    RCC_CFGR = plan | CFGR_SWITCH_PLL; /* flash needs no wait states up to 24 MHz */
    if (!hal_becomes(&RCC_CFGR, CFGR_STATUS, CFGR_STATUS_PLL))
        return HSI_HZ;
    return HAL_CLOCK_HZ;
}

void hal_uart_start(uint32_t clock_hz)
{
    RCC_APB2ENR |= APB2_PORT_A_AND_USART1;
    GPIOA_ODR |= 1u << 10; /* an open RX pin stays idle */
    GPIOA_CRH = (GPIOA_CRH & ~CRH_PINS_9_AND_10) | CRH_TX_DRIVES_RX_PULLED;
    hal_usart_start(clock_hz);
}
