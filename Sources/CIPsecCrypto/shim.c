#include "CIPsecCrypto.h"

#pragma clang assume_nonnull begin

// A group of numbers: its modulus, its generator, the order of its subgroup where that is not (p - 1) / 2, and what
// Montgomery's method wants to know of the modulus.
struct modp {
    BIGNUM *_Nullable p, *_Nullable g, *_Nullable q;
    BN_MONT_CTX *_Nullable montgomery;
};

// The groups of RFC 5114, out of libcrypto's own table.
static int modp_subgroup(const char *name, struct modp *group) {
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "DHX", NULL);
    OSSL_PARAM parameters[2] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)name, 0), OSSL_PARAM_construct_end()};
    int done = context && EVP_PKEY_fromdata_init(context) == 1
               && EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEY_PARAMETERS, parameters) == 1
               && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_FFC_P, &group->p) == 1
               && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_FFC_G, &group->g) == 1
               && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_FFC_Q, &group->q) == 1;
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(context);
    return done;
}

// The groups of RFC 2409 and RFC 3526, whose generator is 2, and those of RFC 5114.
static const struct {
    const char *name;
    BIGNUM *_Nullable (*_Nullable prime)(BIGNUM *_Nullable);  // NULL: of RFC 5114.
} modp_names[] = {
    {"modp_768", BN_get_rfc2409_prime_768},   {"modp_1024", BN_get_rfc2409_prime_1024},
    {"modp_1536", BN_get_rfc3526_prime_1536}, {"modp_2048", BN_get_rfc3526_prime_2048},
    {"modp_3072", BN_get_rfc3526_prime_3072}, {"modp_4096", BN_get_rfc3526_prime_4096},
    {"modp_6144", BN_get_rfc3526_prime_6144}, {"modp_8192", BN_get_rfc3526_prime_8192},
    {"dh_1024_160", NULL},                    {"dh_2048_224", NULL},
    {"dh_2048_256", NULL},
};
enum { MODP_GROUPS = sizeof modp_names / sizeof *modp_names };

// Made once, all of them (half a millisecond), never changed or freed: any thread may read them.
static struct modp modp_groups[MODP_GROUPS];
static CRYPTO_ONCE modp_once = CRYPTO_ONCE_STATIC_INIT;

static void modp_prepare(void) {
    BN_CTX *context = BN_CTX_new();
    for (int i = 0; context && i < MODP_GROUPS; i++) {
        struct modp *group = &modp_groups[i];
        int done;
        if (modp_names[i].prime) {
            group->p = modp_names[i].prime(NULL);
            group->g = BN_new();
            done = group->p && group->g && BN_set_word(group->g, 2) == 1;
        } else {
            done = modp_subgroup(modp_names[i].name, group);
        }
        BN_MONT_CTX *montgomery = BN_MONT_CTX_new();
        if (done && montgomery && BN_MONT_CTX_set(montgomery, group->p, context) == 1)
            group->montgomery = montgomery;
        else
            BN_MONT_CTX_free(montgomery);  // The group stays without: nobody gets it.
    }
    BN_CTX_free(context);
    ERR_clear_error();
}

// NULL when libcrypto does not have the group.
static const struct modp *_Nullable modp_group(const char *name) {
    if (CRYPTO_THREAD_run_once(&modp_once, modp_prepare) != 1) return NULL;
    for (int i = 0; i < MODP_GROUPS; i++)
        if (strcmp(modp_names[i].name, name) == 0) return modp_groups[i].montgomery ? &modp_groups[i] : NULL;
    return NULL;
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
    const char *name, const uint8_t *private_value, size_t private_length, uint8_t *public_value,
    size_t public_length) {
    int done = 0;
    const struct modp *group = modp_group(name);
    BN_CTX *context = BN_CTX_secure_new();
    BIGNUM *result = BN_new(), *exponent = secret_number(private_value, private_length);
    if (group && context && result && exponent && !BN_is_zero(exponent) && !BN_is_one(exponent)
        && (!group->q || BN_cmp(exponent, group->q) < 0)
        && BN_mod_exp_mont_consttime(result, group->g, exponent, group->p, context, group->montgomery) == 1)
        done = BN_bn2binpad(result, public_value, (int)public_length) == (int)public_length;
    BN_clear_free(exponent);
    BN_free(result);
    BN_CTX_free(context);
    if (!done) ERR_clear_error();
    return done;
}

