#include "CServe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// How long a request waits for the page.
enum { PATIENCE = 10, CONNECTIONS = 16, MEMORY = 16 << 10 };

struct martlet_serve {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct MHD_Daemon *daemon;
    char *path;
    int is_wanted, is_ready, is_over;
    char *page;
    size_t length;
};

static enum MHD_Result plain(struct MHD_Connection *connection, unsigned status, const char *words) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(words), (void *)words, MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

// Runs in libmicrohttpd's only thread: one request after the other.
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *uploaded, void **state) {
    struct martlet_serve *server = context;
    (void)version, (void)upload, (void)state;
    if (*uploaded != 0) return MHD_NO;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return plain(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    if (strcmp(url, server->path) != 0) return plain(connection, MHD_HTTP_NOT_FOUND, "there is one page only\n");
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += PATIENCE;
    pthread_mutex_lock(&server->lock);
    server->is_wanted = 1;
    server->is_ready = 0;
    pthread_cond_broadcast(&server->changed);
    int error = 0;
    while (!server->is_ready && !server->is_over && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&server->changed, &server->lock, &end);
    char *page = server->is_ready ? server->page : NULL;
    size_t length = server->length;
    if (page) server->page = NULL;
    server->is_wanted = 0;
    pthread_mutex_unlock(&server->lock);
    if (!page) return plain(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the gateway does not answer\n");
    struct MHD_Response *response = MHD_create_response_from_buffer(length, page, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(page);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

struct martlet_serve *martlet_serve_new(const uint8_t *address, size_t length, uint16_t port, const char *path) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (length == 16) memcpy(&six.sin6_addr, address, 16);
    else if (length == 4) memcpy(&four.sin_addr, address, 4);
    else return NULL;
    struct martlet_serve *server = calloc(1, sizeof *server);
    if (!server) return NULL;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->path = strdup(path);
    const void *place = length == 16 ? (const void *)&six : (const void *)&four;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | (length == 16 ? MHD_USE_IPv6 : 0);
    if (server->path)
        server->daemon = MHD_start_daemon(
            flags, port, NULL, NULL, handle, server, MHD_OPTION_SOCK_ADDR, place, MHD_OPTION_CONNECTION_LIMIT,
            (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PATIENCE,
            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY, MHD_OPTION_END);
    if (server->daemon) return server;
    martlet_serve_free(server);
    return NULL;
}

uint16_t martlet_serve_port(struct martlet_serve *server) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

int martlet_serve_wait(struct martlet_serve *server) {
    pthread_mutex_lock(&server->lock);
    while (!server->is_wanted && !server->is_over) pthread_cond_wait(&server->changed, &server->lock);
    server->is_wanted = 0;
    int goes_on = !server->is_over;
    pthread_mutex_unlock(&server->lock);
    return goes_on;
}

void martlet_serve_answer(struct martlet_serve *server, const uint8_t *page, size_t length) {
    char *copy = page ? malloc(length ? length : 1) : NULL;
    if (copy) memcpy(copy, page, length);
    pthread_mutex_lock(&server->lock);
    free(server->page);
    server->page = copy;
    server->length = length;
    server->is_ready = 1;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

void martlet_serve_stop(struct martlet_serve *server) {
    pthread_mutex_lock(&server->lock);
    server->is_over = 1;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

void martlet_serve_free(struct martlet_serve *server) {
    if (!server) return;
    martlet_serve_stop(server);
    if (server->daemon) MHD_stop_daemon(server->daemon);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server->page);
    free(server->path);
    free(server);
}
