// Datagram sockets: one datagram at a time, and batches with segmentation offload.
#include "internal.h"

#include <time.h>

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "CLinux.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

union name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

// Room for what either direction may carry: packet information, traffic class, segment size, a timestamp to spare.
#define CONTROL_SIZE 192

union control {
    struct cmsghdr align;
    uint8_t bytes[CONTROL_SIZE];
};

static uint64_t load64(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, 8);
    return __builtin_bswap64(value);
}

static void store64(uint8_t *bytes, uint64_t value) {
    value = __builtin_bswap64(value);
    memcpy(bytes, &value, 8);
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the address conversions assume a little-endian host"
#endif

static void set_v4(struct martlet_endpoint *endpoint, struct in_addr address) {
    endpoint->family = 4;
    endpoint->high = 0;
    endpoint->low = ntohl(address.s_addr);
}

/// An IPv4-mapped address is an IPv4 address: a dual-stack socket is a matter of this file only.
static void set_v6(struct martlet_endpoint *endpoint, const struct in6_addr *address) {
    uint64_t high = load64(address->s6_addr), low = load64(address->s6_addr + 8);
    if (high == 0 && low >> 32 == 0xffff) {
        endpoint->family = 4;
        endpoint->high = 0;
        endpoint->low = low & 0xffffffff;
    } else {
        endpoint->family = 6;
        endpoint->high = high;
        endpoint->low = low;
    }
}

static struct in6_addr v6_of(const struct martlet_endpoint *endpoint) {
    struct in6_addr address;
    bool mapped = endpoint->family == 4;
    store64(address.s6_addr, mapped ? 0 : endpoint->high);
    store64(address.s6_addr + 8, mapped ? 0xffff00000000 | endpoint->low : endpoint->low);
    return address;
}

static void endpoint_of(struct martlet_endpoint *endpoint, const union name *name) {
    memset(endpoint, 0, sizeof *endpoint);
    if (name->any.sa_family == AF_INET) {
        set_v4(endpoint, name->v4.sin_addr);
        endpoint->port = ntohs(name->v4.sin_port);
    } else if (name->any.sa_family == AF_INET6) {
        set_v6(endpoint, &name->v6.sin6_addr);
        endpoint->port = ntohs(name->v6.sin6_port);
        endpoint->scope = name->v6.sin6_scope_id;
    }
}

/// The name of `endpoint` for a socket of `family`; its length, or 0 when that socket cannot reach it.
static socklen_t name_of(union name *name, int family, const struct martlet_endpoint *endpoint) {
    if (family == 4) {
        if (endpoint->family != 4) return 0;
        name->v4 = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(endpoint->port), .sin_addr.s_addr = htonl((uint32_t)endpoint->low)};
        return sizeof name->v4;
    }
    if (endpoint->family != 4 && endpoint->family != 6) return 0;
    name->v6 = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = htons(endpoint->port), .sin6_scope_id = endpoint->scope,
        .sin6_addr = v6_of(endpoint)};
    return sizeof name->v6;
}

int martlet_datagram_socket(int family, int protocol) {
    int domain = family == 4 ? AF_INET : AF_INET6;
    int type = (protocol == 0 ? SOCK_DGRAM : SOCK_RAW) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    return MARTLET_TRY(socket(domain, type, protocol));
}

