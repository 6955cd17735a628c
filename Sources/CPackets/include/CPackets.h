// The one's complement sum of RFC 1071 over whole packets, as fast as the machine can: the one thing that packets want
// and Swift's vectors do not give, since which instructions there are is known at run time only.
#pragma once
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// A number that is congruent, modulo 0xffff, to the sum of the octets taken as 16-bit words in the machine's order, and
// zero only if all are; an odd last octet counts as if a zero followed it. Any alignment; at most 2³² octets.
uint64_t martlet_sum(const uint8_t *bytes, size_t count);

// The same, while the octets are copied; the two do not overlap.
uint64_t martlet_copy_sum(uint8_t *to, const uint8_t *from, size_t count);

#pragma clang assume_nonnull end
