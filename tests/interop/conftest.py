"""Runs ``async def`` tests, and makes the certificates of the TLS tests."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from ..kit.runners import run_in_asyncio
from .peers import TLS

TEST_TIMEOUT = 45  # seconds; below pytest-timeout's, so that tasks are cancelled


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    return run_in_asyncio(pyfuncitem, TEST_TIMEOUT)


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TLS:
    """A certificate for localhost, and the contexts of both sides."""
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    paths = TLS(
        server=server,
        client=client,
        authority_pem=folder / "authority.pem",
        certificate_pem=folder / "certificate.pem",
        key_pem=folder / "key.pem",
    )
    authority.cert_pem.write_to_path(str(paths.authority_pem))
    certificate.private_key_pem.write_to_path(str(paths.key_pem))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(paths.certificate_pem), append=True)
    return paths
