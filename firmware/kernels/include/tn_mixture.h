/* Mixtures of experts: what is computed between gate, experts and towers, in integers. docs/compiler.md states it. */
#ifndef TN_MIXTURE_H
#define TN_MIXTURE_H

#include "tn_common.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TN_MIXTURE_MOST 16 /* experts of one window at most */

typedef struct {
    uint16_t experts;
    uint16_t chosen;               /* how many run, at most TN_MIXTURE_MOST */
    uint16_t tasks;
    uint16_t features;             /* of an expert */
    uint16_t distances;            /* entries of `exponentials`; beyond them it is 0 */
    uint8_t own_choice;            /* the gate's first `experts` codes are the choice, and are added to those for mixing */
    uint8_t feature_major;         /* the mixed features lie task by task within each feature, not the other way round */
    uint8_t shift;                 /* bits behind the point of a ratio, 1 to 30 */
    int8_t zero_point;             /* of the mixed features */
    const uint16_t *exponentials;  /* exp(-scale * d) of a logit, in 1 / 2^15 */
    const int32_t *ratios;         /* [experts] scale of the features in that of the mixed ones, at most 2^22 */
    const int8_t *zero_points;     /* [experts] of the features */
} tn_mixture;

/* The experts with the largest logits, the largest first; of equal ones the lower index.
 * gate: [experts][1 + tasks] codes of the choice and for mixing, or [experts][tasks], whose sums over the tasks count.
 * Both are laid out row by row of `experts` codes. chosen: room for p->chosen. */
void tn_mixture_choose(const tn_mixture *p, const int8_t *gate, uint8_t *chosen);

/* Mixed features of every task: softmax over the chosen experts.
 * experts: [chosen][features]; out: tasks * features codes; must not overlap any input. */
void tn_mixture_mix(const tn_mixture *p, const int8_t *gate, const uint8_t *chosen, const int8_t *experts, int8_t *out);

/* value = offset + factor * (code - zero point), in 1 / 2^16; stays within 32 bits for every code. */
typedef struct {
    int32_t factor;
    int32_t offset;
    int8_t zero_point;
} tn_task;

/* value' = offset + scale * value, one of each per task, in 1 / 2^16. */
typedef struct {
    const int32_t *scale;
    const int32_t *offset;
} tn_patient;

/* Values of all tasks, calibrated for a patient; beyond 32 bits they saturate. */
void tn_mixture_values(const tn_task *tasks, const tn_patient *patient, const int8_t *codes, size_t count,
                       int32_t *values);

#ifdef __cplusplus
}
#endif
#endif
