// Memory for keys of one size: there is one for each SA and direction, up to a million.
//
// Pieces lie in blocks of 2 MiB, without anything beside them, and the kernel may map a block by one entry of its tables:
// with a small page for each key, finding the page would cost more than reading the key.
#include "keyslab.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

enum { BLOCK = 2 << 20, PIECES = BLOCK / KEYSLAB_PIECE };

// Where the first piece would be.
struct block {
    struct block *next, *previous;  // Among those with room.
    struct piece *free;
    uint32_t used, fresh;  // Pieces in use, and the first that never was.
};
struct piece {
    struct piece *next;
};
_Static_assert(sizeof(struct block) <= KEYSLAB_PIECE, "the block's own words take one piece");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *roomy;  // Blocks with room.
static size_t blocks;

static struct block *make(void) {
    // Twice as much, of which a part is aligned.
    uint8_t *memory = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    uint8_t *start = (uint8_t *)(((uintptr_t)memory + BLOCK - 1) & ~(uintptr_t)(BLOCK - 1));
    if (start > memory) munmap(memory, (size_t)(start - memory));
    if (start < memory + BLOCK) munmap(start + BLOCK, (size_t)(memory + BLOCK - start));
    // The first block may stay nearly empty, and a page of its size would be resident as a whole.
    if (blocks > 0) (void)madvise(start, BLOCK, MADV_HUGEPAGE);
    // No copy of keys goes into a core file.
    (void)madvise(start, BLOCK, MADV_DONTDUMP);
    blocks++;
    struct block *block = (struct block *)start;
    block->fresh = 1;
    return block;
}

static void link_block(struct block *block) {
    block->previous = NULL;
    block->next = roomy;
    if (roomy) roomy->previous = block;
    roomy = block;
}

static void unlink_block(struct block *block) {
    if (block->previous) block->previous->next = block->next;
    else roomy = block->next;
    if (block->next) block->next->previous = block->previous;
}

static int is_full(const struct block *block) { return !block->free && block->fresh == PIECES; }

void *keyslab_take(void) {
    pthread_mutex_lock(&lock);
    if (!roomy) {
        struct block *made = make();
        if (made) link_block(made);
    }
    void *taken = NULL;
    struct block *block = roomy;
    if (block) {
        if (block->free) {
            taken = block->free;
            block->free = block->free->next;
        } else {
            taken = (uint8_t *)block + (size_t)KEYSLAB_PIECE * block->fresh++;
        }
        block->used++;
        if (is_full(block)) unlink_block(block);
    }
    pthread_mutex_unlock(&lock);
    return taken;
}

void keyslab_give(void *piece) {
    struct block *block = (struct block *)((uintptr_t)piece & ~(uintptr_t)(BLOCK - 1));
    pthread_mutex_lock(&lock);
    if (is_full(block)) link_block(block);
    struct piece *given = piece;
    given->next = block->free;
    block->free = given;
    block->used--;
    // One empty block is kept for the next key; where there are more, this one goes.
    if (block->used == 0 && (block->next || block->previous)) {
        unlink_block(block);
        blocks--;
        munmap(block, BLOCK);
    }
    pthread_mutex_unlock(&lock);
}
