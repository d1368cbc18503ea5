/* Memory for payloads so large that the system maps them anew each time, and
 * would give each page of 4 KiB when it is first touched: for 64 MiB that costs
 * three times as much as receiving them. */
#ifndef FULLDUPLEX_MEMORY_H
#define FULLDUPLEX_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#if defined(__GLIBC__) && defined(MADV_HUGEPAGE)
/* glibc maps what is larger than this by itself, whatever it has learned. */
#define FDX_MAPPED (32 * 1024 * 1024)
#define FDX_HUGE_PAGE (2 * 1024 * 1024)

/* The room that a payload of `size` bytes gets when `room` bytes have arrived: twice
 * as much, or as little as is mapped by itself, of which only what is touched is there.
 * With the two heads of less than a page before it, the mapping has whole huge pages,
 * so that it is moved, not split, when it grows. */
static inline size_t fdx_room(size_t room, size_t size)
{
    size_t more = 2 * room;
    if (size < FDX_MAPPED)
        return more < size ? more : size;
    if (more < FDX_MAPPED)
        more = FDX_MAPPED;
    if (more > size)
        more = size;
    return (more + 4096 + FDX_HUGE_PAGE - 1) / FDX_HUGE_PAGE * FDX_HUGE_PAGE - 4096;
}

/* Ask for huge pages.  Only pages that are touched are ever there. */
static inline void fdx_expect(void *start, size_t room)
{
    uintptr_t page = (uintptr_t)start & ~(uintptr_t)4095;
    if (room >= FDX_MAPPED)
        (void)madvise((void *)page, room + 4096, MADV_HUGEPAGE);
}
#else
static inline size_t fdx_room(size_t room, size_t size)
{
    return 2 * room < size ? 2 * room : size;
}
static inline void fdx_expect(void *start, size_t room) { (void)start; (void)room; }
#endif

#endif
