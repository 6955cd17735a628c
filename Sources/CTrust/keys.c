#include "CTrust.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#pragma clang assume_nonnull begin

// No file with one key or certificate is longer.
enum { LONGEST_FILE = 1 << 20 };

// What the password callback works with, and whether it was called.
struct password {
    const uint8_t *_Nullable octets;
    size_t length;
    int asked;
};

static int give_password(char *buffer, int size, int for_writing, void *_Nullable context) {
    struct password *password = context;
    (void)for_writing;
    if (!password) return -1;
    password->asked = 1;
    if (!password->octets || size < 0 || password->length > (size_t)size) return -1;
    memcpy(buffer, password->octets, password->length);
    return (int)password->length;
}

static EVP_PKEY *_Nullable decode(const uint8_t *bytes, size_t length, int selection, struct password *password) {
    EVP_PKEY *key = NULL;
    const unsigned char *rest = bytes;
    size_t count = length;
    OSSL_DECODER_CTX *context = OSSL_DECODER_CTX_new_for_pkey(&key, NULL, NULL, NULL, selection, NULL, NULL);
    if (context && OSSL_DECODER_CTX_set_pem_password_cb(context, give_password, password) == 1)
        OSSL_DECODER_from_data(context, &rest, &count);
    OSSL_DECODER_CTX_free(context);
    ERR_clear_error();
    return key;
}

EVP_PKEY *_Nullable martlet_private_key(
    const uint8_t *bytes, size_t length, const uint8_t *_Nullable password, size_t password_length, int *outcome) {
    struct password given = {password, password_length, 0};
    *outcome = MARTLET_READ_MALFORMED;
    if (!length || length > LONGEST_FILE) return NULL;
    EVP_PKEY *key = decode(bytes, length, EVP_PKEY_KEYPAIR, &given);
    if (!key && !given.asked) {
        // libcrypto's decoders of DER do not all know encrypted PKCS #8.
        BIO *source = BIO_new_mem_buf(bytes, (int)length);
        if (source) key = d2i_PKCS8PrivateKey_bio(source, NULL, give_password, &given);
        BIO_free(source);
        ERR_clear_error();
    }
    if (key) {
        *outcome = MARTLET_READ_DONE;
    } else if (given.asked) {
        *outcome = password ? MARTLET_READ_WRONG_PASSWORD : MARTLET_READ_NEEDS_PASSWORD;
    }
    return key;
}

EVP_PKEY *_Nullable martlet_public_key(const uint8_t *bytes, size_t length) {
    struct password none = {NULL, 0, 0};
    if (!length || length > LONGEST_FILE) return NULL;
    // DER is a SubjectPublicKeyInfo and nothing else, since its hash is the key's name.
    const unsigned char *end = bytes;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &end, (long)length);
    if (key && end != bytes + length) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    if (!key && length > 11 && !memcmp(bytes, "-----BEGIN ", 11))
        key = decode(bytes, length, EVP_PKEY_PUBLIC_KEY, &none);
    ERR_clear_error();
    return key;
}

void martlet_pkey_free(EVP_PKEY *key) { EVP_PKEY_free(key); }

// Whether an RSA key's exponent makes it one: with 1, every message is its own signature, and libcrypto takes it; even
// ones have no inverse.
static int exponent_signs(EVP_PKEY *key) {
    BIGNUM *exponent = NULL;
    int good = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 && BN_is_odd(exponent)
               && !BN_is_one(exponent);
    BN_free(exponent);
    if (!good) ERR_clear_error();
    return good;
}

int martlet_pkey_kind(EVP_PKEY *key, int *bits) {
    *bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_is_a(key, "RSA")) return exponent_signs(key) ? MARTLET_KEY_RSA : MARTLET_KEY_OTHER;
    if (EVP_PKEY_is_a(key, "ED25519")) return MARTLET_KEY_ED25519;
    if (EVP_PKEY_is_a(key, "ED448")) return MARTLET_KEY_ED448;
    if (EVP_PKEY_is_a(key, "EC")) {
        char group[64];
        size_t length = 0;
        if (EVP_PKEY_get_group_name(key, group, sizeof group, &length) != 1) {
            ERR_clear_error();
            return MARTLET_KEY_OTHER;
        }
        int nid = OBJ_txt2nid(group);
        if (nid == NID_undef) nid = EC_curve_nist2nid(group);
        switch (nid) {
        case NID_X9_62_prime256v1: return MARTLET_KEY_P256;
        case NID_secp384r1: return MARTLET_KEY_P384;
        case NID_secp521r1: return MARTLET_KEY_P521;
        default: return MARTLET_KEY_EC;
        }
    }
    return MARTLET_KEY_OTHER;
}

