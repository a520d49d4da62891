"""Who may use the app: hosts, origins, the token, and the size of requests.

An ASGI middleware around the whole app, web socket included.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from kstyle.errors import ConfigError

TOKEN_COOKIE = "kstyle-app"
TOKEN_KEY = "token"  # in the address that is printed
MIN_TOKEN = 16  # characters
MAX_REQUEST_BYTES = 2**20  # of a request other than an upload
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]", "::1")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """Return a random token."""
    return secrets.token_hex(24)


def check_token(token: str) -> None:
    """Raise `ConfigError` for a token that is easily guessed, or no part of an
    address."""
    if len(token) < MIN_TOKEN or not (token.isascii() and token.isalnum()):
        raise ConfigError(
            f"The token must have {MIN_TOKEN} letters and digits or more, and nothing "
            "else."
        )


class RequestTooLarge(Exception):
    """A request has more bytes than it may have."""


class AccessGuard:
    """Lets requests through to an ASGI application, or answers them itself.

    token: that every request must know; `None`: none is needed. loopback: whether the
        server listens on this machine only. Then requests must name it by one of its
        own names: a page of another site, whose name was made to lead here, does not.
    upload_path, max_upload_bytes: the one path that takes large requests.
    """

    def __init__(
        self,
        app: AsgiApplication,
        *,
        token: str | None,
        loopback: bool,
        upload_path: str,
        max_upload_bytes: int,
    ) -> None:
        self.app, self.token, self.loopback = app, token, loopback
        self.upload_path, self.max_upload_bytes = upload_path, max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        refusal = self.why_refused(headers)
        if refusal is not None:
            await refuse(scope, send, 403, refusal)
        elif self.has_token_in_address(scope) and scope["type"] == "http":
            await self.welcome(scope, send)
        elif not self.knows_token(headers):
            text = "Open the address that kstyle app has printed: it has the token."
            await refuse(scope, send, 401, text)
        else:
            await self.pass_on(scope, receive, send, headers)

    def why_refused(self, headers: dict[str, str]) -> str | None:
        """Return why the sender of a request may not use the app, if so."""
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if self.loopback and name not in LOOPBACK_NAMES:
            return "This app answers to this machine's own names only."
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return "Pages of other sites may not use this app."
        return None

    def has_token_in_address(self, scope: Scope) -> bool:
        """Return whether the address of a request has the right token."""
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        return self.token is not None and same(query.get(TOKEN_KEY, ""), self.token)

    def knows_token(self, headers: dict[str, str]) -> bool:
        """Return whether a request has the cookie of the token, if it needs it."""
        if self.token is None:
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(TOKEN_COOKIE)
        except CookieError:
            return False
        return cookie is not None and same(cookie.value, self.token)

    async def welcome(self, scope: Scope, send: Send) -> None:
        """Set the cookie, and lead to the same address without the token."""
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
        rest = urlencode([(key, value) for key, value in query if key != TOKEN_KEY])
        place = scope["path"] + (f"?{rest}" if rest else "")
        # A second slash at the beginning would name another host.
        place = "/" + place.lstrip("/\\")
        cookie = f"{TOKEN_COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/"
        await send(
            {
                "type": "http.response.start",
                "status": 303,
                "headers": [
                    (b"location", place.encode("latin-1", "replace")),
                    (b"set-cookie", cookie.encode("latin-1")),
                    (b"cache-control", b"no-store"),
                ],
            }
        )
        await send({"type": "http.response.body", "body": b""})

    async def pass_on(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]
    ) -> None:
        """Serve a request, up to the size that it may have."""
        is_upload = scope["path"] == self.upload_path
        limit = self.max_upload_bytes if is_upload else MAX_REQUEST_BYTES
        too_large = f"At most {limit / 1e6:.0f} MB are accepted."
        length = headers.get("content-length", "0")
        if scope["type"] == "http" and (not length.isdecimal() or int(length) > limit):
            await refuse(scope, send, 413, too_large)
            return
        received = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise RequestTooLarge
            return message

        async def secured(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {
                    **message,
                    "headers": [*message.get("headers", []), *SECURITY_HEADERS],
                }
            await send(message)

        try:
            await self.app(scope, counted, secured)
        except RequestTooLarge:
            await refuse(scope, send, 413, too_large)


SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]


def same(given: str, expected: str) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())


async def refuse(scope: Scope, send: Send, status: int, text: str) -> None:
    """Answer a request with an error."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4000 + status})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
