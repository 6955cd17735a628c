// The hashes below are asked for directly: libcrypto 3.0's own HMAC allocates memory for every message.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "CIPsecPackets.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/md5.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include "chain.h"

#pragma clang assume_nonnull begin

// A hash function of libcrypto's and its state.
union state {
    MD5_CTX md5;
    SHA_CTX sha1;
    SHA256_CTX sha256;
    SHA512_CTX sha512;
};
struct hash {
    size_t digest, block, state;
    int (*_Nonnull init)(union state *);
    int (*_Nonnull update)(union state *, const void *, size_t);
    int (*_Nonnull final)(unsigned char *, union state *);
};
#define HASH(function)                                                                                                 \
    (int (*)(union state *))function##_Init, (int (*)(union state *, const void *, size_t))function##_Update,          \
        (int (*)(unsigned char *, union state *))function##_Final
static const struct hash hashes[] = {
    [MARTLET_MD5] = {16, 64, sizeof(MD5_CTX), HASH(MD5)},
    [MARTLET_SHA1] = {20, 64, sizeof(SHA_CTX), HASH(SHA1)},
    [MARTLET_SHA256] = {32, 64, sizeof(SHA256_CTX), HASH(SHA256)},
    [MARTLET_SHA384] = {48, 128, sizeof(SHA512_CTX), HASH(SHA384)},
    [MARTLET_SHA512] = {64, 128, sizeof(SHA512_CTX), HASH(SHA512)},
};
static const struct hash *_Nullable hash_of(int function) {
    return function >= 0 && function < (int)(sizeof hashes / sizeof *hashes) ? &hashes[function] : NULL;
}

// ---- Hashes of public data ----

_Static_assert(sizeof(union state) <= sizeof(martlet_digest), "any hash's state fits");

static union state *state_of(martlet_digest *digest) { return (union state *)digest; }

int martlet_digest_start(martlet_digest *digest, int function) {
    const struct hash *hash = hash_of(function);
    return hash && hash->init(state_of(digest)) == 1;
}

int martlet_digest_update(martlet_digest *digest, int function, const void *_Nullable bytes, size_t count) {
    return count == 0 || hashes[function].update(state_of(digest), bytes, count) == 1;
}

int martlet_digest_finish(martlet_digest *digest, int function, uint8_t *out) {
    return hashes[function].final(out, state_of(digest)) == 1;
}

// ---- MACs ----

struct martlet_mac {
    const struct hash *_Nullable hash;  // For HMAC.
    EVP_MAC_CTX *_Nullable context;     // For CMAC.
    union {
        // HMAC (RFC 2104 §2): the hash's state after each of the two padded keys, from which every message starts.
        struct {
            union state inner, outer, running;
        } hmac;
        // Keyed with K1; K2 and K3.
        struct {
            struct chain chain;
            uint8_t whole_mask[CHAIN_BLOCK], padded_mask[CHAIN_BLOCK];
        } xcbc;
    };
};

void martlet_mac_free(martlet_mac *mac) {
    if (!mac->hash) {
        EVP_MAC_CTX_free(mac->context);
        chain_free(&mac->xcbc.chain);
    }
    explicit_bzero(mac, sizeof *mac);
    OPENSSL_free(mac);
}

static martlet_mac *_Nullable make(EVP_MAC *algorithm, const uint8_t *key, size_t key_length, OSSL_PARAM *parameters) {
    martlet_mac *mac = OPENSSL_zalloc(sizeof *mac);
    if (!mac) return NULL;
    mac->context = EVP_MAC_CTX_new(algorithm);
    if (mac->context && EVP_MAC_init(mac->context, key, key_length, parameters) == 1) return mac;
    martlet_mac_free(mac);
    ERR_clear_error();
    return NULL;
}

int martlet_hmac_allowed(const char *digest) {
    OSSL_PARAM parameters[2] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0), OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    int allowed = context && EVP_MAC_init(context, (const uint8_t *)"0123456789abcdef", 16, parameters) == 1;
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(hmac);
    if (!allowed) ERR_clear_error();
    return allowed;
}

martlet_mac *_Nullable martlet_hmac_new(int function, const uint8_t *_Nullable key, size_t key_length) {
    const struct hash *hash = hash_of(function);
    martlet_mac *mac = hash ? OPENSSL_malloc(sizeof *mac) : NULL;
    if (!mac) return NULL;
    mac->hash = hash;
    uint8_t pad[SHA512_CBLOCK] = {0};
    int done = 1;
    if (key_length > hash->block)
        done = hash->init(&mac->hmac.running) && hash->update(&mac->hmac.running, key, key_length)
               && hash->final(pad, &mac->hmac.running);
    else if (key_length)
        memcpy(pad, key, key_length);
    for (size_t i = 0; i < hash->block; i++) pad[i] ^= 0x36;
    done = done && hash->init(&mac->hmac.inner) && hash->update(&mac->hmac.inner, pad, hash->block);
    for (size_t i = 0; i < hash->block; i++) pad[i] ^= 0x36 ^ 0x5c;
    done = done && hash->init(&mac->hmac.outer) && hash->update(&mac->hmac.outer, pad, hash->block);
    explicit_bzero(pad, sizeof pad);
    if (done && martlet_mac_restart(mac)) return mac;
    martlet_mac_free(mac);
    return NULL;
}

