/* STM32F405 and relatives: 168 MHz from crystal or internal oscillator, USART1 on PA9 (TX) and PA10 (RX). */
#include "hal_stm32.h"

#define RCC_CR HAL_REGISTER(0x40023800u)
#define RCC_PLLCFGR HAL_REGISTER(0x40023804u)
#define RCC_CFGR HAL_REGISTER(0x40023808u)
#define RCC_AHB1ENR HAL_REGISTER(0x40023830u)
#define RCC_APB2ENR HAL_REGISTER(0x40023844u)
#define FLASH_ACR HAL_REGISTER(0x40023C00u)
#define GPIOA_MODER HAL_REGISTER(0x40020000u)
#define GPIOA_PUPDR HAL_REGISTER(0x4002000Cu)
#define GPIOA_AFRH HAL_REGISTER(0x40020024u)

#define CR_HSION (1u << 0)
#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLLCFGR_SOURCE_HSE (1u << 22)
#define PLLCFGR_168_MHZ ((336u << 6) | (7u << 24)) /* of a 1 MHz input: x 336, / 2; 48 MHz for USB */
#define CFGR_APB1_BY_4_APB2_BY_2 ((5u << 10) | (4u << 13))
#define CFGR_SWITCH_PLL 2u
#define CFGR_STATUS (3u << 2)
#define CFGR_STATUS_PLL (2u << 2)
#define ACR_CACHES_5_WAITS 0x705u

#define HSI_HZ 16000000u

/* 168 MHz from the crystal, else from the internal oscillator; should the PLL fail, 16 MHz as after reset.
 * The internal oscillator cannot be off here, so an RCC that reads zero is a model without clock
 * control: its processor runs at the full rate already. */
uint32_t hal_clock_start(void)
{
    if ((RCC_CR & CR_HSION) == 0u)
        return HAL_CLOCK_HZ;
    RCC_CR |= CR_HSEON;
    const bool crystal = hal_becomes(&RCC_CR, CR_HSERDY, CR_HSERDY);
    const uint32_t input = crystal ? PLLCFGR_SOURCE_HSE | (HAL_CRYSTAL_HZ / 1000000u) : HSI_HZ / 1000000u;
    RCC_PLLCFGR = PLLCFGR_168_MHZ | input;
    RCC_CR |= CR_PLLON;
    if (!hal_becomes(&RCC_CR, CR_PLLRDY, CR_PLLRDY))
        return HSI_HZ;
    FLASH_ACR = ACR_CACHES_5_WAITS;
    RCC_CFGR = CFGR_APB1_BY_4_APB2_BY_2 | CFGR_SWITCH_PLL;
    if (!hal_becomes(&RCC_CFGR, CFGR_STATUS, CFGR_STATUS_PLL))
        return HSI_HZ;
    return HAL_CLOCK_HZ;
}

void hal_uart_start(uint32_t clock_hz)
{
    const uint32_t apb2_hz = clock_hz == HSI_HZ ? clock_hz : clock_hz / 2u;
    RCC_AHB1ENR |= 1u << 0;
    RCC_APB2ENR |= 1u << 4;
    GPIOA_AFRH = (GPIOA_AFRH & ~0x00000FF0u) | 0x00000770u;
    GPIOA_PUPDR = (GPIOA_PUPDR & ~(3u << 20)) | (1u << 20); /* an open RX pin stays idle */
    GPIOA_MODER = (GPIOA_MODER & ~(0xFu << 18)) | (0xAu << 18);
    hal_usart_start(apb2_hz);
}
