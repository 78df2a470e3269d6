"""`dns_check` against a real name server on this machine, over UDP and TCP."""

import dataclasses
import struct
from collections.abc import Callable, Mapping
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.http_client.name_servers import NameServers, build_query, read_system_servers
from functions.task_types.registry import check_params, run_job
from tests.support.name_server import Script, name_server, zone
from tests.unit.task_types.conftest import tools_with

Check = Callable[..., Any]
RECORDS = {
    "example.com A": ["192.0.2.2", "192.0.2.1"],
    "example.com AAAA": ["2001:0db8::0001"],
    "example.com MX": ["10 Mail.example.com.", "20 backup.example.com."],
    "example.com NS": ["ns1.example.net."],
    "example.com TXT": ['"v=spf1 " "include:example.net -all"', '"caf\\195\\169"'],
    "example.com CAA": ['0 issue "letsencrypt.org"'],
    "example.com SOA": ["ns1.example.net. host.example.com. 7 3600 600 86400 300"],
    "www.example.com CNAME": ["example.com."],
    "xn--bcher-kva.example A": ["192.0.2.9"],
    "_dmarc.example.com TXT": ['"v=DMARC1; p=none"'],
    "_dmarc.xn--bcher-kva.example TXT": ['"v=DMARC1; p=reject"'],
    "quoted.example.com TXT": ['"caf\\195\\169; \\"bar\\"" " a\\\\b"'],
    "mapped.example.com AAAA": ["::ffff:192.0.2.1"],
    "many.example.com TXT": [f'"{"x" * 200}{number}"' for number in range(30)],
}


@pytest.fixture
def check(make_job: Callable[..., Job]) -> Check:
    """Ask a name server that answers by this script."""

    async def run(
        name: str,
        kind: str = "A",
        *,
        script: Script | None = None,
        memory: Mapping[str, Any] | None = None,
        asked: list[str] | None = None,
        **params: Any,
    ) -> Outcome:
        async with name_server(script or zone(RECORDS), asked) as port:
            servers = NameServers(
                allow_private=True, port=port, new_id=lambda: 4660, system_servers=lambda: ["127.0.0.1"]
            )
            tools = dataclasses.replace(tools_with(), open_name_servers=lambda: servers)
            given = {"name": name, "recordType": kind, "timeoutSeconds": 2} | params
            return await run_job(make_job("dns_check", given, memory=memory or {}), tools)

    return run


@pytest.mark.parametrize(
    ("name", "kind", "summary"),
    [
        ("example.com", "A", "example.com has 2 A records: 192.0.2.1, 192.0.2.2"),
        ("EXAMPLE.com.", "AAAA", "example.com has 1 AAAA record: 2001:db8::1"),
        ("example.com", "MX", "example.com has 2 MX records: 10 mail.example.com, 20 backup.example.com"),
        ("example.com", "NS", "example.com has 1 NS record: ns1.example.net"),
        ("example.com", "TXT", "example.com has 2 TXT records: café, v=spf1 include:example.net -all"),
        ("example.com", "CAA", 'example.com has 1 CAA record: 0 issue "letsencrypt.org"'),
        (
            "example.com",
            "SOA",
            "example.com has 1 SOA record: ns1.example.net host.example.com 7 3600 600 86400 300",
        ),
        ("www.example.com", "CNAME", "www.example.com has 1 CNAME record: example.com"),
        ("Bücher.example", "A", "xn--bcher-kva.example has 1 A record: 192.0.2.9"),
        ("_dmarc.example.com", "TXT", "_dmarc.example.com has 1 TXT record: v=DMARC1; p=none"),
        (
            "_dmarc.Bücher.example",
            "TXT",
            "_dmarc.xn--bcher-kva.example has 1 TXT record: v=DMARC1; p=reject",
        ),
    ],
)
async def test_records_of_each_type_in_words(check: Check, name: str, kind: str, summary: str) -> None:
    outcome = await check(name, kind)

    assert (outcome.summary, outcome.kind) == (summary, OutcomeKind.SUCCEEDED)
    assert outcome.metrics["code"] == "NOERROR"
    assert outcome.metrics["ttl"] == 300


