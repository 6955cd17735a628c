// Options of datagram sockets.
#include "internal.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/socket.h>

#include "CLinux.h"

static int set_option(int socket, int level, int option, int value) {
    return setsockopt(socket, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

int martlet_datagram_ask_for_details(int socket, int family) {
    if (family == 6) {
        int result = set_option(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        return result < 0 ? result : set_option(socket, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    }
    int result = set_option(socket, IPPROTO_IP, IP_PKTINFO, 1);
    return result < 0 ? result : set_option(socket, IPPROTO_IP, IP_RECVTOS, 1);
}

int martlet_option_reuse_address(int socket) { return set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1); }
int martlet_option_reuse_port(int socket) { return set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1); }
int martlet_option_only_v6(int socket, bool on) { return set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, on); }

int martlet_option_device(int socket, const char *name) {
    return setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1) < 0 ? -errno : 0;
}

int martlet_option_mark(int socket, uint32_t mark) {
    return setsockopt(socket, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0 ? -errno : 0;
}

/// Sets an option of both families: an IPv6 socket may carry IPv4 as well, and then needs both.
static int set_both(int socket, int family, int v4_option, int v6_option, int value) {
    int result = set_option(socket, IPPROTO_IP, v4_option, value);
    return family == 4 ? result : set_option(socket, IPPROTO_IPV6, v6_option, value);
}

int martlet_option_traffic_class(int socket, int family, int value) {
    return set_both(socket, family, IP_TOS, IPV6_TCLASS, value);
}

static int set_buffer(int socket, int octets, int forced, int plain) {
    if (set_option(socket, SOL_SOCKET, forced, octets) < 0) {
        int result = set_option(socket, SOL_SOCKET, plain, octets);
        if (result < 0) return result;
    }
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(socket, SOL_SOCKET, plain, &value, &length) < 0 ? -errno : value;
}

int martlet_option_receive_buffer(int socket, int octets) {
    return set_buffer(socket, octets, SO_RCVBUFFORCE, SO_RCVBUF);
}

int martlet_option_send_buffer(int socket, int octets) {
    return set_buffer(socket, octets, SO_SNDBUFFORCE, SO_SNDBUF);
}

int martlet_option_path_mtu(int socket, int family, int mode) {
    return set_both(socket, family, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, mode);
}

int martlet_option_error_queue(int socket, int family, bool on) {
    return set_both(socket, family, IP_RECVERR, IPV6_RECVERR, on);
}

int martlet_option_udp_gro(int socket, bool on) { return set_option(socket, SOL_UDP, UDP_GRO, on); }
