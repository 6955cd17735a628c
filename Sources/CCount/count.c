#define _GNU_SOURCE
#include "CCount.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// The C library's own, under the names by which its malloc may be replaced.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

enum { THREADS = 64 };

// One thread's counts: written by it alone.
struct thread {
    martlet_counts counts;
    int number;
};

static struct thread threads[THREADS];
static int used;
static bool counting;
static __thread struct thread *mine;

// No allocation may happen here. Threads beyond the table share its last place.
static martlet_counts *here(void) {
    if (!mine) {
        int place = __atomic_fetch_add(&used, 1, __ATOMIC_RELAXED);
        mine = &threads[place < THREADS ? place : THREADS - 1];
        mine->number = gettid();
    }
    return &mine->counts;
}

static inline bool counts(void) { return __builtin_expect(__atomic_load_n(&counting, __ATOMIC_RELAXED), 0); }

void *malloc(size_t size) {
    if (counts()) here()->allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    if (counts()) here()->allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    if (counts()) here()->allocations++;
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    if (counts()) here()->allocations++;
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
    void *made = memalign(alignment, size);
    if (!made) return ENOMEM;
    *memory = made;
    return 0;
}

// Swift's runtime calls these through pointers when it is told that somebody instruments it.
extern void *(*_swift_retain)(void *);
extern void (*_swift_release)(void *);
extern void *(*_swift_retain_n)(void *, uint32_t);
extern void (*_swift_release_n)(void *, uint32_t);
extern bool _swift_enableSwizzlingOfAllocationAndRefCountingFunctions_forInstrumentsOnly;

static void *(*retain)(void *);
static void (*release)(void *);
static void *(*retain_n)(void *, uint32_t);
static void (*release_n)(void *, uint32_t);

static void *counted_retain(void *object) {
    here()->retains++;
    return retain(object);
}

static void counted_release(void *object) {
    here()->releases++;
    release(object);
}

static void *counted_retain_n(void *object, uint32_t count) {
    here()->retains++;
    return retain_n(object, count);
}

static void counted_release_n(void *object, uint32_t count) {
    here()->releases++;
    release_n(object, count);
}

void martlet_count_start(void) {
    retain = _swift_retain;
    release = _swift_release;
    retain_n = _swift_retain_n;
    release_n = _swift_release_n;
    _swift_retain = counted_retain;
    _swift_release = counted_release;
    _swift_retain_n = counted_retain_n;
    _swift_release_n = counted_release_n;
    _swift_enableSwizzlingOfAllocationAndRefCountingFunctions_forInstrumentsOnly = true;
    __atomic_store_n(&counting, true, __ATOMIC_SEQ_CST);
}

martlet_counts martlet_count_here(void) { return *here(); }

martlet_counts martlet_count_of(const char *prefix) {
    martlet_counts sum = {0, 0, 0};
    for (int i = 0; i < THREADS && i < __atomic_load_n(&used, __ATOMIC_RELAXED); i++) {
        char path[64], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%d/comm", threads[i].number);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        bool is_it = fgets(name, sizeof name, file) && strncmp(name, prefix, strlen(prefix)) == 0;
        fclose(file);
        if (!is_it) continue;
        sum.allocations += threads[i].counts.allocations;
        sum.retains += threads[i].counts.retains;
        sum.releases += threads[i].counts.releases;
    }
    return sum;
}
