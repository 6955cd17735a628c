// TLS sessions over memory, for methods of EAP (RFC 5216, 5281): by way of libssl. A session belongs to one thread at a
// time, opens no file or socket and looks at no clock: what travels is put in and taken out by the caller.
#pragma once
#include "CTrust.h"
#include <openssl/ssl.h>

#pragma clang assume_nonnull begin

typedef struct martlet_tls martlet_tls;

// Where a session is.
enum { MARTLET_TLS_GOING = 0, MARTLET_TLS_DONE = 1, MARTLET_TLS_FAILED = -1 };

// A session. `key` with `own` (the certificate first, then those above it) is what we show, both or none. `anchors` are
// trusted at `moment`, seconds since 1970; where there are none, no certificate is asked for as a server, and any
// fails as a client. `latest` is 12 or 13 for TLS 1.2 or 1.3.
martlet_tls *_Nullable martlet_tls_new(
    int is_server, EVP_PKEY *_Nullable key, martlet_certificates *_Nullable own,
    martlet_certificates *_Nullable anchors, int64_t moment, int level, int latest);
void martlet_tls_free(martlet_tls *tls);
// Puts in what came. 0 when there is no room for it.
int martlet_tls_put(martlet_tls *tls, const uint8_t *bytes, size_t length);
// Takes out what is to be sent: its length; nothing is taken out when it does not fit into `room`.
size_t martlet_tls_take(martlet_tls *tls, uint8_t *_Nullable out, size_t room);
// Goes on with the handshake.
int martlet_tls_go(martlet_tls *tls);
// Encrypts. 1 done, 0 not.
int martlet_tls_write(martlet_tls *tls, const uint8_t *bytes, size_t length);
// Decrypts what is there: MARTLET_TLS_DONE and a length, MARTLET_TLS_GOING for nothing (more), MARTLET_TLS_FAILED.
int martlet_tls_read(martlet_tls *tls, uint8_t *out, size_t *length);
// The exporter (RFC 5705, RFC 8446 section 7.5); without a context when `context` is NULL.
int martlet_tls_export(
    martlet_tls *tls, const char *label, const uint8_t *_Nullable context, size_t context_length, uint8_t *out,
    size_t length);
// Does what no end of ours does: begins a handshake within the session (TLS 1.2), or changes keys (TLS 1.3). For tests
// of the other end: there in debug builds only. 1 done, 0 not.
int martlet_tls_begin_anew(martlet_tls *tls);
// 12 or 13.
int martlet_tls_version(martlet_tls *tls);
// What the other end showed, its own first; NULL for nothing.
martlet_certificates *_Nullable martlet_tls_peer(martlet_tls *tls);
// Why it failed: libcrypto's result for the other end's certificate, X509_V_OK when that was not it.
int martlet_tls_verdict(martlet_tls *tls);
// The same in libssl's words, a constant.
const char *martlet_tls_words(martlet_tls *tls);

#pragma clang assume_nonnull end
