// What old methods of EAP need: MD4 and DES (RFC 2759), MD5 (RFC 3748 §5.4). For nothing else.
#pragma once
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// 16 octets.
void martlet_md4(const uint8_t *_Nullable bytes, size_t length, uint8_t *out);
void martlet_md5(const uint8_t *_Nullable bytes, size_t length, uint8_t *out);
// One block of 8 octets under a key of 8, whose parity bits do not matter.
void martlet_des_block(const uint8_t *key, const uint8_t *in, uint8_t *out);

#pragma clang assume_nonnull end
