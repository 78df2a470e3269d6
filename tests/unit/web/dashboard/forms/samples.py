"""Tasks of every type as the API takes them, with the texts and numbers that forms tend to change."""

import math
from typing import Any

from hypothesis import strategies as st

from functions.domain.task import TaskSpec
from functions.taskfiles.validation import check_task

WILD = [
    "\r\n",
    "\r",
    "\n",
    "\n\n",
    "\t",
    " ",
    "  x  ",
    '"',
    "<b>&amp;",
    "'",
    "{",
    "[",
    "null",
    "é",
    "你好",
    "\u2028",
    "\0",
]
TEXTS = st.lists(st.one_of(st.sampled_from(WILD), st.text(max_size=4)), min_size=1, max_size=5).map("".join)
TEXTS = TEXTS.filter(lambda text: text.encode("utf-8", "ignore").decode() == text)
LINES = st.sampled_from(["a", " b ", "x,y", 'quo"te', "42", "true", "[1]", "ä ö"])
NUMBERS = st.one_of(
    st.integers(min_value=-(10**20), max_value=10**20),
    st.just(1234567890123456789),
    st.floats(allow_nan=False, allow_infinity=False),
    st.just(1.0),
)
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans())
VALUES = st.recursive(
    st.one_of(st.none(), SCALARS, LINES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(LINES, inner, max_size=3)),
    max_leaves=6,
)
OBJECTS = st.dictionaries(LINES, VALUES, max_size=3)
PAIRS = st.dictionaries(LINES, st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), max_size=4)
SECRET = "{{secret:NAME}}"  # a reference
HEADERS = st.dictionaries(
    st.sampled_from(["X-One", "Accept", "x-two"]),
    st.sampled_from(["", "a", " b ", 'a; q="1"', SECRET]),
    max_size=3,
)
STATUSES = st.sampled_from([200, "200-299", [200], [200, "301-308"], "404", ["200", 201]])
URLS = st.sampled_from(
    ["https://example.com/?a=1&b=%20", "http://example.com", f"https://example.com/{SECRET}"]
)
SECONDS = st.one_of(st.sampled_from([1, 2.5, "10", 20.0]), st.integers(1, 300))


WATCHED = st.sampled_from(["news", "required"])
PATTERNS = st.sampled_from(["^a+$", "a|b", " x ", "\\d{3}", SECRET])
PATHS = st.sampled_from(["$", "$.a", "$['a b'][0]", "$[?@.a<2].b", "$..*"])
ONE_RULE = st.one_of(
    st.fixed_dictionaries({"equals": VALUES}),
    st.fixed_dictionaries({"notEquals": VALUES}),
    st.fixed_dictionaries({"contains": VALUES}),
    st.fixed_dictionaries({"matches": PATTERNS}),
    st.fixed_dictionaries({"greater": st.sampled_from([1, 2.5, "3", -1e9])}),
    st.fixed_dictionaries({"length": st.sampled_from([0, 3, {"greater": 1}, {"greater": 0, "less": 9}])}),
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.fixed_dictionaries({"changed": WATCHED}),
    st.fixed_dictionaries({"greater": st.just(1), "less": st.just(2), "matches": st.none()}),
)
JSON_RULES = st.lists(
    st.builds(lambda path, rule: {"path": path} | rule, PATHS, ONE_RULE), min_size=1, max_size=3
)
HEADER_RULES = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["ETag", "x-two"]), "equals": st.sampled_from(["", "5", " b ", 'a; q="1"'])}
    )
    | st.fixed_dictionaries({"name": st.just("ETag"), "exists": st.booleans()}),
    min_size=1,
    max_size=3,
)
TEXT_RULES = st.fixed_dictionaries(
    {"matches": PATTERNS},
    optional={
        "equals": st.one_of(st.none(), TEXTS),
        "contains": st.one_of(LINES, st.lists(LINES, min_size=1, max_size=3)),
        "notContains": st.one_of(st.none(), LINES),
        "sha256": st.just("0" * 64),
        "changed": WATCHED,
    },
)
SCHEMAS = st.sampled_from([{}, {"type": "object", "required": ["a"]}, {"const": "x\ny"}])
RESPONSES = st.fixed_dictionaries(
    {"headers": HEADER_RULES},
    optional={
        "latencyMs": st.sampled_from([None, 500, "500"]),
        "body": st.none() | TEXT_RULES,
        "json": JSON_RULES,
        "schema": st.none() | SCHEMAS,
    },
)
ENDS = st.fixed_dictionaries(
    {"stdout": TEXT_RULES},
    optional={
        "exitCode": st.sampled_from([0, [0, 2], None]),
        "stderr": st.none() | TEXT_RULES,
        "json": JSON_RULES,
    },
)
RETURNED = st.fixed_dictionaries({"json": JSON_RULES}, optional={"schema": SCHEMAS})


