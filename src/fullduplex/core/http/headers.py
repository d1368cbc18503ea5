"""HTTP headers: a mapping that ignores case and may hold several values a name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Protocol, TypeAlias, cast

from ..arguments import exact_str
from ..credentials import hide_header
from ..errors import InvalidHeaderFormat, InvalidHeaderValue
from .grammar import TCHAR

# RFC 9110, 5.1 and 5.6.2.
_not_token = re.compile(f"[^{TCHAR}]")
# RFC 9110, 5.5; code points stand for bytes, as in ISO-8859-1.
_not_field_value = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class MultipleValuesError(LookupError):
    """
    One value was asked for and the header has several.

    It is no :exc:`KeyError`, so ``get`` with a default does not hide it.  Use
    :meth:`Headers.get_all`.
    """

    def __str__(self) -> str:
        # As KeyError does, so that an empty name stays visible.
        if len(self.args) == 1:
            return repr(self.args[0])
        return super().__str__()


class SupportsKeysAndGetItem(Protocol):
    """A mapping reduced to what reading all of it takes."""

    def keys(self) -> Iterable[str]: ...

    def __getitem__(self, name: str, /) -> str: ...


class Headers(MutableMapping[str, str]):
    """
    The headers of an HTTP message (RFC 9110, 5).

    Names are compared without case; spelling and order are kept.  Assigning
    **adds** a value, it replaces nothing: ``del`` the name first to replace it.

    >>> headers = Headers({"Host": "localhost"}, Accept="a")
    >>> headers["accept"] = "b"
    >>> headers.get_all("Accept")
    ['a', 'b']

    Names must be tokens.  Values may hold tabs, printable ASCII and the characters
    U+0080 to U+00FF, which travel as one byte each.  A value that is not a
    :class:`str` is turned into one, save bytes and None, which are refused.

    Args:
        args: headers, mappings or pairs to start with.
        kwargs: headers whose names are identifiers.

    Raises:
        InvalidHeaderFormat: a name is not a token.
        InvalidHeaderValue: a value holds a character that cannot be sent.
    """

    __slots__ = ("_dict", "_list")

    # Values by lower-cased name, and pairs as they were given; always in step.
    _dict: dict[str, list[str]]
    _list: list[tuple[str, str]]

    def __init__(self, *args: HeadersLike, **kwargs: str) -> None:
        self._dict = {}
        self._list = []
        if args or kwargs:
            self.update(*args, **kwargs)

    def __str__(self) -> str:
        lines = [f"{name}: {value}\r\n" for name, value in self._list]
        return "".join(lines) + "\r\n"

    def __repr__(self) -> str:
        # Other than `str`, which is what is sent, this ends up in logs.
        shown = [(name, hide_header(name, value)) for name, value in self._list]
        return f"{type(self).__name__}({shown!r})"

    def copy(self) -> Headers:
        """Make an independent copy."""
        copy = type(self)()
        copy._dict = {name: values.copy() for name, values in self._dict.items()}
        copy._list = self._list.copy()
        return copy

    __copy__ = copy

    def serialize(self) -> bytes:
        """Encode for the wire, with the empty line that ends a header section."""
        # Cannot fail: values were checked when they were added.
        return str(self).encode("iso-8859-1")

    # -- Collection, Mapping ---------------------------------------------------

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._dict

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __getitem__(self, name: str) -> str:
        values = self._dict[name.lower()]
        if len(values) > 1:
            raise MultipleValuesError(name)
        return values[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._dict == other._dict

    # -- MutableMapping --------------------------------------------------------

    def __setitem__(self, name: str, value: str) -> None:
        """
        Add a value.

        Raises:
            InvalidHeaderFormat: the name is not a token.
            InvalidHeaderValue: the value holds a character that cannot be sent.
            TypeError: the value is bytes or None.

        In each case the headers are unchanged.
        """
        name = exact_str(name)
        wrong = _not_token.search(name)
        if wrong or not name:
            raise InvalidHeaderFormat(
                repr(name[:64]),
                "the name must be a token",
                name,
                wrong.start() if wrong else 0,
            )
        if not isinstance(value, str):
            if value is None or isinstance(value, (bytes, bytearray, memoryview)):
                raise TypeError(
                    f"value of header {name} must be str, not {type(value).__name__}"
                )
            value = str(value)
        value = exact_str(value)
        wrong = _not_field_value.search(value)
        if wrong:
            raise InvalidHeaderValue(
                name, f"character {wrong[0]!r} at {wrong.start()} cannot be sent"
            )
        self._append(name, value)

    def _append(self, name: str, value: str) -> None:
        # For parsers, which have checked the name and the value already.
        self._dict.setdefault(name.lower(), []).append(value)
        self._list.append((name, value))

    @classmethod
    def _of_lines(cls, lines: str) -> Headers:
        # For parsers, likewise; each line ends with CR and LF, and an empty one is
        # the end.
        headers = cls()
        values, pairs = headers._dict, headers._list
        for line in lines.split("\r\n"):
            if not line:
                break
            name, _, value = line.partition(":")
            value = value.strip(" \t")
            values.setdefault(name.lower(), []).append(value)
            pairs.append((name, value))
        return headers

    def __delitem__(self, name: str) -> None:
        key = name.lower()
        del self._dict[key]
        self._list = [pair for pair in self._list if pair[0].lower() != key]

    def clear(self) -> None:
        """Remove all headers."""
        self._dict = {}
        self._list = []

    def update(self, *args: HeadersLike, **kwargs: str) -> None:
        """
        Add all values of other headers, mappings or pairs; replace nothing.

        Raises what assigning raises; headers before the wrong one are added.
        """
        for arg in (*args, kwargs):
            for name, value in _pairs(arg):
                self[name] = value

    # -- Several values --------------------------------------------------------

    def get_all(self, key: str) -> list[str]:
        """
        Return the values of a header, in order; an empty list if there are none.

        Args:
            key: the name, in any case.
        """
        return self._dict.get(key.lower(), []).copy()

    def _all(self, key: str) -> Sequence[str]:
        # As `get_all`, for those who only look.
        return self._dict.get(key.lower(), ())

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Iterate over all names and values, as spelled and in order."""
        return iter(self._list)


HeadersLike: TypeAlias = (
    Headers | Mapping[str, str] | Iterable[tuple[str, str]] | SupportsKeysAndGetItem
)
"""Types that are accepted where headers are expected."""


def _pairs(headers: HeadersLike) -> Iterable[tuple[str, str]]:
    if isinstance(headers, Headers):
        return list(headers.raw_items())
    if isinstance(headers, Mapping):
        # Not via keys(): a multidict repeats the first value of each key.
        return cast(Mapping[str, str], headers).items()
    if isinstance(headers, Iterable) and not hasattr(headers, "keys"):
        return headers
    mapping = cast(SupportsKeysAndGetItem, headers)
    return [(name, mapping[name]) for name in mapping.keys()]  # noqa: SIM118