@pytest.mark.parametrize(
    ("name", "kind", "params", "why"),
    [
        ("example.com", "A", {"expect": ["192.0.2.1", "192.0.2.2"]}, ""),
        ("example.com", "A", {"expect": ["192.0.2.1"]}, "A records that are not expected: 192.0.2.2"),
        ("example.com", "A", {"contains": ["192.0.2.1"], "count": 2}, ""),
        ("example.com", "A", {"contains": ["192.0.2.7"]}, "example.com lacks 192.0.2.7; its A records are"),
        ("example.com", "A", {"count": 3}, "has 2 A records, not 3"),
        ("example.com", "A", {"count": 0}, "has 2 A records, not 0"),
        ("example.com", "AAAA", {"expect": ["2001:DB8:0::1"]}, ""),
        ("example.com", "MX", {"expect": ["10 MAIL.example.com.", "backup.example.com"]}, ""),
        ("example.com", "MX", {"contains": ["30 mail.example.com"]}, "lacks 30 mail.example.com"),
        ("example.com", "TXT", {"contains": ["v=spf1 include:example.net -all"]}, ""),
        ("example.com", "TXT", {"contains": ['"v=spf1 " "include:example.net -all"']}, ""),
        ("example.com", "TXT", {"contains": ['"v=spf1"']}, 'lacks "v=spf1"; its TXT records are'),
        ("example.com", "CAA", {"expect": ["0 ISSUE letsencrypt.org"]}, ""),
        ("example.com", "CAA", {"expect": ['0 issue "letsencrypt.org"']}, ""),
        ("example.com", "CAA", {"contains": ["0 issuewild"]}, "lacks 0 issuewild"),
        ("quoted.example.com", "TXT", {"expect": ['"caf\\195\\169\\; \\"bar\\""  " a\\\\b"']}, ""),
        ("quoted.example.com", "TXT", {"expect": ['café; "bar" a\\b']}, ""),
        ("quoted.example.com", "TXT", {"expect": ['"café"']}, "lacks "),
        (
            "example.com",
            "SOA",
            {"expect": ["NS1.example.net. host.example.com. 7 3600 600 86400 300"]},
            "",
        ),
        (
            "example.com",
            "SOA",
            {"expect": ["ns1.example.net host.example.com 8 3600 600 86400 300"]},
            "lacks",
        ),
        ("mapped.example.com", "AAAA", {"expect": ["::ffff:192.0.2.1"]}, ""),
        ("nothing.example.com", "A", {"count": 0}, ""),
        ("example.com", "CNAME", {"count": 0}, ""),
    ],
)
async def test_what_is_expected(check: Check, name: str, kind: str, params: dict[str, Any], why: str) -> None:
    outcome = await check(name, kind, **params)

    assert why in outcome.summary
    assert outcome.kind is (OutcomeKind.FAILED if why else OutcomeKind.SUCCEEDED), outcome.summary


def code(value: dns.rcode.Rcode, **more: Any) -> Script:
    def answer(question: dns.message.Message, is_tcp: bool) -> bytes:
        response = dns.message.make_response(question)
        response.set_rcode(value)
        return response.to_wire()

    return answer


def referral(question: dns.message.Message, is_tcp: bool) -> bytes:
    response = dns.message.make_response(question)
    response.authority = [dns.rrset.from_text("com.", 300, "IN", "NS", "a.gtld-servers.net.")]
    return response.to_wire()


def dangling(question: dns.message.Message, is_tcp: bool) -> bytes:
    response = dns.message.make_response(question)
    response.set_rcode(dns.rcode.NXDOMAIN)
    response.answer = [dns.rrset.from_text("example.com.", 300, "IN", "CNAME", "gone.example.net.")]
    return response.to_wire()


def another_question(question: dns.message.Message, is_tcp: bool) -> bytes:
    other = dns.message.make_query("other.example.", "A")
    other.id = question.id
    return dns.message.make_response(other).to_wire()


def always_truncated(question: dns.message.Message, is_tcp: bool) -> bytes:
    response = dns.message.make_response(question)
    response.flags |= dns.flags.TC
    return response.to_wire()


