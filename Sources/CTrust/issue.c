#include "CTrust.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>
#include <string.h>

#pragma clang assume_nonnull begin

static ASN1_INTEGER *_Nullable integer(const uint8_t *octets, size_t length) {
    if (!length || length > 20) return NULL;
    BIGNUM *number = BN_bin2bn(octets, (int)length, NULL);
    ASN1_INTEGER *made = number ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
    BN_free(number);
    return made;
}

X509 *_Nullable martlet_draft(
    const uint8_t *subject, size_t subject_length, X509 *_Nullable issuer, EVP_PKEY *key, const uint8_t *serial,
    size_t serial_length, int64_t begins, int64_t ends) {
    const unsigned char *end = subject;
    X509 *draft = X509_new();
    X509_NAME *name = subject_length <= 65535 ? d2i_X509_NAME(NULL, &end, (long)subject_length) : NULL;
    ASN1_INTEGER *number = integer(serial, serial_length);
    int done = draft && name && number && X509_set_version(draft, X509_VERSION_3) == 1
               && X509_set_serialNumber(draft, number) == 1 && X509_set_subject_name(draft, name) == 1
               && X509_set_issuer_name(draft, issuer ? X509_get_subject_name(issuer) : name) == 1
               && ASN1_TIME_set(X509_getm_notBefore(draft), (time_t)begins)
               && ASN1_TIME_set(X509_getm_notAfter(draft), (time_t)ends) && X509_set_pubkey(draft, key) == 1;
    X509_NAME_free(name);
    ASN1_INTEGER_free(number);
    ERR_clear_error();
    if (done) return draft;
    X509_free(draft);
    return NULL;
}

int martlet_draft_extend(X509 *draft, X509 *_Nullable issuer, const char *name, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer ? issuer : draft, draft, NULL, NULL, 0);
    // Some extensions insist on a configuration; an empty one has nothing that a value could refer to.
    CONF *nothing = NCONF_new(NULL);
    if (nothing) X509V3_set_nconf(&context, nothing);
    X509_EXTENSION *extension = nothing ? X509V3_EXT_nconf(nothing, &context, name, value) : NULL;
    int done = extension && X509_add_ext(draft, extension, -1) == 1;
    NCONF_free(nothing);
    X509_EXTENSION_free(extension);
    ERR_clear_error();
    return done;
}

static const EVP_MD *_Nullable digest(const char *_Nullable name) { return name ? EVP_get_digestbyname(name) : NULL; }

int martlet_draft_sign(X509 *draft, EVP_PKEY *key, const char *_Nullable hash) {
    int done = (!hash || digest(hash)) && X509_sign(draft, key, digest(hash)) > 0;
    ERR_clear_error();
    return done;
}

static int add_number(X509_CRL *draft, int nid, int64_t value, int critical) {
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    int done = number && ASN1_INTEGER_set_int64(number, value) == 1
               && X509_CRL_add1_ext_i2d(draft, nid, number, critical, 0) == 1;
    ASN1_INTEGER_free(number);
    return done;
}

X509_CRL *_Nullable martlet_crl_draft(X509 *issuer, int64_t from, int64_t next, int64_t number, int64_t base) {
    X509_CRL *draft = X509_CRL_new();
    ASN1_TIME *last_update = ASN1_TIME_set(NULL, (time_t)from), *next_update = ASN1_TIME_set(NULL, (time_t)next);
    AUTHORITY_KEYID *identifier = AUTHORITY_KEYID_new();
    const ASN1_OCTET_STRING *subject = X509_get0_subject_key_id(issuer);
    int done = draft && last_update && next_update && identifier && X509_CRL_set_version(draft, X509_CRL_VERSION_2) == 1
               && X509_CRL_set_issuer_name(draft, X509_get_subject_name(issuer)) == 1
               && X509_CRL_set1_lastUpdate(draft, last_update) == 1
               && X509_CRL_set1_nextUpdate(draft, next_update) == 1 && add_number(draft, NID_crl_number, number, 0)
               && (base < 0 || add_number(draft, NID_delta_crl, base, 1));
    if (done && subject) {
        identifier->keyid = ASN1_OCTET_STRING_dup(subject);
        done = identifier->keyid
               && X509_CRL_add1_ext_i2d(draft, NID_authority_key_identifier, identifier, 0, 0) == 1;
    }
    AUTHORITY_KEYID_free(identifier);
    ASN1_TIME_free(last_update);
    ASN1_TIME_free(next_update);
    ERR_clear_error();
    if (done) return draft;
    X509_CRL_free(draft);
    return NULL;
}

