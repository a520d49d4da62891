"""Who may use the app: the guard around it, without a server."""

import asyncio

import pytest

from kstyle.app.access import AccessGuard, check_token, is_loopback, new_token
from kstyle.errors import ConfigError

TOKEN = "a1b2c3d4e5f6a7b8"
HOME = {"host": "127.0.0.1:8370"}


async def echo(scope, receive, send):
    """An application that answers with the length of what it receives."""
    length = 0
    while True:
        message = await receive()
        length += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def ask(
    headers, *, token=None, loopback=True, path="/", query="", parts=(), kind="http"
):
    """Send a request through a guard; return its status, headers and text, or the code
    with which a web socket is closed."""
    guard = AccessGuard(
        echo,
        token=token,
        loopback=loopback,
        upload_path="/upload",
        max_upload_bytes=2_000_000,
    )
    scope = {
        "type": kind,
        "path": path,
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }
    bodies = list(parts) or [b""]
    sent = []

    async def receive():
        return {"body": bodies.pop(0), "more_body": bool(bodies)}

    async def send(message):
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    if kind == "websocket":
        return (sent[0].get("code"),)
    status, found = sent[0]["status"], dict(sent[0]["headers"])
    return status, found, sent[-1]["body"].decode()


def test_this_machine_gets_an_answer_with_strict_headers():
    status, headers, text = ask(HOME)
    assert (status, text) == (200, "0")
    assert headers[b"x-frame-options"] == b"DENY"
    assert headers[b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", ""])
def test_another_name_for_this_machine_is_refused(host):
    assert ask({"host": host})[0] == 403


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8370"])
def test_its_own_names_are_accepted(host):
    assert ask({"host": host})[0] == 200


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_pages_of_other_sites_are_refused(kind):
    headers = HOME | {"origin": "https://evil.example"}
    assert ask(headers, kind=kind)[0] in (403, 4403)
    assert ask(HOME | {"origin": "http://127.0.0.1:8370"})[0] == 200
    assert ask(HOME | {"origin": "null"})[0] == 403


def test_without_the_token_nothing_is_answered():
    for headers in ({}, {"cookie": "kstyle-app=wrong"}, {"cookie": "; =;=\x00"}):
        status, _, text = ask(HOME | headers, token=TOKEN)
        assert status == 401 and "printed" in text
    assert ask(HOME, token=TOKEN, kind="websocket") == (4401,)
    assert ask(HOME, token=TOKEN, query="token=a1b2")[0] == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address():
    status, headers, _ = ask(HOME, token=TOKEN, query=f"token={TOKEN}&tab=history")
    assert status == 303 and headers[b"location"] == b"/?tab=history"
    cookie = headers[b"set-cookie"].decode()
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    known = HOME | {"cookie": cookie.split(";")[0]}
    assert ask(known, token=TOKEN)[0] == 200


def test_the_redirect_leads_to_no_other_host():
    _, headers, _ = ask(
        HOME, token=TOKEN, path="//evil.example", query=f"token={TOKEN}"
    )
    assert headers[b"location"] == b"/evil.example"


def test_another_machine_needs_the_token_whatever_it_calls_us():
    headers = {"host": "studio.local:8370"}
    assert ask(headers, token=TOKEN, loopback=False)[0] == 401
    known = headers | {"cookie": f"kstyle-app={TOKEN}"}
    assert ask(known, token=TOKEN, loopback=False)[0] == 200


def test_requests_are_bounded_with_and_without_a_length():
    million = b"x" * 1_000_000
    assert ask(HOME, parts=[million, million])[0] == 413
    assert ask(HOME | {"content-length": "3000000"}, path="/upload")[0] == 413
    assert ask(HOME | {"content-length": "-1"})[0] == 413
    status, _, text = ask(HOME, path="/upload", parts=[million, million])
    assert (status, text) == (200, "2000000")
    assert ask(HOME, path="/upload", parts=[million, million, b"x"])[0] == 413


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.2", False),
        ("studio.local", False),
        ("", False),
    ],
)
def test_a_host_is_loopback_if_only_this_machine_reaches_it(host, expected):
    assert is_loopback(host) is expected


def test_tokens_are_long_and_random_and_weak_ones_are_refused():
    assert new_token() != new_token()
    check_token(new_token())
    for weak in ("short", "with space and more", "ümlaut" * 5, "a;b" * 10):
        with pytest.raises(ConfigError, match="letters and digits"):
            check_token(weak)
