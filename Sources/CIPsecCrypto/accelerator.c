#include <dlfcn.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "CIPsecPackets.h"
#include "keyslab.h"

#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<intel-ipsec-mb.h>)
#define HAS_IPSEC_MB 1
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
#endif
#endif

#pragma clang assume_nonnull begin

#ifdef HAS_IPSEC_MB

// As many SAs as there may be, there is one of these for each: 1,024 octets, and nothing beside them.
struct martlet_gcm {
    struct gcm_key_data key __attribute__((aligned(64)));  // The round keys and the powers of the hash key.
    aes_gcm_enc_dec_t run;
    uint8_t salt[4], salt_length;
    uint8_t tag_length;
};
_Static_assert(sizeof(struct martlet_gcm) == KEYSLAB_PIECE, "a key fills 16 cache lines");

// Made once and never freed: of it only pointers to functions are used, which any thread may call.
static IMB_MGR *_Nullable manager;
static IMB_MGR *_Nullable (*_Nullable make)(uint64_t);
static void (*_Nullable start_batches)(IMB_MGR *);
static void (*_Nullable discard)(IMB_MGR *);
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

static void prepare(void) {
    void *library = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    unsigned (*version)(void) = (unsigned (*)(void))dlsym(library, "imb_get_version");
    void (*start)(IMB_MGR *, IMB_ARCH *) = (void (*)(IMB_MGR *, IMB_ARCH *))dlsym(library, "init_mb_mgr_auto");
    make = (IMB_MGR * (*)(uint64_t)) dlsym(library, "alloc_mb_mgr");
    // It uses the processor's SHA instructions, which others of 1.3 leave aside, and wants few packets at a time.
    start_batches = (void (*)(IMB_MGR *))dlsym(library, "init_mb_mgr_sse");
    discard = (void (*)(IMB_MGR *))dlsym(library, "free_mb_mgr");
    // The manager's layout belongs to a version: major and minor must be those of the header.
    if (!version || !make || !start || !start_batches || !discard || version() >> 8 != IMB_VERSION_NUM >> 8) return;
    IMB_MGR *made = make(0);
    if (!made) return;
    IMB_ARCH architecture = IMB_ARCH_NONE;
    start(made, &architecture);
    // Without AES instructions it emulates them: libcrypto is better then.
    if (architecture >= IMB_ARCH_SSE && made->gcm128_enc && made->gcm128_dec && made->gcm128_pre && made->gcm192_enc
        && made->gcm192_dec && made->gcm192_pre && made->gcm256_enc && made->gcm256_dec && made->gcm256_pre)
        manager = made;
    else
        discard(made);
}

static IMB_MGR *_Nullable library(void) { return CRYPTO_THREAD_run_once(&once, prepare) == 1 ? manager : NULL; }

int martlet_accelerator_available(void) { return library() != NULL; }

martlet_gcm *_Nullable martlet_gcm_new(
    int seal, const uint8_t *key, int key_length, const uint8_t *salt, int salt_length, int iv_length, int tag_length) {
    const IMB_MGR *mb = library();
    if (!mb || salt_length < 0 || salt_length > 4 || salt_length + iv_length != 12 || tag_length < 4 || tag_length > 16)
        return NULL;
    aes_gcm_pre_t expand;
    aes_gcm_enc_dec_t run;
    switch (key_length) {
    case 16: expand = mb->gcm128_pre, run = seal ? mb->gcm128_enc : mb->gcm128_dec; break;
    case 24: expand = mb->gcm192_pre, run = seal ? mb->gcm192_enc : mb->gcm192_dec; break;
    case 32: expand = mb->gcm256_pre, run = seal ? mb->gcm256_enc : mb->gcm256_dec; break;
    default: return NULL;
    }
    martlet_gcm *gcm = keyslab_take();
    if (!gcm) return NULL;
    memset(gcm, 0, sizeof *gcm);
    gcm->run = run;
    gcm->tag_length = (uint8_t)tag_length;
    gcm->salt_length = (uint8_t)salt_length;
    memcpy(gcm->salt, salt, (size_t)salt_length);
    expand(key, &gcm->key);
    return gcm;
}

void martlet_gcm_free(martlet_gcm *gcm) {
    explicit_bzero(gcm, sizeof *gcm);
    keyslab_give(gcm);
}

void martlet_gcm_prefetch(const martlet_gcm *gcm) {
    for (size_t line = 0; line < sizeof *gcm; line += 64) __builtin_prefetch((const uint8_t *)gcm + line);
}

int martlet_gcm_equal(const martlet_gcm *first, const martlet_gcm *second) {
    return first->run == second->run && first->salt_length == second->salt_length
           && (CRYPTO_memcmp(first->key.expanded_keys, second->key.expanded_keys, sizeof first->key.expanded_keys)
               | CRYPTO_memcmp(first->salt, second->salt, sizeof first->salt))
                  == 0;
}

