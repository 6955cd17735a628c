// The system calls that Swift's Glibc overlay lacks or cannot spell, one plain function each.
//
// Every function that can fail returns a value of zero or more, or minus errno: nobody reads `errno` afterwards, when
// something else may have changed it. Interrupted calls are repeated here. Nothing here keeps state of its own, but for
// the datagram batch, whose arrays its creator owns.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Errors --------------------------------------------------------------------------------------------------------------

const char *martlet_error_text(int number);
const char *martlet_error_name(int number);

// Descriptors ---------------------------------------------------------------------------------------------------------

struct martlet_piece {
    const void *base;
    size_t length;
};

int martlet_close(int descriptor);
/// Another number for the same, which closes when the program is replaced.
int martlet_duplicate(int descriptor);
int64_t martlet_read(int descriptor, void *buffer, size_t capacity);
int64_t martlet_write(int descriptor, const void *bytes, size_t count);
int64_t martlet_write_pieces(int descriptor, const struct martlet_piece *pieces, int count);
/// Waits for one descriptor: 1 when it is ready, 0 when the time is over. A negative time never ends.
int martlet_wait(int descriptor, bool for_writing, int milliseconds);

// Poller, wake-up, signals, clocks ------------------------------------------------------------------------------------

struct martlet_event {
    uint64_t token;
    uint32_t events;
};

int martlet_epoll_create(void);
/// `operation`: 1 add, 2 remove, 3 modify (EPOLL_CTL_…).
int martlet_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t token);
/// At most 256 events. A negative time never ends.
int martlet_epoll_wait(int epoll, struct martlet_event *events, int capacity, int64_t nanoseconds);

int martlet_eventfd(void);
int martlet_eventfd_signal(int descriptor);
/// How many signals were taken back, or -EAGAIN.
int64_t martlet_eventfd_drain(int descriptor);
/// Blocks the signals in this thread (threads made later inherit that) and makes a descriptor that reports them.
int martlet_signalfd(const int *signals, int count);
/// The next signal's number, or -EAGAIN.
int martlet_signal_read(int descriptor);
int martlet_ignore_broken_pipes(void);

int64_t martlet_clock_monotonic(void);
// Sleeps until that clock shows this, or a signal comes.
void martlet_sleep_monotonic(int64_t nanoseconds);
int64_t martlet_clock_boot(void);
int64_t martlet_clock_wall(void);
int64_t martlet_clock_process(void);
int64_t martlet_clock_thread(void);

// Datagrams -----------------------------------------------------------------------------------------------------------

/// An address as a number (IPv4 in the low 32 bits of `low`), with a port. `family` is 4, 6, or 0 for none.
struct martlet_endpoint {
    uint64_t high;
    uint64_t low;
    uint32_t scope;
    uint16_t port;
    uint8_t family;
};

/// What is known of one datagram, or of one train of datagrams that share a buffer.
struct martlet_slot {
    struct martlet_endpoint remote;
    struct martlet_endpoint local;
    /// Where the datagram starts in its slot.
    uint32_t start;
    uint32_t length;
    uint32_t interface;
    /// Octets of each segment but the last; 0 when the slot holds one datagram.
    uint16_t segment_size;
    uint8_t traffic_class;
    bool truncated;
};

struct martlet_datagram_error {
    int32_t number;
    uint32_t information;
    uint8_t origin;
    uint8_t type;
    uint8_t code;
    struct martlet_endpoint destination;
    struct martlet_endpoint offender;
};

/// `family` is 4 or 6; `protocol` 0 means UDP, any other number a raw socket of that IP protocol.
int martlet_datagram_socket(int family, int protocol);
int martlet_datagram_bind(int socket, const struct martlet_endpoint *local);

/// What a socket is; `family` as elsewhere, 0 for another one.
struct martlet_socket_facts {
    uint8_t family;
    bool is_datagram;
    bool is_stream;
    bool is_udp;
    bool only_v6;
};
int martlet_socket_describe(int socket, struct martlet_socket_facts *facts);
int martlet_set_nonblocking(int descriptor);

int martlet_datagram_local(int socket, struct martlet_endpoint *local);
/// Ask for the local address and the traffic class of each datagram.
int martlet_datagram_ask_for_details(int socket, int family);
int martlet_datagram_receive(
    int socket, void *buffer, size_t capacity, struct martlet_slot *slot);
int martlet_datagram_send(
    int socket, int family, const void *bytes, size_t count, const struct martlet_slot *slot);
/// 1 and the next entry of the error queue, or -EAGAIN when it is empty.
int martlet_datagram_error(int socket, struct martlet_datagram_error *error);