int martlet_stream_socket(int family) {
    int result = MARTLET_TRY(socket(family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    int on = 1;
    // Failing costs time only.
    if (result >= 0) (void)setsockopt(result, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return result;
}

int martlet_stream_connect(int socket, const struct martlet_endpoint *remote) {
    union name name;
    socklen_t length = name_of(&name, remote->family, remote);
    if (length == 0) return -EAFNOSUPPORT;
    int result = MARTLET_TRY(connect(socket, &name.any, length));
    return result == -EINPROGRESS ? -EAGAIN : result;
}

int martlet_stream_error(int socket) {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return -errno;
    return -error;
}

int martlet_datagram_bind(int socket, const struct martlet_endpoint *local) {
    union name name;
    socklen_t length = name_of(&name, local->family, local);
    if (length == 0) return -EAFNOSUPPORT;
    return MARTLET_TRY(bind(socket, &name.any, length));
}

int martlet_datagram_local(int socket, struct martlet_endpoint *local) {
    union name name;
    socklen_t length = sizeof name;
    memset(&name, 0, sizeof name);
    if (getsockname(socket, &name.any, &length) < 0) return -errno;
    endpoint_of(local, &name);
    return 0;
}

int martlet_socket_describe(int socket, struct martlet_socket_facts *facts) {
    int domain = 0, type = 0, protocol = 0, only = 0;
    socklen_t length = sizeof domain;
    memset(facts, 0, sizeof *facts);
    if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0) return -errno;
    length = sizeof type;
    if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return -errno;
    length = sizeof protocol;
    if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) < 0) return -errno;
    length = sizeof only;
    if (domain == AF_INET6 && getsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length) < 0) return -errno;
    facts->family = domain == AF_INET ? 4 : domain == AF_INET6 ? 6 : 0;
    facts->is_datagram = type == SOCK_DGRAM;
    facts->is_stream = type == SOCK_STREAM;
    facts->is_udp = type == SOCK_DGRAM && protocol == IPPROTO_UDP;
    facts->only_v6 = only != 0;
    return 0;
}

static void read_control(struct msghdr *message, struct martlet_slot *slot) {
    for (struct cmsghdr *entry = CMSG_FIRSTHDR(message); entry; entry = CMSG_NXTHDR(message, entry)) {
        size_t length = entry->cmsg_len - CMSG_LEN(0);
        const uint8_t *data = CMSG_DATA(entry);
        if (entry->cmsg_level == IPPROTO_IP && entry->cmsg_type == IP_PKTINFO && length >= sizeof(struct in_pktinfo)) {
            struct in_pktinfo information;
            memcpy(&information, data, sizeof information);
            set_v4(&slot->local, information.ipi_addr);
            slot->interface = (uint32_t)information.ipi_ifindex;
        } else if (entry->cmsg_level == IPPROTO_IPV6 && entry->cmsg_type == IPV6_PKTINFO
                   && length >= sizeof(struct in6_pktinfo)) {
            struct in6_pktinfo information;
            memcpy(&information, data, sizeof information);
            set_v6(&slot->local, &information.ipi6_addr);
            slot->interface = information.ipi6_ifindex;
        } else if (entry->cmsg_level == IPPROTO_IP && entry->cmsg_type == IP_TOS && length >= 1) {
            slot->traffic_class = data[0];
        } else if (entry->cmsg_level == IPPROTO_IPV6 && entry->cmsg_type == IPV6_TCLASS && length >= sizeof(int)) {
            int value;
            memcpy(&value, data, sizeof value);
            slot->traffic_class = (uint8_t)value;
        } else if (entry->cmsg_level == SOL_UDP && entry->cmsg_type == UDP_GRO && length >= sizeof(int)) {
            int value;
            memcpy(&value, data, sizeof value);
            // One datagram alone also carries its own size here: that is no train.
            if (value > 0 && value < (int)slot->length && value <= UINT16_MAX) slot->segment_size = (uint16_t)value;
        }
    }
}

static void prepare_receive(
    struct msghdr *message, struct iovec *vector, union name *name, union control *control, void *buffer, size_t size) {
    vector->iov_base = buffer;
    vector->iov_len = size;
    memset(message, 0, sizeof *message);
    message->msg_name = name;
    message->msg_namelen = sizeof *name;
    message->msg_iov = vector;
    message->msg_iovlen = 1;
    message->msg_control = control;
    message->msg_controllen = sizeof *control;
}

static void finish_receive(struct msghdr *message, struct martlet_slot *slot, uint32_t start, uint32_t length) {
    memset(slot, 0, sizeof *slot);
    slot->start = start;
    slot->length = length;
    slot->truncated = (message->msg_flags & MSG_TRUNC) != 0;
    if (message->msg_namelen > 0) endpoint_of(&slot->remote, message->msg_name);
    read_control(message, slot);
}

static void *append_control(
    union control *control, size_t *used, int level, int type, size_t size) {
    struct cmsghdr *entry = (struct cmsghdr *)(void *)(control->bytes + *used);
    memset(entry, 0, CMSG_SPACE(size));
    entry->cmsg_level = level;
    entry->cmsg_type = type;
    entry->cmsg_len = CMSG_LEN(size);
    *used += CMSG_SPACE(size);
    return CMSG_DATA(entry);
}

