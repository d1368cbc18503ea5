"""Credentials in addresses and headers: hidden in errors, logs and explanations.

A URI that could not be taken apart may have its password anywhere: one that holds
``/``, ``?`` or ``#`` ends the authority early (RFC 3986, 3.2).  So all before the last
``@`` is hidden.  Headers are hidden by their names.
"""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "[hidden]"

# Headers whose values are credentials, by RFC 9110 and by habit.
_secret = re.compile(
    r"(?:proxy-)?authorization|(?:set-)?cookie2?|.*(?:api-?key|password|secret|token).*",
    re.IGNORECASE,
)
# C0, DEL and C1; directional marks, overrides and isolates; line and paragraph
# separators; surrogates, which no output encoding takes; byte-order mark; interlinear
# annotation.
UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f"
    r"\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# Everything from "//", or from the start where there is none, to the last "@".
_userinfo = re.compile(r"((?:[^/?#@]*//)?).*@", re.DOTALL)
_begins_with_userinfo = re.compile(r"\A([^/?#]*//)[^/?#]*@")
# An authority with user information, somewhere in a text.
_authority = re.compile(r"//[^/?#\s]*@")


def is_secret(name: str) -> bool:
    """Whether the value of a header is a credential."""
    return _secret.fullmatch(name) is not None


def hide_userinfo(address: str) -> str:
    """Return an address, or what was to be one, without user name and password."""
    return _userinfo.sub(r"\1***@", address, count=1) if "@" in address else address


def escape(text: str) -> str:
    """
    Return text of a peer in one line, with all that acts on a terminal as escapes.

    Backslashes of the text itself stay single: this is for reading, not for parsing.
    """
    return text if text.isascii() and text.isprintable() else UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    return SHORT.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def display_uri(uri: str) -> str:
    """Return a URI that is well formed as logs and errors may show it."""
    return escape(_begins_with_userinfo.sub(r"\1***@", uri) if "@" in uri else uri)


def display_address(address: str) -> str:
    """Return what was to be an address as logs and errors may show it."""
    return escape(hide_userinfo(address))


def hide_header(name: str, value: str) -> str:
    """Return the value of a header without credentials."""
    if is_secret(name):
        return HIDDEN
    if "@" not in value:
        return value
    if name.lower() == "location" and "//" in value:
        return hide_userinfo(value)
    return _authority.sub("//***@", value)


def display_header(name: str, value: str) -> str:
    """Return the value of a header as logs and explanations may show it."""
    return escape(hide_header(name, value))