struct martlet_batch;
struct martlet_batch *martlet_batch_create(uint32_t capacity, size_t slot_size);
void martlet_batch_destroy(struct martlet_batch *batch);
void *martlet_batch_slab(struct martlet_batch *batch);
struct martlet_slot *martlet_batch_slots(struct martlet_batch *batch);
/// Fills slots from `first` on, at `headroom` octets into each; returns how many.
int martlet_batch_receive(struct martlet_batch *batch, int socket, uint32_t first, uint32_t count, uint32_t headroom);
/// Sends slots from `first` on; returns how many went. An error concerns the slot at `first`.
int martlet_batch_send(struct martlet_batch *batch, int socket, int family, uint32_t first, uint32_t count);

int martlet_option_reuse_address(int socket);
int martlet_option_reuse_port(int socket);
/// Of the `count` sockets that share this one's port, in the order in which they were bound, lets the one take a datagram
/// whose number is the datagram's first 32 bits, masked, modulo `count`; the first takes what is shorter.
int martlet_option_spread(int socket, uint32_t mask, uint32_t count, bool apart);
int martlet_option_only_v6(int socket, bool on);
int martlet_option_device(int socket, const char *name);
int martlet_option_mark(int socket, uint32_t mark);
int martlet_option_traffic_class(int socket, int family, int value);
/// Sets the buffer, above the system's limit where we may; returns the size that the kernel gave (it doubles it).
int martlet_option_receive_buffer(int socket, int octets);
int martlet_option_send_buffer(int socket, int octets);
/// 0 never set DF, 1 as routes say, 2 always, 3 always and ignore the known path MTU (IP_PMTUDISC_…).
int martlet_option_path_mtu(int socket, int family, int mode);
int martlet_option_error_queue(int socket, int family, bool on);
int martlet_option_udp_gro(int socket, bool on);

/// Prepares a raw socket whose packets begin with their IP header when they are sent, and when they are received by
/// martlet_header_receive.
int martlet_header_prepare(int socket, int family);
/// One packet with its IP header and, over IPv6, its extension headers; 0 when there was one that does not fit.
int64_t martlet_header_receive(int socket, int family, int protocol, void *buffer, size_t capacity);

// TUN -----------------------------------------------------------------------------------------------------------------

/// `name` holds 16 octets: a template on the way in, the device's name on the way out.
int martlet_tun_open(char *name, bool vnet_header, bool multi_queue);
int martlet_tun_set_offload(int descriptor, uint32_t flags);
int martlet_tun_set_persistent(int descriptor, bool on);
int martlet_tun_set_vnet_header_size(int descriptor, int size);

// Netlink -------------------------------------------------------------------------------------------------------------

int martlet_netlink_open(int protocol);
int martlet_netlink_join(int socket, uint32_t group);
// Routes of this protocol are no event of this socket's.
int martlet_netlink_ignore_routes(int socket, uint8_t protocol);
int64_t martlet_netlink_send(int socket, const void *bytes, size_t count);
/// The length of the next message, which may be more than `capacity` if `asks_size`: then it is still there, to be read
/// again. Without it, what does not fit is lost. The sender's port is 0 for the kernel.
int64_t martlet_netlink_receive(int socket, void *buffer, size_t capacity, bool asks_size, uint32_t *sender);

// Namespaces ----------------------------------------------------------------------------------------------------------

int martlet_namespace_prepare_directory(const char *directory);
/// Gives the calling thread a new network namespace and binds it to the file at `path`.
int martlet_namespace_make(const char *path);
int martlet_namespace_enter(int descriptor);
int martlet_namespace_detach(const char *path);

// Threads -------------------------------------------------------------------------------------------------------------

/// Starts a thread in which all signals are blocked. `processor` below zero lets it run anywhere.
int martlet_thread_start(
    uint64_t *handle, void (*body)(void *context), void *context, const char *name, int processor);
int martlet_thread_join(uint64_t handle);
int martlet_thread_detach(uint64_t handle);
int martlet_processor_count(void);

/// Runs a program and waits for its end. `packed` holds its path and arguments, each with its zero, and `settings` its
/// environment beside PATH and the locale. It reads `input`; its process group is killed when it takes longer, which is -ETIMEDOUT.
/// The first of what it writes to standard error goes into `said`, as long as `*said_count` says and then is; where that is
/// NULL, and on standard output, it writes to nowhere.
int martlet_run_program(
    const char *packed, size_t packed_count, const char *settings, size_t settings_count, const uint8_t *input,
    size_t input_count, int milliseconds, int *status, uint8_t *said, size_t *said_count);

