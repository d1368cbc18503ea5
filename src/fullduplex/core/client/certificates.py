"""Names in a certificate, for the error when it is refused.

Whether to trust it is for TLS to decide; this only reads names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

OCTET_STRING, OBJECT_ID = 0x04, 0x06
DNS_NAME, IP_ADDRESS = 0x82, 0x87  # RFC 5280, 4.2.1.6
TBS_EXTENSIONS = 0xA3  # RFC 5280, 4.1
SUBJECT_ALT_NAME = bytes((0x55, 0x1D, 0x11))  # 2.5.29.17

MAX_NAMES = 20


def reference_name(host: str) -> str:
    """
    Return the name that a certificate must have for a host, and that SNI carries.

    The final dot of a fully qualified name is for the resolver alone (RFC 6066, 3).
    """
    return host.removesuffix(".") or host


def names_in(certificate: bytes) -> list[str]:
    """
    Read the names that a certificate is for, those of its subjectAltName.

    Args:
        certificate: in DER (RFC 5280, 4.1).

    Returns:
        Host names and addresses; empty if there are none, or if it is malformed.
    """
    try:
        return list(find_names(certificate))
    except (IndexError, ValueError, RecursionError):
        return []


def find_names(certificate: bytes) -> Iterator[str]:
    """Go down to the extension and yield its names."""
    (_, whole), *_ = elements(certificate)
    (_, signed), *_ = elements(whole)
    for tag, wrapped in elements(signed):
        if tag != TBS_EXTENSIONS:
            continue
        (_, extensions), *_ = elements(wrapped)
        for _, extension in elements(extensions):
            (tag, name), *_, (last, value) = elements(extension)
            if (tag, last) != (OBJECT_ID, OCTET_STRING) or name != SUBJECT_ALT_NAME:
                continue
            (_, names), *_ = elements(value)
            for kind, item in elements(names):
                if kind == DNS_NAME:
                    yield item.decode("ascii", "backslashreplace")
                elif kind == IP_ADDRESS:
                    yield str(ipaddress.ip_address(item))


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element, one after the other (X.690, 8.1)."""
    pos = 0
    while pos < len(data):
        tag, size = data[pos], data[pos + 1]
        pos += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[pos : pos + count], "big")
            pos += count
        if pos + size > len(data):
            raise ValueError("element is longer than what contains it")
        yield tag, data[pos : pos + size]
        pos += size


def describe_refusal(reason: str, expected: str, found: Sequence[str] | None) -> str:
    """
    Say why a certificate was refused.

    Args:
        reason: the reason that TLS gives.
        expected: the name that was asked for.
        found: the names in the certificate; None if they are not known.
    """
    text = f"certificate for {expected[:255]!r} refused: {reason}"
    if found is None:
        return text
    shown = [repr(name[:64]) for name in found[:MAX_NAMES]]
    if len(found) > MAX_NAMES:
        shown.append(f"and {len(found) - MAX_NAMES} more")
    return f"{text}; it is for {', '.join(shown) or 'no name at all'}"
