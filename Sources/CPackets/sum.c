#include "CPackets.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#pragma clang assume_nonnull begin

// What is left of 32 octets or fewer, and everything where there are no vectors to speak of.
static uint64_t sum_words(uint8_t *_Nullable to, const uint8_t *from, size_t count, uint64_t sum) {
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, from, 8);
        if (to) {
            memcpy(to, &word, 8);
            to += 8;
        }
        sum += word;
        sum += sum < word;  // The carry goes round: 2⁶⁴ is 1 modulo 0xffff.
        from += 8;
        count -= 8;
    }
    if (count) {
        uint64_t word = 0;
        memcpy(&word, from, count);
        if (to) memcpy(to, from, count);
        sum += word;
        sum += sum < word;
    }
    return sum;
}

static uint64_t sum_portable(uint8_t *_Nullable to, const uint8_t *from, size_t count) {
    return sum_words(to, from, count, 0);
}

#if defined(__x86_64__)
// Halves of 32 bits are added up in 64, so that no carry is lost.
__attribute__((target("avx2"))) static uint64_t sum_avx2(uint8_t *_Nullable to, const uint8_t *from, size_t count) {
    const __m256i low = _mm256_set1_epi64x(0xffffffff);
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    while (count >= 64) {
        __m256i one = _mm256_loadu_si256((const __m256i *)from);
        __m256i two = _mm256_loadu_si256((const __m256i *)(from + 32));
        if (to) {
            _mm256_storeu_si256((__m256i *)to, one);
            _mm256_storeu_si256((__m256i *)(to + 32), two);
            to += 64;
        }
        a = _mm256_add_epi64(a, _mm256_and_si256(one, low));
        b = _mm256_add_epi64(b, _mm256_srli_epi64(one, 32));
        c = _mm256_add_epi64(c, _mm256_and_si256(two, low));
        d = _mm256_add_epi64(d, _mm256_srli_epi64(two, 32));
        from += 64;
        count -= 64;
    }
    uint64_t lanes[4];
    _mm256_storeu_si256((__m256i *)lanes, _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d)));
    return sum_words(to, from, count, lanes[0] + lanes[1] + lanes[2] + lanes[3]);
}
#endif

static uint64_t (*sum)(uint8_t *_Nullable, const uint8_t *, size_t) = sum_portable;

// Before `main`, and never changed after.
__attribute__((constructor)) static void choose(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) sum = sum_avx2;
#endif
}

uint64_t martlet_sum(const uint8_t *bytes, size_t count) { return sum(NULL, bytes, count); }

uint64_t martlet_copy_sum(uint8_t *to, const uint8_t *from, size_t count) { return sum(to, from, count); }

#pragma clang assume_nonnull end
