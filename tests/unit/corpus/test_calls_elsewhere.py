"""Redirects, cookies, names, ports and TLS: where calls of other projects' clients ended."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.http_client.client import build_guarded_client
from functions.parsing.pool import parse_here
from functions.task_types.registry import Tools, run_job
from tests.support.authority import Authority
from tests.support.peers import Request, Script, Server, raw
from tests.unit.corpus.conftest import NOW, Visit, head, moved, page, verdict
from tests.unit.task_types.conftest import FakeRecords

UP = "Answered 200 in N ms"
DAY = timedelta(days=1)
Serve = Callable[..., Awaitable[Server]]


# -- what is already encoded goes out byte for byte --------------------------------------------------------

TARGETS = [
    ("aio-libs/aiohttp#7222", "/?response-content-type=application%2Fgzip"),
    ("aio-libs/aiohttp#9721", "/a.jpg?Signature=qZ0ARjdg1ISat42nhi2Xns%2BPP2g%3D"),
    ("aio-libs/aiohttp#5512", "/logo_hoge.jpg?X-Goog-Credential=broker%40a.example%2F20210302%2Fauto"),
    ("aio-libs/aiohttp#4307", "/foo%27bar%2Etxt"),
    ("aio-libs/aiohttp#2188", "/smart/http%3A%2F%2Fcdn.example%2Fa.jpg"),
    ("aio-libs/aiohttp#11410", "/path%28test%29?q=(x)%28y%29"),
    ("aio-libs/aiohttp#1474", "/?a=%25s3"),
    ("aio-libs/aiohttp#1725", "/?hello=space%40invader+x%20y"),
    ("lower-case escapes and a tilde", "/%7euser/%e4%bd%a0?a=%7E~"),
    ("two slashes and a dot", "//a//b/.hidden?x=/../y"),
    ("signs that some escape", "/a;b=c,d:e@f!$&'()*+?a[]=1&b={c}|d^e`"),
]


@pytest.mark.parametrize(("source", "target"), TARGETS)
async def test_address_goes_out_as_written(source: str, target: str, serve: Serve, visit: Visit) -> None:
    server = await serve({"*": page()})
    from_elsewhere = await serve({"*": moved(f"http://127.0.0.1:{server.port}{target}")})

    outcomes = [
        await visit(server, url=f"http://127.0.0.1:PORT{target}"),
        await visit(from_elsewhere, others=(server,)),
        await visit(server, "http", url=f"http://127.0.0.1:PORT{target}"),
    ]

    escaped = (
        target.replace("|", "%7C")
        .replace("^", "%5E")
        .replace("`", "%60")
        .replace("{", "%7B")
        .replace("}", "%7D")
    )
    assert [UP] * 3 == [verdict(outcome) for outcome in outcomes], source
    sent = [request.line.split(" ")[1] for request in server.requests]
    assert all(line in (target, escaped) for line in sent), sent


# -- redirects ---------------------------------------------------------------------------------------------

LOCATIONS: dict[str, tuple[str | bytes, str]] = {
    "aio-libs/aiohttp#10047: Latin-1": (b"/synspr\xf8ve", "/synspr%F8ve"),
    "scrapy/scrapy#2321: UTF-8": ("/fa/\u0627\u0639\u0632\u0627\u0645", "/fa/%D8%A7%D8%B9%D8%B2%D8%A7%D9%85"),
    "psf/requests#3959: no scheme": ("//127.0.0.1:PORT/?\u0160", "/?%C5%A0"),
    "aio-libs/aiohttp#6421: parentheses": ("/League-(Fem)", "/League-(Fem)"),
    "a soft hyphen and a joiner": ("/a\u00adb\u200dc", "/a%C2%ADb%E2%80%8Dc"),
    "a space inside and around": (" /a b ", "/a%20b"),
    "circonus-labs/reconnoiter#81: relative": ("../c/./d", "/c/d"),
    "a query alone": ("?step=2", "/start/page?step=2"),
    "a fragment": ("/next#top", "/next"),
    "the scheme in capitals": ("HTTP://127.0.0.1:PORT/next", "/next"),
    "a percent sign that escapes nothing": ("/100%", "/100%"),
}


@pytest.mark.parametrize(("location", "expected"), LOCATIONS.values(), ids=LOCATIONS)
async def test_location(location: str | bytes, expected: str, serve: Serve, visit: Visit) -> None:
    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        target = location if isinstance(location, bytes) else location.encode()
        here = target.replace(b"PORT", str(server.port).encode())
        writer.write(moved(here) if " /start/page HTTP" in request.line else page())

    server = await serve(script)

    outcome = await visit(server, url="http://127.0.0.1:PORT/start/page")

    assert UP == verdict(outcome)
    assert expected == server.requests[-1].line.split(" ")[1]


def cookie_wall(*, mint: bool = False, remembers: bool = True) -> Script:
    """A page that sends everybody to itself who does not show the cookie that it set."""
    count = 0

    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        shown = request.headers.get("cookie", "")
        let_in = "seen=1" in shown and not mint
        value = f"seen={count}" if mint else "seen=1"
        set_cookie = f"Set-Cookie: {value}; Path=/; HttpOnly; SameSite=Lax"
        writer.write(page("inside") if let_in else moved("/", *([set_cookie] if remembers else [])))

    return script


@pytest.mark.parametrize("type_name", ["health_check_url", "http"])
async def test_page_that_redirects_to_itself_until_its_cookie_comes_back(
    type_name: str, visit: Visit
) -> None:
    """xroche/httrack#15, jshemas/openGraphScraper#44, louislam/uptime-kuma#2292."""
    assert UP == verdict(await visit(cookie_wall(), type_name, bodyContains="inside"))


