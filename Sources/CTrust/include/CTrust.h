// Private and public keys, signatures, certificates and chains by way of libcrypto. Unless it says otherwise, a call
// answers 1 (done) or 0 (refused), a constructor an object or NULL; objects belong to the caller. Nothing here keeps
// state
// of its own, reads a file, looks at a clock or asks at a terminal.
#pragma once
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// ---- Keys ----

// What reading a protected file came to.
enum {
    MARTLET_READ_DONE = 0,
    MARTLET_READ_MALFORMED = 1,
    MARTLET_READ_NEEDS_PASSWORD = 2,
    MARTLET_READ_WRONG_PASSWORD = 3
};

// The kinds of keys.
enum {
    MARTLET_KEY_OTHER = 0,
    MARTLET_KEY_RSA = 1,
    MARTLET_KEY_P256 = 2,
    MARTLET_KEY_P384 = 3,
    MARTLET_KEY_P521 = 4,
    MARTLET_KEY_ED25519 = 5,
    MARTLET_KEY_ED448 = 6,
    MARTLET_KEY_EC = 7
};

// The private key in a file: PEM or DER; PKCS #8, encrypted too, or the older forms for one kind of key. The password
// may be absent (NULL). `outcome` says how it went.
EVP_PKEY *_Nullable martlet_private_key(
    const uint8_t *bytes, size_t length, const uint8_t *_Nullable password, size_t password_length, int *outcome);
// The public key in a file: a SubjectPublicKeyInfo, PEM or DER.
EVP_PKEY *_Nullable martlet_public_key(const uint8_t *bytes, size_t length);
void martlet_pkey_free(EVP_PKEY *key);
// The kind of a key, and its size in bits.
int martlet_pkey_kind(EVP_PKEY *key, int *bits);
// Whether both have the same public key.
int martlet_pkey_same(EVP_PKEY *left, EVP_PKEY *right);
// The DER of its SubjectPublicKeyInfo, written to `out` if it fits into `room`; its length in any case, 0 on error.
size_t martlet_pkey_info(EVP_PKEY *key, uint8_t *_Nullable out, size_t room);
// The octets of its subjectPublicKey, without algorithm and length, in the same way.
size_t martlet_pkey_bits(EVP_PKEY *key, uint8_t *_Nullable out, size_t room);
// Makes a key of a kind (RSA with so many bits).
EVP_PKEY *_Nullable martlet_pkey_generate(int kind, int bits);
// The private key as PKCS #8 in PEM, encrypted with AES-256 when there is a password. 0 when it does not fit.
size_t martlet_pkey_pem(
    EVP_PKEY *key, const uint8_t *_Nullable password, size_t password_length, uint8_t *out, size_t room);

// ---- Signatures ----

// How an RSA signature is padded; other kinds of keys have nothing to choose.
enum { MARTLET_PADDING_NONE = 0, MARTLET_PADDING_PKCS1 = 1, MARTLET_PADDING_PSS = 2 };

// Signs; `hash` is a digest's name, NULL where the scheme has its own (EdDSA). `length` is the room on entry and the
// signature's length on return.
int martlet_sign(
    EVP_PKEY *key, const char *_Nullable hash, int padding, const char *_Nullable mask_hash, int salt_length,
    const uint8_t *message, size_t message_length, uint8_t *signature, size_t *length);
int martlet_verify(
    EVP_PKEY *key, const char *_Nullable hash, int padding, const char *_Nullable mask_hash, int salt_length,
    const uint8_t *message, size_t message_length, const uint8_t *signature, size_t length);
// An ECDSA signature from DER to r and s, each `part` octets, and back. The latter gives the DER's length, 0 on error.
int martlet_ecdsa_split(const uint8_t *der, size_t length, uint8_t *out, size_t part);
size_t martlet_ecdsa_join(const uint8_t *parts, size_t part, uint8_t *out, size_t room);

// What an AlgorithmIdentifier says (RFC 7427): `kind` 1 RSA PKCS #1, 2 RSA-PSS, 3 ECDSA, 4 Ed25519, 5 Ed448. Hashes are
// bits (160, 256, 384, 512; 1 for one of SHA-1's length). Answers the octets of the identifier, 0 when it is none of
// these.
size_t martlet_algorithm_read(
    const uint8_t *der, size_t length, int *kind, int *hash_bits, int *mask_hash_bits, int *salt_length);

// ---- Certificates ----

typedef struct stack_st_X509 martlet_certificates;

