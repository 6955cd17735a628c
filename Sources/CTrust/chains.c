#include "CTrust.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

#pragma clang assume_nonnull begin

// Adds "1.2.3,1.2.4" to the parameters.
static int add_policies(X509_VERIFY_PARAM *parameters, const char *policies) {
    char word[128];
    while (*policies) {
        size_t length = strcspn(policies, ",");
        if (!length || length >= sizeof word) return 0;
        memcpy(word, policies, length);
        word[length] = 0;
        ASN1_OBJECT *policy = OBJ_txt2obj(word, 1);
        if (!policy) return 0;
        if (X509_VERIFY_PARAM_add0_policy(parameters, policy) != 1) {
            ASN1_OBJECT_free(policy);
            return 0;
        }
        policies += length;
        if (*policies == ',') policies++;
    }
    return X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_POLICY_CHECK | X509_V_FLAG_EXPLICIT_POLICY) == 1;
}

int martlet_chain_check(
    X509 *leaf, martlet_certificates *helpers, martlet_certificates *anchors, int64_t moment,
    const char *_Nullable policies, int level, martlet_certificates *_Nullable *_Nonnull chain, int *depth) {
    int result = X509_V_ERR_OUT_OF_MEM;
    *chain = NULL;
    *depth = 0;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    if (store && context && X509_STORE_CTX_init(context, store, leaf, helpers) == 1) {
        X509_STORE_CTX_set0_trusted_stack(context, anchors);
        X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
        X509_VERIFY_PARAM_set_time(parameters, (time_t)moment);
        X509_VERIFY_PARAM_set_depth(parameters, 10);
        X509_VERIFY_PARAM_set_auth_level(parameters, level);
        // An authority that is configured is trusted, whoever has signed it.
        X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
        if (policies && !add_policies(parameters, policies)) {
            result = X509_V_ERR_INVALID_POLICY_EXTENSION;
        } else if (X509_verify_cert(context) == 1) {
            *chain = X509_STORE_CTX_get1_chain(context);
            result = *chain ? X509_V_OK : X509_V_ERR_OUT_OF_MEM;
        } else {
            result = X509_STORE_CTX_get_error(context);
            *depth = X509_STORE_CTX_get_error_depth(context);
            if (result == X509_V_OK) result = X509_V_ERR_UNSPECIFIED;
        }
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return result;
}

// What is asked about, and what was said about it.
struct question {
    int depth;
    int result;
};

static int question_index(void) {
    static int index = -1;
    // Two threads that come at the same moment get an index each, and both work.
    int known = __atomic_load_n(&index, __ATOMIC_ACQUIRE);
    if (known >= 0) return known;
    int made = X509_STORE_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    int expected = -1;
    if (__atomic_compare_exchange_n(&index, &expected, made, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return made;
    return expected;
}

// Whether a result is about revocation.
static int concerns_revocation(int result) {
    switch (result) {
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
    case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
    case X509_V_ERR_CERT_REVOKED:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
    case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
    case X509_V_ERR_DIFFERENT_CRL_SCOPE:
    case X509_V_ERR_CRL_PATH_VALIDATION_ERROR: return 1;
    default: return 0;
    }
}

static int answer_question(int ok, X509_STORE_CTX *context) {
    struct question *question = X509_STORE_CTX_get_ex_data(context, question_index());
    if (ok || !question) return ok;
    int result = X509_STORE_CTX_get_error(context);
    // The chain has been checked already: only what is said about revocation counts. What a list that is out of date
    // holds is revoked all the same; a list with any other fault says nothing.
    int first = question->result == X509_V_OK;
    int still = question->result == X509_V_ERR_CRL_HAS_EXPIRED && result == X509_V_ERR_CERT_REVOKED;
    if (concerns_revocation(result) && X509_STORE_CTX_get_error_depth(context) == question->depth && (first || still))
        question->result = result;
    return 1;
}

int martlet_chain_revocation(
    martlet_certificates *chain, int index, martlet_revocation_lists *lists, int64_t moment) {
    struct question question = {index, X509_V_OK};
    int asked = 0;
    X509 *leaf = sk_X509_value(chain, 0), *root = sk_X509_value(chain, sk_X509_num(chain) - 1);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    martlet_certificates *anchors = sk_X509_new_null();
    if (leaf && root && store && context && anchors && sk_X509_push(anchors, root) > 0
        && X509_STORE_CTX_init(context, store, leaf, chain) == 1) {
        X509_STORE_CTX_set0_trusted_stack(context, anchors);
        X509_STORE_CTX_set0_crls(context, lists);
        X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
        X509_VERIFY_PARAM_set_time(parameters, (time_t)moment);
        X509_VERIFY_PARAM_set_depth(parameters, 10);
        X509_VERIFY_PARAM_set_flags(
            parameters, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_CRL_CHECK
                            | X509_V_FLAG_CRL_CHECK_ALL | X509_V_FLAG_USE_DELTAS | X509_V_FLAG_EXTENDED_CRL_SUPPORT);
        if (X509_STORE_CTX_set_ex_data(context, question_index(), &question) == 1) {
            X509_STORE_CTX_set_verify_cb(context, answer_question);
            asked = X509_verify_cert(context) == 1;
        }
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    sk_X509_free(anchors);
    ERR_clear_error();
    return asked ? question.result : X509_V_ERR_UNSPECIFIED;
}

int martlet_crl_is_plain(X509_CRL *list) {
    int count = X509_CRL_get_ext_count(list);
    for (int index = 0; index < count; index++) {
        X509_EXTENSION *extension = X509_CRL_get_ext(list, index);
        if (!extension) return 0;
        int name = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
        if (name == NID_issuing_distribution_point) return 0;
        if (X509_EXTENSION_get_critical(extension) && name != NID_delta_crl) return 0;
    }
    return 1;
}

const char *martlet_chain_words(int result) { return X509_verify_cert_error_string(result); }

int martlet_certificate_signed_by(X509 *certificate, X509 *issuer) {
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    int done = key && X509_verify(certificate, key) == 1;
    ERR_clear_error();
    return done;
}

#pragma clang assume_nonnull end
