// Errors, descriptors, the poller, wake-ups, signals and clocks.
#include "internal.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "CLinux.h"

const char *martlet_error_text(int number) {
    const char *text = strerrordesc_np(number);
    return text ? text : "unknown error";
}

const char *martlet_error_name(int number) {
    const char *name = strerrorname_np(number);
    return name ? name : "unknown";
}

int martlet_close(int descriptor) {
    // Never repeated: on Linux the descriptor is gone even when close() was interrupted.
    return close(descriptor) < 0 ? -errno : 0;
}

int martlet_duplicate(int descriptor) { return MARTLET_TRY(fcntl(descriptor, F_DUPFD_CLOEXEC, 3)); }

int martlet_set_nonblocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0) return -errno;
    return flags & O_NONBLOCK || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) >= 0 ? 0 : -errno;
}

int64_t martlet_read(int descriptor, void *buffer, size_t capacity) {
    return MARTLET_TRY(read(descriptor, buffer, capacity));
}

int64_t martlet_write(int descriptor, const void *bytes, size_t count) {
    return MARTLET_TRY(write(descriptor, bytes, count));
}

_Static_assert(sizeof(struct martlet_piece) == sizeof(struct iovec), "a piece is an iovec");
_Static_assert(offsetof(struct martlet_piece, length) == offsetof(struct iovec, iov_len), "a piece is an iovec");

int64_t martlet_write_pieces(int descriptor, const struct martlet_piece *pieces, int count) {
    return MARTLET_TRY(writev(descriptor, (const struct iovec *)(const void *)pieces, count));
}

int martlet_wait(int descriptor, bool for_writing, int milliseconds) {
    struct pollfd poll_descriptor = {.fd = descriptor, .events = for_writing ? POLLOUT : POLLIN};
    return MARTLET_TRY(poll(&poll_descriptor, 1, milliseconds));
}

int martlet_epoll_create(void) { return MARTLET_TRY(epoll_create1(EPOLL_CLOEXEC)); }

int martlet_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return MARTLET_TRY(epoll_ctl(epoll, operation, descriptor, &event));
}

int martlet_epoll_wait(int epoll, struct martlet_event *events, int capacity, int64_t nanoseconds) {
    struct epoll_event ready[256];
    if (capacity < 1) return -EINVAL;
    if (capacity > 256) capacity = 256;
    int count = -1;
#ifdef SYS_epoll_pwait2
    struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    count = (int)syscall(SYS_epoll_pwait2, epoll, ready, capacity, nanoseconds < 0 ? NULL : &time, NULL, 0);
#else
    errno = ENOSYS;
#endif
    // EPERM: container filters that do not know the call answer with it.
    if (count < 0 && (errno == ENOSYS || errno == EPERM)) {
        // Before Linux 5.11: milliseconds, rounded up, so that nobody wakes before his deadline and spins.
        int64_t milliseconds = nanoseconds < 0 ? -1 : nanoseconds / 1000000 + (nanoseconds % 1000000 ? 1 : 0);
        if (milliseconds > INT_MAX) milliseconds = INT_MAX;
        count = epoll_wait(epoll, ready, capacity, (int)milliseconds);
    }
    // An interrupted wait is a wait without events: the caller asks for the time again anyway.
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int index = 0; index < count; index++) {
        events[index].token = ready[index].data.u64;
        events[index].events = ready[index].events;
    }
    return count;
}

int martlet_eventfd(void) { return MARTLET_TRY(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

int martlet_eventfd_signal(int descriptor) {
    uint64_t one = 1;
    return (int)MARTLET_TRY(write(descriptor, &one, sizeof one));
}

int64_t martlet_eventfd_drain(int descriptor) {
    uint64_t count = 0;
    ssize_t result = MARTLET_TRY(read(descriptor, &count, sizeof count));
    return result < 0 ? result : (int64_t)count;
}

int martlet_signalfd(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int index = 0; index < count; index++) {
        if (sigaddset(&set, signals[index]) < 0) return -errno;
    }
    int number = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (number != 0) return -number;
    return MARTLET_TRY(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

int martlet_signal_read(int descriptor) {
    struct signalfd_siginfo information;
    ssize_t count = MARTLET_TRY(read(descriptor, &information, sizeof information));
    if (count < 0) return (int)count;
    return count == sizeof information ? (int)information.ssi_signo : -EIO;
}

int martlet_ignore_broken_pipes(void) { return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -errno : 0; }

static int64_t clock_nanoseconds(clockid_t clock) {
    struct timespec time = {0, 0};
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t martlet_clock_monotonic(void) { return clock_nanoseconds(CLOCK_MONOTONIC); }
void martlet_sleep_monotonic(int64_t nanoseconds) {
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

int64_t martlet_clock_boot(void) { return clock_nanoseconds(CLOCK_BOOTTIME); }
int64_t martlet_clock_wall(void) { return clock_nanoseconds(CLOCK_REALTIME); }
int64_t martlet_clock_process(void) { return clock_nanoseconds(CLOCK_PROCESS_CPUTIME_ID); }
int64_t martlet_clock_thread(void) { return clock_nanoseconds(CLOCK_THREAD_CPUTIME_ID); }
