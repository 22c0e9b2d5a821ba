/* The counter of cores that have SysTick: 24 bits, its interrupt counts the wraps. */
#include "hal_cortex_m.h"

#define SYST_CSR HAL_REGISTER(0xE000E010u)
#define SYST_RVR HAL_REGISTER(0xE000E014u)
#define SYST_CVR HAL_REGISTER(0xE000E018u)
#define SCB_ICSR HAL_REGISTER(0xE000ED04u)

#define SYST_CSR_RUN 7u /* processor clock, interrupt at zero, enabled */
#define SCB_ICSR_PENDSTSET (1u << 26)
#define SYST_RELOAD 0xFFFFFFu

static volatile uint32_t wraps;

void hal_systick_isr(void)
{
    wraps++;
}

void hal_counter_start(void)
{
    wraps = 0u;
    SYST_RVR = SYST_RELOAD;
    SYST_CVR = 0u;
    SYST_CSR = SYST_CSR_RUN;
}

void hal_counter_stop(void)
{
    SYST_CSR = 0u;
}

/* The counter may pass zero between the reading of `wraps` and the interrupt: then the interrupt is pending,
 * and a second reading belongs to the new round. A second reading of zero is the last tick of the old round still. */
uint64_t hal_counter_read(void)
{
    uint32_t rounds = wraps;
    uint32_t left = SYST_CVR;
    if ((SCB_ICSR & SCB_ICSR_PENDSTSET) != 0u) {
        left = SYST_CVR;
        if (left != 0u)
            rounds++;
    }
    return ((uint64_t)rounds << 24) + (SYST_RELOAD - left);
}