// Whether 1 < number < p - 1 and, where the group has a small subgroup, the number lies in it.
static int modp_accepts(const struct modp *group, const BIGNUM *number, BN_CTX *context) {
    int accepted = 0;
    BIGNUM *limit = BN_dup(group->p), *power = BN_new();
    if (limit && power && BN_sub_word(limit, 1))
        accepted = !BN_is_zero(number) && !BN_is_one(number) && BN_cmp(number, limit) < 0;
    if (accepted && group->q)
        accepted = BN_mod_exp_mont(power, number, group->q, group->p, context, group->montgomery) == 1
                   && BN_is_one(power);
    BN_free(power);
    BN_free(limit);
    return accepted;
}

int martlet_modp_derive(
    const char *name, const uint8_t *private_value, size_t private_length, const uint8_t *peer, size_t peer_length,
    uint8_t *secret, size_t length) {
    int done = 0;
    const struct modp *group = modp_group(name);
    BN_CTX *context = BN_CTX_secure_new();
    BIGNUM *number = peer_length <= 1024 ? BN_bin2bn(peer, (int)peer_length, NULL) : NULL;
    BIGNUM *result = BN_secure_new(), *exponent = secret_number(private_value, private_length);
    // Of a value in range, and in the subgroup where there is one, no power by a private value in range is 1: the order
    // is prime, or twice a prime, and then only p - 1 is of order 2.
    if (group && context && number && result && exponent && modp_accepts(group, number, context)
        && BN_mod_exp_mont_consttime(result, number, exponent, group->p, context, group->montgomery) == 1
        && !BN_is_zero(result) && !BN_is_one(result))
        done = BN_bn2binpad(result, secret, (int)length) == (int)length;
    BN_clear_free(exponent);
    BN_clear_free(result);
    BN_free(number);
    BN_CTX_free(context);
    if (!done) {
        OPENSSL_cleanse(secret, length);
        ERR_clear_error();
    }
    return done;
}

// NIST's names, else libcrypto's own.
static EC_GROUP *_Nullable curve_named(const char *name) {
    int number = EC_curve_nist2nid(name);
    return EC_GROUP_new_by_curve_name(number != NID_undef ? number : OBJ_sn2nid(name));
}

int martlet_ecp_public(
    const char *group, const uint8_t *private_value, size_t private_length, uint8_t *public_value,
    size_t public_length) {
    int done = 0;
    BN_CTX *context = BN_CTX_secure_new();
    EC_GROUP *curve = curve_named(group);
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

// A key of this type; wipes nothing.
static EVP_PKEY *_Nullable key_of(const char *type, OSSL_PARAM *parameters, int is_pair) {
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    int done = context && EVP_PKEY_fromdata_init(context) == 1
               && EVP_PKEY_fromdata(context, &key, is_pair ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, parameters) == 1;
    EVP_PKEY_CTX_free(context);
    if (done) return key;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return NULL;
}

EVP_PKEY *_Nullable martlet_ecp_key(
    const char *name, const uint8_t *public_value, size_t public_length, const uint8_t *_Nullable private_value,
    size_t private_length) {
    EVP_PKEY *key = NULL;
    uint8_t private_native[1024];
    OSSL_PARAM parameters[4], *next = parameters;
    int done = 1;
    *next++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)name, 0);
    *next++ = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)public_value, public_length);
    if (private_value) {
        done = native(private_native, private_value, private_length);
        *next++ = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, private_native, private_length);
    }
    *next = OSSL_PARAM_construct_end();
    if (done) key = key_of("EC", parameters, private_value != NULL);
    OPENSSL_cleanse(private_native, sizeof private_native);
    return key;
}

int martlet_derive(EVP_PKEY *key, EVP_PKEY *peer, uint8_t *secret, size_t length) {
    size_t written = length;
    EVP_PKEY_CTX *check = EVP_PKEY_CTX_new_from_pkey(NULL, peer, NULL);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    // The quick check sees to range and curve. What the full one adds, a multiplication by the group's order, costs more
    // than the derivation and finds nothing in groups whose order is prime (RFC 6989 §2.1).
    int done = check && EVP_PKEY_public_check_quick(check) == 1 && context && EVP_PKEY_derive_init(context) == 1
               && EVP_PKEY_derive_set_peer_ex(context, peer, 0) == 1
               && EVP_PKEY_derive(context, secret, &written) == 1 && written == length;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_CTX_free(check);
    if (!done) ERR_clear_error();
    return done;
}

#pragma clang assume_nonnull end
