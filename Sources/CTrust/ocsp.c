#include "CTrust.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#pragma clang assume_nonnull begin

size_t martlet_ocsp_request(
    X509 *certificate, X509 *issuer, const uint8_t *nonce, size_t nonce_length, uint8_t *out, size_t room) {
    size_t length = 0;
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *name = OCSP_cert_to_id(EVP_sha1(), certificate, issuer);
    if (request && name && OCSP_request_add0_id(request, name)) {
        name = NULL; // the request's now
        if (nonce_length <= 32 && OCSP_request_add1_nonce(request, (unsigned char *)nonce, (int)nonce_length) == 1) {
            int count = i2d_OCSP_REQUEST(request, NULL);
            if (count > 0 && (size_t)count <= room) {
                unsigned char *end = out;
                count = i2d_OCSP_REQUEST(request, &end);
                length = count > 0 ? (size_t)count : 0;
            }
        }
    }
    OCSP_CERTID_free(name);
    OCSP_REQUEST_free(request);
    ERR_clear_error();
    return length;
}

static int64_t seconds(const ASN1_GENERALIZEDTIME *_Nullable moment, int64_t otherwise) {
    struct tm parts;
    if (!moment || ASN1_TIME_to_tm(moment, &parts) != 1) return otherwise;
    return (int64_t)timegm(&parts);
}

// Whether the answer's nonce is the question's: 1 yes, 0 another one, -1 none.
static int same_nonce(OCSP_BASICRESP *answer, const uint8_t *nonce, size_t length) {
    int index = OCSP_BASICRESP_get_ext_by_NID(answer, NID_id_pkix_OCSP_Nonce, -1);
    if (index < 0) return -1;
    X509_EXTENSION *extension = OCSP_BASICRESP_get_ext(answer, index);
    ASN1_OCTET_STRING *value = extension ? X509_EXTENSION_get_data(extension) : NULL;
    if (!value) return 0;
    // The extension's value is an OCTET STRING that holds the nonce.
    const unsigned char *octets = ASN1_STRING_get0_data(value);
    ASN1_OCTET_STRING *inner = d2i_ASN1_OCTET_STRING(NULL, &octets, ASN1_STRING_length(value));
    int same = inner && (size_t)ASN1_STRING_length(inner) == length
               && !memcmp(ASN1_STRING_get0_data(inner), nonce, length);
    ASN1_OCTET_STRING_free(inner);
    return same;
}

static int is_signed(
    OCSP_BASICRESP *answer, X509 *issuer, martlet_certificates *responders, int64_t moment, int trusts_others) {
    int done = 0;
    X509_STORE *store = X509_STORE_new();
    martlet_certificates *helpers = sk_X509_new_null();
    if (store && helpers && X509_STORE_add_cert(store, issuer) == 1) {
        X509_VERIFY_PARAM *parameters = X509_STORE_get0_param(store);
        X509_VERIFY_PARAM_set_time(parameters, (time_t)moment);
        X509_VERIFY_PARAM_set_depth(parameters, 10);
        // The issuer is trusted already, whoever has issued it.
        X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
        if (trusts_others) {
            done = OCSP_basic_verify(answer, responders, store, OCSP_TRUSTOTHER) == 1;
        } else {
            // The issuer itself, or whom it has told to answer (RFC 6960 §4.2.2.2): OCSP_NOEXPLICIT leaves out the
            // setting of OpenSSL's own by which an authority may be trusted for all others.
            done = sk_X509_push(helpers, issuer) > 0
                   && OCSP_basic_verify(answer, helpers, store, OCSP_NOEXPLICIT) == 1;
        }
    }
    sk_X509_free(helpers);
    X509_STORE_free(store);
    ERR_clear_error();
    return done;
}

static int judge(
    OCSP_BASICRESP *answer, X509 *certificate, X509 *issuer, martlet_certificates *responders,
    const uint8_t *_Nullable nonce, size_t nonce_length, int64_t moment, int64_t *from, int64_t *until) {
    if (!is_signed(answer, issuer, responders, moment, 0)
        && !(sk_X509_num(responders) > 0 && is_signed(answer, issuer, responders, moment, 1)))
        return MARTLET_OCSP_WRONG_SIGNER;
    if (nonce && same_nonce(answer, nonce, nonce_length) == 0) return MARTLET_OCSP_WRONG_NONCE;
    // The name may be made with another hash than ours.
    int found = -1;
    for (int index = 0; index < OCSP_resp_count(answer) && index < 64 && found < 0; index++) {
        const OCSP_CERTID *name = OCSP_SINGLERESP_get0_id(OCSP_resp_get0(answer, index));
        ASN1_OBJECT *hash = NULL;
        if (OCSP_id_get0_info(NULL, &hash, NULL, NULL, (OCSP_CERTID *)name) != 1) continue;
        const EVP_MD *digest = EVP_get_digestbyobj(hash);
        OCSP_CERTID *wanted = digest ? OCSP_cert_to_id(digest, certificate, issuer) : NULL;
        if (wanted && OCSP_id_cmp(wanted, name) == 0) found = index;
        OCSP_CERTID_free(wanted);
    }
    if (found < 0) return MARTLET_OCSP_WRONG_CERTIFICATE;
    ASN1_GENERALIZEDTIME *revoked = NULL, *this_update = NULL, *next_update = NULL;
    int reason = -1;
    int status =
        OCSP_single_get0_status(OCSP_resp_get0(answer, found), &reason, &revoked, &this_update, &next_update);
    *from = seconds(this_update, INT64_MAX);
    *until = seconds(next_update, INT64_MAX);
    // Revoked is revoked, however old the news.
    if (status == V_OCSP_CERTSTATUS_REVOKED) return MARTLET_OCSP_REVOKED;
    // Clocks differ; without an end, what is a day old is old.
    const int64_t tolerance = 300, longest = 86400;
    if (*from > moment + tolerance) return MARTLET_OCSP_STALE;
    if (*until == INT64_MAX) *until = *from + longest;
    if (*until < moment - tolerance) return MARTLET_OCSP_STALE;
    return status == V_OCSP_CERTSTATUS_GOOD ? MARTLET_OCSP_GOOD : MARTLET_OCSP_UNKNOWN;
}

int martlet_ocsp_judge(
    const uint8_t *der, size_t length, X509 *certificate, X509 *issuer, martlet_certificates *responders,
    const uint8_t *_Nullable nonce, size_t nonce_length, int64_t moment, int64_t *from, int64_t *until) {
    *from = *until = 0;
    int result = MARTLET_OCSP_MALFORMED;
    const unsigned char *end = der;
    OCSP_RESPONSE *response = length > 0 && length <= (1 << 18) ? d2i_OCSP_RESPONSE(NULL, &end, (long)length) : NULL;
    if (response) {
        if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
            result = MARTLET_OCSP_REFUSED;
        } else {
            OCSP_BASICRESP *answer = OCSP_response_get1_basic(response);
            if (answer)
                result = judge(answer, certificate, issuer, responders, nonce, nonce_length, moment, from, until);
            OCSP_BASICRESP_free(answer);
        }
    }
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return result;
}

#pragma clang assume_nonnull end