def _params(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


PARAMS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "http": _params(
        {"url": URLS},
        method=st.sampled_from(["GET", "POST", "PUT"]),
        headers=HEADERS,
        query=PAIRS,
        auth=st.sampled_from(
            [None, {"bearer": SECRET}, {"bearer": None, "basic": {"user": "me", "password": SECRET}}]
        ),
        body=st.one_of(st.none(), TEXTS),
        expectedStatus=STATUSES,
        bodyContains=st.one_of(st.none(), TEXTS),
        expect=st.none() | RESPONSES,
        timeoutSeconds=SECONDS,
        followRedirects=st.sampled_from([None, True, False]),
    )
    | _params({"url": URLS, "json": VALUES}, jsonPointer=st.just("/a"), expectedStatus=STATUSES)
    | _params(
        {"url": URLS, "jsonPointer": st.just("/a"), "equals": VALUES}, form=st.one_of(st.none(), PAIRS)
    ),
    "health_check_url": _params(
        {"url": st.just("https://example.com")},
        headers=HEADERS,
        expectedStatus=STATUSES,
        bodyContains=st.one_of(st.none(), TEXTS),
        certificateDaysLeft=st.sampled_from([None, 14, "14"]),
        expect=st.none() | RESPONSES,
        followRedirects=st.booleans(),
        timeoutSeconds=SECONDS,
    ),
    "rss_watch": _params(
        {"feedUrl": st.just("https://example.com/feed")},
        keywords=st.lists(st.one_of(LINES, TEXTS), max_size=3),
        maxItems=st.integers(1, 20),
        headers=HEADERS,
    ),
    "dns_check": _params(
        {"name": st.sampled_from(["example.com", "_dmarc.example.com", "bücher.example"])},
        recordType=st.just("TXT"),
        expect=st.lists(st.one_of(LINES, TEXTS.filter(str.strip)), max_size=3),
        contains=st.lists(LINES, max_size=2),
        count=st.sampled_from([None, 2]),
        reportChanges=st.booleans(),
        server=st.sampled_from(["", "1.1.1.1", "2606:4700:4700::1111"]),
        timeoutSeconds=SECONDS,
    ),
    "page_watch": _params(
        {"url": st.just("https://example.com")},
        selector=st.sampled_from(["main", '[a="b, c"] > p:nth-child(2)', ".md\\:flex"]),
        ignore=st.lists(st.one_of(LINES, TEXTS.filter(str.strip)), max_size=3),
        ignoreNumbers=st.booleans(),
        whenMissing=st.sampled_from(["fail", "ignore"]),
        reportReturns=st.booleans(),
        headers=HEADERS,
        timeoutSeconds=SECONDS,
    ),
    "agent": _params(
        {"goal": TEXTS},
        system=TEXTS,
        model=st.sampled_from([None, "m"]),
        tools=st.sampled_from([[], ["rss_read"], ["rss_read", "http_get"]]),
        hosts=st.sampled_from([[], ["example.com", "*.example.org"]]),
        usePreviousResult=st.booleans(),
    )
    | _params({"prompt": TEXTS, "goal": st.none()}),
    "command": _params(
        {"command": st.one_of(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), st.just('["a"]'))},
        shell=st.booleans(),
        env=st.dictionaries(st.sampled_from(["A", "B_C"]), TEXTS, max_size=2),
        stdin=TEXTS,
        workingDirectory=st.sampled_from([None, "/srv", "/with\nline"]),
        successCodes=st.sampled_from([[0], [0, 3], ["0"]]),
    )
    | _params({"command": st.just("true"), "expect": ENDS}),
    "daily_briefing": _params({}, title=LINES, tags=st.lists(LINES, max_size=2), includeNext=st.booleans()),
    "github_dispatch": _params(
        {"repository": st.just("a/b"), "eventType": LINES},
        clientPayload=OBJECTS,
        token=st.sampled_from([None, SECRET]),
    ),
    "tcp_check": _params(
        {"host": st.sampled_from(["db.example.com", "192.0.2.1", "::1"]), "port": st.integers(1, 65_535)},
        tls=st.booleans(),
        send=TEXTS,
        expect=st.just("+PONG"),
        maxLatencyMs=st.integers(1, 1000),
    ),
    "tls_check": _params({"host": st.just("example.com")}, port=st.just(993), certificateDaysLeft=st.just(7)),
    "heartbeat": _params({}, graceSeconds=st.integers(0, 90_000), maxSeconds=st.integers(1, 90_000)),
    "publish_event": _params(
        {"eventType": st.just("a.b")},
        data=OBJECTS,
        subject=TEXTS,
        to=st.sampled_from(["", "x"]),
        reach=st.just("owner"),
    ),
    "python": _params(
        {"callable": st.just("a.b:c")},
        args=st.lists(VALUES, max_size=3),
        kwargs=OBJECTS,
        expect=st.none() | RETURNED,
    ),
}

