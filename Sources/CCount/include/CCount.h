// Counts what a thread allocates and how often it counts references, for the proof that packets cost neither. Only for
// an executable that measures: it stands in for the C library's malloc and hooks into Swift's runtime.
#pragma once
#include <stdint.h>

typedef struct {
    uint64_t allocations, retains, releases;
} martlet_counts;

// Counts from now on, in every thread.
void martlet_count_start(void);
// What the calling thread has done since.
martlet_counts martlet_count_here(void);
// What all threads whose names begin with `prefix` have done since.
martlet_counts martlet_count_of(const char *prefix);
