// Ciphers and MACs for packets, each keyed once and used for many. Where libcrypto has the algorithm whole, it does the
// work; Camellia-CCM and AES-XCBC, which it does not have, are put together here from its block ciphers; Serpent and
// Twofish are nettle's. Every call answers 1 (done) or 0 (refused), a constructor an object or NULL.
#pragma once
#include <openssl/evp.h>
#include <openssl/types.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// ---- Algorithms, fetched once and never freed ----

// The library of algorithms that are kept for old peers only (DES, Blowfish, CAST): a context of its own, so that nothing
// else in the process sees them. NULL when libcrypto came without its "legacy" provider.
OSSL_LIB_CTX *_Nullable martlet_legacy_library(void);

static inline EVP_CIPHER *_Nullable martlet_cipher_fetch(OSSL_LIB_CTX *_Nullable library, const char *name) {
    return EVP_CIPHER_fetch(library, name, NULL);
}

// ---- Ciphers ----

// What a cipher does with its block function.
enum {
    MARTLET_PLAIN = 0,  // CBC or counter mode, without integrity
    MARTLET_AEAD = 1,   // GCM, ChaCha20-Poly1305
    MARTLET_CCM = 2,    // CCM, which must know the text's length beforehand
    MARTLET_GMAC = 3,   // GCM that only authenticates
};

typedef struct martlet_cipher martlet_cipher;

// Keyed contexts without an IV. For an AEAD, the lengths of its nonce and tag; zeros for a cipher without padding.
martlet_cipher *_Nullable martlet_cipher_new(
    const EVP_CIPHER *cipher, int kind, int seal, const uint8_t *key, int key_length, int nonce_length, int tag_length);
// CCM (RFC 3610) from a block cipher's counter mode and CBC. The nonce has 7 to 13 octets.
martlet_cipher *_Nullable martlet_ccm_new(
    const EVP_CIPHER *counter, const EVP_CIPHER *cbc, int seal, const uint8_t *key, int nonce_length, int tag_length);
// Serpent or Twofish in CBC; keys of 16, 24 or 32 octets.
martlet_cipher *_Nullable martlet_serpent_new(int seal, const uint8_t *key, int key_length);
martlet_cipher *_Nullable martlet_twofish_new(int seal, const uint8_t *key, int key_length);
void martlet_cipher_free(martlet_cipher *cipher);

// CBC or counter mode, in place; the direction is the context's.
int martlet_cipher_apply(martlet_cipher *cipher, const uint8_t *iv, uint8_t *text, int count);

// In place. GMAC authenticates data, packet IV and text, and leaves the text as it is; the others do not look at the
// packet's IV, which is a part of the nonce.
int martlet_aead_seal(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *data, int data_length, const uint8_t *iv, int iv_length,
    uint8_t *text, int text_length, uint8_t *tag);
// On a wrong tag the text is wiped: no unverified plaintext is left in the caller's buffer.
int martlet_aead_open(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *data, int data_length, const uint8_t *iv, int iv_length,
    uint8_t *text, int text_length, uint8_t *tag);

// ---- AES-GCM by Intel's ipsec-mb ----

// Three times as fast as libcrypto where the processor has VAES, and cheaper for small packets everywhere. It is used where
// its header was there when this was compiled and its library is there now.
int martlet_accelerator_available(void);

typedef struct martlet_gcm martlet_gcm;

// NULL where there is no such library, or none of the version that the header describes, or for lengths that it
// does not take: a salt of 4 octets at most, with the IV 12; a tag of 4 to 16.
martlet_gcm *_Nullable martlet_gcm_new(
    int seal, const uint8_t *key, int key_length, const uint8_t *salt, int salt_length, int iv_length, int tag_length);
void martlet_gcm_free(martlet_gcm *gcm);
// Asks the processor to have the key at hand soon.
void martlet_gcm_prefetch(const martlet_gcm *gcm);
// The same for anything.
static inline void martlet_prefetch(const void *_Nullable address) { __builtin_prefetch(address); }
// Whether both have the same key and salt and go the same way, in constant time.
int martlet_gcm_equal(const martlet_gcm *first, const martlet_gcm *second);
// Writes out the key (16, 24 or 32 octets: as many as it was made with) and the salt that it was made with.
void martlet_gcm_recall(const martlet_gcm *gcm, uint8_t *key, int key_length, uint8_t *salt);
// In place. `high` is the high half of an extended sequence number, which goes between the two words of ESP's header,
// which the data then are; -1 without.
void martlet_gcm_seal(
    martlet_gcm *gcm, const uint8_t *iv, const uint8_t *data, size_t data_length, int64_t high, uint8_t *text,
    size_t text_length, uint8_t *tag);
