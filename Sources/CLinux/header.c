// Raw sockets whose packets have their IP headers in both directions: for AH, which covers them.
#include "internal.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "CLinux.h"

#ifndef IPV6_HDRINCL
#define IPV6_HDRINCL 36
#endif

/// All extension headers that a packet may have here, each with the room that a control message takes.
#define CONTROL_SIZE 8192

static int switch_on(int socket, int level, int option) {
    int value = 1;
    return setsockopt(socket, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

int martlet_header_prepare(int socket, int family) {
    if (family == 4) return switch_on(socket, IPPROTO_IP, IP_HDRINCL);
    static const int options[] = {
        IPV6_HDRINCL, IPV6_RECVPKTINFO, IPV6_RECVTCLASS, IPV6_RECVHOPLIMIT, IPV6_RECVHOPOPTS, IPV6_RECVDSTOPTS,
        IPV6_RECVRTHDR};
    for (size_t index = 0; index < sizeof options / sizeof *options; index++) {
        int result = switch_on(socket, IPPROTO_IPV6, options[index]);
        if (result < 0) return result;
    }
    return 0;
}

static int extension_type(int type) {
    switch (type) {
    case IPV6_HOPOPTS: return 0;
    case IPV6_RTHDR: return 43;
    case IPV6_DSTOPTS: return 60;
    default: return -1;
    }
}

/// Puts the headers that the kernel took off in front of what follows them again. The kernel hands extension headers over
/// in the order in which they came. Octets of the packet, or 0 when it does not fit.
static size_t rebuild(uint8_t *slot, size_t room, size_t payload, struct msghdr *message, int protocol) {
    uint8_t extensions[CONTROL_SIZE];
    size_t length = 0;
    int first = protocol, hops = 64, class = 0;
    const struct sockaddr_in6 *source = message->msg_name;
    struct in6_addr destination = in6addr_any;
    for (struct cmsghdr *entry = CMSG_FIRSTHDR(message); entry; entry = CMSG_NXTHDR(message, entry)) {
        if (entry->cmsg_level != IPPROTO_IPV6) continue;
        size_t count = entry->cmsg_len - CMSG_LEN(0);
        const uint8_t *data = CMSG_DATA(entry);
        int type = extension_type(entry->cmsg_type);
        if (entry->cmsg_type == IPV6_PKTINFO && count >= sizeof(struct in6_pktinfo)) {
            struct in6_pktinfo information;
            memcpy(&information, data, sizeof information);
            destination = information.ipi6_addr;
        } else if (entry->cmsg_type == IPV6_HOPLIMIT && count >= sizeof hops) {
            memcpy(&hops, data, sizeof hops);
        } else if (entry->cmsg_type == IPV6_TCLASS && count >= sizeof class) {
            memcpy(&class, data, sizeof class);
        } else if (type >= 0) {
            if (count < 8 || count > sizeof extensions - length) return 0;
            if (length == 0) first = type;
            memcpy(extensions + length, data, count);
            length += count;
        }
    }
    size_t head = 40 + length;
    if (head + payload > room || length + payload > UINT16_MAX) return 0;
    memmove(slot + head, slot + 40, payload);
    memset(slot, 0, 40);
    slot[0] = (uint8_t)(0x60 | (class & 0xff) >> 4);
    slot[1] = (uint8_t)((class & 15) << 4);
    slot[4] = (uint8_t)((length + payload) >> 8);
    slot[5] = (uint8_t)(length + payload);
    slot[6] = (uint8_t)first;
    slot[7] = (uint8_t)hops;
    memcpy(slot + 8, &source->sin6_addr, 16);
    memcpy(slot + 24, &destination, 16);
    memcpy(slot + 40, extensions, length);
    return head + payload;
}

int64_t martlet_header_receive(int socket, int family, int protocol, void *buffer, size_t capacity) {
    struct sockaddr_in6 name;
    union {
        struct cmsghdr align;
        uint8_t bytes[CONTROL_SIZE];
    } control;
    size_t skipped = family == 4 ? 0 : 40;
    if (capacity <= skipped) return -EINVAL;
    struct iovec vector = {.iov_base = (uint8_t *)buffer + skipped, .iov_len = capacity - skipped};
    struct msghdr message = {
        .msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
        .msg_controllen = sizeof control};
    memset(&name, 0, sizeof name);
    ssize_t count = MARTLET_TRY(recvmsg(socket, &message, MSG_DONTWAIT));
    if (count < 0) return count;
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) return 0;
    if (family == 4) return count;
    return (int64_t)rebuild(buffer, capacity, (size_t)count, &message, protocol);
}
