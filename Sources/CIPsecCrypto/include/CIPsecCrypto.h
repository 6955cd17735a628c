// What IPsecCrypto asks of OpenSSL 3 libcrypto, each question one call that answers 1 (done), 0 (refused) or, for a
// constructor, an object or NULL. Nothing here keeps state of its own, and no secret is left on the stack.
#pragma once
#include "CIPsecLegacy.h"
#include "CIPsecNames.h"
#include "CIPsecPackets.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <string.h>

#pragma clang assume_nonnull begin

// ---- Algorithms, fetched once and never freed ----

// Whether libcrypto's policy allows the hash of this name.
static inline int martlet_digest_allowed(const char *name) {
    EVP_MD *digest = EVP_MD_fetch(NULL, name, NULL);
    EVP_MD_free(digest);
    if (!digest) ERR_clear_error();
    return digest != NULL;
}
static inline EVP_MAC *_Nullable martlet_mac_fetch(const char *name) { return EVP_MAC_fetch(NULL, name, NULL); }

static inline int martlet_random(uint8_t *bytes, size_t count) {
    return count <= INT32_MAX && RAND_bytes(bytes, (int)count) == 1;
}

// ---- Key agreement ----

static inline void martlet_key_free(EVP_PKEY *key) { EVP_PKEY_free(key); }

// X448 (RFC 7748).
static inline EVP_PKEY *_Nullable martlet_x448_key(const uint8_t *private_value, uint8_t *public_value) {
    size_t length = 56;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(NULL, "X448", NULL, private_value, 56);
    if (key && EVP_PKEY_get_raw_public_key(key, public_value, &length) == 1 && length == 56) return key;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return NULL;
}
static inline EVP_PKEY *_Nullable martlet_x448_peer(const uint8_t *public_value) {
    return EVP_PKEY_new_raw_public_key_ex(NULL, "X448", NULL, public_value, 56);
}

// A key on a named curve ("P-256", "brainpoolP256r1"). Points are uncompressed (RFC 5480 §2.2).
EVP_PKEY *_Nullable martlet_ecp_key(
    const char *group, const uint8_t *public_value, size_t public_length, const uint8_t *_Nullable private_value,
    size_t private_length);

// The public value for a private one: `public_length` octets. 0 when the private value is out of range. Groups of
// numbers are named "modp_2048", "dh_1024_160" and so on; numbers are big-endian and have the modulus's length.
int martlet_modp_public(
    const char *group, const uint8_t *private_value, size_t private_length, uint8_t *public_value,
    size_t public_length);
int martlet_ecp_public(
    const char *group, const uint8_t *private_value, size_t private_length, uint8_t *public_value,
    size_t public_length);

// The shared secret in a group of numbers, padded to the modulus; `length` octets. 0 unless 1 < peer < p - 1 and, where
// the group has a small subgroup of order q, the peer's value lies in it (RFC 6989 §2.2).
int martlet_modp_derive(
    const char *group, const uint8_t *private_value, size_t private_length, const uint8_t *peer, size_t peer_length,
    uint8_t *secret, size_t length);

// The curves that nettle computes: whether a curve is one of them, the public value (x and y) for a private one, the
// shared secret (x). 0 when the private value is out of range or the peer's point is not on the curve. Nothing keeps a
// secret.
int martlet_curve_is_fast(const char *group);
int martlet_curve_public(
    const char *group, const uint8_t *private_value, size_t private_length, uint8_t *public_value,
    size_t public_length);
int martlet_curve_derive(
    const char *group, const uint8_t *private_value, size_t private_length, const uint8_t *peer, size_t peer_length,
    uint8_t *secret, size_t length);

// The shared secret of two keys of one curve, exactly `length` octets.
int martlet_derive(EVP_PKEY *key, EVP_PKEY *peer, uint8_t *secret, size_t length);

#pragma clang assume_nonnull end
