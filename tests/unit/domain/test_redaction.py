"""Redaction: no form of a secret survives, and innocent sentences do."""

import html
import json
import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from functions.domain.redaction import Redactor, redact

CANARY = "c4nary/Secret+value="


@pytest.mark.parametrize(
    "spelt",
    [
        CANARY,
        quote(CANARY),
        quote(CANARY, safe=""),
        quote(CANARY, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d"),
        json.dumps(CANARY),
    ],
)
def test_known_secret_is_masked_however_it_is_spelt(spelt: str) -> None:
    text = f"could not reach {spelt} today"

    masked = Redactor([CANARY])(text)

    assert "could not reach *** today" == masked.replace('"', "")


@pytest.mark.parametrize("spell", [str.lower, str.upper], ids=["as a host", "in capitals"])
def test_a_secret_is_masked_in_small_letters_and_in_capitals(spell: Callable[[str], str]) -> None:
    masked = Redactor(["Plant-Zq81XK-77"])(f"The name {spell('Plant-Zq81XK-77')}.invalid does not resolve")

    assert "The name ***.invalid does not resolve" == masked


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize("spell", [str, json.dumps, html.escape, quote], ids=lambda spell: spell.__name__)
def test_a_secret_is_masked_where_a_server_misread_its_letters(
    encoding: str, spell: Callable[[str], str]
) -> None:
    """It took the bytes that were sent, which are UTF-8, for an older encoding, and said so in UTF-8."""
    secret = "Pässwörd-übergroß-42"

    masked = Redactor([secret])(f"no user {spell(secret.encode().decode(encoding, 'replace'))} here")

    assert "no user *** here" == masked.replace('"', "")


@pytest.mark.parametrize(
    ("secret", "text", "masked"),
    [
        ("first-key-1\nsecond-key-2", "second-key-2 was used, not first-key-1", "*** was used, not ***"),
        ("https://e.com/t0ken-in-path", "GET /t0ken-in-path failed", "GET /*** failed"),
        ("smtp://u:p%40ssword@mail.example", "535 p@ssword refused", "535 *** refused"),
        ("abcdef", "abcdefabcdef", "******"),
        ("päßwörd", "päßwörd", "***"),
        ('quo"ted-secret', '{"x": "quo\\"ted-secret"}', '{"x": "***"}'),
    ],
)
def test_parts_of_a_setting_are_secret_by_themselves(secret: str, text: str, masked: str) -> None:
    assert masked == redact(text, [secret])


def test_longer_secret_is_masked_whole_when_a_shorter_one_begins_it() -> None:
    assert "***" == redact("secret-one-and-more", ["secret-one", "secret-one-and-more"])


@pytest.mark.parametrize("secret", ["", "    ", "short", "\n"])
def test_short_values_are_not_searched_for(secret: str) -> None:
    """An empty setting must not put a mask between all letters."""
    assert "a short text" == redact("a short text", [secret])


def test_short_path_of_an_address_is_no_secret() -> None:
    assert "notify is down" == redact("notify is down", ["https://example.com/notify"])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("POST https://open.feishu.cn/open-apis/bot/v2/hook/CANARY-1?x=1", "hook/***?x=1"),
        ("https://hooks.slack.com/services/T0/B0/CANARY", "slack.com/services/***"),
        ("https://discord.com/api/webhooks/123/CAN_ARY-x", "/webhooks/123/***"),
        ("https://api.telegram.org/bot123456:CANARY_x-y/sendMessage", "/bot***/sendMessage"),
        ("https://api.telegram.org/bot123456%3ACANARY/x", "/bot***/x"),
        ("https://x.example/?a=1&sig=CANARY&b=2", "?a=1&sig=***&b=2"),
        ("https://x.example/?access_token=CANARY#f", "?access_token=***#f"),
        ("https://x.example/?api_key=CANARY", "?api_key=***"),
        ("https://oapi.dingtalk.com/robot/send?access_token=CANARY&sign=CANARY%3D&x=1", "=***&sign=***&x=1"),
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=CANARY-1", "send?key=***"),
        ("PASSWORD=CANARY.", "PASSWORD=***"),
        ("Authorization: Bearer CANARY.x was refused", "Authorization: *** was refused"),
        ("authorization=Basic CANARY==", "authorization=***"),
        ("{'Authorization': 'Digest u=\"x\", r=CANARY'}", "{'Authorization': '***"),
        ("Authorization: AWS4 Credential=a, Signature=CANARY", "Authorization: ***"),
        ("sent bearer CANARY-123 to it", "sent bearer *** to it"),
        ("https://user:CANARY@example.com/a", "https://***@example.com/a"),
        ("postgres://CANARY@h/db", "postgres://***@h/db"),
        ('{"password": "CANARY \\" CANARY", "x": 1}', '{"password": "***", "x": 1}'),
        ("{'token': 'CANARY'}", "{'token': \"***\"}"),
        ("whsec_CANARY+/=", "***"),
        ("whsec_CANARY", "***"),
        ("POST /bot123456:CANARY/sendMessage", "POST /bot***/sendMessage"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, masked: str) -> None:
    result = redact(text)

    assert "CANARY" not in result
    assert masked in result


@pytest.mark.parametrize(
    "text",
    [
        "SHLVL=1\nPWD=/srv/shop\nOLDPWD=/root",
        '{"PWD": "/srv/shop", "OLDPWD":"/root"}',
        "declare -x PWD='/srv/shop'",
        "CRONFIRE_IDEMPOTENCY_KEY=shop@2026-11-20T12:00:00Z",
        '{"headers": {"Idempotency-Key": "shop@2026-11-20T12:00:00Z"}, "idempotencyKey": "a1"}',
    ],
)
def test_a_folder_and_an_idempotency_key_are_shown(text: str) -> None:
    assert text == redact(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("PWD=hunter-2", "PWD=***"),
        ("Server=db;UID=sa;PWD=/hunter2;Timeout=5", "Server=db;UID=sa;PWD=***;Timeout=5"),
        ("SHOP_PWD=/hunter2 pwd=/hunter2", "SHOP_PWD=*** pwd=***"),
        ('{"pwd": "/hunter2"}', '{"pwd": "***"}'),
        ("PWD=/srv/shop?token=hunter2", "PWD=/srv/shop?token=***"),
        ("IDEMPOTENCY_KEY=a API_KEY=hunter2", "IDEMPOTENCY_KEY=a API_KEY=***"),
    ],
)
def test_a_password_that_is_named_nearly_so_is_masked(text: str, masked: str) -> None:
    assert masked == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Answered 503 Service Unavailable in 512 ms, expected code 200",
        "3 new entries: the robot, the key and the token",
        "See https://example.com/a?b=c&page=2#top",
        "https://example.com/@somebody/post",
        "https://example.com/?design=modern",
        "每日简报：晴，21 °C",
        "",
    ],
)
def test_innocent_sentence_is_left_alone(text: str) -> None:
    assert text == redact(text, ["some-secret-value"])