@pytest.mark.parametrize(
    "cookie",
    [
        'v={"a":1,"b":"x y"}; Path=/; Max-Age=3600',
        "v=1; Expires=Wed, 21 Oct 2037 07:28:00 GMT; Path=/",
        "a b=c",
        "=;;;",
        "v=; Max-Age=0",
    ],
)
async def test_cookie_that_is_odd_stops_nobody(cookie: str, visit: Visit) -> None:
    assert UP == verdict(await visit({"/": moved("/a", f"Set-Cookie: {cookie}"), "/a": page()}))


async def test_cookies_end_with_the_call(serve: Serve, visit: Visit) -> None:
    """One task's session must not answer for another's."""
    server = await serve(cookie_wall())

    for _ in range(2):
        await visit(server)

    assert [False, True] * 2 == ["cookie" in request.headers for request in server.requests]


async def test_cookie_of_one_host_stays_there(serve: Serve, visit: Visit) -> None:
    server = await serve({"*": page()})
    start = await serve({"*": moved(f"http://b.example:{server.port}/", "Set-Cookie: sid=canary; Path=/")})

    outcome = await visit(start, url="http://a.example:PORT/", others=(server,))

    assert UP == verdict(outcome)
    assert "cookie" not in server.requests[0].headers


async def test_cookie_of_a_login_at_another_name_of_the_site(serve: Serve, visit: Visit) -> None:
    """stashapp/stash#624: back and forth until the cookie of the common domain is there."""

    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        if "sid=1" in request.headers.get("cookie", ""):
            writer.write(page("inside"))
        elif request.headers["host"].startswith("www."):
            writer.write(moved(f"http://login.shop.example:{server.port}/"))
        else:
            writer.write(
                moved(
                    f"http://www.shop.example:{server.port}/",
                    "Set-Cookie: sid=1; Domain=shop.example; Path=/",
                )
            )

    server = await serve(script)

    assert UP == verdict(await visit(server, url="http://www.shop.example:PORT/", bodyContains="inside"))


async def test_cookie_that_the_task_sends_is_replaced_by_the_sites_own(serve: Serve, visit: Visit) -> None:
    server = await serve(cookie_wall())

    outcome = await visit(server, headers={"Cookie": "lang=de; seen=0"})

    assert UP == verdict(outcome)
    assert "lang=de; seen=1" == server.requests[-1].headers["cookie"]


