/* Cortex-M: reset and vectors, receive ring, ticks, sleep, stack gauge, faults. Any ARMv6-M to ARMv8.1-M. */
#include <string.h>

#include "hal_cortex_m.h"

#if (HAL_RX_RING_BYTES & (HAL_RX_RING_BYTES - 1u)) != 0u
#error "HAL_RX_RING_BYTES must be a power of two"
#endif

/* From the linker script. The stack is the first thing in RAM: whoever overruns it leaves RAM and faults. */
extern uint32_t _stack_limit[], _stack_top[];
extern uint8_t _data_start[], _data_end[], _data_load[], _bss_start[], _bss_end[];

/* Through integers: to the compiler, two symbols are two objects, whose pointers must not be subtracted. */
#define BYTES_BETWEEN(start, end) ((size_t)((uintptr_t)(end) - (uintptr_t)(start)))

#define NVIC_ISER(irq) HAL_REGISTER(0xE000E100u + 4u * ((irq) / 32u))
#define SCB_VTOR HAL_REGISTER(0xE000ED08u)

#define STACK_PATTERN 0xA5A5A5A5u

int main(void);
__attribute__((noreturn)) void hal_start(void);
void hal_reset(void);
void hal_fault_isr(void);
__attribute__((noreturn)) void hal_fault_entry(uint32_t exception);

/* NULL on boards that count with another timer. */
__attribute__((weak)) void hal_systick_isr(void);

typedef union {
    uint32_t *stack;
    void (*handler)(void);
} hal_vector;

/* Interrupts that nobody enables have no vector; taking one would end in a fault, which is reported. */
__attribute__((section(".vectors"), used)) static const hal_vector hal_vectors[16u + HAL_UART_RX_IRQ + 1u] = {
    [0] = {.stack = _stack_top},         [1] = {.handler = hal_reset},     [2] = {.handler = hal_fault_isr},
    [3] = {.handler = hal_fault_isr},    [4] = {.handler = hal_fault_isr}, [5] = {.handler = hal_fault_isr},
    [6] = {.handler = hal_fault_isr},    [7] = {.handler = hal_fault_isr}, [11] = {.handler = hal_fault_isr},
    [12] = {.handler = hal_fault_isr},   [14] = {.handler = hal_fault_isr},
    [15] = {.handler = hal_systick_isr},    [16u + HAL_UART_RX_IRQ] = {.handler = hal_uart_rx_isr},
};

/* Assembly, because the compiler may use FP or MVE registers in any C function: those are off at reset. */
__attribute__((naked, noreturn)) void hal_reset(void)
{
    __asm volatile(
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
        "ldr r0, =0xE000ED88   \n" /* CPACR */
        "ldr r1, [r0]          \n"
        "ldr r2, =0x00F00000   \n" /* full access to CP10 and CP11 */
        "orrs r1, r2           \n"
        "str r1, [r0]          \n"
        "dsb                   \n"
        "isb                   \n"
#endif
#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
        "ldr r0, =_stack_limit \n"
        "msr msplim, r0        \n"
#endif
        "ldr r0, =hal_start    \n"
        "bx r0                 \n");
}

void hal_start(void)
{
#if __ARM_ARCH >= 7
    SCB_VTOR = (uint32_t)(uintptr_t)hal_vectors; /* a boot loader, or a debugger, may have set another */
#endif
    memcpy(_data_start, _data_load, BYTES_BETWEEN(_data_start, _data_end));
    memset(_bss_start, 0, BYTES_BETWEEN(_bss_start, _bss_end));
    (void)main();
    for (;;)
        __asm volatile("wfi");
}

/* ---- faults ---- */

/* The stack may be the very thing that is broken: start over with an empty one. */
__attribute__((naked, noreturn)) void hal_fault_isr(void)
{
    __asm volatile(
        "cpsid i              \n"
        "ldr r0, =_stack_top  \n"
        "mov sp, r0           \n"
        "mrs r0, ipsr         \n"
        "ldr r1, =hal_fault_entry \n"
        "bx r1                \n");
}

__attribute__((weak)) void hal_fault(uint32_t exception)
{
    (void)exception;
}

void hal_fault_entry(uint32_t exception)
{
    hal_counter_stop();
    hal_fault(exception);
    for (;;)
        __asm volatile("wfi");
}

