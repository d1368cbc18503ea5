/* The loops that touch every byte: masking (RFC 6455, 5.3), the UTF-8 check
 * (RFC 3629) and copies of payloads.  Plain C that compilers turn into vector
 * code; the choice by CPU is the linker's where the platform has it
 * (target_clones). */
#ifndef FULLDUPLEX_KERNELS_H
#define FULLDUPLEX_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && \
    defined(__GLIBC__)
#define FDX_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define FDX_CLONES
#endif

/* dst[i] = src[i] ^ key[i % 4]; dst and src are the same or do not overlap. */
FDX_CLONES
static void fdx_xor_words(uint8_t *dst, const uint8_t *src, size_t n, uint64_t key)
{
    size_t i;
    for (i = 0; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, src + i, 8);
        word ^= key;
        memcpy(dst + i, &word, 8);
    }
    for (; i < n; i++)
        dst[i] = src[i] ^ ((const uint8_t *)&key)[i & 7];
}

/* Mask n bytes; `phase` is how many bytes of the payload came before them. */
static inline void fdx_mask(uint8_t *dst, const uint8_t *src, size_t n,
                           const uint8_t *key, size_t phase)
{
    uint8_t turned[8];
    uint64_t word;
    size_t i;
    for (i = 0; i < 8; i++)
        turned[i] = key[(phase + i) & 3];
    memcpy(&word, turned, 8);
    if (n >= 64) {
        fdx_xor_words(dst, src, n, word);
        return;
    }
    for (i = 0; i + 8 <= n; i += 8) {
        uint64_t w;
        memcpy(&w, src + i, 8);
        w ^= word;
        memcpy(dst + i, &w, 8);
    }
    for (; i < n; i++)
        dst[i] = src[i] ^ turned[i & 7];
}

/* Copy n bytes to where they do not overlap, in pieces of a page.  In one piece, C
 * libraries use `rep movsb`, which AMD's Zen 4 does 15 times slower where the target
 * begins 1 to 15 bytes further in its page than the source: payloads stand 2 to 14
 * bytes behind the beginning of a frame.  What does not fit in the cache they copy in
 * another way, which is the best for it. */
static inline void fdx_copy(uint8_t *dst, const uint8_t *src, size_t n)
{
    if (n <= 524288)
        for (; n > 4096; n -= 4096, dst += 4096, src += 4096)
            memcpy(dst, src, 4096);
    memcpy(dst, src, n);
}

/* Continue a UTF-8 check.  `*state` is 0 between characters, else
 * need | lowest << 8 | highest << 16, where `need` bytes are still to come and
 * the next one must lie between the two bounds.  Returns 0, or -1 at the first
 * byte that no continuation could make valid. */
static inline int fdx_utf8(uint32_t *state, const uint8_t *p, size_t n)
{
    uint32_t need = *state & 3, low = (*state >> 8) & 0xFF;
    uint32_t high = (*state >> 16) & 0xFF;
    size_t i = 0;
    while (i < n) {
        uint8_t c;
        if (need == 0) {
            while (i + 32 <= n) {
                uint64_t w[4];
                memcpy(w, p + i, 32);
                if ((w[0] | w[1] | w[2] | w[3]) & 0x8080808080808080ULL)
                    break;
                i += 32;
            }
            if (i >= n)
                break;
            c = p[i++];
            if (c < 0x80)
                continue;
            low = 0x80;
            high = 0xBF;
            if (c < 0xC2)
                return -1;
            if (c < 0xE0) {
                need = 1;
            } else if (c < 0xF0) {
                need = 2;
                if (c == 0xE0)
                    low = 0xA0;
                else if (c == 0xED)
                    high = 0x9F;
            } else if (c < 0xF5) {
                need = 3;
                if (c == 0xF0)
                    low = 0x90;
                else if (c == 0xF4)
                    high = 0x8F;
            } else {
                return -1;
            }
        } else {
            c = p[i++];
            if (c < low || c > high)
                return -1;
            need--;
            low = 0x80;
            high = 0xBF;
        }
    }
    *state = need ? (need | low << 8 | high << 16) : 0;
    return 0;
}

#endif