void martlet_gcm_recall(const martlet_gcm *gcm, uint8_t *key, int key_length, uint8_t *salt) {
    // The first round keys of AES are the key itself (FIPS 197 §5.2).
    memcpy(key, gcm->key.expanded_keys, (size_t)key_length);
    memcpy(salt, gcm->salt, gcm->salt_length);
}

// What the library works in while it runs: each thread's own, and nothing in it outlives the next packet.
static _Thread_local struct gcm_context_data state;

static inline void run(
    const martlet_gcm *gcm, const uint8_t *iv, const uint8_t *data, size_t data_length, int64_t high, uint8_t *text,
    size_t text_length, uint8_t *tag, size_t tag_length) {
    uint8_t nonce[12], extended[12];
    memcpy(nonce, gcm->salt, 4);
    if (gcm->salt_length == 4)  // ESP's and IKE's (RFC 4106 §4, RFC 5282 §4).
        memcpy(nonce + 4, iv, 8);
    else
        memcpy(nonce + gcm->salt_length, iv, (size_t)(12 - gcm->salt_length));
    if (high >= 0) {
        memcpy(extended, data, 4);
        for (int i = 0; i < 4; i++) extended[4 + i] = (uint8_t)((uint32_t)high >> (24 - 8 * i));
        memcpy(extended + 8, data + 4, 4);
        data = extended;
        data_length = sizeof extended;
    }
    gcm->run(&gcm->key, &state, text, text, text_length, nonce, data, data_length, tag, tag_length);
}

void martlet_gcm_seal(
    martlet_gcm *gcm, const uint8_t *iv, const uint8_t *data, size_t data_length, int64_t high, uint8_t *text,
    size_t text_length, uint8_t *tag) {
    run(gcm, iv, data, data_length, high, text, text_length, tag, gcm->tag_length);
}

int martlet_gcm_open(
    martlet_gcm *gcm, const uint8_t *iv, const uint8_t *data, size_t data_length, int64_t high, uint8_t *text,
    size_t text_length, const uint8_t *tag) {
    uint8_t computed[16], wrong = 0;
    run(gcm, iv, data, data_length, high, text, text_length, computed, sizeof computed);
    // In constant time: the number of octets is the algorithm's, and no branch depends on them.
    for (int i = 0; i < gcm->tag_length; i++) wrong |= computed[i] ^ tag[i];
    if (!wrong) return 1;
    OPENSSL_cleanse(text, text_length);
    return 0;
}

// ---- AES-CBC with an HMAC, many packets at a time ----

struct martlet_lane {
    uint8_t keys[16 * 15] __attribute__((aligned(16)));
    uint8_t inner[64] __attribute__((aligned(16))), outer[64];  // The hash's state after the key.
    uint64_t key_length, tag_length;
    IMB_HASH_ALG hash;
};

struct martlet_batch {
    IMB_MGR *manager;
    int failures;
};

martlet_lane *_Nullable martlet_lane_new(
    const uint8_t *key, int key_length, int digest_length, const uint8_t *mac_key, int mac_key_length,
    int tag_length) {
    const IMB_MGR *mb = library();
    if (!mb) return NULL;
    keyexp_t expand = key_length == 16   ? mb->keyexp_128
                      : key_length == 24 ? mb->keyexp_192
                      : key_length == 32 ? mb->keyexp_256
                                         : NULL;
    static const struct {
        int digest, tag, block;
        IMB_HASH_ALG hash;
    } hashes[] = {
        {20, 12, 64, IMB_AUTH_HMAC_SHA_1},
        {32, 16, 64, IMB_AUTH_HMAC_SHA_256},
        {48, 24, 128, IMB_AUTH_HMAC_SHA_384},
        {64, 32, 128, IMB_AUTH_HMAC_SHA_512},
    };
    int which = 0;
    while (which < 4 && (hashes[which].digest != digest_length || hashes[which].tag != tag_length)) which++;
    if (!expand || which == 4 || mac_key_length > hashes[which].block) return NULL;
    hash_one_block_t block = which == 0   ? mb->sha1_one_block
                             : which == 1 ? mb->sha256_one_block
                             : which == 2 ? mb->sha384_one_block
                                          : mb->sha512_one_block;
    void *memory = NULL;
    if (!block || posix_memalign(&memory, 64, sizeof(martlet_lane)) != 0) return NULL;
    martlet_lane *lane = memory;
    memset(lane, 0, sizeof *lane);
    uint8_t unused[16 * 15] __attribute__((aligned(16))), pad[128];
    expand(key, lane->keys, unused);
    // HMAC's two keys (RFC 2104 §2), each hashed once and for all.
    memset(pad, 0x36, sizeof pad);
    for (int i = 0; i < mac_key_length; i++) pad[i] ^= mac_key[i];
    block(pad, lane->inner);
    for (size_t i = 0; i < sizeof pad; i++) pad[i] ^= 0x36 ^ 0x5c;
    block(pad, lane->outer);
    OPENSSL_cleanse(unused, sizeof unused);
    OPENSSL_cleanse(pad, sizeof pad);
    lane->key_length = (uint64_t)key_length;
    lane->tag_length = (uint64_t)tag_length;
    lane->hash = hashes[which].hash;
    return lane;
}

