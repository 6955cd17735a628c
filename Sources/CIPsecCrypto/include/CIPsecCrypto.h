// What IPsecCrypto asks of OpenSSL 3 libcrypto, each question one call that answers 1 (done), 0 (refused) or, for a
// constructor, an object or NULL. Nothing here keeps state of its own, and no secret is left on the stack.
#pragma once
#include "CIPsecNames.h"
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

static inline EVP_CIPHER *_Nullable martlet_cipher_fetch(const char *name) { return EVP_CIPHER_fetch(NULL, name, NULL); }
static inline EVP_MD *_Nullable martlet_digest_fetch(const char *name) { return EVP_MD_fetch(NULL, name, NULL); }
static inline EVP_MAC *_Nullable martlet_mac_fetch(const char *name) { return EVP_MAC_fetch(NULL, name, NULL); }

static inline int martlet_random(uint8_t *bytes, size_t count) {
    return count <= INT32_MAX && RAND_bytes(bytes, (int)count) == 1;
}

// ---- Digest ----

static inline EVP_MD_CTX *_Nullable martlet_digest_new(const EVP_MD *digest) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex2(context, digest, NULL) == 1) return context;
    EVP_MD_CTX_free(context);
    return NULL;
}
static inline int martlet_digest_update(EVP_MD_CTX *context, const void *_Nullable bytes, size_t count) {
    return count == 0 || EVP_DigestUpdate(context, bytes, count) == 1;
}
static inline int martlet_digest_finish(EVP_MD_CTX *context, uint8_t *out) {
    return EVP_DigestFinal_ex(context, out, NULL) == 1;
}
static inline void martlet_digest_free(EVP_MD_CTX *context) { EVP_MD_CTX_free(context); }

// ---- HMAC, keyed once, restarted for every message ----

static inline EVP_MAC_CTX *_Nullable martlet_hmac_new(
    EVP_MAC *hmac, const char *digest, const uint8_t *_Nullable key, size_t key_length) {
    static const uint8_t nothing[1] = {0};
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);
    OSSL_PARAM parameters[2] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0), OSSL_PARAM_construct_end()};
    // An empty key is a key: a null pointer would mean "none yet".
    if (context && EVP_MAC_init(context, key_length ? key : nothing, key_length, parameters) == 1) return context;
    EVP_MAC_CTX_free(context);
    ERR_clear_error();
    return NULL;
}
static inline int martlet_mac_restart(EVP_MAC_CTX *context) { return EVP_MAC_init(context, NULL, 0, NULL) == 1; }
static inline int martlet_mac_update(EVP_MAC_CTX *context, const void *_Nullable bytes, size_t count) {
    return count == 0 || EVP_MAC_update(context, bytes, count) == 1;
}
// The first `count` octets of the tag.
static inline int martlet_mac_finish(EVP_MAC_CTX *context, uint8_t *out, size_t count) {
    uint8_t tag[EVP_MAX_MD_SIZE];
    size_t length = 0;
    int done = EVP_MAC_final(context, tag, &length, sizeof tag) == 1 && count <= length;
    if (done) memcpy(out, tag, count);
    OPENSSL_cleanse(tag, sizeof tag);
    return done;
}
// Whether the first `count` octets of the tag are those of `expected`, in constant time.
static inline int martlet_mac_verify(EVP_MAC_CTX *context, const uint8_t *expected, size_t count) {
    uint8_t tag[EVP_MAX_MD_SIZE];
    size_t length = 0;
    int done = EVP_MAC_final(context, tag, &length, sizeof tag) == 1 && count > 0 && count <= length
               && CRYPTO_memcmp(tag, expected, count) == 0;
    OPENSSL_cleanse(tag, sizeof tag);
    return done;
}
static inline void martlet_mac_free(EVP_MAC_CTX *context) { EVP_MAC_CTX_free(context); }

// ---- Ciphers, keyed once ----

// A keyed context without an IV. For an AEAD, the lengths of its nonce and tag; zeros for a cipher without padding.
static inline EVP_CIPHER_CTX *_Nullable martlet_cipher_new(
    const EVP_CIPHER *cipher, int seal, const uint8_t *key, int nonce_length, int tag_length) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int done = context && EVP_CipherInit_ex2(context, cipher, NULL, NULL, seal, NULL) == 1;
    if (done && nonce_length) done = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, nonce_length, NULL) == 1;
    // CCM puts the tag's length into what it authenticates, so it must be known before the key.
    if (done && nonce_length && EVP_CIPHER_get_mode(cipher) == EVP_CIPH_CCM_MODE)
        done = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_length, NULL) == 1;
    if (done && !nonce_length) done = EVP_CIPHER_CTX_set_padding(context, 0) == 1;
    if (done && EVP_CipherInit_ex2(context, NULL, key, NULL, seal, NULL) == 1) return context;
    EVP_CIPHER_CTX_free(context);
    ERR_clear_error();
    return NULL;
}
static inline void martlet_cipher_free(EVP_CIPHER_CTX *context) { EVP_CIPHER_CTX_free(context); }

