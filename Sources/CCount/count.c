#include "CCount.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>

// The C library's own, under the names by which its malloc may be replaced.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static uint64_t allocations;

static void count(void) { __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED); }

void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count();
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    count();
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
    void *made = memalign(alignment, size);
    if (!made) return ENOMEM;
    *memory = made;
    return 0;
}

uint64_t martlet_retains, martlet_releases;

#if defined(__x86_64__)
// Swift's calling convention for these keeps more registers than C's: nothing but the flags is touched here. What is
// done to nothing (an empty optional) is not counted.
#define COUNTED(name, counter)                                                                                       \
    __asm__(".text\n.globl __wrap_" name "\n.type __wrap_" name ",@function\n__wrap_" name ":\n"                 \
            "testq %rdi, %rdi\njz 1f\nlock incq " counter "(%rip)\n1: jmp __real_" name "@PLT\n.size __wrap_" name ",.-__wrap_" name "\n")
COUNTED("swift_retain", "martlet_retains");
COUNTED("swift_retain_n", "martlet_retains");
COUNTED("swift_bridgeObjectRetain", "martlet_retains");
COUNTED("swift_release", "martlet_releases");
COUNTED("swift_release_n", "martlet_releases");
COUNTED("swift_bridgeObjectRelease", "martlet_releases");

int martlet_counts_references(void) { return 1; }
#else
int martlet_counts_references(void) { return 0; }
#endif

martlet_counts martlet_count(void) {
    martlet_counts counts = {
        __atomic_load_n(&allocations, __ATOMIC_RELAXED), __atomic_load_n(&martlet_retains, __ATOMIC_RELAXED),
        __atomic_load_n(&martlet_releases, __ATOMIC_RELAXED)};
    return counts;
}

uint64_t martlet_allocated(void) {
    struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
}
