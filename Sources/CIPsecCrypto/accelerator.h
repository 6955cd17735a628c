// AES-GCM by Intel's ipsec-mb: three times as fast as libcrypto where the processor has VAES, and cheaper for small
// packets everywhere. It is used where its header was there when this was compiled and its library is there now.
#pragma once
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

typedef struct accelerated_gcm accelerated_gcm;

// NULL where there is no library, or none of the version that the header describes, or no such key.
accelerated_gcm *_Nullable accelerated_gcm_new(int seal, const uint8_t *key, int key_length);
void accelerated_gcm_free(accelerated_gcm *gcm);
// In place; the nonce has 12 octets, the tag 4 to 16.
void accelerated_gcm_seal(
    accelerated_gcm *gcm, const uint8_t *nonce, const uint8_t *data, size_t data_length, uint8_t *text,
    size_t text_length, uint8_t *tag, size_t tag_length);
// Decrypts in place whatever the tag is; 1 when it was right.
int accelerated_gcm_open(
    accelerated_gcm *gcm, const uint8_t *nonce, const uint8_t *data, size_t data_length, uint8_t *text,
    size_t text_length, const uint8_t *tag, size_t tag_length);

#pragma clang assume_nonnull end