int martlet_pkey_same(EVP_PKEY *left, EVP_PKEY *right) {
    int same = EVP_PKEY_eq(left, right) == 1;
    ERR_clear_error();
    return same;
}

size_t martlet_pkey_info(EVP_PKEY *key, uint8_t *_Nullable out, size_t room) {
    int length = i2d_PUBKEY(key, NULL);
    if (length > 0 && out && (size_t)length <= room) {
        unsigned char *end = out;
        length = i2d_PUBKEY(key, &end);
    }
    ERR_clear_error();
    return length > 0 ? (size_t)length : 0;
}

size_t martlet_pkey_bits(EVP_PKEY *key, uint8_t *_Nullable out, size_t room) {
    X509_PUBKEY *info = NULL;
    const unsigned char *octets = NULL;
    int length = 0;
    if (X509_PUBKEY_set(&info, key) != 1 || X509_PUBKEY_get0_param(NULL, &octets, &length, NULL, info) != 1) length = 0;
    if (length > 0 && out && (size_t)length <= room) memcpy(out, octets, (size_t)length);
    X509_PUBKEY_free(info);
    ERR_clear_error();
    return length > 0 ? (size_t)length : 0;
}

EVP_PKEY *_Nullable martlet_pkey_generate(int kind, int bits) {
    EVP_PKEY *key = NULL;
    switch (kind) {
    case MARTLET_KEY_RSA: key = bits >= 2048 && bits <= 16384 ? EVP_RSA_gen((unsigned)bits) : NULL; break;
    case MARTLET_KEY_P256: key = EVP_EC_gen("P-256"); break;
    case MARTLET_KEY_P384: key = EVP_EC_gen("P-384"); break;
    case MARTLET_KEY_P521: key = EVP_EC_gen("P-521"); break;
    case MARTLET_KEY_ED25519: key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); break;
    case MARTLET_KEY_ED448: key = EVP_PKEY_Q_keygen(NULL, NULL, "ED448"); break;
    default: break;
    }
    ERR_clear_error();
    return key;
}

size_t martlet_pkey_pem(
    EVP_PKEY *key, const uint8_t *_Nullable password, size_t password_length, uint8_t *out, size_t room) {
    BIO *sink = BIO_new(BIO_s_secmem());
    size_t length = 0;
    if (sink && password_length <= 1024
        && PEM_write_bio_PKCS8PrivateKey(
               sink, key, password ? EVP_aes_256_cbc() : NULL, (const char *)password, (int)password_length, NULL, NULL)
               == 1) {
        char *text = NULL;
        long count = BIO_get_mem_data(sink, &text);
        if (count > 0 && (size_t)count <= room) {
            memcpy(out, text, (size_t)count);
            length = (size_t)count;
        }
    }
    BIO_free(sink);
    ERR_clear_error();
    return length;
}

// Sets what RSA has to choose.
static int choose(EVP_PKEY_CTX *context, int padding, const char *_Nullable mask_hash, int salt_length) {
    if (padding == MARTLET_PADDING_NONE) return 1;
    if (padding == MARTLET_PADDING_PKCS1) return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1
           && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt_length) == 1
           && (!mask_hash || EVP_PKEY_CTX_set_rsa_mgf1_md_name(context, mask_hash, NULL) == 1);
}

int martlet_sign(
    EVP_PKEY *key, const char *_Nullable hash, int padding, const char *_Nullable mask_hash, int salt_length,
    const uint8_t *message, size_t message_length, uint8_t *signature, size_t *length) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *choices = NULL;
    int done = context && EVP_DigestSignInit_ex(context, &choices, hash, NULL, NULL, key, NULL) == 1
               && choose(choices, padding, mask_hash, salt_length)
               && EVP_DigestSign(context, signature, length, message, message_length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return done;
}

int martlet_verify(
    EVP_PKEY *key, const char *_Nullable hash, int padding, const char *_Nullable mask_hash, int salt_length,
    const uint8_t *message, size_t message_length, const uint8_t *signature, size_t length) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *choices = NULL;
    int done = context && EVP_DigestVerifyInit_ex(context, &choices, hash, NULL, NULL, key, NULL) == 1
               && choose(choices, padding, mask_hash, salt_length)
               && EVP_DigestVerify(context, signature, length, message, message_length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return done;
}

int martlet_ecdsa_split(const uint8_t *der, size_t length, uint8_t *out, size_t part) {
    if (length > 1024 || part > 128) return 0;
    const unsigned char *end = der;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &end, (long)length);
    int done = signature && end == der + length
               && BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, (int)part) == (int)part
               && BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + part, (int)part) == (int)part;
    ECDSA_SIG_free(signature);
    ERR_clear_error();
    return done;
}

