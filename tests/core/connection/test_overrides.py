"""Overrides of what nothing calls are refused, on every face."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from fullduplex.core.connection.overrides import CLIENT_STEPS, SERVER_STEPS, overridden


def connection_class(face: str, side: str) -> Any:
    if face == "trio":
        pytest.importorskip("trio")
    module = importlib.import_module(f"fullduplex.{face}.{side}")
    return getattr(module, f"{side.title()}Connection")


CASES = [
    *(("client", name) for name in CLIENT_STEPS),
    *(("server", name) for name in SERVER_STEPS),
]


@pytest.mark.parametrize("face", ["asyncio", "sync", "trio"])
@pytest.mark.parametrize(("side", "name"), CASES)
def test_override_that_nothing_calls_is_refused(
    face: str, side: str, name: str
) -> None:
    base = connection_class(face, side)
    with pytest.raises(TypeError, match=rf"Own overrides {name}\(\), which is never"):
        type("Own", (base,), {name: lambda self: None})


@pytest.mark.parametrize("side", ["client", "server"])
def test_override_in_a_mixin_is_refused(side: str) -> None:
    class Mixin:
        def data_received(self, data: bytes) -> None:
            pass

    with pytest.raises(TypeError, match="data_received"):
        type("Own", (Mixin, connection_class("asyncio", side)), {})


@pytest.mark.parametrize("face", ["asyncio", "sync", "trio"])
@pytest.mark.parametrize("side", ["client", "server"])
def test_other_methods_and_attributes_are_free(face: str, side: str) -> None:
    type(
        "Own",
        (connection_class(face, side),),
        {"read_frame": None, "own": lambda self: None, "recv": lambda self: None},
    )


def test_overridden_sees_subclasses_patches_and_attributes() -> None:
    class Base:
        def method(self) -> None:
            pass

    class Own(Base):
        def method(self) -> None:
            pass

    own = Base.method
    instance: Any = Base()
    assert not overridden(instance, "method", own)
    assert overridden(Own(), "method", own)
    instance.method = print
    assert overridden(instance, "method", own)
    patched: Any = Base
    patched.method = print
    assert overridden(Base(), "method", own)