/// Looks up a host name; waits as long as the system's resolver does. Fills in up to `capacity` addresses of 16 octets,
/// IPv4 as ::ffff:a.b.c.d, and returns how many; below zero, -EAI_….
int martlet_lookup_name(const char *name, uint8_t *addresses, int capacity);
/// The resolver's words for an error of it.
const char *martlet_lookup_error(int error);

// Unix sockets --------------------------------------------------------------------------------------------------------

struct martlet_credentials {
    int32_t process;
    uint32_t user;
    uint32_t group;
};

int martlet_unix_socket(bool datagram);
/// A path that starts with `@` names a socket in the abstract name space.
int martlet_unix_bind(int socket, const char *path);
int martlet_unix_connect(int socket, const char *path);
/// A TCP socket, which sends what it has at once.
int martlet_stream_socket(int family);
/// -EAGAIN while it is under way.
int martlet_stream_connect(int socket, const struct martlet_endpoint *remote);
/// What became of it.
int martlet_stream_error(int socket);
int martlet_listen(int socket, int backlog);
int martlet_accept(int socket);
int64_t martlet_socket_send(int socket, const void *bytes, size_t count);
int martlet_shutdown_writing(int socket);
int martlet_unix_peer(int socket, struct martlet_credentials *credentials);
int martlet_unix_pair(int *first, int *second);

// Files and the process -----------------------------------------------------------------------------------------------

/// Tells a file from another and from its later versions.
struct martlet_file_identity {
    uint64_t device;
    uint64_t inode;
    int64_t size;
    uint32_t mode;
    uint32_t owner;
};

int martlet_open_reading(const char *path);
int martlet_open_new(const char *path, uint32_t mode);
int martlet_open_appending(const char *path, uint32_t mode);
int martlet_open_directory(const char *path);
int martlet_open_present(const char *path);
int martlet_sync(int descriptor);
int martlet_change_mode_of(int descriptor, uint32_t mode);
int martlet_change_mode(const char *path, uint32_t mode);
int martlet_rename(const char *from, const char *to);
int martlet_make_directory(const char *path, uint32_t mode);
int martlet_make_link(const char *target, const char *path);
int martlet_unlink(const char *path);
int martlet_identify(const char *path, struct martlet_file_identity *identity);
int martlet_identify_end(const char *path, struct martlet_file_identity *identity);
int64_t martlet_read_link(const char *path, char *target, size_t room);
int martlet_identify_open(int descriptor, struct martlet_file_identity *identity);

int64_t martlet_resident_octets(void);
int martlet_open_descriptors(void);
uint32_t martlet_effective_user(void);
int32_t martlet_process_identifier(void);
/// No core of this process is written, by the kernel or by a program that it calls; nobody but root may look into it.
int martlet_process_keep_private(void);
/// 1 when the calling thread has the capability, 0 when not.
int martlet_has_capability(int capability);
const char *martlet_environment(const char *name);

// One process in place of another -------------------------------------------------------------------------------------

/// Memory without a name in any file system, which can be sealed.
int martlet_memory_file(const char *name);
/// Nobody changes it from now on.
int martlet_memory_seal(int descriptor);
/// 1 when nobody can change it any more, 0 when somebody can.
int martlet_memory_is_sealed(int descriptor);
int64_t martlet_file_octets(int descriptor);
int64_t martlet_read_at(int descriptor, void *buffer, uint64_t length, uint64_t offset);
int64_t martlet_write_at(int descriptor, const void *bytes, uint64_t length, uint64_t offset);
/// Its length stays as it is; its octets may be changed.
int martlet_memory_fix_size(int descriptor);
/// Sends a message and a descriptor with it.
int64_t martlet_socket_send_descriptor(int socket, const void *bytes, size_t count, int descriptor);
/// All descriptors from `first` on close when the process is replaced.
int martlet_close_others_on_exec(int first);
/// Ends the process at once: nothing else of it runs any more.
_Noreturn void martlet_leave(int status);
/// Whether a descriptor stays open when the process is replaced, and in children.
int martlet_keep_across_exec(int descriptor, bool on);
/// Whether the process's memory may be written to a file or read by others of the same user.
int martlet_allow_dumps(bool on);
/// Returns only when it fails. Both lists end with a NULL.
int martlet_replace_process(const char *path, const char *const *arguments, const char *const *environment);
/// The path of the running program, without an end; its length.
int64_t martlet_own_path(char *buffer, uint64_t capacity);
/// All variables of the environment (`KEY=value`); ends with a NULL.
const char *const *martlet_environment_list(void);