martlet_mac *_Nullable martlet_cmac_new(EVP_MAC *cmac, const uint8_t *key) {
    OSSL_PARAM parameters[2] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, "AES-128-CBC", 0), OSSL_PARAM_construct_end()};
    return make(cmac, key, 16, parameters);
}

martlet_mac *_Nullable martlet_xcbc_new(const EVP_CIPHER *cbc, const uint8_t *key) {
    static const uint8_t zero[CHAIN_BLOCK] = {0};
    martlet_mac *mac = OPENSSL_zalloc(sizeof *mac);
    if (!mac) return NULL;
    EVP_CIPHER_CTX *context = mac->xcbc.chain.context = EVP_CIPHER_CTX_new();
    uint8_t inner[CHAIN_BLOCK];
    uint8_t *keys[3] = {inner, mac->xcbc.whole_mask, mac->xcbc.padded_mask};
    int written = 0, done = context != NULL;
    // The three keys are constants encrypted with the key (§4): one block of CBC with an IV of zeros is just that.
    for (int i = 0; done && i < 3; i++) {
        memset(keys[i], i + 1, CHAIN_BLOCK);
        done = EVP_EncryptInit_ex2(context, i ? NULL : cbc, i ? NULL : key, zero, NULL) == 1
               && EVP_CIPHER_CTX_set_padding(context, 0) == 1
               && EVP_EncryptUpdate(context, keys[i], &written, keys[i], CHAIN_BLOCK) == 1 && written == CHAIN_BLOCK;
    }
    done = done && EVP_EncryptInit_ex2(context, NULL, inner, zero, NULL) == 1
           && EVP_CIPHER_CTX_set_padding(context, 0) == 1 && chain_start(&mac->xcbc.chain);
    OPENSSL_cleanse(inner, sizeof inner);
    if (done) return mac;
    martlet_mac_free(mac);
    ERR_clear_error();
    return NULL;
}

int martlet_mac_restart(martlet_mac *mac) {
    if (mac->hash) {
        memcpy(&mac->hmac.running, &mac->hmac.inner, mac->hash->state);
        return 1;
    }
    return mac->context ? EVP_MAC_init(mac->context, NULL, 0, NULL) == 1 : chain_start(&mac->xcbc.chain);
}

int martlet_mac_update(martlet_mac *mac, const void *_Nullable bytes, size_t count) {
    if (count == 0) return 1;
    if (mac->hash) return mac->hash->update(&mac->hmac.running, bytes, count) == 1;
    return mac->context ? EVP_MAC_update(mac->context, bytes, count) == 1 : chain_update(&mac->xcbc.chain, bytes, count);
}

// The last block: a whole one is masked with K2, one that needs padding (an empty one too) with K3 (RFC 3566 §4).
static int xcbc_final(martlet_mac *mac, uint8_t *tag) {
    struct chain *chain = &mac->xcbc.chain;
    const uint8_t *mask = mac->xcbc.whole_mask;
    if (chain->count < CHAIN_BLOCK) {
        mask = mac->xcbc.padded_mask;
        chain->pending[chain->count] = 0x80;
        memset(chain->pending + chain->count + 1, 0, CHAIN_BLOCK - chain->count - 1);
    }
    for (int i = 0; i < CHAIN_BLOCK; i++) chain->pending[i] ^= mask[i];
    chain->count = 0;
    if (!chain_blocks(chain, chain->pending, CHAIN_BLOCK)) return 0;
    memcpy(tag, chain->last, CHAIN_BLOCK);
    return 1;
}

// `tag` has room for the whole of it.
static int hmac_final(martlet_mac *mac, uint8_t *tag) {
    const struct hash *hash = mac->hash;
    union state *running = &mac->hmac.running;
    uint8_t digest[SHA512_DIGEST_LENGTH];
    int done = hash->final(digest, running) == 1;
    memcpy(running, &mac->hmac.outer, hash->state);
    done = done && hash->update(running, digest, hash->digest) == 1 && hash->final(tag, running) == 1;
    explicit_bzero(digest, hash->digest);
    return done;
}

static int final(martlet_mac *mac, uint8_t *tag, size_t *length) {
    if (mac->hash) {
        *length = mac->hash->digest;
        return hmac_final(mac, tag);
    }
    if (mac->context) return EVP_MAC_final(mac->context, tag, length, EVP_MAX_MD_SIZE) == 1;
    *length = CHAIN_BLOCK;
    return xcbc_final(mac, tag);
}

int martlet_mac_finish(martlet_mac *mac, uint8_t *out, size_t count) {
    if (mac->hash && count == mac->hash->digest) return hmac_final(mac, out);
    uint8_t tag[EVP_MAX_MD_SIZE];
    size_t length = 0;
    int done = final(mac, tag, &length) && count <= length;
    if (done) memcpy(out, tag, count);
    explicit_bzero(tag, sizeof tag);
    return done;
}

int martlet_mac_verify(martlet_mac *mac, const uint8_t *expected, size_t count) {
    uint8_t tag[EVP_MAX_MD_SIZE];
    size_t length = 0;
    int done = final(mac, tag, &length) && count > 0 && count <= length && CRYPTO_memcmp(tag, expected, count) == 0;
    explicit_bzero(tag, sizeof tag);
    return done;
}

#pragma clang assume_nonnull end

int martlet_equal(const uint8_t *first, const uint8_t *second, size_t count) {
    return CRYPTO_memcmp(first, second, count) == 0;
}
