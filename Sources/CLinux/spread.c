// Sockets that share a port, one for each worker: which of them a datagram goes to.
#include "internal.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include "CLinux.h"

int martlet_option_spread(int socket, uint32_t mask, uint32_t count, bool apart) {
    // The kernel shows the program what follows the UDP header; a load beyond the end ends it with 0.
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        // Zeros: the second socket, where it is for them.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, apart ? 1 : 0),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
        // The first is the first of those that share the rest, and its followers come behind the one for zeros.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, apart ? 1 : 0),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program = {.len = sizeof steps / sizeof *steps, .filter = steps};
    if (count == 0) return -EINVAL;
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) < 0 ? -errno : 0;
}