/// 0 when the socket's family cannot reach the slot's remote address.
static bool prepare_send(
    struct msghdr *message, struct iovec *vector, union name *name, union control *control, int family,
    const void *bytes, size_t count, const struct martlet_slot *slot) {
    memset(message, 0, sizeof *message);
    vector->iov_base = (void *)(uintptr_t)bytes;
    vector->iov_len = count;
    message->msg_iov = vector;
    message->msg_iovlen = 1;
    message->msg_name = name;
    message->msg_namelen = name_of(name, family, &slot->remote);
    if (message->msg_namelen == 0) return false;
    size_t used = 0;
    if (slot->local.family != 0) {
        if (family == 4) {
            struct in_pktinfo information = {
                .ipi_ifindex = (int)slot->interface, .ipi_spec_dst.s_addr = htonl((uint32_t)slot->local.low)};
            memcpy(append_control(control, &used, IPPROTO_IP, IP_PKTINFO, sizeof information), &information,
                sizeof information);
        } else {
            struct in6_pktinfo information = {.ipi6_addr = v6_of(&slot->local), .ipi6_ifindex = slot->interface};
            memcpy(append_control(control, &used, IPPROTO_IPV6, IPV6_PKTINFO, sizeof information), &information,
                sizeof information);
        }
    }
    if (slot->traffic_class != 0) {
        int value = slot->traffic_class;
        bool v4 = slot->remote.family == 4;
        memcpy(append_control(control, &used, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, sizeof value),
            &value, sizeof value);
    }
    if (slot->segment_size != 0 && slot->segment_size < count) {
        memcpy(append_control(control, &used, SOL_UDP, UDP_SEGMENT, sizeof slot->segment_size), &slot->segment_size,
            sizeof slot->segment_size);
    }
    if (used > 0) {
        message->msg_control = control;
        message->msg_controllen = used;
    }
    return true;
}

int martlet_datagram_receive(int socket, void *buffer, size_t capacity, struct martlet_slot *slot) {
    struct msghdr message;
    struct iovec vector;
    union name name;
    union control control;
    prepare_receive(&message, &vector, &name, &control, buffer, capacity);
    ssize_t count = MARTLET_TRY(recvmsg(socket, &message, MSG_DONTWAIT));
    if (count < 0) return (int)count;
    finish_receive(&message, slot, 0, (uint32_t)count);
    return (int)count;
}

