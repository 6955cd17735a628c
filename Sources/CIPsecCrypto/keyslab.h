#pragma once
#include <stddef.h>

// Octets of a piece, and what it is aligned to.
enum { KEYSLAB_PIECE = 1024 };

// A piece, its contents undefined; NULL when there is no memory. Any thread may take and give back.
void *keyslab_take(void);
// Gives a piece back, which its user has wiped.
void keyslab_give(void *piece);
