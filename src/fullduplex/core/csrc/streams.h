/* The functions of zlib or zlib-ng, where Python has loaded one of them.
 *
 * Neither is linked with: their modules for Python are looked into, with whatever
 * these link to.  What begins a stream checks its size and the first digit of the
 * version; a library is used only where that check is seen to work. */
#ifndef FULLDUPLEX_STREAMS_H
#define FULLDUPLEX_STREAMS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef _WIN32
#include <dlfcn.h>
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

static inline int fdx_begin_deflate(const fdx_library *library, fdx_stream *stream,
                                    int level, int bits, int mem_level, int strategy)
{
    memset(stream, 0, sizeof *stream);
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
           fdx_begin_deflate(&other, &stream, 1, -15, 8, 0) == FDX_VERSION_ERROR;
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
