#include "CIPsecPackets.h"

#include <nettle/cbc.h>
#include <nettle/serpent.h>
#include <nettle/twofish.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "chain.h"

#pragma clang assume_nonnull begin

enum { COMPOSED_CCM = 4, SERPENT = 5, TWOFISH = 6 };

struct martlet_cipher {
    int kind, seal, nonce_length, tag_length;
    EVP_CIPHER_CTX *_Nullable context;  // For a composed CCM, its counter mode.
    struct chain chain;                 // For a composed CCM.
    void *_Nullable block;              // nettle's schedule of round keys.
    size_t block_size;
};

OSSL_LIB_CTX *_Nullable martlet_legacy_library(void) {
    OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
    if (library && OSSL_PROVIDER_load(library, "legacy")) return library;
    OSSL_LIB_CTX_free(library);
    ERR_clear_error();
    return NULL;
}

static martlet_cipher *_Nullable make(int kind, int seal, int nonce_length, int tag_length) {
    martlet_cipher *cipher = OPENSSL_zalloc(sizeof *cipher);
    if (!cipher) return NULL;
    cipher->kind = kind;
    cipher->seal = seal;
    cipher->nonce_length = nonce_length;
    cipher->tag_length = tag_length;
    return cipher;
}

void martlet_cipher_free(martlet_cipher *cipher) {
    EVP_CIPHER_CTX_free(cipher->context);
    chain_free(&cipher->chain);
    OPENSSL_clear_free(cipher->block, cipher->block_size);
    OPENSSL_clear_free(cipher, sizeof *cipher);
}

static martlet_cipher *_Nullable refuse(martlet_cipher *_Nullable cipher) {
    if (cipher) martlet_cipher_free(cipher);
    ERR_clear_error();
    return NULL;
}

martlet_cipher *_Nullable martlet_cipher_new(
    const EVP_CIPHER *algorithm, int kind, int seal, const uint8_t *key, int key_length, int nonce_length,
    int tag_length) {
    martlet_cipher *cipher = make(kind, seal, nonce_length, tag_length);
    if (!cipher) return NULL;
    EVP_CIPHER_CTX *context = cipher->context = EVP_CIPHER_CTX_new();
    int done = context && EVP_CipherInit_ex2(context, algorithm, NULL, NULL, seal, NULL) == 1;
    // Blowfish and CAST take keys of several lengths under one name.
    if (done && EVP_CIPHER_CTX_get_key_length(context) != key_length)
        done = EVP_CIPHER_CTX_set_key_length(context, key_length) == 1;
    if (done && kind != MARTLET_PLAIN)
        done = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, nonce_length, NULL) == 1;
    // CCM puts the tag's length into what it authenticates, so it must be known before the key.
    if (done && kind == MARTLET_CCM)
        done = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_length, NULL) == 1;
    if (done && kind == MARTLET_PLAIN) done = EVP_CIPHER_CTX_set_padding(context, 0) == 1;
    if (done && EVP_CipherInit_ex2(context, NULL, key, NULL, seal, NULL) == 1) return cipher;
    return refuse(cipher);
}

martlet_cipher *_Nullable martlet_ccm_new(
    const EVP_CIPHER *counter, const EVP_CIPHER *cbc, int seal, const uint8_t *key, int nonce_length, int tag_length) {
    if (nonce_length < 7 || nonce_length > 13 || tag_length < 4 || tag_length > 16 || tag_length % 2) return NULL;
    martlet_cipher *cipher = make(COMPOSED_CCM, seal, nonce_length, tag_length);
    if (!cipher) return NULL;
    cipher->context = EVP_CIPHER_CTX_new();
    cipher->chain.context = EVP_CIPHER_CTX_new();
    if (cipher->context && cipher->chain.context
        && EVP_EncryptInit_ex2(cipher->context, counter, key, NULL, NULL) == 1
        && EVP_EncryptInit_ex2(cipher->chain.context, cbc, key, NULL, NULL) == 1
        && EVP_CIPHER_CTX_set_padding(cipher->chain.context, 0) == 1)
        return cipher;
    return refuse(cipher);
}

static martlet_cipher *_Nullable make_nettle(int kind, int seal, int key_length, size_t block_size) {
    if (key_length != 16 && key_length != 24 && key_length != 32) return NULL;
    martlet_cipher *cipher = make(kind, seal, 0, 0);
    if (!cipher) return NULL;
    cipher->block_size = block_size;
    cipher->block = OPENSSL_zalloc(block_size);
    return cipher->block ? cipher : refuse(cipher);
}

martlet_cipher *_Nullable martlet_serpent_new(int seal, const uint8_t *key, int key_length) {
    martlet_cipher *cipher = make_nettle(SERPENT, seal, key_length, sizeof(struct serpent_ctx));
    if (cipher) serpent_set_key(cipher->block, (size_t)key_length, key);
    return cipher;
}

