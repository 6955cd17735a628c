// Counts what the process allocates and how often our code counts references, for the proof that packets cost neither.
// Only for an executable that measures: it stands in for the C library's malloc, and the linker leads our calls of
// Swift's runtime through it (see `linkerSettings` in Package.swift).
#pragma once
#include <stdint.h>

typedef struct {
    uint64_t allocations, retains, releases;
} martlet_counts;

// Whether reference counts are counted on this processor.
int martlet_counts_references(void);
// What all threads have done so far.
martlet_counts martlet_count(void);
// Octets that are allocated at this moment, as the C library's allocator counts them, its own headers included.
uint64_t martlet_allocated(void);
