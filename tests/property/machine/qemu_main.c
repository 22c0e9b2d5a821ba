/* Runs a generated model on a bare Cortex-M in QEMU: windows come from the file `in.bin` and go to `out.bin`
 * by semihosting. No start-up of the product takes part, so that a failure here is the model's or a kernel's. */
#include <stdint.h>
#include <string.h>

#include "tn_app_model.h"

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE = 5, SYS_READ = 6, SYS_EXIT_EXTENDED = 0x20 };
enum { MODE_READ_BINARY = 1, MODE_WRITE_BINARY = 5, APPLICATION_EXIT = 0x20026 };

extern uint32_t stack_top;
void reset(void);
void fault(void);

typedef struct {
    const uint32_t *stack;
    void (*handlers[15])(void);
} vector_table;

__attribute__((section(".vectors"), used)) static const vector_table vectors = {
    &stack_top,
    {reset, fault, fault, fault, fault, fault},
};

static int8_t input[TN_MODEL_INPUT_BYTES] __attribute__((aligned(8)));
static int8_t output[TN_MODEL_OUTPUT_BYTES] __attribute__((aligned(8)));
static tn_model_state state;

static uint32_t call_host(uint32_t operation, const void *block)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;

    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static _Noreturn void leave(uint32_t status)
{
    const uint32_t block[2] = {APPLICATION_EXIT, status};

    (void)call_host(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

static uint32_t open_file(const char *name, uint32_t mode)
{
    const uint32_t block[3] = {(uint32_t)(uintptr_t)name, mode, (uint32_t)strlen(name)};

    return call_host(SYS_OPEN, block);
}

/* Both return the number of bytes left over. */
static uint32_t transfer(uint32_t operation, uint32_t file, void *data, uint32_t bytes)
{
    const uint32_t block[3] = {file, (uint32_t)(uintptr_t)data, bytes};

    return call_host(operation, block);
}

void fault(void)
{
    leave(99);
}

/* Apart from reset(), which must not touch a vector register before it has switched them on. */
static __attribute__((noinline)) uint32_t run_windows(void)
{
    const uint32_t in = open_file("in.bin", MODE_READ_BINARY);
    const uint32_t out = open_file("out.bin", MODE_WRITE_BINARY);
    int garbage = 0x5A;

    while (transfer(SYS_READ, in, input, sizeof input) == 0) {
        memset(&state, garbage, sizeof state);
        memset(output, garbage, sizeof output);
        garbage ^= 0xFF;
        tn_model_reset(&state);
        if (tn_model_run(&state, input, output) != 0 || transfer(SYS_WRITE, out, output, sizeof output) != 0) {
            return 1;
        }
    }
    return 0;
}

void reset(void)
{
#ifdef MACHINE_HAS_COPROCESSORS
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: floating point and vectors */
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    leave(run_windows());
}
