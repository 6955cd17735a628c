#include "CTrust.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#pragma clang assume_nonnull begin

enum { LONGEST_CERTIFICATE = 1 << 16, LONGEST_FILE = 1 << 20 };

X509 *_Nullable martlet_certificate_read(const uint8_t *der, size_t length) {
    if (!length || length > LONGEST_CERTIFICATE) return NULL;
    const unsigned char *end = der;
    X509 *certificate = d2i_X509(NULL, &end, (long)length);
    if (certificate && end != der + length) {
        X509_free(certificate);
        certificate = NULL;
    }
    ERR_clear_error();
    return certificate;
}

void martlet_certificate_free(X509 *certificate) { X509_free(certificate); }

#define WRITE_DER(call)                                                   \
    int length = call(object, NULL);                                      \
    if (length > 0 && out && (size_t)length <= room) {                    \
        unsigned char *end = out;                                         \
        length = call(object, &end);                                      \
    }                                                                     \
    ERR_clear_error();                                                    \
    return length > 0 ? (size_t)length : 0;

size_t martlet_certificate_der(X509 *object, uint8_t *_Nullable out, size_t room) { WRITE_DER(i2d_X509) }

static size_t write_name(const X509_NAME *_Nullable object, uint8_t *_Nullable out, size_t room) {
    if (!object) return 0;
    WRITE_DER(i2d_X509_NAME)
}

size_t martlet_certificate_subject(X509 *certificate, uint8_t *_Nullable out, size_t room) {
    return write_name(X509_get_subject_name(certificate), out, room);
}

size_t martlet_certificate_issuer(X509 *certificate, uint8_t *_Nullable out, size_t room) {
    return write_name(X509_get_issuer_name(certificate), out, room);
}

EVP_PKEY *_Nullable martlet_certificate_key(X509 *certificate) {
    EVP_PKEY *key = X509_get_pubkey(certificate);
    ERR_clear_error();
    return key;
}

size_t martlet_certificate_serial(X509 *certificate, uint8_t *out, size_t room) {
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    int length = serial ? ASN1_STRING_length(serial) : 0;
    if (length <= 0 || (size_t)length > room) return 0;
    memcpy(out, ASN1_STRING_get0_data(serial), (size_t)length);
    return (size_t)length;
}

static int seconds(const ASN1_TIME *_Nullable moment, int64_t *out) {
    struct tm parts = {0};
    if (!moment || ASN1_TIME_to_tm(moment, &parts) != 1) {
        ERR_clear_error();
        return 0;
    }
    *out = (int64_t)timegm(&parts);
    return 1;
}

int martlet_certificate_validity(X509 *certificate, int64_t *begins, int64_t *ends) {
    return seconds(X509_get0_notBefore(certificate), begins) && seconds(X509_get0_notAfter(certificate), ends);
}

int martlet_certificate_constraints(X509 *certificate, int *is_authority, int *path_length, int *usage) {
    uint32_t flags = X509_get_extension_flags(certificate);
    ERR_clear_error();
    if (flags & EXFLAG_INVALID) return 0;
    *is_authority = (flags & EXFLAG_CA) != 0;
    *path_length = *is_authority ? (int)X509_get_pathlen(certificate) : -1;
    *usage = flags & EXFLAG_KUSAGE ? (int)(X509_get_key_usage(certificate) & 0xffff) : -1;
    return 1;
}

