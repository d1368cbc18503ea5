/* The functions of zlib or zlib-ng, where Python has loaded one of them.
 *
 * Neither is linked with: their modules for Python are looked into, with whatever
 * these link to.  What begins a stream checks its size and the first digit of the
 * version; a library is used only where that check is seen to work. */
#ifndef FULLDUPLEX_STREAMS_H
#define FULLDUPLEX_STREAMS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef _WIN32
#include <dlfcn.h>
#include <sys/mman.h>
#endif

/* What both libraries begin a stream with. */
#define FDX_STREAM_HEAD                       \
    const uint8_t *next_in;                   \
    unsigned avail_in;                        \
    unsigned long total_in;                   \
    uint8_t *next_out;                        \
    unsigned avail_out;                       \
    unsigned long total_out;                  \
    const char *msg;                          \
    void *state;                              \
    void *(*zalloc)(void *, unsigned, unsigned); \
    void (*zfree)(void *, void *);            \
    void *opaque;                             \
    int data_type;

/* The longer of the two, so there is room for either. */
typedef struct {
    FDX_STREAM_HEAD
    unsigned long adler;
    unsigned long reserved;
} fdx_stream;

typedef struct {
    FDX_STREAM_HEAD
    uint32_t adler;
    unsigned long reserved;
} fdx_ng_stream;

typedef int (*fdx_inflate_init)(fdx_stream *, int bits, const char *version, int size);
typedef int (*fdx_deflate_init)(fdx_stream *, int level, int method, int bits,
                                int mem_level, int strategy, const char *version,
                                int size);
typedef int (*fdx_run)(fdx_stream *, int flush);
typedef int (*fdx_end)(fdx_stream *);

typedef struct {
    const char *version;
    int size;
    fdx_inflate_init inflate_init;
    fdx_run inflate;
    fdx_end inflate_end;
    fdx_deflate_init deflate_init;
    fdx_run deflate;
    fdx_end deflate_end;
} fdx_library;

enum { FDX_DEFLATED = 8, FDX_VERSION_ERROR = -6 };

static inline int fdx_begin_inflate(const fdx_library *library, fdx_stream *stream,
                                    int bits)
{
    memset(stream, 0, sizeof *stream);
    return library->inflate_init(stream, bits, library->version, library->size);
}

/* Memory for streams that live long and go on their own: large blocks come from the
 * system and go back to it, where the allocator would keep them between what lives on.
 * In front of each stands its size; 0 is that of a block of the allocator. */
enum { FDX_FRONT = 64, FDX_LARGE = 65536 };

static void *fdx_allocate(void *opaque, unsigned items, unsigned size)
{
    size_t whole = (size_t)items * size + FDX_FRONT;
    size_t *block;
    (void)opaque;
    if (whole < size || (items && (whole - FDX_FRONT) / items != size))
        return NULL;
#if !defined(_WIN32) && defined(MAP_ANONYMOUS)
    if (whole >= FDX_LARGE) {
        block = (size_t *)mmap(NULL, whole, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block != MAP_FAILED) {
            *block = whole;
            return (char *)block + FDX_FRONT;
        }
    }
#endif
    block = (size_t *)malloc(whole);
    if (!block)
        return NULL;
    *block = 0;
    return (char *)block + FDX_FRONT;
}

static void fdx_release(void *opaque, void *address)
{
    size_t *block;
    (void)opaque;
    if (!address)
        return;
    block = (size_t *)((char *)address - FDX_FRONT);
#if !defined(_WIN32) && defined(MAP_ANONYMOUS)
    if (*block) {
        munmap(block, *block);
        return;
    }
#endif
    free(block);
}

static inline int fdx_begin_deflate(const fdx_library *library, fdx_stream *stream,
                                    int level, int bits, int mem_level, int strategy,
                                    int lasting)
{
    memset(stream, 0, sizeof *stream);
    if (lasting) {
        stream->zalloc = fdx_allocate;
        stream->zfree = fdx_release;
    }
    return library->deflate_init(stream, level, FDX_DEFLATED, bits, mem_level, strategy,
                                 library->version, library->size);
}

/* Is a stream of another size or version refused, in both directions? */
static inline int fdx_refused(const fdx_library *library, const char *version, int more)
{
    fdx_library other = *library;
    fdx_stream stream;
    other.version = version;
    other.size += more;
    return fdx_begin_inflate(&other, &stream, -15) == FDX_VERSION_ERROR &&
           fdx_begin_deflate(&other, &stream, 1, -15, 8, 0, 0) == FDX_VERSION_ERROR;
}

/* Find the functions in the module at `path`; 0 if they are not there. */
static inline int fdx_find(const char *path, int ng, fdx_library *found)
{
#if defined(_WIN32) || !defined(RTLD_NOLOAD)
    (void)path, (void)ng, (void)found;
    return 0;
#else
    /* Kept open: a reference to what is loaded already, so it stays. */
    void *file = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (!file)
        return 0;
    found->version = ng ? "2" : "1";
    found->size = ng ? (int)sizeof(fdx_ng_stream) : (int)sizeof(fdx_stream);
#define FDX_FIND(name) dlsym(file, ng ? "zng_" name : name)
    found->inflate_init = (fdx_inflate_init)FDX_FIND("inflateInit2_");
    found->inflate = (fdx_run)FDX_FIND("inflate");
    found->inflate_end = (fdx_end)FDX_FIND("inflateEnd");
    found->deflate_init = (fdx_deflate_init)FDX_FIND("deflateInit2_");
    found->deflate = (fdx_run)FDX_FIND("deflate");
    found->deflate_end = (fdx_end)FDX_FIND("deflateEnd");
#undef FDX_FIND
    return found->inflate_init && found->inflate && found->inflate_end &&
           found->deflate_init && found->deflate && found->deflate_end &&
           fdx_refused(found, found->version, 1) && fdx_refused(found, "?", 0);
#endif
}

#endif
