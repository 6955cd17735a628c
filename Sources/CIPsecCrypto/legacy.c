// What MSCHAPv2 (RFC 2759) and EAP-MD5 cannot do without, and nothing else may use: by way of nettle, which has them
// without a provider that must be there at run time.
#include "CIPsecLegacy.h"

#include <nettle/des.h>
#include <nettle/md4.h>
#include <nettle/md5.h>

#include "CIPsecCrypto.h"

#pragma clang assume_nonnull begin

void martlet_md4(const uint8_t *_Nullable bytes, size_t length, uint8_t *out) {
    struct md4_ctx context;
    md4_init(&context);
    if (length) md4_update(&context, length, bytes);
    md4_digest(&context, MD4_DIGEST_SIZE, out);
    OPENSSL_cleanse(&context, sizeof context);
}

void martlet_md5(const uint8_t *_Nullable bytes, size_t length, uint8_t *out) {
    struct md5_ctx context;
    md5_init(&context);
    if (length) md5_update(&context, length, bytes);
    md5_digest(&context, MD5_DIGEST_SIZE, out);
    OPENSSL_cleanse(&context, sizeof context);
}

void martlet_des_block(const uint8_t *key, const uint8_t *in, uint8_t *out) {
    struct des_ctx context;
    // Weak keys are refused in words only: a password's hash may contain one, and nobody can choose another.
    des_set_key(&context, key);
    des_encrypt(&context, DES_BLOCK_SIZE, out, in);
    OPENSSL_cleanse(&context, sizeof context);
}

#pragma clang assume_nonnull end
