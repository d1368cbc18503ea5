# Accepting, and addresses, with one call of the system each: part of ``_tcp_transport_c.pyx``.
# Where a look at the module socket is needed, its callers take that.

from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, errno

cdef extern from *:
    """
    #include <string.h>
    #include <sys/types.h>
    #include <sys/socket.h>
    #include <netinet/in.h>
    #include <arpa/inet.h>

    typedef struct {
        union {
            struct sockaddr any;
            struct sockaddr_in four;
            struct sockaddr_in6 six;
        } address;
        /* What it says, once it was read. */
        char host[INET6_ADDRSTRLEN];
        unsigned port, flow, scope;
    } fdx_name;

    /* Returns the family if it is known here, else 0. */
    static int fdx_read_name(fdx_name *name) {
        int family = name->address.any.sa_family;
        if (family == AF_INET) {
            name->port = ntohs(name->address.four.sin_port);
            if (!inet_ntop(family, &name->address.four.sin_addr, name->host,
                           sizeof(name->host)))
                return 0;
            return 4;
        }
        if (family == AF_INET6) {
            name->port = ntohs(name->address.six.sin6_port);
            name->flow = ntohl(name->address.six.sin6_flowinfo);
            name->scope = name->address.six.sin6_scope_id;
            if (!inet_ntop(family, &name->address.six.sin6_addr, name->host,
                           sizeof(name->host)))
                return 0;
            return 6;
        }
        return 0;
    }

    static int fdx_getsockname(int fd, fdx_name *name) {
        socklen_t size = sizeof(name->address);
        name->address.any.sa_family = AF_UNSPEC;
        return getsockname(fd, &name->address.any, &size);
    }

    #ifdef __linux__
    #define FDX_ACCEPTS 1
    static int fdx_accept(int fd, fdx_name *name) {
        socklen_t size = sizeof(name->address);
        name->address.any.sa_family = AF_UNSPEC;
        return accept4(fd, &name->address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    #else
    #define FDX_ACCEPTS 0
    static int fdx_accept(int fd, fdx_name *name) { return -1; }
    #endif
    """
    ctypedef struct fdx_name:
        char *host
        unsigned int port
        unsigned int flow
        unsigned int scope
    const bint FDX_ACCEPTS
    int fdx_read_name(fdx_name *name)
    int fdx_getsockname(int fd, fdx_name *name)
    int fdx_accept(int fd, fdx_name *name)

# Whether `accept` works here.
ACCEPTS = FDX_ACCEPTS


cdef object address_in(fdx_name *name):
    """Return an IP address as the module socket does; None for what it knows better."""
    cdef int version = fdx_read_name(name)
    if version == 4:
        return (<bytes> name.host).decode("ascii"), name.port
    if version == 6:
        return (<bytes> name.host).decode("ascii"), name.port, name.flow, name.scope
    return None


def accept(int listener):
    """
    Accept a connection on a socket that does not wait, and make no object for it.

    Returns:
        The descriptor of a socket that does not wait, and its address, or None for
        an address that is not a plain IP address; None if there is no connection.

    Raises:
        OSError: the system has no room for one, mostly.
    """
    cdef fdx_name name
    cdef int fd = fdx_accept(listener, &name)
    if fd >= 0:
        return fd, address_in(&name)
    if errno == EAGAIN or errno == EINTR or errno == ECONNABORTED:
        return None
    raise os_error()
