#include "tn_mixture.h"

static int32_t choice_of(const tn_mixture *p, const int8_t *gate, unsigned expert)
{
    const unsigned rows = p->own_choice != 0 ? 1u : p->tasks;
    int32_t sum = 0;
    for (unsigned row = 0; row < rows; ++row) {
        sum += gate[row * p->experts + expert];
    }
    return sum;
}

static int is_among(const uint8_t *chosen, unsigned count, unsigned expert)
{
    for (unsigned i = 0; i < count; ++i) {
        if (chosen[i] == expert) {
            return 1;
        }
    }
    return 0;
}

void tn_mixture_choose(const tn_mixture *p, const int8_t *gate, uint8_t *chosen)
{
    for (unsigned found = 0; found < p->chosen; ++found) {
        int32_t best = INT32_MIN;
        for (unsigned expert = 0; expert < p->experts; ++expert) {
            const int32_t sum = choice_of(p, gate, expert);
            if (sum > best && is_among(chosen, found, expert) == 0) {
                best = sum;
                chosen[found] = (uint8_t)expert;
            }
        }
    }
}

static int32_t logit(const tn_mixture *p, const int8_t *gate, unsigned task, unsigned expert)
{
    return p->own_choice != 0 ? gate[expert] + gate[(1u + task) * p->experts + expert]
                              : gate[task * p->experts + expert];
}

/* Factors of the chosen experts' codes for one task, in 1 / 2^shift. */
static void coefficients_of(const tn_mixture *p, const int8_t *gate, const uint8_t *chosen, unsigned task,
                            int32_t *coefficients)
{
    int32_t largest = INT32_MIN;
    for (unsigned i = 0; i < p->chosen; ++i) {
        const int32_t code = logit(p, gate, task, chosen[i]);
        largest = code > largest ? code : largest;
    }
    uint32_t powers[TN_MIXTURE_MOST];
    uint32_t sum = 0;
    for (unsigned i = 0; i < p->chosen; ++i) {
        const uint32_t distance = (uint32_t)(largest - logit(p, gate, task, chosen[i]));
        powers[i] = distance < p->distances ? p->exponentials[distance] : 0u;
        sum += powers[i];
    }
    for (unsigned i = 0; i < p->chosen; ++i) {
        const uint32_t weight = ((powers[i] << 15) + sum / 2u) / sum;
        const uint64_t product = (uint64_t)weight * (uint32_t)p->ratios[chosen[i]];
        coefficients[i] = (int32_t)((product + (1u << 14)) >> 15);
    }
}

void tn_mixture_mix(const tn_mixture *p, const int8_t *gate, const uint8_t *chosen, const int8_t *experts, int8_t *out)
{
    const unsigned task_step = p->feature_major != 0 ? 1u : p->features;
    const unsigned feature_step = p->feature_major != 0 ? p->tasks : 1u;
    for (unsigned task = 0; task < p->tasks; ++task) {
        int32_t coefficients[TN_MIXTURE_MOST];
        coefficients_of(p, gate, chosen, task, coefficients);
        int32_t start = (int32_t)1 << (p->shift - 1);
        for (unsigned i = 0; i < p->chosen; ++i) {
            start -= coefficients[i] * p->zero_points[chosen[i]];
        }
        for (unsigned feature = 0; feature < p->features; ++feature) {
            int32_t sum = start;
            for (unsigned i = 0; i < p->chosen; ++i) {
                sum += coefficients[i] * experts[i * p->features + feature];
            }
            const int32_t code = (sum >> p->shift) + p->zero_point;
            out[task * task_step + feature * feature_step] = (int8_t)tn_clamp(code, INT8_MIN, INT8_MAX);
        }
    }
}

void tn_mixture_values(const tn_task *tasks, const tn_patient *patient, const int8_t *codes, size_t count,
                       int32_t *values)
{
    for (size_t i = 0; i < count; ++i) {
        const int32_t value = tasks[i].offset + tasks[i].factor * (codes[i] - tasks[i].zero_point);
        const int64_t scaled = ((int64_t)value * patient->scale[i] + (1 << 15)) >> 16;
        const int64_t moved = scaled + patient->offset[i];
        values[i] = moved > INT32_MAX ? INT32_MAX : moved < INT32_MIN ? INT32_MIN : (int32_t)moved;
    }
}