def raw(rest: bytes) -> Script:
    return lambda question, is_tcp: struct.pack(">H", question.id) + rest


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (zone({}), "example.com does not exist (NXDOMAIN)"),
        (zone({"example.com AAAA": ["2001:db8::1"]}), "example.com has no A records"),
        (zone({"example.com CNAME": ["shop.example.net."]}), "example.com has no A records; it has CNAME"),
        (dangling, "example.com is a CNAME of a name that does not exist (NXDOMAIN)"),
        (code(dns.rcode.SERVFAIL), "could not be looked up (SERVFAIL)"),
        (code(dns.rcode.REFUSED), "is not looked up by this name server (REFUSED)"),
        (code(dns.rcode.NOTIMP), "could not be looked up (NOTIMP)"),
        (referral, "it names others (a lame delegation)"),
        (another_question, "The name server answered with an answer to another question"),
        (always_truncated, "is cut off over TCP as well"),
        (raw(b"\x81\x80" + bytes(8)), "example.com has no A records"),
        (raw(b"\x81\x80" + b"\xff" * 8), "The name server answered with a message that is none of DNS"),
        (raw(b"\x81\x80\0\1\0\1\0\0\0\0\xc0\x0c\0\1\0\1"), "a message that is none of DNS"),
        (raw(b"\x81\x80" + bytes(8) + b"\0" * 400), "example.com has no A records"),
    ],
)
async def test_what_goes_wrong_in_words(check: Check, script: Script, why: str) -> None:
    outcome = await check("example.com", script=script)

    assert why in outcome.summary
    assert outcome.kind is OutcomeKind.FAILED


@pytest.mark.parametrize(
    "script",
    [
        lambda question, is_tcp: None,
        lambda question, is_tcp: b"\0\0" + (zone(RECORDS)(question, is_tcp) or b"")[2:],
        lambda question, is_tcp: struct.pack(">H", question.id),
        lambda question, is_tcp: struct.pack(">H", question.id) + b"\1\0" + bytes(8),
    ],
)
async def test_silence_and_what_is_no_answer_end_in_time(check: Check, script: Script) -> None:
    """Nothing, the answer with another id (a forger guesses), a piece of one, the question itself."""
    outcome = await check("example.com", script=script, timeoutSeconds=0.2)

    assert outcome.summary == "No answer from the name server within 0.2 s"


async def test_what_does_not_fit_is_asked_for_over_tcp(check: Check) -> None:
    asked: list[str] = []

    outcome = await check("many.example.com", "TXT", asked=asked, count=30)

    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert asked == ["udp", "tcp"]


async def test_the_next_server_is_asked_when_one_is_silent(make_job: Callable[..., Job]) -> None:
    async with name_server(zone(RECORDS)) as port:
        servers = NameServers(
            allow_private=True, port=port, new_id=lambda: 7, system_servers=lambda: ["127.0.0.2", "127.0.0.1"]
        )
        tools = dataclasses.replace(tools_with(), open_name_servers=lambda: servers)
        outcome = await run_job(make_job("dns_check", {"name": "example.com", "timeoutSeconds": 2}), tools)

    assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.summary


async def test_a_question_that_got_lost_is_asked_again(check: Check) -> None:
    asked: list[str] = []

    def deaf_once(question: dns.message.Message, is_tcp: bool) -> bytes | None:
        return None if len(asked) == 1 else zone(RECORDS)(question, is_tcp)

    outcome = await check("example.com", script=deaf_once, asked=asked, timeoutSeconds=30)

    assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.summary
    assert len(asked) >= 2


@pytest.mark.parametrize("says", [b"", None])
async def test_where_tcp_is_shut_the_failure_says_so(check: Check, says: bytes | None) -> None:
    """A server that answers nothing and hangs up, and a firewall that lets no answer through."""

    def only_udp(question: dns.message.Message, is_tcp: bool) -> bytes | None:
        return says if is_tcp else always_truncated(question, is_tcp)

    outcome = await check("many.example.com", "TXT", script=only_udp)

    assert "was not given over TCP: let port 53 through" in outcome.summary


@pytest.mark.slow
async def test_of_many_records_each_counts(check: Check) -> None:
    """Large companies prove more than a hundred things by TXT; v=spf1 comes late in the alphabet."""
    values = [f"proof-{number}" for number in range(150)] + ["v=spf1 -all"]
    crowd = zone({"example.com TXT": [f'"{value}"' for value in values]})

    found = await check("example.com", "TXT", script=crowd, contains=["v=spf1 -all"])
    exact = await check("example.com", "TXT", script=crowd, count=100)
    changes = await check("example.com", "TXT", script=crowd, reportChanges=True)

    assert found.kind is OutcomeKind.SUCCEEDED, found.summary
    assert "has 151 TXT records, not 100" in exact.summary
    assert "changes are reported of at most 100" in changes.summary
    assert changes.kind is OutcomeKind.FAILED


