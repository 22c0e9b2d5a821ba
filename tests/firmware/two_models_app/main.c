/* Two generated models in one image. `first` is streamed and fed from a circular buffer of two halves, as a DMA
 * controller fills it: here the serial port does, channel after channel. `second` runs between the halves.
 * In: a window of `first` half by half, then the inputs of `second`. Out: both models' outputs, ended by the number of
 * halves. */
#include <stdint.h>

#include "first.h"
#include "hal.h"
#include "second.h"

#define CHANNELS FIRST_SLICE_BYTES
#define HALF 24 /* the next half waits in the receive ring while this one is pushed */

static first_state first;
static second_state second;
static int8_t buffer[2][CHANNELS][HALF];
static int8_t left[SECOND_INPUT0_BYTES], right[SECOND_INPUT1_BYTES];
static int8_t sum[SECOND_OUTPUT0_BYTES], product[SECOND_OUTPUT1_BYTES];
static int8_t result[FIRST_OUTPUT0_BYTES];

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

static int run_second(void)
{
    const second_inputs in = {left, right};
    second_outputs out = {sum, product};
    return second_run(&second, &in, &out);
}

static int run_window(uint8_t *halves)
{
    first_outputs out = {result};
    int failed = 0;
    first_reset(&first);
    *halves = 0;
    for (size_t taken = 0; taken < FIRST_SLICES; taken += HALF) {
        int8_t(*half)[HALF] = buffer[*halves % 2u];
        get(half, sizeof buffer[0]); /* more than the window has left: ignored */
        hal_write(halves, 1);
        first_push_block(&first, half[0], HALF, 1, HALF);
        failed |= run_second();
        ++*halves;
    }
    return failed | first_finish(&first, &out);
}

int main(void)
{
    hal_init();
    second_reset(&second);
    hal_write((const uint8_t *)"READY", 5);
    for (;;) {
        uint8_t halves;
        int failed = run_window(&halves);
        get(left, sizeof left);
        get(right, sizeof right);
        failed |= run_second();
        hal_write((const uint8_t *)result, sizeof result);
        hal_write((const uint8_t *)sum, sizeof sum);
        hal_write((const uint8_t *)product, sizeof product);
        halves = failed != 0 ? 0xFFu : halves;
        hal_write(&halves, 1);
    }
}
