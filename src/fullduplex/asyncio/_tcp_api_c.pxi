# Functions of the system that _tcp_transport_c.pyx calls, and their sizes.

cdef extern from "sys/types.h":
    ctypedef long ssize_t

cdef extern from "sys/socket.h":
    ssize_t c_recv "recv"(int fd, void *data, size_t size, int flags) nogil
    ssize_t c_send "send"(int fd, const void *data, size_t size, int flags) nogil
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    ssize_t c_sendmsg "sendmsg"(int fd, msghdr *message, int flags) nogil
    int c_setsockopt "setsockopt"(
        int fd, int level, int name, const void *value, unsigned int size)
    int c_shutdown "shutdown"(int fd, int how) nogil
    const int SHUT_WR

cdef extern from "sys/uio.h":
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "unistd.h":
    int c_close "close"(int fd) nogil

cdef extern from *:
    """
    #ifdef MSG_NOSIGNAL
    #define FDX_SEND_FLAGS MSG_NOSIGNAL
    #else
    #define FDX_SEND_FLAGS 0
    #endif
    #ifdef MSG_MORE
    #define FDX_MORE MSG_MORE
    #else
    #define FDX_MORE 0
    #endif
    """
    const int FDX_SEND_FLAGS
    const int FDX_MORE

cdef extern from *:
    """
    /* The socket is ready once so many bytes are there, or the end of input.  Other
     * systems than Linux may wait for more than their memory for input can hold. */
    #ifdef __linux__
    static void fdx_ready_at(int fd, int size) {
        setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &size, sizeof size);
    }
    #else
    static void fdx_ready_at(int fd, int size) {}
    #endif
    """
    void fdx_ready_at(int fd, int size)

cdef extern from *:
    """
    #include <poll.h>
    /* Whether the connection is over in both directions. */
    static int fdx_hung_up(int fd) {
        struct pollfd one = {fd, 0, 0};
        return poll(&one, 1, 0) == 1;
    }
    """
    bint fdx_hung_up(int fd)

# Seconds after which nothing is waited for that does not come.
STALL = 0.1

cdef enum:
    # A read of at least this many bytes may be followed by more at once.
    FLOWING = 16384
    # The most that is waited for: to be woken costs as much as to copy a part of it.
    PORTION = 524288
    # Copies of at least this many bytes let other threads run.
    LONG = 32768
    # To let them run costs as much as a small read; what is read to the memory that
    # connections share is read sooner than they would notice.
    LONG_READ = 262144
    # Pieces that go out with one call.
    PIECES = 16


cdef object os_error():
    # The text of the system may have any language and encoding.
    cdef int code = errno
    return OSError(code, os.strerror(code))


cdef ssize_t receive(int fd, char *start, Py_ssize_t room, Py_ssize_t alone) noexcept:
    """Read what is there; other threads run meanwhile if it may be more than `alone`."""
    cdef ssize_t count
    while True:
        if room > alone:
            with nogil:
                count = c_recv(fd, start, room, 0)
        else:
            count = c_recv(fd, start, room, 0)
        if count >= 0 or errno != EINTR:
            return count
