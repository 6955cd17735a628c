// TUN devices, netlink sockets and network namespaces.
#include "internal.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "CLinux.h"

int martlet_tun_open(char *name, bool vnet_header, bool multi_queue) {
    int descriptor = MARTLET_TRY(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (descriptor < 0) return descriptor;
    struct ifreq request;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags =
        (short)(IFF_TUN | IFF_NO_PI | (vnet_header ? IFF_VNET_HDR : 0) | (multi_queue ? IFF_MULTI_QUEUE : 0));
    if (ioctl(descriptor, TUNSETIFF, &request) < 0) {
        int number = errno;
        close(descriptor);
        return -number;
    }
    memcpy(name, request.ifr_name, IFNAMSIZ);
    name[IFNAMSIZ - 1] = 0;
    return descriptor;
}

int martlet_tun_set_offload(int descriptor, uint32_t flags) {
    return MARTLET_TRY(ioctl(descriptor, TUNSETOFFLOAD, (unsigned long)flags));
}

int martlet_tun_set_persistent(int descriptor, bool on) {
    return MARTLET_TRY(ioctl(descriptor, TUNSETPERSIST, (unsigned long)on));
}

int martlet_tun_set_vnet_header_size(int descriptor, int size) {
    return MARTLET_TRY(ioctl(descriptor, TUNSETVNETHDRSZ, &size));
}

int martlet_netlink_open(int protocol) {
    int descriptor = MARTLET_TRY(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (descriptor < 0) return descriptor;
    struct sockaddr_nl name = {.nl_family = AF_NETLINK};
    int on = 1;
    if (bind(descriptor, (struct sockaddr *)&name, sizeof name) < 0) {
        int number = errno;
        close(descriptor);
        return -number;
    }
    // Old kernels lack these; the answers are then less precise, but still answers.
    (void)setsockopt(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    (void)setsockopt(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    (void)setsockopt(descriptor, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    return descriptor;
}

int martlet_netlink_join(int socket, uint32_t group) {
    return setsockopt(socket, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0 ? -errno : 0;
}

int martlet_netlink_ignore_routes(int socket, uint8_t protocol) {
    // The filter's numbers are in network order, the message's type in the host's.
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 3),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_protocol)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, protocol, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

int64_t martlet_netlink_send(int socket, const void *bytes, size_t count) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    return MARTLET_TRY(sendto(socket, bytes, count, MSG_DONTWAIT, (struct sockaddr *)&kernel, sizeof kernel));
}

int64_t martlet_netlink_receive(int socket, void *buffer, size_t capacity, bool asks_size, uint32_t *sender) {
    struct sockaddr_nl name = {.nl_family = AF_NETLINK};
    socklen_t length = sizeof name;
    if (asks_size) {
        int64_t size = MARTLET_TRY(recv(socket, buffer, capacity, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT));
        if (size < 0 || size > (int64_t)capacity) return size;
    }
    int64_t size = MARTLET_TRY(recvfrom(socket, buffer, capacity, MSG_DONTWAIT, (struct sockaddr *)&name, &length));
    *sender = name.nl_pid;
    return size;
}

int martlet_namespace_prepare_directory(const char *directory) {
    if (mkdir(directory, 0755) < 0 && errno != EEXIST) return -errno;
    // Shared, so that a namespace made here shows in other mount namespaces and its removal reaches them. A directory
    // that is no mount point yet becomes one first.
    if (mount("", directory, "none", MS_SHARED | MS_REC, NULL) == 0) return 0;
    if (errno != EINVAL) return -errno;
    if (mount(directory, directory, "none", MS_BIND | MS_REC, NULL) < 0) return -errno;
    return mount("", directory, "none", MS_SHARED | MS_REC, NULL) < 0 ? -errno : 0;
}

int martlet_namespace_make(const char *path) {
    int descriptor = MARTLET_TRY(open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
    if (descriptor < 0) return descriptor;
    close(descriptor);
    if (unshare(CLONE_NEWNET) == 0 && mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL) == 0) return 0;
    int number = errno;
    unlink(path);
    return -number;
}

int martlet_namespace_enter(int descriptor) { return setns(descriptor, CLONE_NEWNET) < 0 ? -errno : 0; }

int martlet_namespace_detach(const char *path) {
    // EINVAL: a plain file, left by somebody who got half-way.
    if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL) return -errno;
    return unlink(path) < 0 ? -errno : 0;
}