void martlet_lane_free(martlet_lane *lane) {
    OPENSSL_cleanse(lane, sizeof *lane);
    free(lane);
}

martlet_batch *_Nullable martlet_batch_new(void) {
    if (!library()) return NULL;
    martlet_batch *batch = OPENSSL_zalloc(sizeof *batch);
    IMB_MGR *made = batch ? make(0) : NULL;
    if (!made) {
        OPENSSL_free(batch);
        return NULL;
    }
    start_batches(made);
    batch->manager = made;
    return batch;
}

void martlet_batch_free(martlet_batch *batch) {
    martlet_batch_finish(batch);
    discard(batch->manager);
    OPENSSL_free(batch);
}

static void count(martlet_batch *batch, const IMB_JOB *_Nullable job) {
    if (job && job->status != IMB_STATUS_COMPLETED) batch->failures++;
}

void martlet_batch_seal(
    martlet_batch *batch, const martlet_lane *lane, uint8_t *packet, size_t header_length, size_t text_length,
    size_t covered_length, uint8_t *tag) {
    IMB_MGR *mb = batch->manager;
    IMB_JOB *job = IMB_GET_NEXT_JOB(mb);
    memset(job, 0, sizeof *job);
    job->cipher_mode = IMB_CIPHER_CBC;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_CIPHER_HASH;
    job->hash_alg = lane->hash;
    job->enc_keys = job->dec_keys = lane->keys;
    job->key_len_in_bytes = lane->key_length;
    job->iv = packet + header_length - 16;
    job->iv_len_in_bytes = 16;
    job->src = packet;
    job->dst = packet + header_length;
    job->cipher_start_src_offset_in_bytes = header_length;
    job->msg_len_to_cipher_in_bytes = text_length;
    job->msg_len_to_hash_in_bytes = covered_length;
    job->auth_tag_output = tag;
    job->auth_tag_output_len_in_bytes = lane->tag_length;
    job->u.HMAC._hashed_auth_key_xor_ipad = lane->inner;
    job->u.HMAC._hashed_auth_key_xor_opad = lane->outer;
    for (const IMB_JOB *done = IMB_SUBMIT_JOB(mb); done; done = IMB_GET_COMPLETED_JOB(mb)) count(batch, done);
}

int martlet_batch_finish(martlet_batch *batch) {
    for (const IMB_JOB *done = IMB_FLUSH_JOB(batch->manager); done; done = IMB_FLUSH_JOB(batch->manager))
        count(batch, done);
    int failures = batch->failures;
    batch->failures = 0;
    return failures == 0;
}

#else

martlet_lane *_Nullable martlet_lane_new(
    const uint8_t *key, int key_length, int digest_length, const uint8_t *mac_key, int mac_key_length,
    int tag_length) {
    return NULL;
}
martlet_batch *_Nullable martlet_batch_new(void) { return NULL; }
// Nobody has one.
void martlet_lane_free(martlet_lane *lane) {}
void martlet_batch_free(martlet_batch *batch) {}
void martlet_batch_seal(
    martlet_batch *batch, const martlet_lane *lane, uint8_t *packet, size_t header_length, size_t text_length,
    size_t covered_length, uint8_t *tag) {}
int martlet_batch_finish(martlet_batch *batch) { return 0; }

int martlet_accelerator_available(void) { return 0; }

martlet_gcm *_Nullable martlet_gcm_new(
    int seal, const uint8_t *key, int key_length, const uint8_t *salt, int salt_length, int iv_length, int tag_length) {
    return NULL;
}
// Nobody has one.
void martlet_gcm_free(martlet_gcm *gcm) {}
int martlet_gcm_equal(const martlet_gcm *first, const martlet_gcm *second) { return 0; }
void martlet_gcm_recall(const martlet_gcm *gcm, uint8_t *key, int key_length, uint8_t *salt) {}
void martlet_gcm_prefetch(const martlet_gcm *gcm) {}
void martlet_gcm_seal(
    martlet_gcm *gcm, const uint8_t *iv, const uint8_t *data, size_t data_length, int64_t high, uint8_t *text,
    size_t text_length, uint8_t *tag) {}
int martlet_gcm_open(
    martlet_gcm *gcm, const uint8_t *iv, const uint8_t *data, size_t data_length, int64_t high, uint8_t *text,
    size_t text_length, const uint8_t *tag) {
    return 0;
}

#endif

#pragma clang assume_nonnull end
