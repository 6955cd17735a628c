#include "CTrustTLS.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#pragma clang assume_nonnull begin

struct martlet_tls {
    SSL *_Nullable ssl;
    BIO *_Nullable in, *_Nullable out;
    unsigned long error;
};

// Ephemeral keys and AEAD, or what Windows has beside them; RSA key transport never (its padding is an oracle).
static const char *const suites =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES256:ECDHE+AES128:!aNULL:!eNULL:!kRSA:!PSK:!SRP:!DSS:!MD5";

// The longest certificate chain, and the most plaintext that waits.
enum { LONGEST_CHAIN = 65536, MOST_WAITING = 262144 };

static int set_certificates(SSL_CTX *context, EVP_PKEY *key, martlet_certificates *own) {
    X509 *leaf = sk_X509_value(own, 0);
    if (!leaf || SSL_CTX_use_certificate(context, leaf) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1) return 0;
    for (int index = 1; index < sk_X509_num(own); index++) {
        if (SSL_CTX_add1_chain_cert(context, sk_X509_value(own, index)) != 1) return 0;
    }
    // Only what is given goes out: nothing is looked for in a store.
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
    return 1;
}

static int set_anchors(SSL_CTX *context, int is_server, martlet_certificates *_Nullable anchors, int64_t moment) {
    if (!anchors) {
        // A client that trusts nobody gets nowhere; a server asks for nothing.
        SSL_CTX_set_verify(context, is_server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
        return 1;
    }
    X509_STORE *store = X509_STORE_new();
    if (!store) return 0;
    SSL_CTX_set_cert_store(context, store);
    for (int index = 0; index < sk_X509_num(anchors); index++) {
        X509 *anchor = sk_X509_value(anchors, index);
        if (X509_STORE_add_cert(store, anchor) != 1) return 0;
        if (is_server && SSL_CTX_add_client_CA(context, anchor) != 1) return 0;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (is_server ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)moment);
    X509_VERIFY_PARAM_set_depth(parameters, 10);
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
    return 1;
}

static SSL_CTX *_Nullable make_context(
    int is_server, EVP_PKEY *_Nullable key, martlet_certificates *_Nullable own,
    martlet_certificates *_Nullable anchors, int64_t moment, int level, int latest) {
    SSL_CTX *context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (!context) return NULL;
    // libssl reads no configuration file for this: all that matters is set here.
    SSL_CTX_set_security_level(context, level);
    SSL_CTX_set_options(
        context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    // strongSwan's server does not know RFC 5746. Nobody here renegotiates, and AUTH is bound to this session's key.
    SSL_CTX_set_options(context, SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_max_cert_list(context, LONGEST_CHAIN);
    int done = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1
               && SSL_CTX_set_max_proto_version(context, latest == 13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1
               && SSL_CTX_set_cipher_list(context, suites) == 1 && set_anchors(context, is_server, anchors, moment)
               && (!key || !own || set_certificates(context, key, own));
    if (done) return context;
    SSL_CTX_free(context);
    return NULL;
}

martlet_tls *_Nullable martlet_tls_new(
    int is_server, EVP_PKEY *_Nullable key, martlet_certificates *_Nullable own,
    martlet_certificates *_Nullable anchors, int64_t moment, int level, int latest) {
    SSL_CTX *context = make_context(is_server, key, own, anchors, moment, level, latest);
    martlet_tls *tls = context ? OPENSSL_zalloc(sizeof *tls) : NULL;
    if (tls) {
        tls->ssl = SSL_new(context);
        tls->in = BIO_new(BIO_s_mem());
        tls->out = BIO_new(BIO_s_mem());
    }
    // The session holds on to it.
    SSL_CTX_free(context);
    ERR_clear_error();
    if (!tls) return NULL;
    if (!tls->ssl || !tls->in || !tls->out) {
        BIO_free(tls->in);
        BIO_free(tls->out);
        SSL_free(tls->ssl);
        OPENSSL_free(tls);
        return NULL;
    }
    // An empty buffer means "later", not the end.
    BIO_set_mem_eof_return(tls->in, -1);
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    if (is_server) SSL_set_accept_state(tls->ssl);
    else SSL_set_connect_state(tls->ssl);
    return tls;
}

void martlet_tls_free(martlet_tls *tls) {
    SSL_free(tls->ssl);
    OPENSSL_free(tls);
}

int martlet_tls_put(martlet_tls *tls, const uint8_t *bytes, size_t length) {
    if (length > MOST_WAITING || BIO_ctrl_pending(tls->in) > MOST_WAITING - length) return 0;
    return length == 0 || BIO_write(tls->in, bytes, (int)length) == (int)length;
}

size_t martlet_tls_take(martlet_tls *tls, uint8_t *_Nullable out, size_t room) {
    size_t waiting = BIO_ctrl_pending(tls->out);
    if (!out || waiting == 0 || waiting > room || waiting > MOST_WAITING) return waiting;
    return BIO_read(tls->out, out, (int)waiting) == (int)waiting ? waiting : 0;
}

// What a call's result means; remembers why it failed.
static int outcome(martlet_tls *tls, int result) {
    if (result > 0) return MARTLET_TLS_DONE;
    int reason = SSL_get_error(tls->ssl, result);
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
        ERR_clear_error();
        return MARTLET_TLS_GOING;
    }
    tls->error = ERR_peek_last_error();
    ERR_clear_error();
    return MARTLET_TLS_FAILED;
}

int martlet_tls_go(martlet_tls *tls) {
    ERR_clear_error();
    return outcome(tls, SSL_do_handshake(tls->ssl));
}

int martlet_tls_write(martlet_tls *tls, const uint8_t *bytes, size_t length) {
    size_t written = 0;
    ERR_clear_error();
    int done = SSL_write_ex(tls->ssl, bytes, length, &written) == 1 && written == length;
    ERR_clear_error();
    return done;
}

int martlet_tls_read(martlet_tls *tls, uint8_t *out, size_t *length) {
    size_t room = *length;
    *length = 0;
    ERR_clear_error();
    int result = SSL_read_ex(tls->ssl, out, room, length);
    if (result == 1) return MARTLET_TLS_DONE;
    // That the other end says goodbye is no failure: nothing more comes.
    if (SSL_get_error(tls->ssl, result) == SSL_ERROR_ZERO_RETURN) return MARTLET_TLS_GOING;
    return outcome(tls, result);
}

int martlet_tls_export(
    martlet_tls *tls, const char *label, const uint8_t *_Nullable context, size_t context_length, uint8_t *out,
    size_t length) {
    int done = SSL_export_keying_material(
        tls->ssl, out, length, label, strlen(label), context, context_length, context != NULL);
    ERR_clear_error();
    return done == 1;
}

#ifdef DEBUG
int martlet_tls_begin_anew(martlet_tls *tls) {
    ERR_clear_error();
    SSL_clear_options(tls->ssl, SSL_OP_NO_RENEGOTIATION);
    SSL_set_options(tls->ssl, SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
    int done = SSL_version(tls->ssl) == TLS1_3_VERSION
                   ? SSL_key_update(tls->ssl, SSL_KEY_UPDATE_REQUESTED) == 1
                   : SSL_renegotiate(tls->ssl) == 1;
    if (done) SSL_do_handshake(tls->ssl);
    ERR_clear_error();
    return done;
}
#endif

int martlet_tls_version(martlet_tls *tls) { return SSL_version(tls->ssl) == TLS1_3_VERSION ? 13 : 12; }

martlet_certificates *_Nullable martlet_tls_peer(martlet_tls *tls) {
    X509 *leaf = SSL_get0_peer_certificate(tls->ssl);
    if (!leaf) return NULL;
    martlet_certificates *all = sk_X509_new_null();
    if (!all || !martlet_list_add(all, leaf)) {
        sk_X509_free(all);
        return NULL;
    }
    STACK_OF(X509) *sent = SSL_get_peer_cert_chain(tls->ssl);
    for (int index = 0; sent && index < sk_X509_num(sent); index++) {
        X509 *other = sk_X509_value(sent, index);
        // A client's list begins with the server's own.
        if (X509_cmp(other, leaf) == 0) continue;
        if (!martlet_list_add(all, other)) break;
    }
    return all;
}

int martlet_tls_verdict(martlet_tls *tls) { return (int)SSL_get_verify_result(tls->ssl); }

const char *martlet_tls_words(martlet_tls *tls) {
    const char *words = tls->error ? ERR_reason_error_string(tls->error) : NULL;
    return words ? words : "the other end broke off";
}

#pragma clang assume_nonnull end
