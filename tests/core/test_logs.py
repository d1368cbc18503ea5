"""Records say which connection they are about."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest

from fullduplex.core.http.headers import Headers
from fullduplex.core.http.logs import log_head
from fullduplex.core.logs import ConnectionLogger


class Connection:
    name = "here"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("fullduplex.test_logs")
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.setLevel(logging.NOTSET)


def test_record_has_the_connection(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    connection = Connection()

    ConnectionLogger(logger, connection).info("hello %d", 1)

    (record,) = caplog.records
    assert record.getMessage() == "hello 1"
    assert record.websocket.name == "here"  # type: ignore[attr-defined]


def test_extra_of_the_caller_is_kept(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    connection = Connection()

    ConnectionLogger(logger, connection).info("hello", extra={"color": "red"})

    (record,) = caplog.records
    assert record.color == "red"  # type: ignore[attr-defined]
    assert record.websocket.name == "here"  # type: ignore[attr-defined]


def test_logger_does_not_keep_the_connection_alive(logger: logging.Logger) -> None:
    connection = Connection()
    adapter = ConnectionLogger(logger, connection)
    assert adapter.extra is not None
    proxy = adapter.extra["websocket"]

    del connection
    gc.collect()

    with pytest.raises(ReferenceError):
        proxy.name  # type: ignore[attr-defined]  # noqa: B018


def test_adapter_finds_the_connection_among_its_arguments(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    class Adapter(logging.LoggerAdapter[logging.Logger]):
        def process(self, msg, kwargs):  # type: ignore[no-untyped-def]
            return f"[{kwargs['extra']['websocket'].name}] {msg}", kwargs

    connection = Connection()

    ConnectionLogger(Adapter(logger, {}), connection).warning("hello")

    assert caplog.messages == ["[here] hello"]


def test_level_of_the_logger_counts(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    logger.setLevel(logging.INFO)
    connection = Connection()
    adapter = ConnectionLogger(logger, connection)

    adapter.debug("not shown")

    assert not adapter.isEnabledFor(logging.DEBUG)
    assert caplog.records == []


def test_head_of_a_handshake_is_logged_without_credentials(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    headers = Headers(
        [
            ("Host", "example.com"),
            ("Authorization", "Basic secret"),
            ("cookie", "id=secret"),
            ("Proxy-Authorization", "Basic secret"),
        ]
    )

    log_head(logger, ">", "GET / HTTP/1.1", headers)

    assert caplog.messages[:2] == ["> GET / HTTP/1.1", "> Host: example.com"]
    assert len(caplog.messages) == 5
    assert "secret" not in caplog.text


def test_head_of_a_handshake_is_logged_at_debug_only(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    logger.setLevel(logging.INFO)
    log_head(logger, "<", "HTTP/1.1 101", Headers())
    assert caplog.records == []
