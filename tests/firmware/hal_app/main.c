/* Exercises hal.h on a board: one command letter, a 32-bit argument (little-endian), then the reply.
 *   E n + n bytes   the bytes again
 *   L n             ticks for a loop of 2 * n instructions (64 bits), ticks per second (32 bits)
 *   T n             n readings of hal_ticks(): how many went backwards, smallest and largest step
 *   P n             stack used after a function with n bytes of locals, stack reserved
 *   D n             reads nothing until n bytes are lost; then bytes kept, bytes lost
 *   M n             n / 3.0f as bits, by FP (and MVE where there is any)
 *   F 0 / F 1 / F 2 dies: undefined instruction / stack overflow / call through a null pointer */
#include <stdint.h>

#include "hal.h"

static void get(void *out, size_t size)
{
    uint8_t *bytes = out;
    while (size > 0) {
        const size_t count = hal_read(bytes, size);
        if (count == 0)
            hal_wait();
        bytes += count;
        size -= count;
    }
}

static void put32(uint32_t value)
{
    hal_write((const uint8_t *)&value, sizeof value);
}

static void put64(uint64_t value)
{
    hal_write((const uint8_t *)&value, sizeof value);
}

static void spin(uint32_t rounds)
{
    __asm volatile(
        ".syntax unified \n"
        ".p2align 3 \n"
        "1: subs %0, %0, #1 \n"
        "bne 1b \n"
        : "+r"(rounds)
        :
        : "cc");
}

static void echo(uint32_t size)
{
    uint8_t bytes[64];
    while (size > 0) {
        const uint32_t count = size < sizeof bytes ? size : (uint32_t)sizeof bytes;
        get(bytes, count);
        hal_write(bytes, count);
        size -= count;
    }
}

static void time_loop(uint32_t rounds)
{
    const uint64_t before = hal_ticks();
    spin(rounds);
    put64(hal_ticks() - before);
    put32(hal_ticks_hz());
}

static void time_readings(uint32_t readings)
{
    uint32_t backwards = 0;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    uint64_t last = hal_ticks();
    for (uint32_t i = 0; i < readings; i++) {
        const uint64_t now = hal_ticks();
        const uint64_t step = now - last;
        if (now < last)
            backwards++;
        if (step < least)
            least = step;
        if (step > most)
            most = step;
        last = now;
    }
    put32(backwards);
    put64(least);
    put64(most);
}

static __attribute__((noinline)) uint32_t use_stack(uint32_t size)
{
    volatile uint8_t local[size];
    for (uint32_t i = 0; i < size; i++)
        local[i] = (uint8_t)i;
    return local[size / 2u];
}

static void measure_stack(uint32_t size)
{
    hal_paint_stack();
    (void)use_stack(size);
    put32((uint32_t)hal_stack_used());
    put32((uint32_t)hal_stack_size());
}

static void lose(uint32_t expected)
{
    while (hal_rx_lost() < expected) {
    }
    uint8_t byte;
    uint32_t kept = 0;
    while (hal_read(&byte, 1) == 1)
        kept++;
    put32(kept);
    put32(hal_rx_lost());
}

static void divide(uint32_t number)
{
    volatile float numbers[16];
    for (uint32_t i = 0; i < 16u; i++)
        numbers[i] = (float)(number + i);
    float quotients[16];
    for (uint32_t i = 0; i < 16u; i++)
        quotients[i] = numbers[i] / 3.0f;
    hal_write((const uint8_t *)quotients, sizeof quotients);
}

/* The mention of `frame` after the call keeps the compiler from making it a loop. */
static uint32_t recurse(volatile uint32_t *limit)
{
    volatile uint32_t frame[16];
    frame[0] = *limit;
    return frame[0] == 1u ? 0u : recurse(limit) + frame[0];
}

static void die(uint32_t how)
{
    volatile uint32_t zero = 0;
    if (how == 0)
        __asm volatile("udf #0");
    else if (how == 1)
        put32(recurse(&zero));
    else
        ((void (*)(void))(uintptr_t)zero)();
}

void hal_fault(uint32_t exception);
void hal_fault(uint32_t exception)
{
    hal_write((const uint8_t *)"FAULT", 5);
    put32(exception);
}

int main(void)
{
    hal_init();
    hal_write((const uint8_t *)"READY", 5);
    for (;;) {
        uint8_t command;
        uint32_t argument;
        get(&command, 1);
        get(&argument, sizeof argument);
        if (command == 'E')
            echo(argument);
        else if (command == 'L')
            time_loop(argument);
        else if (command == 'T')
            time_readings(argument);
        else if (command == 'P')
            measure_stack(argument);
        else if (command == 'D')
            lose(argument);
        else if (command == 'M')
            divide(argument);
        else if (command == 'F')
            die(argument);
    }
}