size_t martlet_ecdsa_join(const uint8_t *parts, size_t part, uint8_t *out, size_t room) {
    if (part > 128) return 0;
    int length = 0;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(parts, (int)part, NULL), *s = BN_bin2bn(parts + part, (int)part, NULL);
    if (signature && r && s && ECDSA_SIG_set0(signature, r, s) == 1) {
        r = s = NULL;
        length = i2d_ECDSA_SIG(signature, NULL);
        if (length > 0 && (size_t)length <= room) {
            unsigned char *end = out;
            length = i2d_ECDSA_SIG(signature, &end);
        } else {
            length = 0;
        }
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(signature);
    ERR_clear_error();
    return length > 0 ? (size_t)length : 0;
}

static int bits_of_hash(int nid) {
    switch (nid) {
    case NID_sha1: return 160;
    case NID_sha256: return 256;
    case NID_sha384: return 384;
    case NID_sha512: return 512;
    default: return 0;
    }
}

static int bits_of_algorithm(const X509_ALGOR *_Nullable algorithm) {
    if (!algorithm) return 160;
    const ASN1_OBJECT *object = NULL;
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    return bits_of_hash(OBJ_obj2nid(object));
}

// The parameters of RSASSA-PSS (RFC 8017 §A.2.3); what is left out stands at its default.
static int read_pss(const X509_ALGOR *algorithm, int *hash_bits, int *mask_hash_bits, int *salt_length) {
    const void *value = NULL;
    int type = V_ASN1_UNDEF;
    X509_ALGOR_get0(NULL, &type, &value, algorithm);
    if (type != V_ASN1_SEQUENCE || !value) return 0;
    RSA_PSS_PARAMS *parameters = ASN1_item_unpack((const ASN1_STRING *)value, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
    if (!parameters) return 0;
    int done = 1;
    *hash_bits = bits_of_algorithm(parameters->hashAlgorithm);
    *mask_hash_bits = 160;
    *salt_length = 20;
    if (parameters->maskGenAlgorithm) {
        const ASN1_OBJECT *object = NULL;
        const void *inner = NULL;
        int inner_type = V_ASN1_UNDEF;
        X509_ALGOR_get0(&object, &inner_type, &inner, parameters->maskGenAlgorithm);
        X509_ALGOR *mask = NULL;
        if (OBJ_obj2nid(object) == NID_mgf1 && inner_type == V_ASN1_SEQUENCE && inner)
            mask = ASN1_item_unpack((const ASN1_STRING *)inner, ASN1_ITEM_rptr(X509_ALGOR));
        done = mask != NULL;
        *mask_hash_bits = mask ? bits_of_algorithm(mask) : 0;
        X509_ALGOR_free(mask);
    }
    if (parameters->saltLength) {
        int64_t salt = 0;
        done = done && ASN1_INTEGER_get_int64(&salt, parameters->saltLength) == 1 && salt >= 0 && salt <= 512;
        *salt_length = (int)(done ? salt : 0);
    }
    if (parameters->trailerField) {
        int64_t trailer = 0;
        done = done && ASN1_INTEGER_get_int64(&trailer, parameters->trailerField) == 1 && trailer == 1;
    }
    RSA_PSS_PARAMS_free(parameters);
    return done && *hash_bits && *mask_hash_bits;
}

size_t martlet_algorithm_read(
    const uint8_t *der, size_t length, int *kind, int *hash_bits, int *mask_hash_bits, int *salt_length) {
    if (length > 255) return 0;
    *kind = *hash_bits = *mask_hash_bits = *salt_length = 0;
    const unsigned char *end = der;
    X509_ALGOR *algorithm = d2i_X509_ALGOR(NULL, &end, (long)length);
    if (algorithm) {
        const ASN1_OBJECT *object = NULL;
        X509_ALGOR_get0(&object, NULL, NULL, algorithm);
        int nid = OBJ_obj2nid(object), hash = NID_undef, scheme = NID_undef;
        if (nid == NID_ED25519) {
            *kind = 4;
        } else if (nid == NID_ED448) {
            *kind = 5;
        } else if (nid == NID_rsassaPss) {
            *kind = read_pss(algorithm, hash_bits, mask_hash_bits, salt_length) ? 2 : 0;
        } else if (OBJ_find_sigid_algs(nid, &hash, &scheme) == 1) {
            *hash_bits = bits_of_hash(hash);
            if (*hash_bits && scheme == NID_rsaEncryption) *kind = 1;
            if (*hash_bits && scheme == NID_X9_62_id_ecPublicKey) *kind = 3;
        }
    }
    X509_ALGOR_free(algorithm);
    ERR_clear_error();
    return *kind ? (size_t)(end - der) : 0;
}

#pragma clang assume_nonnull end
