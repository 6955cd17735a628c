#include "CFetch.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#pragma clang assume_nonnull begin

struct exchange {
    const struct martlet_fetch *request;
    uint8_t *_Nullable body;
    size_t length;
    size_t room;
    int is_too_large;
    int is_forbidden;
};

static size_t take(char *octets, size_t size, size_t count, void *context) {
    struct exchange *exchange = context;
    (void)size; // always 1
    if (count > exchange->request->limit - exchange->length) {
        exchange->is_too_large = 1;
        return 0;
    }
    if (exchange->length + count > exchange->room) {
        size_t room = exchange->room ? exchange->room * 2 : 16384;
        while (room < exchange->length + count) room *= 2;
        if (room > exchange->request->limit) room = exchange->request->limit;
        uint8_t *body = realloc(exchange->body, room);
        if (!body) return 0;
        exchange->body = body;
        exchange->room = room;
    }
    memcpy(exchange->body + exchange->length, octets, count);
    exchange->length += count;
    return count;
}

static int look(void *context, curl_off_t expected, curl_off_t so_far, curl_off_t to_send, curl_off_t sent) {
    struct exchange *exchange = context;
    (void)expected, (void)so_far, (void)to_send, (void)sent;
    return __atomic_load_n(exchange->request->stop, __ATOMIC_ACQUIRE) != 0;
}

// Every connection is made to an address that was looked at here, so that a name can't point elsewhere later.
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    struct exchange *exchange = context;
    (void)purpose;
    int allowed = 0;
    if (address->family == AF_INET) {
        struct sockaddr_in *peer = (struct sockaddr_in *)&address->addr;
        allowed = exchange->request->allow(exchange->request->context, (const uint8_t *)&peer->sin_addr, 4);
    } else if (address->family == AF_INET6) {
        struct sockaddr_in6 *peer = (struct sockaddr_in6 *)&address->addr;
        allowed = exchange->request->allow(exchange->request->context, (const uint8_t *)&peer->sin6_addr, 16);
    }
    if (!allowed) {
        exchange->is_forbidden = 1;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static void prepare(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

static int result_of(CURLcode code, const struct exchange *exchange, long status) {
    if (exchange->is_too_large) return MARTLET_FETCH_TOO_LARGE;
    switch (code) {
    case CURLE_OK: return status == 200 ? MARTLET_FETCH_DONE : MARTLET_FETCH_REFUSED;
    case CURLE_OPERATION_TIMEDOUT: return MARTLET_FETCH_TIMED_OUT;
    case CURLE_ABORTED_BY_CALLBACK: return MARTLET_FETCH_STOPPED;
    case CURLE_FILESIZE_EXCEEDED: return MARTLET_FETCH_TOO_LARGE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return exchange->is_forbidden ? MARTLET_FETCH_FORBIDDEN : MARTLET_FETCH_UNREACHABLE;
    default: return exchange->is_forbidden ? MARTLET_FETCH_FORBIDDEN : MARTLET_FETCH_FAILED;
    }
}

int martlet_fetch_run(
    const struct martlet_fetch *request, uint8_t *_Nullable *_Nonnull out, size_t *length, long *status, char *words) {
    *out = NULL;
    *length = 0;
    *status = 0;
    words[0] = 0;
    pthread_once(&prepared, prepare);
    CURL *curl = curl_easy_init();
    if (!curl) return MARTLET_FETCH_FAILED;
    struct exchange exchange = {request, NULL, 0, 0, 0, 0};
    struct curl_slist *headers = NULL;
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    // The environment has no say: no proxy, no .netrc.
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "martlet");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->limit);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    if (request->body) {
        char line[128] = "Content-Type: ";
        strncat(line, request->body_type ? request->body_type : "application/octet-stream", sizeof line - 32);
        headers = curl_slist_append(NULL, line);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (const char *)request->body);
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    } else {
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, (long)(request->redirects > 0));
        curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)request->redirects);
    }
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    int result = result_of(code, &exchange, *status);
    if (!words[0]) strncpy(words, curl_easy_strerror(code), 255);
    words[255] = 0;
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (result == MARTLET_FETCH_DONE) {
        *out = exchange.body;
        *length = exchange.length;
    } else {
        free(exchange.body);
    }
    return result;
}

void martlet_fetch_free(uint8_t *_Nullable body) { free(body); }

int *_Nullable martlet_flag_new(void) { return calloc(1, sizeof(int)); }
void martlet_flag_set(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELEASE); }
void martlet_flag_free(int *flag) { free(flag); }

#pragma clang assume_nonnull end