@pytest.mark.parametrize("url", ["http://shop.example:PORT/", ""])
async def test_circle(url: str, visit: Visit) -> None:
    """louislam/uptime-kuma#5105: 10,000 redirects were allowed, and it was still down."""
    outcome = await visit(cookie_wall(remembers=False), url=url)

    named = ", at shop.example" if url else ""
    assert (
        f"FAILED It redirects in a circle{named}: back to an address called before, with the same cookies"
        == (verdict(outcome))
    )


async def test_circle_of_two_names(serve: Serve, visit: Visit) -> None:
    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        host = "www.shop.example" if request.headers["host"].startswith("shop") else "shop.example"
        writer.write(moved(f"http://{host}:{server.port}/"))

    server = await serve(script)

    assert (
        "FAILED It redirects in a circle, at shop.example and www.shop.example: back to an address "
        "called before, with the same cookies"
    ) == verdict(await visit(server, url="http://shop.example:PORT/"))


async def test_new_cookie_each_time_ends_too(visit: Visit) -> None:
    assert "FAILED It redirects more than 10 times" == verdict(await visit(cookie_wall(mint=True)))


async def test_site_with_many_redirects(visit: Visit) -> None:
    """hyperjumptech/monika#1069: scheme, www, country, language, campaign."""
    hops = {f"/{number or ''}": moved(f"/{number + 1}") for number in range(7)}

    assert UP == verdict(await visit(hops | {"/7": page()}))


# -- certificates over redirects ---------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second", "named"), [(4, 99, "a"), (99, 4, "b"), (99, 98, "")])
async def test_shortest_certificate_of_all_hops_counts(
    first: int, second: int, named: str, authority: Authority, serve: Serve, visit: Visit
) -> None:
    """louislam/uptime-kuma#3921, #3437, prometheus/blackbox_exporter#1012, #1406."""
    end = NOW + timedelta(hours=1)
    b = await serve({"*": page()}, authority.server(ends=end + second * DAY, names=("b.example",)))
    a = await serve(
        {"*": moved(f"https://b.example:{b.port}/")},
        authority.server(ends=end + first * DAY, names=("a.example",)),
    )

    outcome = await visit(a, url="https://a.example:PORT/", others=(b,), certificateDaysLeft=14)

    short = f"FAILED The certificate of {named}.example ends in 4 days, sooner than the 14 asked for"
    assert (short if named else UP) == verdict(outcome)
    assert min(first, second) == outcome.metrics["certificateDaysLeft"]


# -- TLS ---------------------------------------------------------------------------------------------------


TLS: dict[str, tuple[Callable[[Authority], ssl.SSLContext], str]] = {
    "louislam/uptime-kuma#3551: expired": (
        lambda authority: authority.server(starts=NOW - 9 * DAY, ends=NOW - DAY, names=("shop.example",)),
        "The TLS certificate of shop.example has expired: renew it on the server",
    ),
    "not valid yet": (
        lambda authority: authority.server(starts=NOW + DAY, names=("shop.example",)),
        "The TLS certificate of shop.example is not valid yet: check the clocks of both machines",
    ),
    "louislam/uptime-kuma#6047: another name": (
        lambda authority: authority.server(names=("other.example",)),
        "The TLS certificate of shop.example is for other names: add this one to it, or call one of those",
    ),
    "self-signed": (
        lambda authority: authority.server(names=("shop.example",), self_signed=True),
        "The TLS certificate of shop.example is signed by itself: use one of a known authority, or trust it "
        "(SSL_CERT_FILE)",
    ),
}

ALERTS: dict[str, tuple[int, str]] = {
    "louislam/uptime-kuma#4033: a version of TLS": (
        70,
        "The server speaks no TLS that is safe: switch on TLS 1.2 or 1.3 there",
    ),
    "louislam/uptime-kuma#4429: no cipher": (
        40,
        "The server refused the TLS handshake: no cipher in common, or no site at this name",
    ),
    "nginx-proxy/nginx-proxy#2572: a name it does not know": (
        112,
        "The server has no site called shop.example: it refused the TLS handshake for that name",
    ),
    "HTTP/2 alone": (
        120,
        "The server speaks only HTTP/2: switch on HTTP/1.1 there, or call an address that has it",
    ),
    "louislam/uptime-kuma#5837: a certificate of the client's": (
        116,
        "The server asks for a client certificate, which tasks cannot show",
    ),
    "an error of its own": (80, "The TLS handshake failed (OpenSSL: tlsv1 alert internal error)"),
}