// 1 when the tag is right; else the text is wiped.
int martlet_gcm_open(
    martlet_gcm *gcm, const uint8_t *iv, const uint8_t *data, size_t data_length, int64_t high, uint8_t *text,
    size_t text_length, const uint8_t *tag);

// ---- AES-CBC with an HMAC, many packets at a time, by ipsec-mb ----

// The keys of one SA. NULL where there is no ipsec-mb, or for another HMAC than SHA-1-96, SHA-256-128, SHA-384-192 and
// SHA-512-256, which are told by the octets of their digest and tag.
typedef struct martlet_lane martlet_lane;
martlet_lane *_Nullable martlet_lane_new(
    const uint8_t *key, int key_length, int digest_length, const uint8_t *mac_key, int mac_key_length, int tag_length);
void martlet_lane_free(martlet_lane *lane);

// The packets of one thread that are under way. NULL where there is no ipsec-mb.
typedef struct martlet_batch martlet_batch;
martlet_batch *_Nullable martlet_batch_new(void);
void martlet_batch_free(martlet_batch *batch);
// Seals the packet at `packet` in place: `header_length` octets of which the last 16 are the IV, then the text; the tag
// covers the first `covered_length` octets as they are after that, and may overwrite what it covers. All this is done
// when martlet_batch_finish() returns; until then packet and keys must stay.
void martlet_batch_seal(
    martlet_batch *batch, const martlet_lane *lane, uint8_t *packet, size_t header_length, size_t text_length,
    size_t covered_length, uint8_t *tag);
// 0 when one of them was not sealed.
int martlet_batch_finish(martlet_batch *batch);

// ---- Hashes of public data ----

// The hash functions, for these and for HMAC.
enum { MARTLET_MD5 = 0, MARTLET_SHA1 = 1, MARTLET_SHA256 = 2, MARTLET_SHA384 = 3, MARTLET_SHA512 = 4 };

// A hash that is under way, its caller's memory. Every call names the function with which it was started.
typedef struct {
    uint64_t words[28];
} martlet_digest;

int martlet_digest_start(martlet_digest *digest, int function);
int martlet_digest_update(martlet_digest *digest, int function, const void *_Nullable bytes, size_t count);
// As many octets as the function puts out.
int martlet_digest_finish(martlet_digest *digest, int function, uint8_t *out);

// ---- MACs, restarted for every message ----

typedef struct martlet_mac martlet_mac;

// Whether libcrypto's policy lets an HMAC over this digest be made.
int martlet_hmac_allowed(const char *digest);
// HMAC (RFC 2104) over one of the functions above.
martlet_mac *_Nullable martlet_hmac_new(int function, const uint8_t *_Nullable key, size_t key_length);
// AES-CMAC (RFC 4493) with a key of 16 octets.
martlet_mac *_Nullable martlet_cmac_new(EVP_MAC *cmac, const uint8_t *key);
// AES-XCBC-MAC (RFC 3566) with a key of 16 octets; `cbc` is AES-128-CBC.
martlet_mac *_Nullable martlet_xcbc_new(const EVP_CIPHER *cbc, const uint8_t *key);
void martlet_mac_free(martlet_mac *mac);

int martlet_mac_restart(martlet_mac *mac);
int martlet_mac_update(martlet_mac *mac, const void *_Nullable bytes, size_t count);
// The first `count` octets of the tag.
int martlet_mac_finish(martlet_mac *mac, uint8_t *out, size_t count);
// Whether the first `count` octets of the tag are those of `expected`, in constant time.
int martlet_mac_verify(martlet_mac *mac, const uint8_t *expected, size_t count);
// Whether `count` octets are equal, in constant time.
int martlet_equal(const uint8_t *first, const uint8_t *second, size_t count);

#pragma clang assume_nonnull end
