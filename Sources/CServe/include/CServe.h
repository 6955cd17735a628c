// One page over HTTP by libmicrohttpd, which reads what comes from elsewhere. The caller makes the page in a thread of
// its own: it waits for a request, and answers it.
#ifndef CSERVE_H
#define CSERVE_H

#include <stddef.h>
#include <stdint.h>

struct martlet_serve;

/// Listens at an address of 4 or 16 octets; port 0 for any. NULL when that can't be done.
struct martlet_serve *martlet_serve_new(const uint8_t *address, size_t length, uint16_t port, const char *path);
/// Where it listens.
uint16_t martlet_serve_port(struct martlet_serve *server);
/// Waits until somebody asks for the page; 0 when it was stopped.
int martlet_serve_wait(struct martlet_serve *server);
/// The page for whoever asked; NULL when there is none now.
void martlet_serve_answer(struct martlet_serve *server, const uint8_t *page, size_t length);
/// Wakes whoever waits; they are told that it is over.
void martlet_serve_stop(struct martlet_serve *server);
/// Stops listening and forgets everything. Nobody may wait any more.
void martlet_serve_free(struct martlet_serve *server);

#endif