async def talker(said: bytes) -> tuple[Server, asyncio.Server]:
    """A port that says something to whoever begins to talk, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(said)
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    server = Server(raw(b""))
    server.port = listener.sockets[0].getsockname()[1]
    return server, listener


@pytest.mark.parametrize(("alert", "expected"), ALERTS.values(), ids=ALERTS)
async def test_server_that_refuses_the_handshake(alert: int, expected: str, visit: Visit) -> None:
    server, listener = await talker(bytes([0x15, 3, 3, 0, 2, 2, alert]))

    outcome = await visit(server, url="https://shop.example:PORT/")

    listener.close()
    assert f"FAILED {expected}" == verdict(outcome)


async def test_server_that_closes_during_the_handshake(visit: Visit) -> None:
    server, listener = await talker(b"")

    outcome = await visit(server, url="https://shop.example:PORT/")

    listener.close()
    assert "FAILED The connection was broken off during the TLS handshake" == verdict(outcome)


@pytest.mark.parametrize(("context", "expected"), TLS.values(), ids=TLS)
async def test_tls(
    context: Callable[[Authority], ssl.SSLContext], expected: str, authority: Authority, visit: Visit
) -> None:
    outcome = await visit({"*": page()}, url="https://shop.example:PORT/", tls=context(authority))

    assert f"FAILED {expected}" == verdict(outcome)
    assert not outcome.permanent


async def test_authority_that_is_not_trusted(authority: Authority, visit: Visit) -> None:
    """louislam/uptime-kuma#7450, #1904: mostly the server lacks the certificates between."""
    tls = authority.server(names=("shop.example",))

    outcome = await visit({"*": page()}, url="https://shop.example:PORT/", tls=tls, trust=False)

    assert (
        "FAILED The TLS certificate of shop.example is signed by an authority unknown here: let the server "
        "send its whole chain, or trust the authority (SSL_CERT_FILE)"
    ) == verdict(outcome)


PLAIN = [
    ("louislam/uptime-kuma#1914: a site without TLS", page("ok", "Connection: close")),
    ("louislam/uptime-kuma#6300: a mail server", b"220 mail.example ESMTP\r\n"),
]


@pytest.mark.parametrize(("source", "greeting"), PLAIN)
async def test_https_where_nothing_speaks_tls(
    source: str, greeting: bytes, serve: Serve, visit: Visit
) -> None:
    server, listener = await talker(greeting)

    outcome = await visit(server, url="https://shop.example:PORT/")

    listener.close()
    assert (
        f"FAILED Port {server.port} of the server does not speak TLS: write http:// or the port that does"
        == (verdict(outcome))
    ), source


NGINX = page(
    "<html><center>The plain HTTP request was sent to HTTPS port</center></html>", status="400 Bad Request"
)
GO = page("Client sent an HTTP request to an HTTPS server.\n", status="400 Bad Request")
APACHE = page(
    "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />\n", status="400 Bad Request"
)
TOMCAT = page("Bad Request\r\nThis combination of host and port requires TLS.\r\n", status="400 ")


@pytest.mark.parametrize("answer", [NGINX, GO, APACHE, TOMCAT], ids=["nginx", "Go", "Apache", "Tomcat"])
@pytest.mark.parametrize("type_name", ["health_check_url", "http"])
async def test_http_where_the_server_speaks_tls(answer: bytes, type_name: str, visit: Visit) -> None:
    outcome = await visit({"*": answer}, type_name)

    expected = "200" if type_name == "health_check_url" else "200-299"
    assert f"FAILED Answered 400, expected {expected}: the port speaks TLS, write https://" == verdict(
        outcome
    )