martlet_cipher *_Nullable martlet_twofish_new(int seal, const uint8_t *key, int key_length) {
    martlet_cipher *cipher = make_nettle(TWOFISH, seal, key_length, sizeof(struct twofish_ctx));
    if (cipher) twofish_set_key(cipher->block, (size_t)key_length, key);
    return cipher;
}

// CBC over a block function of nettle's, whose functions take whole blocks only.
static int nettle_cbc(
    const void *block, nettle_cipher_func *encrypt, nettle_cipher_func *decrypt, int seal, const uint8_t *iv,
    uint8_t *text, int count) {
    uint8_t chain[16];
    if (count < 0 || count % 16) return 0;
    memcpy(chain, iv, sizeof chain);
    if (seal)
        cbc_encrypt(block, encrypt, sizeof chain, chain, (size_t)count, text, text);
    else
        cbc_decrypt(block, decrypt, sizeof chain, chain, (size_t)count, text, text);
    return 1;
}

int martlet_cipher_apply(martlet_cipher *cipher, const uint8_t *iv, uint8_t *text, int count) {
    int written = 0;
    switch (cipher->kind) {
    case MARTLET_PLAIN:
        return EVP_CipherInit_ex2(cipher->context, NULL, NULL, iv, cipher->seal, NULL) == 1
               && (count == 0 || EVP_CipherUpdate(cipher->context, text, &written, text, count) == 1)
               && written == count;
    case SERPENT:
        return nettle_cbc(
            cipher->block, (nettle_cipher_func *)serpent_encrypt, (nettle_cipher_func *)serpent_decrypt,
            cipher->seal, iv, text, count);
    case TWOFISH:
        return nettle_cbc(
            cipher->block, (nettle_cipher_func *)twofish_encrypt, (nettle_cipher_func *)twofish_decrypt,
            cipher->seal, iv, text, count);
    default: return 0;
    }
}

// ---- CCM put together (RFC 3610 §2) ----

// The CBC-MAC over the first block, the associated data and the text; then padded.
static int ccm_mac(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *data, int data_length, const uint8_t *text,
    int text_length) {
    struct chain *chain = &cipher->chain;
    int size = 15 - cipher->nonce_length;  // Octets of the text's length.
    uint8_t first[CHAIN_BLOCK] = {0}, length[2];
    // Longer associated data have another encoding of their length, and a text must not be longer than can be said.
    if (data_length >= 0xff00 || (size < 4 && ((uint32_t)text_length >> (8 * size)) != 0)) return 0;
    first[0] = (uint8_t)((data_length ? 0x40 : 0) | ((cipher->tag_length - 2) / 2) << 3 | (size - 1));
    memcpy(first + 1, nonce, (size_t)cipher->nonce_length);
    for (int i = 0; i < size && i < 4; i++) first[15 - i] = (uint8_t)((uint32_t)text_length >> (8 * i));
    length[0] = (uint8_t)(data_length >> 8);
    length[1] = (uint8_t)data_length;
    return chain_start(chain) && chain_update(chain, first, sizeof first)
           && (!data_length
               || (chain_update(chain, length, sizeof length) && chain_update(chain, data, (size_t)data_length)))
           && chain_pad(chain) && chain_update(chain, text, (size_t)text_length) && chain_pad(chain);
}

// Starts the counter at 0 and runs 16 octets through it: they are the tag's; the text follows from 1.
static int ccm_counter(martlet_cipher *cipher, const uint8_t *nonce, uint8_t *tag) {
    uint8_t counter[CHAIN_BLOCK] = {0};
    int written = 0;
    counter[0] = (uint8_t)(15 - cipher->nonce_length - 1);
    memcpy(counter + 1, nonce, (size_t)cipher->nonce_length);
    return EVP_EncryptInit_ex2(cipher->context, NULL, NULL, counter, NULL) == 1
           && EVP_EncryptUpdate(cipher->context, tag, &written, tag, CHAIN_BLOCK) == 1 && written == CHAIN_BLOCK;
}

static int ccm_text(martlet_cipher *cipher, uint8_t *text, int length) {
    int written = 0;
    return length == 0 || (EVP_EncryptUpdate(cipher->context, text, &written, text, length) == 1 && written == length);
}

static int ccm_seal(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *data, int data_length, uint8_t *text, int text_length,
    uint8_t *tag) {
    uint8_t whole[CHAIN_BLOCK];
    int done = ccm_mac(cipher, nonce, data, data_length, text, text_length);
    memcpy(whole, cipher->chain.last, sizeof whole);
    done = done && ccm_counter(cipher, nonce, whole) && ccm_text(cipher, text, text_length);
    if (done) memcpy(tag, whole, (size_t)cipher->tag_length);
    OPENSSL_cleanse(whole, sizeof whole);
    return done;
}