int martlet_crl_draft_add(X509_CRL *draft, const uint8_t *serial, size_t length, int64_t moment, int reason) {
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *number = integer(serial, length);
    ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)moment);
    ASN1_ENUMERATED *why = reason >= 0 ? ASN1_ENUMERATED_new() : NULL;
    int done = entry && number && time && X509_REVOKED_set_serialNumber(entry, number) == 1
               && X509_REVOKED_set_revocationDate(entry, time) == 1;
    if (done && reason >= 0)
        done = why && ASN1_ENUMERATED_set_int64(why, reason) == 1
               && X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, why, 0, 0) == 1;
    if (done && X509_CRL_add0_revoked(draft, entry) == 1) {
        entry = NULL;
    } else {
        done = 0;
    }
    X509_REVOKED_free(entry);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(time);
    ASN1_ENUMERATED_free(why);
    ERR_clear_error();
    return done;
}

int martlet_crl_draft_sign(X509_CRL *draft, EVP_PKEY *key, const char *_Nullable hash) {
    int done = (!hash || digest(hash)) && X509_CRL_sort(draft) == 1 && X509_CRL_sign(draft, key, digest(hash)) > 0;
    ERR_clear_error();
    return done;
}

int martlet_crl_entry(X509_CRL *list, int index, uint8_t *serial, size_t *length, int64_t *moment, int *reason) {
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(list);
    if (!entries || index < 0 || index >= sk_X509_REVOKED_num(entries)) return 0;
    const X509_REVOKED *entry = sk_X509_REVOKED_value(entries, index);
    const ASN1_INTEGER *number = X509_REVOKED_get0_serialNumber(entry);
    struct tm parts = {0};
    int count = ASN1_STRING_length(number);
    if (count <= 0 || (size_t)count > *length || ASN1_TIME_to_tm(X509_REVOKED_get0_revocationDate(entry), &parts) != 1)
        return 0;
    memcpy(serial, ASN1_STRING_get0_data(number), (size_t)count);
    *length = (size_t)count;
    *moment = (int64_t)timegm(&parts);
    ASN1_ENUMERATED *why = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
    int64_t value = -1;
    if (why && ASN1_ENUMERATED_get_int64(&value, why) != 1) value = -1;
    *reason = (int)value;
    ASN1_ENUMERATED_free(why);
    ERR_clear_error();
    return 1;
}

// What was written to `sink`, which is freed.
static size_t taken(BIO *_Nullable sink, int done, uint8_t *out, size_t room) {
    char *text = NULL;
    long count = sink && done ? BIO_get_mem_data(sink, &text) : 0;
    size_t length = count > 0 && (size_t)count <= room ? (size_t)count : 0;
    if (length) memcpy(out, text, length);
    BIO_free(sink);
    ERR_clear_error();
    return length;
}

size_t martlet_certificate_pem(X509 *certificate, uint8_t *out, size_t room) {
    BIO *sink = BIO_new(BIO_s_mem());
    int done = sink && PEM_write_bio_X509(sink, certificate) == 1;
    return taken(sink, done, out, room);
}

size_t martlet_crl_pem(X509_CRL *list, uint8_t *out, size_t room) {
    BIO *sink = BIO_new(BIO_s_mem());
    int done = sink && PEM_write_bio_X509_CRL(sink, list) == 1;
    return taken(sink, done, out, room);
}

size_t martlet_container_write(
    EVP_PKEY *key, X509 *certificate, martlet_certificates *others, const uint8_t *password, size_t password_length,
    const char *name, uint8_t *out, size_t room) {
    if (password_length > 1024) return 0;
    char *text = OPENSSL_strndup((const char *)password, password_length);
    PKCS12 *container = text ? PKCS12_create(text, name, key, certificate, others, 0, 0, 0, 0, 0) : NULL;
    BIO *sink = BIO_new(BIO_s_secmem());
    int done = container && sink && i2d_PKCS12_bio(sink, container) == 1;
    size_t length = taken(sink, done, out, room);
    PKCS12_free(container);
    OPENSSL_clear_free(text, text ? strlen(text) : 0);
    return length;
}

#pragma clang assume_nonnull end