/* ---- receive ring: the interrupt moves `head`, the reader moves `tail`; both run on, modulo 2^32 ---- */

static struct {
    volatile uint32_t head;
    volatile uint32_t tail;
    volatile uint32_t lost;
    uint8_t bytes[HAL_RX_RING_BYTES];
} hal_rx_ring;

void hal_receive_lost(void)
{
    hal_rx_ring.lost++;
}

void hal_received(uint8_t byte)
{
    const uint32_t head = hal_rx_ring.head;
    if (head - hal_rx_ring.tail == HAL_RX_RING_BYTES) {
        hal_receive_lost();
        return;
    }
    hal_rx_ring.bytes[head & (HAL_RX_RING_BYTES - 1u)] = byte;
    hal_rx_ring.head = head + 1u;
}

size_t hal_read(uint8_t *bytes, size_t capacity)
{
    const uint32_t tail = hal_rx_ring.tail;
    const uint32_t waiting = hal_rx_ring.head - tail;
    const uint32_t count = waiting < capacity ? waiting : (uint32_t)capacity;
    __asm volatile("" ::: "memory"); /* the bytes are read after `head`, and before `tail` moves */
    for (uint32_t i = 0; i < count; i++)
        bytes[i] = hal_rx_ring.bytes[(tail + i) & (HAL_RX_RING_BYTES - 1u)];
    __asm volatile("" ::: "memory");
    hal_rx_ring.tail = tail + count;
    return count;
}

uint32_t hal_rx_lost(void)
{
    return hal_rx_ring.lost;
}

void hal_write(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hal_uart_send(bytes[i]);
}

/* ---- ticks ---- */

static struct {
    uint64_t past; /* before the last start of the counter */
    uint32_t hz;
} ticks;

uint64_t hal_ticks(void)
{
    __asm volatile("cpsid i" ::: "memory");
    const uint64_t now = ticks.past + hal_counter_read();
    __asm volatile("cpsie i" ::: "memory");
    return now;
}

uint32_t hal_ticks_hz(void)
{
    return ticks.hz;
}

/* ---- sleep ---- */

/* With interrupts masked a pending one still ends WFI, so no byte can slip in between check and sleep.
 * The tick counter stands still meanwhile: it would wake the processor at every wrap, and QEMU with
 * `sleep=off` leaps from one wrap to the next and never rests. */
void hal_wait(void)
{
    __asm volatile("cpsid i" ::: "memory");
    if (hal_rx_ring.head == hal_rx_ring.tail) {
        ticks.past += hal_counter_read();
        hal_counter_stop();
        do {
            __asm volatile("dsb \n wfi \n cpsie i \n isb \n cpsid i" ::: "memory");
        } while (hal_rx_ring.head == hal_rx_ring.tail);
        hal_counter_start();
    }
    __asm volatile("cpsie i" ::: "memory");
}

void hal_init(void)
{
    ticks.hz = hal_clock_start();
    hal_uart_start(ticks.hz);
    NVIC_ISER(HAL_UART_RX_IRQ) = 1u << (HAL_UART_RX_IRQ % 32u);
    hal_counter_start();
    __asm volatile("cpsie i" ::: "memory");
}

/* ---- stack gauge ---- */

/* Assembly, because a compiled function may push registers after it has read the stack pointer. */
__attribute__((naked)) void hal_paint_stack(void)
{
    __asm volatile(
        "ldr r0, =_stack_limit \n"
        "ldr r1, =0xA5A5A5A5   \n" /* STACK_PATTERN */
        "mov r2, sp            \n"
        "1:                    \n"
        "cmp r0, r2            \n"
        "bhs 2f                \n"
        "stmia r0!, {r1}       \n"
        "b 1b                  \n"
        "2:                    \n"
        "bx lr                 \n");
}

size_t hal_stack_used(void)
{
    const volatile uint32_t *stack = _stack_limit;
    const size_t words = hal_stack_size() / sizeof(uint32_t);
    size_t untouched = 0;
    while (untouched < words && stack[untouched] == STACK_PATTERN)
        untouched++;
    return (words - untouched) * sizeof(uint32_t);
}

size_t hal_stack_size(void)
{
    return BYTES_BETWEEN(_stack_limit, _stack_top);
}
