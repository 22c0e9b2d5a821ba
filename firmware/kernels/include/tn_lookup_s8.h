/* Any function of one int8 code (LOGISTIC, TANH, RELU, RSQRT, requantization, ...) as a table. */
#ifndef TN_LOOKUP_S8_H
#define TN_LOOKUP_S8_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* table: 256 codes, for inputs -128 to 127 in order. out may lie exactly over in. */
void tn_lookup_s8_run(const int8_t *table, const int8_t *in, int8_t *out, size_t count);

#ifdef __cplusplus
}
#endif
#endif