// The certificate in `length` octets of DER, which hold it and nothing else.
X509 *_Nullable martlet_certificate_read(const uint8_t *der, size_t length);
void martlet_certificate_free(X509 *certificate);
size_t martlet_certificate_der(X509 *certificate, uint8_t *_Nullable out, size_t room);
EVP_PKEY *_Nullable martlet_certificate_key(X509 *certificate);
size_t martlet_certificate_subject(X509 *certificate, uint8_t *_Nullable out, size_t room);
size_t martlet_certificate_issuer(X509 *certificate, uint8_t *_Nullable out, size_t room);
// The serial number, big-endian; its length, 0 when it does not fit.
size_t martlet_certificate_serial(X509 *certificate, uint8_t *out, size_t room);
// Seconds since 1970.
int martlet_certificate_validity(X509 *certificate, int64_t *begins, int64_t *ends);
// What the basic constraints and the key usage say. `usage` is -1 when there is no such extension (else bit 0 of RFC
// 5280
// is 0x80, bit 5 0x04), `path_length` -1 when there is no limit. 0 when an extension is malformed.
int martlet_certificate_constraints(X509 *certificate, int *is_authority, int *path_length, int *usage);
// The digest's bits of the certificate's own signature (0: the scheme's own) and whether it is issued by itself.
int martlet_certificate_signature(X509 *certificate, int *hash_bits, int *is_self_issued);
// The extended key usages as dotted identifiers; `index` from 0. 1 done, 0 no more, -1 no such extension.
int martlet_certificate_purpose(X509 *certificate, int index, char *out, size_t room);
// Alternative names: `kind` is the general name's tag (1 e-mail, 2 DNS, 4 directory, 6 URI, 7 address). As above.
int martlet_certificate_name(X509 *certificate, int index, int *kind, uint8_t *out, size_t *length);
// Where revocation is published: `which` 0 CRL, 1 OCSP, 2 delta CRL (freshest CRL). As above.
int martlet_certificate_location(X509 *certificate, int which, int index, uint8_t *out, size_t *length);
// The key identifier that the certificate states: `which` 0 its own, 1 its issuer's. 1 done, 0 it states none.
int martlet_certificate_key_identifier(X509 *certificate, int which, uint8_t *out, size_t *length);

// Lists. Taking or adding shares the certificate.
martlet_certificates *_Nullable martlet_list_new(void);
void martlet_list_free(martlet_certificates *list);
int martlet_list_add(martlet_certificates *list, X509 *certificate);
int martlet_list_count(martlet_certificates *list);
X509 *_Nullable martlet_list_take(martlet_certificates *list, int index);
// All certificates in a file: one in DER, or any number in PEM (at most `limit`).
martlet_certificates *_Nullable martlet_certificates_read(const uint8_t *bytes, size_t length, int limit);
// A PKCS #12 file. `key` may come back NULL; the certificates begin with the one that belongs to it.
martlet_certificates *_Nullable martlet_container_read(
    const uint8_t *bytes, size_t length, const uint8_t *_Nullable password, size_t password_length,
    EVP_PKEY *_Nullable *_Nonnull key, int *outcome);

// ---- Revocation lists ----

typedef struct stack_st_X509_CRL martlet_revocation_lists;

// The revocation list in a file, PEM or DER.
X509_CRL *_Nullable martlet_crl_read(const uint8_t *bytes, size_t length);
void martlet_crl_free(X509_CRL *list);
size_t martlet_crl_der(X509_CRL *list, uint8_t *_Nullable out, size_t room);
size_t martlet_crl_issuer(X509_CRL *list, uint8_t *_Nullable out, size_t room);
// Seconds since 1970; `next` is INT64_MAX when it names no next update. `number` and `base` are CRL numbers, -1 when
// there is none (or one that is too large).
int martlet_crl_facts(X509_CRL *list, int64_t *from, int64_t *next, int64_t *number, int64_t *base, int *entries);
int martlet_crl_signed_by(X509_CRL *list, X509 *issuer);
martlet_revocation_lists *_Nullable martlet_crls_new(void);
void martlet_crls_free(martlet_revocation_lists *lists);
int martlet_crls_add(martlet_revocation_lists *lists, X509_CRL *list);

// Whether a list's scope is everything that its issuer has issued, and nothing in it is critical that is not looked at
// elsewhere: no issuing distribution point, no other critical extension.
int martlet_crl_is_plain(X509_CRL *list);

// ---- OCSP (RFC 6960) ----

