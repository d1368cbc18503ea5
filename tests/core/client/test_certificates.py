"""Whom a certificate is for."""

from __future__ import annotations

import ssl

import pytest
import trustme
from hypothesis import example, given
from hypothesis import strategies as st

from fullduplex.core.client.certificates import describe_refusal, names_in


@pytest.fixture(scope="module")
def certificate() -> bytes:
    issued = trustme.CA().issue_cert("localhost", "*.example.com", "127.0.0.1", "::1")
    return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())


def test_names_and_addresses_are_read(certificate: bytes) -> None:
    assert names_in(certificate) == ["localhost", "*.example.com", "127.0.0.1", "::1"]


def test_certificate_without_names_has_none() -> None:
    pem = trustme.CA().cert_pem.bytes().decode()
    assert names_in(ssl.PEM_cert_to_DER_cert(pem)) == []


def test_certificate_that_is_cut_or_changed_never_raises(certificate: bytes) -> None:
    for size in range(0, len(certificate), 7):
        names_in(certificate[:size])
        names_in(certificate[:size] + b"\xff" + certificate[size + 1 :])


@given(st.binary(max_size=200))
@example(b"\x30\x84\xff\xff\xff\xff")
@example(b"\x30\x80")
def test_any_bytes_have_names_or_none(data: bytes) -> None:
    assert names_in(data) == []


def test_refusal_names_what_was_expected_and_found() -> None:
    assert describe_refusal("hostname mismatch", "a.b", ["c.d", "127.0.0.1"]) == (
        "certificate for 'a.b' refused: hostname mismatch; it is for 'c.d', '127.0.0.1'"
    )
    assert describe_refusal("expired", "a.b", []).endswith("it is for no name at all")
    assert describe_refusal("expired", "a.b", None).endswith("refused: expired")


def test_refusal_shows_no_more_names_than_can_be_read() -> None:
    text = describe_refusal("x", "a.b", ["\x1b" + "n" * 1000] * 100)

    assert len(text) < 2000
    assert text.endswith("and 80 more")
    assert text.isprintable()