static int ccm_open(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *data, int data_length, uint8_t *text, int text_length,
    const uint8_t *tag) {
    uint8_t mask[CHAIN_BLOCK] = {0}, whole[CHAIN_BLOCK];
    int done = ccm_counter(cipher, nonce, mask) && ccm_text(cipher, text, text_length)
               && ccm_mac(cipher, nonce, data, data_length, text, text_length);
    for (int i = 0; i < CHAIN_BLOCK; i++) whole[i] = cipher->chain.last[i] ^ mask[i];
    done = done && CRYPTO_memcmp(whole, tag, (size_t)cipher->tag_length) == 0;
    OPENSSL_cleanse(mask, sizeof mask);
    OPENSSL_cleanse(whole, sizeof whole);
    return done;
}

// ---- AEADs ----

struct parameters {
    OSSL_PARAM list[2];
};

// The tag as libcrypto's algorithms know it: the control numbers of old are translated to this one by one.
static inline struct parameters tag_parameter(const martlet_cipher *cipher, uint8_t *tag) {
    return (struct parameters){
        {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, (size_t)cipher->tag_length),
         OSSL_PARAM_construct_end()}};
}

static int evp_seal(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *data, int data_length, const uint8_t *iv, int iv_length,
    uint8_t *text, int text_length, uint8_t *tag) {
    EVP_CIPHER_CTX *context = cipher->context;
    int n = 0, ccm = cipher->kind == MARTLET_CCM, gmac = cipher->kind == MARTLET_GMAC;
    if (EVP_EncryptInit_ex2(context, NULL, NULL, nonce, NULL) != 1) return 0;
    if (ccm && EVP_EncryptUpdate(context, NULL, &n, NULL, text_length) != 1) return 0;
    if (data_length && EVP_EncryptUpdate(context, NULL, &n, data, data_length) != 1) return 0;
    if (gmac && iv_length && EVP_EncryptUpdate(context, NULL, &n, iv, iv_length) != 1) return 0;
    if ((ccm || text_length) && EVP_EncryptUpdate(context, gmac ? NULL : text, &n, text, text_length) != 1) return 0;
    uint8_t nothing[16];
    if (!ccm && EVP_EncryptFinal_ex(context, nothing, &n) != 1) return 0;
    return EVP_CIPHER_CTX_get_params(context, tag_parameter(cipher, tag).list) == 1;
}

static int evp_open(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *data, int data_length, const uint8_t *iv, int iv_length,
    uint8_t *text, int text_length, uint8_t *tag) {
    EVP_CIPHER_CTX *context = cipher->context;
    uint8_t nothing[16];
    int n = 0, ccm = cipher->kind == MARTLET_CCM, gmac = cipher->kind == MARTLET_GMAC;
    return EVP_DecryptInit_ex2(context, NULL, NULL, nonce, NULL) == 1
           && EVP_CIPHER_CTX_set_params(context, tag_parameter(cipher, tag).list) == 1
           && (!ccm || EVP_DecryptUpdate(context, NULL, &n, NULL, text_length) == 1)
           && (!data_length || EVP_DecryptUpdate(context, NULL, &n, data, data_length) == 1)
           && (!(gmac && iv_length) || EVP_DecryptUpdate(context, NULL, &n, iv, iv_length) == 1)
           && (!(ccm || text_length) || EVP_DecryptUpdate(context, gmac ? NULL : text, &n, text, text_length) == 1)
           && (ccm || EVP_DecryptFinal_ex(context, nothing, &n) == 1);
}

int martlet_aead_seal(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *data, int data_length, const uint8_t *iv, int iv_length,
    uint8_t *text, int text_length, uint8_t *tag) {
    if (cipher->kind == COMPOSED_CCM) return ccm_seal(cipher, nonce, data, data_length, text, text_length, tag);
    return evp_seal(cipher, nonce, data, data_length, iv, iv_length, text, text_length, tag);
}

int martlet_aead_open(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *data, int data_length, const uint8_t *iv, int iv_length,
    uint8_t *text, int text_length, uint8_t *tag) {
    int done;
    if (cipher->kind == COMPOSED_CCM)
        done = ccm_open(cipher, nonce, data, data_length, text, text_length, tag);
    else
        done = evp_open(cipher, nonce, data, data_length, iv, iv_length, text, text_length, tag);
    if (!done) {
        OPENSSL_cleanse(text, (size_t)text_length);
        ERR_clear_error();
    }
    return done;
}

#pragma clang assume_nonnull end
