#include "CIPsecCrypto.h"

#pragma clang assume_nonnull begin

// The primes of RFC 3526 and their generator, 2.
static BIGNUM *_Nullable prime(int bits) {
    switch (bits) {
    case 2048: return BN_get_rfc3526_prime_2048(NULL);
    case 3072: return BN_get_rfc3526_prime_3072(NULL);
    case 4096: return BN_get_rfc3526_prime_4096(NULL);
    case 6144: return BN_get_rfc3526_prime_6144(NULL);
    case 8192: return BN_get_rfc3526_prime_8192(NULL);
    default: return NULL;
    }
}

static BIGNUM *_Nullable secret_number(const uint8_t *bytes, size_t length) {
    BIGNUM *number = BN_new();
    if (!number) return NULL;
    BN_set_flags(number, BN_FLG_CONSTTIME);
    if (BN_bin2bn(bytes, (int)length, number)) return number;
    BN_clear_free(number);
    return NULL;
}

int martlet_modp_public(
    int bits, const uint8_t *private_value, size_t private_length, uint8_t *public_value, size_t public_length) {
    int done = 0;
    BN_CTX *context = BN_CTX_secure_new();
    BIGNUM *modulus = prime(bits), *base = BN_new(), *result = BN_new();
    BIGNUM *exponent = secret_number(private_value, private_length);
    if (context && modulus && base && result && exponent && !BN_is_zero(exponent) && !BN_is_one(exponent)
        && BN_set_word(base, 2) == 1
        && BN_mod_exp_mont_consttime(result, base, exponent, modulus, context, NULL) == 1)
        done = BN_bn2binpad(result, public_value, (int)public_length) == (int)public_length;
    BN_clear_free(exponent);
    BN_free(result);
    BN_free(base);
    BN_free(modulus);
    BN_CTX_free(context);
    if (!done) ERR_clear_error();
    return done;
}

int martlet_modp_in_range(int bits, const uint8_t *value, size_t length) {
    int inside = 0;
    BIGNUM *limit = prime(bits), *number = BN_bin2bn(value, (int)length, NULL);
    if (limit && number && BN_sub_word(limit, 1) == 1)
        inside = !BN_is_zero(number) && !BN_is_one(number) && BN_cmp(number, limit) < 0;
    BN_free(number);
    BN_free(limit);
    return inside;
}

int martlet_ecp_public(
    const char *group, const uint8_t *private_value, size_t private_length, uint8_t *public_value,
    size_t public_length) {
    int done = 0;
    BN_CTX *context = BN_CTX_secure_new();
    EC_GROUP *curve = EC_GROUP_new_by_curve_name(EC_curve_nist2nid(group));
    EC_POINT *point = curve ? EC_POINT_new(curve) : NULL;
    BIGNUM *scalar = secret_number(private_value, private_length);
    if (context && curve && point && scalar && !BN_is_zero(scalar) && BN_cmp(scalar, EC_GROUP_get0_order(curve)) < 0
        && EC_POINT_mul(curve, point, scalar, NULL, NULL, context) == 1)
        done = EC_POINT_point2oct(
                   curve, point, POINT_CONVERSION_UNCOMPRESSED, public_value, public_length, context)
               == public_length;
    BN_clear_free(scalar);
    EC_POINT_free(point);
    EC_GROUP_free(curve);
    BN_CTX_free(context);
    if (!done) ERR_clear_error();
    return done;
}

// Numbers cross into a provider in the machine's own octet order. `out` has room for 1024 octets.
static int native(uint8_t *out, const uint8_t *bytes, size_t length) {
    BIGNUM *number = length <= 1024 ? secret_number(bytes, length) : NULL;
    int done = number && BN_bn2nativepad(number, out, (int)length) == (int)length;
    BN_clear_free(number);
    return done;
}

EVP_PKEY *_Nullable martlet_group_key(
    const char *type, const char *group, const uint8_t *public_value, size_t public_length,
    const uint8_t *_Nullable private_value, size_t private_length) {
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    uint8_t public_native[1024], private_native[1024];
    OSSL_PARAM parameters[4], *next = parameters;
    int done = context != NULL;
    *next++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)group, 0);
    if (strcmp(type, "EC") == 0) {
        *next++ = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)public_value, public_length);
    } else {
        done = done && native(public_native, public_value, public_length);
        *next++ = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PUB_KEY, public_native, public_length);
    }
    if (private_value) {
        done = done && native(private_native, private_value, private_length);
        *next++ = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, private_native, private_length);
    }
    *next = OSSL_PARAM_construct_end();
    done = done && EVP_PKEY_fromdata_init(context) == 1
           && EVP_PKEY_fromdata(context, &key, private_value ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, parameters) == 1;
    OPENSSL_cleanse(private_native, sizeof private_native);
    EVP_PKEY_CTX_free(context);
    if (done) return key;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return NULL;
}

int martlet_derive(EVP_PKEY *key, EVP_PKEY *peer, int pad, uint8_t *secret, size_t length) {
    size_t written = length;
    EVP_PKEY_CTX *check = EVP_PKEY_CTX_new_from_pkey(NULL, peer, NULL);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    // The quick check sees to range and curve. What the full one adds, a multiplication by the group's order, costs more
    // than the derivation and finds nothing in groups whose order is prime (or twice a prime: RFC 6989 §2.1).
    int done = check && EVP_PKEY_public_check_quick(check) == 1 && context && EVP_PKEY_derive_init(context) == 1
               && (!pad || EVP_PKEY_CTX_set_dh_pad(context, 1) == 1)
               && EVP_PKEY_derive_set_peer_ex(context, peer, 0) == 1
               && EVP_PKEY_derive(context, secret, &written) == 1 && written == length;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_CTX_free(check);
    if (!done) ERR_clear_error();
    return done;
}

#pragma clang assume_nonnull end
