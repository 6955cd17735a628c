// A CBC-MAC's chain over libcrypto's CBC: the last octets are held back until it is known whether more follow, since
// both CCM and XCBC treat the end in their own way.
#pragma once
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

enum { CHAIN_BLOCK = 16 };

struct chain {
    EVP_CIPHER_CTX *context;
    uint8_t pending[CHAIN_BLOCK];
    size_t count;
    uint8_t last[CHAIN_BLOCK];  // The chain's value after the blocks so far.
};

static inline int chain_start(struct chain *chain) {
    static const uint8_t zero[CHAIN_BLOCK] = {0};
    chain->count = 0;
    memset(chain->last, 0, sizeof chain->last);
    return EVP_EncryptInit_ex2(chain->context, NULL, NULL, zero, NULL) == 1;
}

static inline int chain_blocks(struct chain *chain, const uint8_t *bytes, size_t count) {
    uint8_t out[16 * CHAIN_BLOCK];
    int done = 1, written = 0;
    while (done && count) {
        size_t part = count < sizeof out ? count : sizeof out;
        done = EVP_EncryptUpdate(chain->context, out, &written, bytes, (int)part) == 1 && (size_t)written == part;
        if (done) memcpy(chain->last, out + part - CHAIN_BLOCK, CHAIN_BLOCK);
        bytes += part;
        count -= part;
    }
    OPENSSL_cleanse(out, sizeof out);
    return done;
}

static inline int chain_update(struct chain *chain, const uint8_t *bytes, size_t count) {
    while (count) {
        if (chain->count == CHAIN_BLOCK) {
            if (!chain_blocks(chain, chain->pending, CHAIN_BLOCK)) return 0;
            chain->count = 0;
        }
        if (chain->count == 0 && count > CHAIN_BLOCK) {
            size_t whole = (count - 1) / CHAIN_BLOCK * CHAIN_BLOCK;
            if (!chain_blocks(chain, bytes, whole)) return 0;
            bytes += whole;
            count -= whole;
        }
        size_t room = CHAIN_BLOCK - chain->count;
        size_t part = count < room ? count : room;
        memcpy(chain->pending + chain->count, bytes, part);
        chain->count += part;
        bytes += part;
        count -= part;
    }
    return 1;
}

// Zeros up to the end of the block, and the block into the chain.
static inline int chain_pad(struct chain *chain) {
    if (!chain->count) return 1;
    memset(chain->pending + chain->count, 0, CHAIN_BLOCK - chain->count);
    chain->count = 0;
    return chain_blocks(chain, chain->pending, CHAIN_BLOCK);
}

static inline void chain_free(struct chain *chain) {
    EVP_CIPHER_CTX_free(chain->context);
    OPENSSL_cleanse(chain, sizeof *chain);
}
