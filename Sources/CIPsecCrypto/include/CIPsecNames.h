// Distinguished names (X.501) by way of libcrypto's X509_NAME. Every call answers 1 (done) or 0 (refused), an object or
// NULL; nothing here keeps state of its own.
#pragma once
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// How an attribute's value is encoded.
enum { MARTLET_NAME_PRINTABLE = 0, MARTLET_NAME_UTF8 = 1, MARTLET_NAME_IA5 = 2 };

static inline X509_NAME *_Nullable martlet_name_new(void) { return X509_NAME_new(); }
static inline void martlet_name_free(X509_NAME *name) { X509_NAME_free(name); }

// Appends one attribute, by its dotted object identifier; with `joins` to the last relative name instead of a new one.
int martlet_name_add(
    X509_NAME *name, const char *oid, int encoding, const uint8_t *value, size_t length, int joins);

// The name in `length` octets of DER, which hold it and nothing else.
X509_NAME *_Nullable martlet_name_read(const uint8_t *der, size_t length);

// The name's DER, written to `out` if it fits into `room`; its length in any case, 0 when it cannot be encoded.
size_t martlet_name_write(X509_NAME *name, uint8_t *_Nullable out, size_t room);

static inline int martlet_name_count(X509_NAME *name) { return X509_NAME_entry_count(name); }

// One attribute: its dotted object identifier, ending in a zero octet; its value, in UTF-8 (`is_text` 1) or, when it is
// no character string, in DER (0); which relative name it belongs to. `length` is the room for the value on entry and
// its length on return. 0 when something does not fit.
int martlet_name_entry(
    X509_NAME *name, int index, char *oid, size_t oid_room, uint8_t *value, size_t *length, int *is_text,
    int *relative_name);

// Whether both are the same name, letter case and repeated spaces in character strings apart (RFC 5280 §7.1).
static inline int martlet_name_equal(X509_NAME *left, X509_NAME *right) { return X509_NAME_cmp(left, right) == 0; }

#pragma clang assume_nonnull end
