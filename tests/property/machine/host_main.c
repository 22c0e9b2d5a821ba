/* Runs a generated model on blocks of bytes: standard input to standard output, one window after the other.
 * Every buffer is an allocation of its own, so that AddressSanitizer sees each access beyond it; the state
 * holds garbage before each reset, so that nothing may rely on zeros. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tn_app_model.h"

int main(void)
{
    int8_t *in = malloc(TN_MODEL_INPUT_BYTES);
    int8_t *out = malloc(TN_MODEL_OUTPUT_BYTES);
    tn_model_state *state = malloc(sizeof *state);
    int status = in == NULL || out == NULL || state == NULL;
    unsigned char garbage = 0x5A;

    while (status == 0 && fread(in, 1, TN_MODEL_INPUT_BYTES, stdin) == TN_MODEL_INPUT_BYTES) {
        memset(state, garbage, sizeof *state);
        memset(out, garbage, TN_MODEL_OUTPUT_BYTES);
        garbage = (unsigned char)~garbage;
        tn_model_reset(state);
        status = tn_model_run(state, in, out);
        if (fwrite(out, 1, TN_MODEL_OUTPUT_BYTES, stdout) != TN_MODEL_OUTPUT_BYTES) {
            status = 1;
        }
    }
    free(state);
    free(out);
    free(in);
    return status;
}