int martlet_certificate_signature(X509 *certificate, int *hash_bits, int *is_self_issued) {
    int hash = NID_undef, scheme = NID_undef;
    int done = X509_get_signature_info(certificate, &hash, &scheme, NULL, NULL) == 1;
    ERR_clear_error();
    switch (hash) {
    case NID_md5: *hash_bits = 128; break;
    case NID_sha1: *hash_bits = 160; break;
    case NID_sha224: *hash_bits = 224; break;
    case NID_sha256: *hash_bits = 256; break;
    case NID_sha384: *hash_bits = 384; break;
    case NID_sha512: *hash_bits = 512; break;
    default: *hash_bits = 0;
    }
    *is_self_issued = (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0;
    ERR_clear_error();
    return done;
}

int martlet_certificate_purpose(X509 *certificate, int index, char *out, size_t room) {
    int critical = 0;
    EXTENDED_KEY_USAGE *purposes = X509_get_ext_d2i(certificate, NID_ext_key_usage, &critical, NULL);
    ERR_clear_error();
    // Malformed or given twice counts as there, and as empty.
    if (!purposes) return critical == -1 ? -1 : 0;
    int done = 0;
    if (index < sk_ASN1_OBJECT_num(purposes) && room <= 4096) {
        int length = OBJ_obj2txt(out, (int)room, sk_ASN1_OBJECT_value(purposes, index), 1);
        done = length > 0 && (size_t)length < room;
    }
    sk_ASN1_OBJECT_pop_free(purposes, ASN1_OBJECT_free);
    ERR_clear_error();
    return done;
}

// The octets of a general name that hold its value; NULL for the kinds that nobody here reads.
static int name_value(const GENERAL_NAME *name, int *kind, uint8_t *out, size_t *length) {
    const uint8_t *octets = NULL;
    unsigned char *encoded = NULL;
    int count = 0;
    *kind = name->type;
    switch (name->type) {
    case GEN_EMAIL:
    case GEN_DNS:
    case GEN_URI:
        octets = ASN1_STRING_get0_data(name->d.ia5);
        count = ASN1_STRING_length(name->d.ia5);
        break;
    case GEN_IPADD:
        octets = ASN1_STRING_get0_data(name->d.iPAddress);
        count = ASN1_STRING_length(name->d.iPAddress);
        break;
    case GEN_DIRNAME:
        count = i2d_X509_NAME(name->d.directoryName, &encoded);
        octets = encoded;
        break;
    default: break;
    }
    int fits = count >= 0 && (size_t)count <= *length;
    if (fits && count && octets) memcpy(out, octets, (size_t)count);
    *length = fits && octets ? (size_t)count : 0;
    OPENSSL_free(encoded);
    return 1;
}

int martlet_certificate_name(X509 *certificate, int index, int *kind, uint8_t *out, size_t *length) {
    int critical = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
    ERR_clear_error();
    if (!names) return critical == -1 ? -1 : 0;
    int done = index < sk_GENERAL_NAME_num(names)
               && name_value(sk_GENERAL_NAME_value(names, index), kind, out, length);
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return done;
}

// The `index`th URI among general names; counts `index` down over those before it.
static int uri_in(const GENERAL_NAMES *_Nullable names, int *index, uint8_t *out, size_t *length) {
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        int kind = 0;
        if (name->type != GEN_URI || (*index)-- > 0) continue;
        return name_value(name, &kind, out, length);
    }
    return 0;
}

int martlet_certificate_location(X509 *certificate, int which, int index, uint8_t *out, size_t *length) {
    int done = 0;
    if (which == 1) {
        AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(certificate, NID_info_access, NULL, NULL);
        for (int i = 0; access && !done && i < sk_ACCESS_DESCRIPTION_num(access); i++) {
            ACCESS_DESCRIPTION *entry = sk_ACCESS_DESCRIPTION_value(access, i);
            int kind = 0;
            if (OBJ_obj2nid(entry->method) != NID_ad_OCSP || entry->location->type != GEN_URI || index-- > 0) continue;
            done = name_value(entry->location, &kind, out, length);
        }
        AUTHORITY_INFO_ACCESS_free(access);
    } else {
        STACK_OF(DIST_POINT) *points = X509_get_ext_d2i(
            certificate, which == 0 ? NID_crl_distribution_points : NID_freshest_crl, NULL, NULL);
        for (int i = 0; points && !done && index >= 0 && i < sk_DIST_POINT_num(points); i++) {
            const DIST_POINT_NAME *place = sk_DIST_POINT_value(points, i)->distpoint;
            if (place && place->type == 0) done = uri_in(place->name.fullname, &index, out, length);
        }
        sk_DIST_POINT_pop_free(points, DIST_POINT_free);
    }
    ERR_clear_error();
    return done;
}

