// Running another program with a bound on its time.
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "CLinux.h"

static const char *const every_environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};

// Whether the child has ended within the time; it is not reaped.
static bool ends(pid_t child, int milliseconds) {
    int handle = (int)syscall(SYS_pidfd_open, child, 0);
    if (handle < 0) {
        // Before Linux 5.3: look at it every hundredth of a second.
        for (int waited = 0; waited < milliseconds; waited += 10) {
            siginfo_t information = {0};
            if (waitid(P_PID, (id_t)child, &information, WEXITED | WNOHANG | WNOWAIT) == 0 && information.si_pid) {
                return true;
            }
            poll(NULL, 0, 10);
        }
        return false;
    }
    struct pollfd waiting = {.fd = handle, .events = POLLIN};
    int ready;
    do {
        ready = poll(&waiting, 1, milliseconds);
    } while (ready < 0 && errno == EINTR);
    close(handle);
    return ready > 0;
}

int martlet_run_program(
    const char *packed, size_t packed_count, const char *settings, size_t settings_count, const uint8_t *input,
    size_t input_count, int milliseconds, int *status, uint8_t *said, size_t *said_count) {
    size_t room = said_count ? *said_count : 0;
    if (said_count) *said_count = 0;
    const char *arguments[33];
    size_t count = 0;
    for (size_t at = 0; at < packed_count; at += strlen(packed + at) + 1) {
        if (count == 32) return -E2BIG;
        arguments[count++] = packed + at;
    }
    if (count == 0) return -EINVAL;
    arguments[count] = NULL;
    const char *environment[67] = {every_environment[0], every_environment[1]};
    size_t variables = 2;
    for (size_t at = 0; at < settings_count; at += strlen(settings + at) + 1) {
        if (variables == 66) return -E2BIG;
        environment[variables++] = settings + at;
    }
    environment[variables] = NULL;
    int ends_of_pipe[2];
    if (pipe2(ends_of_pipe, O_CLOEXEC) < 0) return -errno;
    // All of it fits into the pipe, so that writing never waits; what does not is refused by the caller.
    fcntl(ends_of_pipe[1], F_SETFL, O_NONBLOCK);
    ssize_t written = input_count ? write(ends_of_pipe[1], input, input_count) : 0;
    close(ends_of_pipe[1]);
    if (written != (ssize_t)input_count) {
        close(ends_of_pipe[0]);
        return -EMSGSIZE;
    }
    // A file takes all that is said, so that nobody has to read meanwhile.
    int heard = room ? memfd_create("said", MFD_CLOEXEC) : -1;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int number = posix_spawn_file_actions_init(&actions);
    if (number != 0) {
        close(ends_of_pipe[0]);
        if (heard >= 0) close(heard);
        return -number;
    }
    number = posix_spawnattr_init(&attributes);
    if (number == 0) {
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        posix_spawn_file_actions_adddup2(&actions, ends_of_pipe[0], 0);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        if (heard >= 0) {
            posix_spawn_file_actions_adddup2(&actions, heard, 2);
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        }
        pid_t child = 0;
        number = posix_spawn(&child, arguments[0], &actions, &attributes, (char *const *)arguments,
            (char *const *)environment);
        posix_spawnattr_destroy(&attributes);
        if (number == 0) {
            bool ended = ends(child, milliseconds);
            if (!ended) kill(-child, SIGKILL);
            int result = 0;
            while (waitpid(child, &result, 0) < 0) {
                if (errno != EINTR) break;
            }
            *status = WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result);
            if (!ended) number = ETIMEDOUT;
            ssize_t count = heard >= 0 ? pread(heard, said, room, 0) : 0;
            if (count > 0) *said_count = (size_t)count;
        }
    }
    posix_spawn_file_actions_destroy(&actions);
    close(ends_of_pipe[0]);
    if (heard >= 0) close(heard);
    return -number;
}