// CBC or CTR, in place; the direction is the context's.
static inline int martlet_cipher_apply(EVP_CIPHER_CTX *context, int seal, const uint8_t *iv, uint8_t *text, int count) {
    int written = 0;
    return EVP_CipherInit_ex2(context, NULL, NULL, iv, seal, NULL) == 1
           && (count == 0 || EVP_CipherUpdate(context, text, &written, text, count) == 1) && written == count;
}

static inline int martlet_aead_seal(
    EVP_CIPHER_CTX *context, int ccm, const uint8_t *nonce, const uint8_t *data, int data_length, uint8_t *text,
    int text_length, uint8_t *tag, int tag_length) {
    int n = 0;
    if (EVP_EncryptInit_ex2(context, NULL, NULL, nonce, NULL) != 1) return 0;
    if (ccm && EVP_EncryptUpdate(context, NULL, &n, NULL, text_length) != 1) return 0;
    if (data_length && EVP_EncryptUpdate(context, NULL, &n, data, data_length) != 1) return 0;
    if ((ccm || text_length) && EVP_EncryptUpdate(context, text, &n, text, text_length) != 1) return 0;
    if (!ccm && EVP_EncryptFinal_ex(context, text, &n) != 1) return 0;
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_length, tag) == 1;
}

// On a wrong tag the text is wiped: no unverified plaintext is left in the caller's buffer.
static inline int martlet_aead_open(
    EVP_CIPHER_CTX *context, int ccm, const uint8_t *nonce, const uint8_t *data, int data_length, uint8_t *text,
    int text_length, uint8_t *tag, int tag_length) {
    int n = 0;
    int done = EVP_DecryptInit_ex2(context, NULL, NULL, nonce, NULL) == 1
               && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_length, tag) == 1
               && (!ccm || EVP_DecryptUpdate(context, NULL, &n, NULL, text_length) == 1)
               && (!data_length || EVP_DecryptUpdate(context, NULL, &n, data, data_length) == 1)
               && (!(ccm || text_length) || EVP_DecryptUpdate(context, text, &n, text, text_length) == 1)
               && (ccm || EVP_DecryptFinal_ex(context, text, &n) == 1);
    if (!done) {
        OPENSSL_cleanse(text, (size_t)text_length);
        ERR_clear_error();
    }
    return done;
}

// ---- Key agreement ----

static inline void martlet_key_free(EVP_PKEY *key) { EVP_PKEY_free(key); }

// X25519 (RFC 7748).
static inline EVP_PKEY *_Nullable martlet_x25519_key(const uint8_t *private_value, uint8_t *public_value) {
    size_t length = 32;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, private_value, 32);
    if (key && EVP_PKEY_get_raw_public_key(key, public_value, &length) == 1 && length == 32) return key;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return NULL;
}
static inline EVP_PKEY *_Nullable martlet_x25519_peer(const uint8_t *public_value) {
    return EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, public_value, 32);
}

// A key of the type `type` ("DH", "EC") in a named group. A DH public value is a number, an EC one an encoded point.
EVP_PKEY *_Nullable martlet_group_key(
    const char *type, const char *group, const uint8_t *public_value, size_t public_length,
    const uint8_t *_Nullable private_value, size_t private_length);

// The public value for a private one: `public_length` octets. 0 when the private value is out of range.
int martlet_modp_public(
    int bits, const uint8_t *private_value, size_t private_length, uint8_t *public_value, size_t public_length);
// Whether 1 < value < p - 1.
int martlet_modp_in_range(int bits, const uint8_t *value, size_t length);
// The public point, uncompressed (RFC 5480 §2.2). 0 when the private value is zero or not below the group's order.
int martlet_ecp_public(
    const char *group, const uint8_t *private_value, size_t private_length, uint8_t *public_value,
    size_t public_length);

// The shared secret, exactly `length` octets; with `pad`, padded to the modulus.
int martlet_derive(EVP_PKEY *key, EVP_PKEY *peer, int pad, uint8_t *secret, size_t length);

#pragma clang assume_nonnull end