// What an answer says, or what is wrong with it.
enum {
    MARTLET_OCSP_GOOD = 0,
    MARTLET_OCSP_REVOKED = 1,
    MARTLET_OCSP_UNKNOWN = 2,
    MARTLET_OCSP_MALFORMED = 3,
    MARTLET_OCSP_REFUSED = 4,
    MARTLET_OCSP_WRONG_SIGNER = 5,
    MARTLET_OCSP_WRONG_NONCE = 6,
    MARTLET_OCSP_WRONG_CERTIFICATE = 7,
    MARTLET_OCSP_STALE = 8
};

// A request about one certificate in DER; its length, 0 when it can't be made or does not fit.
size_t martlet_ocsp_request(
    X509 *certificate, X509 *issuer, const uint8_t *nonce, size_t nonce_length, uint8_t *out, size_t room);
// What an answer says about a certificate at a moment in seconds since 1970. It is to be signed by the issuer, by whom it
// has delegated, or by one of `responders`. An answer with another nonce is refused, one without any is not. `from` and
// `until` are the status's own.
int martlet_ocsp_judge(
    const uint8_t *der, size_t length, X509 *certificate, X509 *issuer, martlet_certificates *responders,
    const uint8_t *_Nullable nonce, size_t nonce_length, int64_t moment, int64_t *from, int64_t *until);

// ---- Chains ----

// Builds and checks the chain of `leaf` (RFC 5280 §6) at a moment in seconds since 1970. `policies` are dotted
// identifiers divided by commas, NULL for any. `level` is libcrypto's security level. Answers libcrypto's result,
// X509_V_OK
// (0) when it is good; `depth` is the place of the certificate that is at fault. On success `chain` is the chain,
// the leaf first.
int martlet_chain_check(
    X509 *leaf, martlet_certificates *helpers, martlet_certificates *anchors, int64_t moment,
    const char *_Nullable policies, int level, martlet_certificates *_Nullable *_Nonnull chain, int *depth);
// Checks revocation of one certificate of a checked chain with these lists. Answers libcrypto's result for it:
// X509_V_OK,
// X509_V_ERR_CERT_REVOKED, or why there is no answer.
int martlet_chain_revocation(
    martlet_certificates *chain, int index, martlet_revocation_lists *lists, int64_t moment);
const char *martlet_chain_words(int result);
// Whether `certificate` was signed by `issuer`'s key.
int martlet_certificate_signed_by(X509 *certificate, X509 *issuer);

// ---- Making certificates and revocation lists ----

// A certificate without extensions and signature. `issuer` NULL: it will be signed by its own key. Times in seconds
// since
// 1970; `serial` is big-endian.
X509 *_Nullable martlet_draft(
    const uint8_t *subject, size_t subject_length, X509 *_Nullable issuer, EVP_PKEY *key, const uint8_t *serial,
    size_t serial_length, int64_t begins, int64_t ends);
// Adds an extension in libcrypto's notation (x509v3_config(5)).
int martlet_draft_extend(X509 *draft, X509 *_Nullable issuer, const char *name, const char *value);
// Signs; `hash` NULL for keys whose scheme has its own.
int martlet_draft_sign(X509 *draft, EVP_PKEY *key, const char *_Nullable hash);

// A revocation list without entries and signature; `base` is the number of the list that a delta list goes with, else
// -1.
X509_CRL *_Nullable martlet_crl_draft(X509 *issuer, int64_t from, int64_t next, int64_t number, int64_t base);
// Adds a certificate by its serial number; `reason` as RFC 5280 §5.3.1 counts, -1 for none.
int martlet_crl_draft_add(X509_CRL *draft, const uint8_t *serial, size_t length, int64_t moment, int reason);
int martlet_crl_draft_sign(X509_CRL *draft, EVP_PKEY *key, const char *_Nullable hash);

// The entries of a list, by place: serial number, moment, reason (-1 for none). 0 when there is none at this place.
int martlet_crl_entry(X509_CRL *list, int index, uint8_t *serial, size_t *length, int64_t *moment, int *reason);

// Whether a list holds a certificate: 0 no, 1 revoked, 2 no longer revoked (delta lists).
int martlet_crl_holds(X509_CRL *list, X509 *certificate);

// PEM of a certificate or a list.
size_t martlet_certificate_pem(X509 *certificate, uint8_t *out, size_t room);
size_t martlet_crl_pem(X509_CRL *list, uint8_t *out, size_t room);
// A PKCS #12 file of a key, its certificate and those above it, encrypted with AES-256.
size_t martlet_container_write(
    EVP_PKEY *key, X509 *certificate, martlet_certificates *others, const uint8_t *password, size_t password_length,
    const char *name, uint8_t *out, size_t room);

#pragma clang assume_nonnull end

#include "CTrustTLS.h"