int martlet_certificate_key_identifier(X509 *certificate, int which, uint8_t *out, size_t *length) {
    const ASN1_OCTET_STRING *found =
        which == 0 ? X509_get0_subject_key_id(certificate) : X509_get0_authority_key_id(certificate);
    ERR_clear_error();
    if (!found || (size_t)ASN1_STRING_length(found) > *length) return 0;
    *length = (size_t)ASN1_STRING_length(found);
    memcpy(out, ASN1_STRING_get0_data(found), *length);
    return 1;
}

martlet_certificates *_Nullable martlet_list_new(void) { return sk_X509_new_null(); }
void martlet_list_free(martlet_certificates *list) { sk_X509_pop_free(list, X509_free); }
int martlet_list_count(martlet_certificates *list) { return sk_X509_num(list); }

int martlet_list_add(martlet_certificates *list, X509 *certificate) {
    if (X509_up_ref(certificate) != 1) return 0;
    if (sk_X509_push(list, certificate) > 0) return 1;
    X509_free(certificate);
    return 0;
}

X509 *_Nullable martlet_list_take(martlet_certificates *list, int index) {
    X509 *certificate = sk_X509_value(list, index);
    return certificate && X509_up_ref(certificate) == 1 ? certificate : NULL;
}

// No password is ever asked for.
static int no_password(char *buffer, int size, int for_writing, void *_Nullable context) {
    (void)buffer, (void)size, (void)for_writing, (void)context;
    return -1;
}

martlet_certificates *_Nullable martlet_certificates_read(const uint8_t *bytes, size_t length, int limit) {
    if (!length || length > LONGEST_FILE) return NULL;
    martlet_certificates *list = sk_X509_new_null();
    X509 *whole = martlet_certificate_read(bytes, length);
    if (list && whole) {
        if (sk_X509_push(list, whole) > 0) return list;
        X509_free(whole);
    } else if (list) {
        BIO *source = BIO_new_mem_buf(bytes, (int)length);
        X509 *certificate = NULL;
        while (source && sk_X509_num(list) < limit
               && (certificate = PEM_read_bio_X509(source, NULL, no_password, NULL))) {
            if (sk_X509_push(list, certificate) > 0) continue;
            X509_free(certificate);
            break;
        }
        // The end of the text is no error; a block that can't be read is.
        int ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        BIO_free(source);
        ERR_clear_error();
        if (sk_X509_num(list) > 0 && ended) return list;
    }
    sk_X509_pop_free(list, X509_free);
    return NULL;
}

martlet_certificates *_Nullable martlet_container_read(
    const uint8_t *bytes, size_t length, const uint8_t *_Nullable password, size_t password_length,
    EVP_PKEY *_Nullable *_Nonnull key, int *outcome) {
    *outcome = MARTLET_READ_MALFORMED;
    *key = NULL;
    if (!length || length > LONGEST_FILE || password_length > 1024) return NULL;
    const unsigned char *end = bytes;
    PKCS12 *container = d2i_PKCS12(NULL, &end, (long)length);
    martlet_certificates *list = NULL;
    if (container && end == bytes + length) {
        char *text = password ? OPENSSL_strndup((const char *)password, password_length) : NULL;
        // A MAC's iteration count may ask for days of work.
        const ASN1_INTEGER *iterations = NULL;
        PKCS12_get0_mac(NULL, NULL, NULL, &iterations, container);
        int64_t rounds = 1;
        int bounded = !iterations || (ASN1_INTEGER_get_int64(&rounds, iterations) == 1 && rounds <= 2000000);
        // Without a MAC nothing says that the rest is worth deriving keys for.
        int opens = bounded && PKCS12_mac_present(container) && PKCS12_verify_mac(container, text, text ? -1 : 0) == 1;
        X509 *leaf = NULL;
        martlet_certificates *others = NULL;
        if (!opens) {
            *outcome = !bounded || !PKCS12_mac_present(container) ? MARTLET_READ_MALFORMED
                                : text ? MARTLET_READ_WRONG_PASSWORD : MARTLET_READ_NEEDS_PASSWORD;
        } else if (PKCS12_parse(container, text, key, &leaf, &others) == 1) {
            list = sk_X509_new_null();
            if (list && leaf && sk_X509_push(list, leaf) > 0) leaf = NULL;
            for (int i = 0; list && others && i < sk_X509_num(others) && i < 64; i++)
                martlet_list_add(list, sk_X509_value(others, i));
            *outcome = list ? MARTLET_READ_DONE : MARTLET_READ_MALFORMED;
        }
        X509_free(leaf);
        sk_X509_pop_free(others, X509_free);
        OPENSSL_clear_free(text, text ? strlen(text) : 0);
    }
    PKCS12_free(container);
    ERR_clear_error();
    return list;
}

