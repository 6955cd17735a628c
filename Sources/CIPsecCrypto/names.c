#include "CIPsecNames.h"

#include <openssl/err.h>
#include <string.h>

#pragma clang assume_nonnull begin

int martlet_name_add(
    X509_NAME *name, const char *oid, int encoding, const uint8_t *value, size_t length, int joins) {
    static const int types[] = {V_ASN1_PRINTABLESTRING, V_ASN1_UTF8STRING, V_ASN1_IA5STRING};
    if (encoding < 0 || encoding > 2 || length > 4096) return 0;
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    int done = object
               && X509_NAME_add_entry_by_OBJ(name, object, types[encoding], value, (int)length, -1, joins ? -1 : 0) == 1;
    ASN1_OBJECT_free(object);
    if (!done) ERR_clear_error();
    return done;
}

X509_NAME *_Nullable martlet_name_read(const uint8_t *der, size_t length) {
    if (length > 65535) return NULL;
    const unsigned char *end = der;
    X509_NAME *name = d2i_X509_NAME(NULL, &end, (long)length);
    if (name && end == der + length) return name;
    X509_NAME_free(name);
    ERR_clear_error();
    return NULL;
}

size_t martlet_name_write(X509_NAME *name, uint8_t *_Nullable out, size_t room) {
    int length = i2d_X509_NAME(name, NULL);
    if (length <= 0) {
        ERR_clear_error();
        return 0;
    }
    if (out && (size_t)length <= room) {
        unsigned char *end = out;
        length = i2d_X509_NAME(name, &end);
    }
    return length > 0 ? (size_t)length : 0;
}

int martlet_name_entry(
    X509_NAME *name, int index, char *oid, size_t oid_room, uint8_t *value, size_t *length, int *is_text,
    int *relative_name) {
    X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, index);
    if (!entry || oid_room > 4096) return 0;
    int written = OBJ_obj2txt(oid, (int)oid_room, X509_NAME_ENTRY_get_object(entry), 1);
    ASN1_STRING *string = X509_NAME_ENTRY_get_data(entry);
    if (written <= 0 || (size_t)written >= oid_room || !string) return 0;
    unsigned char *octets = NULL;
    int count = ASN1_STRING_to_UTF8(&octets, string);
    *is_text = count >= 0;
    if (count < 0) {
        ERR_clear_error();
        // Not a character string: its whole encoding instead. The value stays the entry's own.
        ASN1_TYPE whole;
        whole.type = ASN1_STRING_type(string);
        whole.value.asn1_string = string;
        count = i2d_ASN1_TYPE(&whole, &octets);
    }
    int done = count >= 0 && (size_t)count <= *length;
    if (done && count) memcpy(value, octets, (size_t)count);
    *length = done ? (size_t)count : 0;
    *relative_name = X509_NAME_ENTRY_set(entry);
    OPENSSL_free(octets);
    if (!done) ERR_clear_error();
    return done;
}

#pragma clang assume_nonnull end