int martlet_datagram_send(int socket, int family, const void *bytes, size_t count, const struct martlet_slot *slot) {
    struct msghdr message;
    struct iovec vector;
    union name name;
    union control control;
    if (!prepare_send(&message, &vector, &name, &control, family, bytes, count, slot)) return -EAFNOSUPPORT;
    return (int)MARTLET_TRY(sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int martlet_datagram_error(int socket, struct martlet_datagram_error *error) {
    uint8_t payload[64];
    struct msghdr message;
    struct iovec vector;
    union name name;
    union {
        struct cmsghdr align;
        uint8_t bytes[512];
    } control;
    prepare_receive(&message, &vector, &name, (union control *)(void *)&control, payload, sizeof payload);
    message.msg_controllen = sizeof control;
    ssize_t count = MARTLET_TRY(recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT));
    if (count < 0) return (int)count;
    memset(error, 0, sizeof *error);
    if (message.msg_namelen > 0) endpoint_of(&error->destination, &name);
    for (struct cmsghdr *entry = CMSG_FIRSTHDR(&message); entry; entry = CMSG_NXTHDR(&message, entry)) {
        bool v4 = entry->cmsg_level == IPPROTO_IP && entry->cmsg_type == IP_RECVERR;
        bool v6 = entry->cmsg_level == IPPROTO_IPV6 && entry->cmsg_type == IPV6_RECVERR;
        size_t length = entry->cmsg_len - CMSG_LEN(0);
        struct sock_extended_err report;
        if (!(v4 || v6) || length < sizeof report) continue;
        memcpy(&report, CMSG_DATA(entry), sizeof report);
        error->number = (int32_t)report.ee_errno;
        error->information = report.ee_info;
        error->origin = report.ee_origin;
        error->type = report.ee_type;
        error->code = report.ee_code;
        union name offender;
        size_t rest = length - sizeof report;
        memset(&offender, 0, sizeof offender);
        memcpy(&offender, CMSG_DATA(entry) + sizeof report, rest < sizeof offender ? rest : sizeof offender);
        if (rest >= sizeof offender.v4) endpoint_of(&error->offender, &offender);
    }
    return 1;
}

struct martlet_batch {
    uint32_t capacity;
    size_t slot_size;
    uint8_t *slab;
    struct martlet_slot *slots;
    struct mmsghdr *messages;
    struct iovec *vectors;
    union name *names;
    union control *controls;
};

struct martlet_batch *martlet_batch_create(uint32_t capacity, size_t slot_size) {
    struct martlet_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    batch->capacity = capacity;
    batch->slot_size = slot_size;
    size_t octets;
    if (!__builtin_mul_overflow(capacity, slot_size, &octets)
        && posix_memalign((void **)&batch->slab, 64, octets ? octets : 64) != 0)
        batch->slab = NULL;
    batch->slots = calloc(capacity, sizeof *batch->slots);
    batch->messages = calloc(capacity, sizeof *batch->messages);
    batch->vectors = calloc(capacity, sizeof *batch->vectors);
    batch->names = calloc(capacity, sizeof *batch->names);
    batch->controls = calloc(capacity, sizeof *batch->controls);
    if (!batch->slab || !batch->slots || !batch->messages || !batch->vectors || !batch->names || !batch->controls) {
        martlet_batch_destroy(batch);
        return NULL;
    }
    // Nothing of a former owner's memory can leave in a datagram whose length was set too large.
    memset(batch->slab, 0, octets);
    return batch;
}

void martlet_batch_destroy(struct martlet_batch *batch) {
    if (!batch) return;
    free(batch->slab);
    free(batch->slots);
    free(batch->messages);
    free(batch->vectors);
    free(batch->names);
    free(batch->controls);
    free(batch);
}

void *martlet_batch_slab(struct martlet_batch *batch) { return batch->slab; }
struct martlet_slot *martlet_batch_slots(struct martlet_batch *batch) { return batch->slots; }

int martlet_batch_receive(struct martlet_batch *batch, int socket, uint32_t first, uint32_t count, uint32_t headroom) {
    if (first > batch->capacity || count > batch->capacity - first || headroom > batch->slot_size) return -EINVAL;
    if (count == 0) return 0;
    for (uint32_t index = first; index < first + count; index++) {
        prepare_receive(
            &batch->messages[index].msg_hdr, &batch->vectors[index], &batch->names[index], &batch->controls[index],
            batch->slab + index * batch->slot_size + headroom, batch->slot_size - headroom);
    }
    int received = MARTLET_TRY(recvmmsg(socket, batch->messages + first, count, MSG_DONTWAIT, NULL));
    for (int index = 0; index < received; index++) {
        struct mmsghdr *message = &batch->messages[first + (uint32_t)index];
        finish_receive(&message->msg_hdr, &batch->slots[first + (uint32_t)index], headroom, message->msg_len);
    }
    return received;
}

int martlet_batch_send(struct martlet_batch *batch, int socket, int family, uint32_t first, uint32_t count) {
    if (first > batch->capacity || count > batch->capacity - first) return -EINVAL;
    uint32_t ready = 0;
    for (uint32_t index = first; index < first + count; index++) {
        const struct martlet_slot *slot = &batch->slots[index];
        bool fits = slot->start <= batch->slot_size && slot->length <= batch->slot_size - slot->start;
        if (!fits) {
            if (ready == 0) return -EINVAL;
            break;
        }
        if (!prepare_send(
                &batch->messages[index].msg_hdr, &batch->vectors[index], &batch->names[index], &batch->controls[index],
                family, batch->slab + index * batch->slot_size + slot->start, slot->length, slot)) {
            if (ready == 0) return -EAFNOSUPPORT;
            break;
        }
        ready++;
    }
    if (ready == 0) return 0;
    return MARTLET_TRY(sendmmsg(socket, batch->messages + first, ready, MSG_DONTWAIT | MSG_NOSIGNAL));
}
