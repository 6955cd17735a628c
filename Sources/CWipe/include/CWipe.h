// Overwriting memory in a way that the optimiser must keep.
#pragma once
#include <stddef.h>
#include <string.h>

static inline void martlet_wipe(void *memory, size_t count) { explicit_bzero(memory, count); }
