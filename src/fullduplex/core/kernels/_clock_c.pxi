# Clock of the compiled drivers.

from time import monotonic

cdef extern from *:
    """
    #ifdef __linux__
    /* What time.monotonic() reads there, without a float object. */
    #include <time.h>
    #define FDX_CLOCK 1
    static double fdx_now(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
    }
    #else
    #define FDX_CLOCK 0
    static double fdx_now(void) { return 0; }
    #endif
    """
    const int FDX_CLOCK
    double fdx_now() noexcept

cdef object _monotonic = monotonic


cdef inline double clock() except? -1:
    return fdx_now() if FDX_CLOCK else _monotonic()