// ---- Revocation lists ----

X509_CRL *_Nullable martlet_crl_read(const uint8_t *bytes, size_t length) {
    // Public lists have grown to tens of megabytes.
    if (!length || length > (64 << 20)) return NULL;
    const unsigned char *end = bytes;
    X509_CRL *list = d2i_X509_CRL(NULL, &end, (long)length);
    if (list && end != bytes + length) {
        X509_CRL_free(list);
        list = NULL;
    }
    if (!list && length > 11 && !memcmp(bytes, "-----BEGIN ", 11)) {
        BIO *source = BIO_new_mem_buf(bytes, (int)length);
        if (source) list = PEM_read_bio_X509_CRL(source, NULL, no_password, NULL);
        BIO_free(source);
    }
    ERR_clear_error();
    return list;
}

void martlet_crl_free(X509_CRL *list) { X509_CRL_free(list); }
size_t martlet_crl_der(X509_CRL *object, uint8_t *_Nullable out, size_t room) { WRITE_DER(i2d_X509_CRL) }

size_t martlet_crl_issuer(X509_CRL *list, uint8_t *_Nullable out, size_t room) {
    return write_name(X509_CRL_get_issuer(list), out, room);
}

static int64_t number_in(X509_CRL *list, int nid) {
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(list, nid, NULL, NULL);
    int64_t value = -1;
    if (number && ASN1_INTEGER_get_int64(&value, number) != 1) value = -1;
    ASN1_INTEGER_free(number);
    ERR_clear_error();
    return value;
}

int martlet_crl_facts(X509_CRL *list, int64_t *from, int64_t *next, int64_t *number, int64_t *base, int *entries) {
    *next = INT64_MAX;
    if (!seconds(X509_CRL_get0_lastUpdate(list), from)) return 0;
    if (X509_CRL_get0_nextUpdate(list) && !seconds(X509_CRL_get0_nextUpdate(list), next)) return 0;
    *number = number_in(list, NID_crl_number);
    *base = number_in(list, NID_delta_crl);
    STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(list);
    *entries = revoked ? sk_X509_REVOKED_num(revoked) : 0;
    return 1;
}

int martlet_crl_signed_by(X509_CRL *list, X509 *issuer) {
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    int done = key && X509_CRL_verify(list, key) == 1;
    ERR_clear_error();
    return done;
}

int martlet_crl_holds(X509_CRL *list, X509 *certificate) {
    X509_REVOKED *entry = NULL;
    int found = X509_CRL_get0_by_cert(list, &entry, certificate);
    ERR_clear_error();
    return found;
}

martlet_revocation_lists *_Nullable martlet_crls_new(void) { return sk_X509_CRL_new_null(); }
void martlet_crls_free(martlet_revocation_lists *lists) { sk_X509_CRL_pop_free(lists, X509_CRL_free); }

int martlet_crls_add(martlet_revocation_lists *lists, X509_CRL *list) {
    if (X509_CRL_up_ref(list) != 1) return 0;
    if (sk_X509_CRL_push(lists, list) > 0) return 1;
    X509_CRL_free(list);
    return 0;
}

#pragma clang assume_nonnull end
