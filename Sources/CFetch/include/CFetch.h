// One HTTP exchange by libcurl: nothing of HTTP is written here, only libcurl's limits are set.
#pragma once
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// Whether a connection to an address may be made: 4 or 16 octets, network order. Called on the fetching thread.
typedef int (*martlet_fetch_allow)(void *_Nullable context, const uint8_t *address, size_t length);

// What became of it.
enum {
    MARTLET_FETCH_DONE = 0,
    MARTLET_FETCH_TOO_LARGE = 1,
    MARTLET_FETCH_FORBIDDEN = 2,
    MARTLET_FETCH_TIMED_OUT = 3,
    MARTLET_FETCH_UNREACHABLE = 4,
    MARTLET_FETCH_STOPPED = 5,
    MARTLET_FETCH_REFUSED = 6,
    MARTLET_FETCH_FAILED = 7
};

struct martlet_fetch {
    // http: or https:.
    const char *url;
    // What is posted, and its media type; NULL to get.
    const uint8_t *_Nullable body;
    size_t body_length;
    const char *_Nullable body_type;
    // Octets of the answer at most, milliseconds for all of it, redirects at most (none are followed when posting).
    size_t limit;
    int timeout;
    int redirects;
    martlet_fetch_allow allow;
    void *_Nullable context;
    // Becomes other than 0 when the exchange is to be given up.
    const int *stop;
};

// Carries it out and waits for the end. `out` becomes the answer's body, to be given back by martlet_fetch_free, or NULL;
// `status` the HTTP status (0 for none); `words` libcurl's own text of a failure (256 octets).
int martlet_fetch_run(
    const struct martlet_fetch *request, uint8_t *_Nullable *_Nonnull out, size_t *length, long *status, char *words);
void martlet_fetch_free(uint8_t *_Nullable body);

// A flag that one thread sets and others look at.
int *_Nullable martlet_flag_new(void);
void martlet_flag_set(int *flag);
void martlet_flag_free(int *flag);

#pragma clang assume_nonnull end
