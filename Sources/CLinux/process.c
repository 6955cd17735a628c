// Threads, Unix sockets, files and what the process knows of itself.
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "CLinux.h"

struct start {
    void (*body)(void *);
    void *context;
    char name[16];
};

static void *run(void *argument) {
    struct start start = *(struct start *)argument;
    free(argument);
    pthread_setname_np(pthread_self(), start.name);
    start.body(start.context);
    return NULL;
}

int martlet_thread_start(
    uint64_t *handle, void (*body)(void *context), void *context, const char *name, int processor) {
    _Static_assert(sizeof(pthread_t) <= sizeof(uint64_t), "a thread's handle fits");
    struct start *start = calloc(1, sizeof *start);
    if (!start) return -ENOMEM;
    start->body = body;
    start->context = context;
    strncpy(start->name, name, sizeof start->name - 1);
    pthread_attr_t attributes;
    int number = pthread_attr_init(&attributes);
    if (number != 0) {
        free(start);
        return -number;
    }
    if (processor >= 0) {
        // More processors than CPU_SETSIZE need a set of their own size.
        cpu_set_t *set = CPU_ALLOC(processor + 1);
        size_t size = CPU_ALLOC_SIZE(processor + 1);
        if (set) {
            CPU_ZERO_S(size, set);
            CPU_SET_S(processor, size, set);
            number = pthread_attr_setaffinity_np(&attributes, size, set);
            CPU_FREE(set);
        } else {
            number = ENOMEM;
        }
    }
    // The new thread inherits the mask: signals belong to the thread that watches for them.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    if (number == 0) number = pthread_create(&thread, &attributes, run, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (number != 0) {
        free(start);
        return -number;
    }
    *handle = (uint64_t)thread;
    return 0;
}

int martlet_thread_join(uint64_t handle) { return -pthread_join((pthread_t)handle, NULL); }
int martlet_thread_detach(uint64_t handle) { return -pthread_detach((pthread_t)handle); }

int martlet_processor_count(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (int)count;
}

int martlet_unix_socket(bool datagram) {
    return MARTLET_TRY(
        socket(AF_UNIX, (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

static int unix_name(struct sockaddr_un *name, socklen_t *length, const char *path) {
    size_t count = strlen(path);
    memset(name, 0, sizeof *name);
    name->sun_family = AF_UNIX;
    if (count == 0) return -EINVAL;
    if (count >= sizeof name->sun_path) return -ENAMETOOLONG;
    memcpy(name->sun_path, path, count);
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count + 1);
    if (path[0] == '@') {
        name->sun_path[0] = 0;
        *length -= 1;
    }
    return 0;
}

int martlet_unix_bind(int socket, const char *path) {
    struct sockaddr_un name;
    socklen_t length;
    int result = unix_name(&name, &length, path);
    return result < 0 ? result : MARTLET_TRY(bind(socket, (struct sockaddr *)&name, length));
}

int martlet_unix_connect(int socket, const char *path) {
    struct sockaddr_un name;
    socklen_t length;
    int result = unix_name(&name, &length, path);
    return result < 0 ? result : MARTLET_TRY(connect(socket, (struct sockaddr *)&name, length));
}

int martlet_listen(int socket, int backlog) { return MARTLET_TRY(listen(socket, backlog)); }
int martlet_accept(int socket) { return MARTLET_TRY(accept4(socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)); }

int64_t martlet_socket_send(int socket, const void *bytes, size_t count) {
    return MARTLET_TRY(send(socket, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int martlet_shutdown_writing(int socket) { return MARTLET_TRY(shutdown(socket, SHUT_WR)); }

int martlet_unix_peer(int socket, struct martlet_credentials *credentials) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return -errno;
    credentials->process = peer.pid;
    credentials->user = peer.uid;
    credentials->group = peer.gid;
    return 0;
}

int martlet_unix_pair(int *first, int *second) {
    int both[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, both) < 0) return -errno;
    *first = both[0];
    *second = both[1];
    return 0;
}

int martlet_open_reading(const char *path) {
    // O_NONBLOCK: opening a FIFO must not wait for somebody to write into it.
    return MARTLET_TRY(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

int martlet_open_new(const char *path, uint32_t mode) {
    return MARTLET_TRY(open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode));
}

int martlet_open_appending(const char *path, uint32_t mode) {
    return MARTLET_TRY(open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode));
}

int martlet_open_present(const char *path) {
    // Without O_CREAT and O_TRUNC: a device or a pipe that somebody may have taken away meanwhile.
    return MARTLET_TRY(open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC));
}

int martlet_open_directory(const char *path) {
    return MARTLET_TRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

int martlet_sync(int descriptor) { return MARTLET_TRY(fsync(descriptor)); }

int martlet_change_mode_of(int descriptor, uint32_t mode) { return MARTLET_TRY(fchmod(descriptor, (mode_t)mode)); }

int martlet_change_mode(const char *path, uint32_t mode) { return MARTLET_TRY(chmod(path, (mode_t)mode)); }

int martlet_make_directory(const char *path, uint32_t mode) {
    if (mkdir(path, (mode_t)mode) == 0) return 0;
    struct stat found;
    int number = errno;
    return number == EEXIST && stat(path, &found) == 0 && S_ISDIR(found.st_mode) ? 0 : -number;
}

int martlet_rename(const char *from, const char *to) { return MARTLET_TRY(rename(from, to)); }
int martlet_make_link(const char *target, const char *path) { return MARTLET_TRY(symlink(target, path)); }
int martlet_unlink(const char *path) { return MARTLET_TRY(unlink(path)); }

static int identity_of(const struct stat *status, struct martlet_file_identity *identity) {
    identity->device = status->st_dev;
    identity->inode = status->st_ino;
    identity->size = status->st_size;
    identity->mode = status->st_mode;
    identity->owner = status->st_uid;
    return 0;
}

int martlet_identify(const char *path, struct martlet_file_identity *identity) {
    struct stat status;
    return lstat(path, &status) < 0 ? -errno : identity_of(&status, identity);
}

int martlet_identify_end(const char *path, struct martlet_file_identity *identity) {
    struct stat status;
    return stat(path, &status) < 0 ? -errno : identity_of(&status, identity);
}

int64_t martlet_read_link(const char *path, char *target, size_t room) {
    return MARTLET_TRY((int64_t)readlink(path, target, room));
}

int martlet_identify_open(int descriptor, struct martlet_file_identity *identity) {
    struct stat status;
    return fstat(descriptor, &status) < 0 ? -errno : identity_of(&status, identity);
}

int64_t martlet_resident_octets(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return -errno;
    long total = 0, resident = 0;
    int fields = fscanf(file, "%ld %ld", &total, &resident);
    fclose(file);
    return fields == 2 ? (int64_t)resident * sysconf(_SC_PAGESIZE) : -EIO;
}

int martlet_open_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    if (!directory) return -errno;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
    closedir(directory);
    // The directory itself was one of them.
    return count - 1;
}

uint32_t martlet_effective_user(void) { return geteuid(); }
int martlet_process_keep_private(void) {
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return -errno;
    // A program in core_pattern is called whatever the limit is.
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -errno;
}

int32_t martlet_process_identifier(void) { return getpid(); }

int martlet_has_capability(int capability) {
    if (capability < 0 || capability > 63) return -EINVAL;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2];
    memset(data, 0, sizeof data);
    if (syscall(SYS_capget, &header, data) < 0) return -errno;
    return (data[capability / 32].effective >> (capability % 32)) & 1;
}

const char *martlet_environment(const char *name) { return getenv(name); }
