// One process in place of another: memory that both see, descriptors that stay open, and the call that replaces.

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdint.h>
#include <sys/mman.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "CLinux.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

int martlet_memory_file(const char *name) {
    int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    // Kernels before 6.3 do not know the last one.
    if (descriptor < 0 && errno == EINVAL) descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return descriptor < 0 ? -errno : descriptor;
}

int martlet_memory_seal(int descriptor) {
    return fcntl(descriptor, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL) < 0 ? -errno : 0;
}

int martlet_memory_is_sealed(int descriptor) {
    int seals = fcntl(descriptor, F_GET_SEALS);
    int wanted = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE;
    return seals < 0 ? -errno : (seals & wanted) == wanted;
}

int64_t martlet_file_octets(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) < 0 ? -errno : (int64_t)status.st_size;
}

int64_t martlet_read_at(int descriptor, void *buffer, uint64_t length, uint64_t offset) {
    ssize_t count = pread(descriptor, buffer, length, (off_t)offset);
    return count < 0 ? -errno : count;
}

int64_t martlet_write_at(int descriptor, const void *bytes, uint64_t length, uint64_t offset) {
    ssize_t count = pwrite(descriptor, bytes, length, (off_t)offset);
    return count < 0 ? -errno : count;
}

int martlet_memory_fix_size(int descriptor) {
    return fcntl(descriptor, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0 ? -errno : 0;
}

int64_t martlet_socket_send_descriptor(int socket, const void *bytes, size_t count, int descriptor) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    return MARTLET_TRY(sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int martlet_close_others_on_exec(int first) {
#ifdef SYS_close_range
    return syscall(SYS_close_range, (unsigned)first, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) < 0 ? -errno : 0;
#else
    (void)first;
    return -ENOSYS;
#endif
}

void martlet_leave(int status) { _exit(status); }

int martlet_keep_across_exec(int descriptor, bool on) {
    int flags = fcntl(descriptor, F_GETFD);
    if (flags < 0) return -errno;
    return fcntl(descriptor, F_SETFD, on ? flags & ~FD_CLOEXEC : flags | FD_CLOEXEC) < 0 ? -errno : 0;
}

int martlet_allow_dumps(bool on) { return prctl(PR_SET_DUMPABLE, on ? 1 : 0, 0, 0, 0) < 0 ? -errno : 0; }

int martlet_replace_process(const char *path, const char *const *arguments, const char *const *environment) {
    execve(path, (char *const *)arguments, (char *const *)environment);
    return -errno;
}

int64_t martlet_own_path(char *buffer, uint64_t capacity) {
    ssize_t count = readlink("/proc/self/exe", buffer, capacity);
    return count < 0 ? -errno : count;
}

extern char **environ;

const char *const *martlet_environment_list(void) { return (const char *const *)environ; }