async def test_changes_are_news(check: Check) -> None:
    first = await check("example.com", reportChanges=True)
    same = await check("example.com", reportChanges=True, memory=first.memory)
    moved = zone({"example.com A": ["192.0.2.1", "192.0.2.3"]})

    outcome = await check("example.com", reportChanges=True, memory=first.memory, script=moved)

    assert first.summary.startswith("Recorded: example.com has 2 A records")
    assert (same.has_news, same.memory) == (False, None)
    assert outcome.has_news
    assert outcome.summary == "The A records of example.com have changed: new 192.0.2.3, gone 192.0.2.2"
    assert [item["title"] for item in outcome.items] == ["+ 192.0.2.3", "- 192.0.2.2"]


@pytest.mark.parametrize("server", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"])
async def test_private_servers_are_out_of_reach(make_job: Callable[..., Job], server: str) -> None:
    asked: list[str] = []
    async with name_server(zone(RECORDS), asked) as port:
        servers = NameServers(port=port, new_id=lambda: 7)
        tools = dataclasses.replace(tools_with(), open_name_servers=lambda: servers)
        outcome = await run_job(make_job("dns_check", {"name": "example.com", "server": server}), tools)

    assert outcome.summary == "The address is private, local or reserved, and so not allowed"
    assert asked == []


@pytest.mark.parametrize(
    "name", ["metadata.google.internal", "printer.local", "localhost", "x.home.arpa", "redis", "redis."]
)
async def test_names_of_private_networks_are_out_of_reach(make_job: Callable[..., Job], name: str) -> None:
    servers = NameServers(new_id=lambda: 7, system_servers=lambda: ["127.0.0.1"])
    tools = dataclasses.replace(tools_with(), open_name_servers=lambda: servers)

    outcome = await run_job(make_job("dns_check", {"name": name}), tools)

    assert outcome.summary == "The name is one of a private network, and so not allowed"


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"name": ""}, "params.name"),
        ({"name": "a..b"}, "parts with 1 to 63"),
        ({"name": "x" * 64 + ".com"}, "parts with 1 to 63"),
        ({"name": "a b.com"}, "letters, digits"),
        ({"name": "https://example.com/"}, "letters, digits"),
        ({"name": "\u2028.com"}, "params.name"),
        ({"name": "a.com", "recordType": "ANY"}, "params.recordType"),
        ({"name": "a.com", "recordType": "AXFR"}, "params.recordType"),
        ({"name": "a.com", "expect": ["nonsense"]}, "an A record is an address in numbers"),
        ({"name": "a.com", "expect": ["2001:db8::1"]}, "no address of IPv6"),
        ({"name": "a.com", "recordType": "MX", "contains": ["10 a b c!"]}, "a name in it"),
        ({"name": "a.com", "recordType": "SOA", "contains": ["ns1.a.com"]}, "has seven fields"),
        ({"name": "a.com", "count": 0, "expect": ["192.0.2.1"]}, "leave out expect"),
        ({"name": "a.com", "count": -1}, "params.count"),
        ({"name": "a.com", "server": "dns.google"}, "in numbers, such as 1.1.1.1"),
        ({"name": "a.com", "server": "1.1.1.1:5353"}, "in numbers"),
        ({"name": "a.com", "port": 53}, "params.port"),
    ],
)
def test_params_that_are_wrong_are_refused_when_saved(params: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError) as caught:
        check_params("dns_check", params)
    assert why in str(caught.value)


def test_a_question_is_what_the_library_would_ask() -> None:
    theirs = dns.message.make_query("_dmarc.example.com.", "CAA", use_edns=False, id=4660)

    assert build_query(4660, "_dmarc.example.com", "CAA") == theirs.to_wire()


def test_the_servers_of_the_machine(tmp_path: Any) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# nameserver 9.9.9.9\nsearch lan\nnameserver 192.0.2.53\nnameserver  ::1 x\nnameserver\n"
    )

    assert read_system_servers(path) == ["192.0.2.53", "::1"]
    assert read_system_servers(tmp_path / "none") == []