@pytest.mark.parametrize("alert", [b"\x15\x03\x01\x00\x02\x02\x46", b"\x15\x03\x03\x00\x02\x01\x00"])
async def test_http_where_the_server_answers_by_an_alert_of_tls(alert: bytes, visit: Visit) -> None:
    outcome = await visit({"*": alert})

    assert "FAILED The answer is not HTTP but TLS: write https://" == verdict(outcome)


H2_SETTINGS = bytes.fromhex("000012040000000000000300000064000440000000000200000000")
H2_GOAWAY = bytes.fromhex("0000080700000000000000000000000001")


@pytest.mark.parametrize(
    "frames", [H2_SETTINGS, H2_SETTINGS + H2_GOAWAY, b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"]
)
async def test_server_of_http2_without_tls(frames: bytes, visit: Visit) -> None:
    """hyperium/hyper#2378, fortio/fortio#443."""
    outcome = await visit({"*": frames})

    assert (
        "FAILED The server speaks only HTTP/2: switch on HTTP/1.1 there, or call an address that has it"
    ) == verdict(outcome)


# -- names and ports ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (socket.EAI_NONAME, "The name gone.example does not resolve: no such name is known"),
        (socket.EAI_NODATA, "The name gone.example does not resolve: it has no address"),
        (
            socket.EAI_AGAIN,
            "The name gone.example could not be looked up: no name server answered, try again later",
        ),
        (socket.EAI_FAIL, "The name gone.example could not be looked up: the name server failed"),
    ],
)
async def test_name_that_does_not_resolve(code: int, expected: str, make_job: Callable[..., Any]) -> None:
    """louislam/uptime-kuma#3371, #114, hassio-addons/app-uptime-kuma#244: which name, and whose fault."""

    async def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(code, "canary")

    client = build_guarded_client(resolve=resolve)
    tools = Tools(open_http=lambda: client, open_store=lambda owner: FakeRecords(), parse=parse_here)

    outcome = await run_job(make_job("health_check_url", {"url": "https://gone.example/"}), tools)

    await client.close_connections()
    assert f"FAILED {expected}" == verdict(outcome)
    assert not outcome.permanent


async def test_redirect_to_a_name_that_does_not_resolve(serve: Serve, make_job: Callable[..., Any]) -> None:
    server = await serve({"*": moved("http://gone.example/")})

    async def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "canary")

    client = build_guarded_client(allow_private=True, resolve=resolve)
    tools = Tools(open_http=lambda: client, open_store=lambda owner: FakeRecords(), parse=parse_here)

    outcome = await run_job(make_job("health_check_url", {"url": server.url}), tools)

    await client.close_connections()
    assert "FAILED The name gone.example does not resolve: no such name is known" == verdict(outcome)


async def test_name_with_an_underscore(visit: Visit) -> None:
    """louislam/uptime-kuma#580, bb-Ricardo/check_redfish#19."""
    assert UP == verdict(await visit({"*": page()}, url="http://my_server.shop.example:PORT/"))


@pytest.mark.parametrize("type_name", ["health_check_url", "http"])
async def test_port_that_is_not_allowed(type_name: str, make_job: Callable[..., Any]) -> None:
    """healthchecks/healthchecks#775: nobody found out why by the message."""
    client = build_guarded_client()
    tools = Tools(open_http=lambda: client, open_store=lambda owner: FakeRecords(), parse=parse_here)

    outcome = await run_job(make_job(type_name, {"url": "https://shop.example:9443/"}), tools)

    await client.close_connections()
    assert (
        "FAILED The URL's port 9443 is not allowed here; allowed are 80, 443, 8080 and 8443; the operator "
        "can allow it (ALLOW_PORTS)"
    ) == verdict(outcome)
    assert outcome.permanent


async def test_closed_without_an_answer(visit: Visit) -> None:
    async def script(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.close()

    assert "FAILED The connection was closed before an answer came" == verdict(await visit(script))


async def test_head_that_never_ends_is_bounded(visit: Visit) -> None:
    outcome = await visit({"*": head("X-A: " + "x" * 100_000)})

    assert "FAILED The answer's headers are too long" == verdict(outcome)