def test_repr_shows_no_secret() -> None:
    assert "canary" not in repr(Redactor(["canary-secret"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        "a://",
        "bearer ",
        "/webhooks/",
        "authorization:",
        "key':'\\",
        "://a",
        "bot1",
        "key=",
        "hooks.slack.com/a/",
        "%25",
        "&amp;",
        "&#x26;",
        "%26amp%3B",
        "\\u0041",
        "\\",
        "aaaaaa",
        "&a....",
    ],
)
def test_hostile_text_costs_no_more_than_its_length(unit: str) -> None:
    """A response body of 100 KB must not stop the tick."""
    text = unit * (100_000 // len(unit))
    redactor = Redactor(["%25%25%25%25", "a" * 300, "&amp;" * 20, "whatever-it-is"])
    began = time.process_time()

    redactor(text)

    assert time.process_time() - began < 2


def test_known_values_alone_are_masked_where_what_looks_secret_must_stay() -> None:
    assert "*** token=abcdef" == Redactor(["s3cret-canary"]).mask_secrets("s3cret-canary token=abcdef")


# Every spelling of every character, and texts that somebody cut.

ODD = 's3cr&t<a>"b"/c:d@e\'fé你😀%+x'
APOSTROPHES = ("'", "&#39;", "&#x27;", "&#X27;", "&apos;", "&#0039;")
QUOTES = ('"', "&quot;", "&#34;", "&#x22;")


@pytest.mark.parametrize("apostrophe", APOSTROPHES)
@pytest.mark.parametrize("quotation", QUOTES)
def test_secret_is_masked_in_html_however_its_quotation_marks_are_spelt(
    apostrophe: str, quotation: str
) -> None:
    spelt = html.escape(ODD, quote=False).replace("'", apostrophe).replace('"', quotation)

    assert "<p>***</p>" == redact(f"<p>{spelt}</p>", [ODD])


@pytest.mark.parametrize(
    "spelt",
    [
        str(URL("https://e.example").with_path(f"/{ODD}"))[len("https://e.example/") :],
        str(URL("https://e.example").with_query({"q": ODD}))[len("https://e.example/?q=") :],
        quote(ODD, safe="!$&'()*+,;=:@/"),
        quote(ODD, safe="").lower(),
        quote_plus(ODD),
        json.dumps(ODD),
        json.dumps(ODD).replace("&", "\\u0026").replace("<", "\\u003c").replace("/", "\\/"),
        html.escape(json.dumps(ODD)),
        html.escape(quote(ODD, safe="&'")),
        quote(html.escape(ODD)),
        quote(quote(ODD)),
        "".join(f"&#{ord(one)};" for one in ODD),
        html.escape(ODD).replace("é", "&eacute;"),
    ],
)
def test_secret_is_masked_as_urls_and_json_spell_it(spelt: str) -> None:
    assert "s3cr" not in redact(f"called {spelt} in vain", [ODD])


SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    html.escape,
    lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    lambda text: "".join(f"&#x{ord(one):x};" for one in text),
    quote,
    lambda text: quote(text, safe=""),
    lambda text: quote(text, safe="!$&'()*+,;=:@/?"),
    lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    quote_plus,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
)
READINGS: tuple[Callable[[str], str], ...] = (
    str,
    lambda text: re.sub(r"&[#\w]+;", lambda found: html.unescape(found[0]), text),
    unquote,
    unquote_plus,
    lambda text: re.sub(r'\\(["\\/])', r"\1", text),
)
secrets = (
    st.text("abcXYZ019&<>\"'/:@%+= \\é你😀;#.", min_size=6, max_size=40)
    .map(str.strip)
    .filter(lambda text: len(text) >= 6 and "://" not in text)
)
contexts = st.text("-_ \n,|~", max_size=20)


def readings(text: str) -> Iterator[str]:
    """Yield *text* as a program may read it that decodes it twice; half a character is none."""
    for outer in READINGS:
        for inner in READINGS:
            yield without_rest(inner(without_rest(outer(without_rest(text)))))


def without_rest(text: str) -> str:
    """Return *text* without the half of a spelling that it may end with."""
    return re.sub(r"(?:&[#\w]*|%[0-9A-Fa-f]?|\\[ux]?[0-9A-Fa-f]*)$", "", text)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(secrets, st.sampled_from(SPELLINGS), st.sampled_from(SPELLINGS), contexts, contexts, st.data())
def test_no_six_characters_of_a_secret_are_shown_nor_half_of_it_where_its_text_is_cut(
    secret: str,
    inner: Callable[[str], str],
    outer: Callable[[str], str],
    before: str,
    after: str,
    data: st.DataObject,
) -> None:
    text = before + outer(inner(secret)) + after
    start = data.draw(st.integers(0, len(text)), label="start")
    end = data.draw(st.integers(start, len(text)), label="end")

    masked = Redactor([secret]).mask_secrets(text[start:end])

    is_whole = start <= len(before) and end >= len(text) - len(after)
    most = 6 if is_whole else max(6, (len(secret) + 1) // 2)
    parts = {secret[index : index + most] for index in range(len(secret) - most + 1)}
    assert not [part for part in parts for reading in readings(masked) if part in reading]


@pytest.mark.parametrize("end", ["", "…", "..."])
def test_beginning_of_a_secret_that_another_program_cut_is_masked(end: str) -> None:
    key = "cf_0123456789abcdefghijklmnopqrst"

    assert f"no such key: ***{end}" == redact(f"no such key: {key[:20]}{end}", [key])


@pytest.mark.parametrize(
    "text",
    ["see https://", "Restart the services", "services restarted", "It is written as https://hooks."],
)
def test_common_words_at_an_end_are_not_taken_for_a_cut_address(text: str) -> None:
    assert text == redact(text, ["https://hooks.example/services/T000/B000/XXXXXXXX"])


@pytest.mark.parametrize("known", [6, 11, 20, 45])
def test_masks_do_not_tell_the_next_character_of_a_secret(known: int) -> None:
    """Whoever can have texts masked would otherwise try each character after a known beginning."""
    token = "github_pat_" + "A1b2C3d4" * 10
    address = "https://hooks.example/services/T000/B000/XXXXXXXX"
    redact = Redactor([token, address]).mask_secrets

    assert f"it is {token[:known]}" == redact(f"it is {token[:known]}")
    assert address[:-1] == redact(address[:-1])


@pytest.mark.parametrize("start", range(6 * 9 + 20))
def test_a_text_may_begin_within_a_character_that_is_spelt_twice(start: int) -> None:
    secret = '00"😀000000'
    spelt = "".join(
        f"&#x{ord(one):x};" for one in html.escape(secret).encode("ascii", "xmlcharrefreplace").decode()
    )

    masked = Redactor([secret]).mask_secrets(spelt[start:])

    assert "000000" not in html.unescape(html.unescape(masked))
