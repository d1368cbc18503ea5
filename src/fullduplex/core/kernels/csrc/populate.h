/* Memory that is about to be filled, from the system in one go. */
#ifndef FULLDUPLEX_POPULATE_H
#define FULLDUPLEX_POPULATE_H

#include <stddef.h>

#ifdef __linux__
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* The whole pages within n bytes; systems before Linux 5.14 give them one by one. */
static inline void fdx_populate(void *start, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
    uintptr_t first = ((uintptr_t)start + page) & ~page;
    uintptr_t last = ((uintptr_t)start + n) & ~page;
    if (last > first)
        (void)madvise((void *)first, last - first, MADV_POPULATE_WRITE);
}
#else
static inline void fdx_populate(void *start, size_t n)
{
    (void)start;
    (void)n;
}
#endif

#endif