PLAIN = st.text(alphabet="abcäöü \"'<>&,\n\r\t-", min_size=1, max_size=20)
INSTANTS = st.sampled_from(
    [
        None,
        "2027-12-01T09:00:00Z",
        "2027-12-01T09:00:05Z",
        "2027-12-01T09:00:00.123456Z",
        "2027-10-31T00:30:00Z",  # the second pass of a repeated hour in Riga is 01:30Z
        "2027-10-31T01:30:00Z",
    ]
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "on": st.lists(st.sampled_from(["failure", "late", "success", "news"]), max_size=3),
        "channels": st.lists(st.sampled_from(["feishu", "slack", "a,b"]), max_size=2, unique=True),
        "after": st.integers(1, 1000),
        "remind": st.sampled_from(["auto", "never", 3600]),
    },
)
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "description": PLAIN,
    "owner": st.sampled_from(["", "alice"]),
    "tags": st.lists(st.sampled_from(["a", "b c", "x,y", " d", "e\nf"]), max_size=3),
    "after": st.just([{"task": "other", "on": "failure"}]),
    "onEvent": st.sampled_from([[], [{"type": "a.b"}, {"type": "c", "source": "d"}]]),
    "timezone": st.sampled_from(["Europe/Riga", "UTC", "Australia/Lord_Howe"]),
    "endAt": INSTANTS,
    "startAt": st.sampled_from([None, "2026-10-25T00:30:00Z"]),
    "maxRuns": st.sampled_from([None, 1, 1234567890123456789]),
    "misfire": st.sampled_from([{"policy": "skip"}, {"graceSeconds": 30}, {"graceSeconds": "auto"}]),
    "overlap": st.sampled_from(["skip", "queue_one", "queue_all"]),
    "priority": st.sampled_from(["urgent", "low"]),
    "timeoutSeconds": st.sampled_from([0.1, 20, 2999.5]),
    "retry": st.sampled_from([{"maxAttempts": 1}, {"minBackoffSeconds": 1, "maxBackoffSeconds": 2}]),
    "delivery": st.sampled_from(["at_least_once", "at_most_once"]),
    "pauseAfterFailures": st.sampled_from([None, 1, 1000]),
    "budget": st.sampled_from([None, {"creditsPerRun": 0.1}, {"creditsPerMonth": 1e9}]),
    "expectSeconds": st.sampled_from([None, 60, 31_536_000]),
    "notify": st.one_of(st.none(), st.lists(RULES, max_size=3)),
    "enabled": st.booleans(),
}


def specs(type_name: str) -> st.SearchStrategy[TaskSpec]:
    """Tasks of the type that the API takes."""
    fields = st.fixed_dictionaries(
        {
            "id": st.just("sample"),
            "title": PLAIN,
            "type": st.just(type_name),
            "params": PARAMS[type_name],
            "schedule": st.sampled_from(["@daily", " */5 * * * *", "every 15m"]),
        },
        optional=OPTIONAL,
    )
    return fields.map(check_task).filter(lambda found: isinstance(found, TaskSpec))  # type: ignore[return-value]


def same_json(one: Any, other: Any) -> bool:
    """Whether two values are the same, with the order of names, and 1 and 1.0 apart."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same_json(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same_json(a, b) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and (one == other or (one != one and math.isnan(other)))
