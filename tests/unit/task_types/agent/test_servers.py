"""A corpus of what models' servers do: each case on loopback, with what is to come of it.

A comment with a number names the public report that a case is from; facts only. Cases without a number
are known habits of servers, for which no report was looked up. The client before pydantic-ai failed in 49
of the first 73 cases, judged by what is expected here (words of faults and three tries included).
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from functions.domain.run import Outcome
from functions.domain.types import OutcomeKind
from tests.fakes.llm_server import Answer, finds, refuses, says, sends
from tests.support.peers import answer
from tests.unit.task_types.agent.conftest import Agent

pytestmark = pytest.mark.slow  # many requests, or many files: seconds of a processor together

MakeAgent = Callable[..., Awaitable[Agent]]

RIPE = {"title": "Ripe", "url": "https://example.com/ripe", "text": "Yes.", "score": 0.9}
RESULT = {"summary": "Found it", "items": [RIPE]}
TEXT = json.dumps(RESULT)
DRAFT = json.dumps({"summary": "draft", "items": []})
LOOKS = {"tools": ["http_get"], "hosts": ["127.0.0.1"]}


def sent(document: Any, *, status: int = 200, content_type: str = "application/json") -> Answer:
    body = document if isinstance(document, str) else json.dumps(document)
    return sends(body.encode(), status=status, content_type=content_type)


def completion(message: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **message}, **others}]}


def events(*deltas: Mapping[str, Any]) -> str:
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return ": comment\n\n" + "".join(lines) + "data: [DONE]\n\n"


def wants(condition: Callable[[Mapping[str, Any]], bool], status: int, refusal: Any, then: Answer) -> Answer:
    """Answers *then* to a request that meets *condition*, and refuses every other."""

    async def answering(request: web.Request, body: Mapping[str, Any]) -> web.StreamResponse:
        return await (then if condition(body) else sent(refusal, status=status))(request, body)

    return answering


def bound(body: Mapping[str, Any]) -> int:
    return int(body.get("max_tokens") or body.get("max_completion_tokens") or 0)


def alternates(body: Mapping[str, Any]) -> bool:
    """Whether user and assistant take turns after one optional system message, tools aside."""
    roles = [message["role"] for message in body["messages"]]
    roles = roles[1:] if roles[0] == "system" else roles
    turns = [role for role in roles if role != "tool"]
    after_tool = [two for one, two in pairwise(roles) if one == "tool"]
    talk = [role for role in turns if role == "user"]
    return (
        "system" not in turns
        and "user" not in after_tool
        and all((one, two) != ("user", "user") for one, two in pairwise(turns))
        and bool(talk)
    )


# -- what is a result ------------------------------------------------------------------------------------

FOUND: dict[str, Answer] = {
    # langchain 35530, n8n: a draft within the thoughts
    "a draft in the thoughts": says(f"<think>{DRAFT} hm, no</think>{TEXT}"),
    # vLLM, DeepSeek R1's template opens the thought itself
    "thoughts without their start": says(f"{DRAFT} is wrong\n</think>\n\n{TEXT}"),
    # ollama, thoughts in a field of their own
    "thoughts in a field": sent(completion({"content": TEXT, "reasoning_content": DRAFT})),
    # gpt-oss behind servers that leave its channels in
    "channels": says(f"<|channel|>analysis<|message|>{DRAFT}<|end|><|channel|>final<|message|>{TEXT}"),
    # tags that are text; a client that cut them spoilt the answer
    "tags within a text": says(json.dumps({**RESULT, "note": "</think> closes it"})),
    # gbrain 2364, honcho 824: a fence, and words around it
    "a fence": says(f"Sure:\n```json\n{TEXT}\n```\nAnything else?"),
    # n8n 21174: fences within the texts
    "a fence within a text": says(json.dumps({**RESULT, "extra": "```sh\nls\n```"})),
    # pr-reviewer-action 449: line breaks within texts
    "line breaks within a text": says(
        '{"summary": "Found it", "items": [{"title": "Ripe", "text": "a\nb"}]}'
    ),
    # ollama, small models: Python's quotes
    "single quotes": says("{'summary': 'Found it', 'items': [{'title': 'Ripe', 'score': None}]}"),
    # litellm, instructor: commas too many
    "trailing commas": says('{"summary": "Found it", "items": [{"title": "Ripe",},],}'),
    # two objects, the second corrects the first
    "two objects": says(f"{DRAFT}\nWait, better:\n{TEXT}"),
    # a list instead of an object
    "a list": says(json.dumps([RIPE])),
    # pydantic-ai, Mistral at Albert: content in parts
    "content in parts": sent(completion({"content": [{"type": "text", "text": TEXT}, {"type": "ref"}]})),
    # Databricks, proxies of the newer interface: parts of another name
    "content in parts of output": sent(completion({"content": [{"type": "output_text", "text": TEXT}]})),
    "content in one part": sent(completion({"content": {"type": "text", "text": TEXT}})),
    # the JSON that was asked for, as JSON and not as a text
    "content as an object": sent(completion({"content": RESULT})),
    # openai-python: usage null, ids null
    "null fields": sent(completion({"content": TEXT}, finish_reason=None) | {"usage": None, "id": None}),
    # ollama: no finish_reason, no created, no model
    "hardly any fields": sent({"choices": [{"message": {"content": TEXT}}]}),
    # LiteLLM, vLLM: an unknown finish_reason
    "an unknown reason": says(TEXT, finish="eos_token"),
    # LiteLLM: a stream of events nobody asked for
    "a stream": sent(events({"content": TEXT[:9]}, {"content": TEXT[9:]}), content_type="text/event-stream"),
    # proxies: the same with another content type
    "a stream as text": sent(events({"content": TEXT}), content_type="text/plain"),
    # proxies: no stream, and called one
    "a document called a stream": sent(completion({"content": TEXT}), content_type="text/event-stream"),
    # JavaScript writes these signs as they are, and Python ends lines there
    "a stream with line separators in a text": sent(
        "data: "
        + json.dumps(
            completion({"content": TEXT.replace("Found", "\u2028Found\x85\x0c")}), ensure_ascii=False
        )
        + "\n\ndata: [DONE]\n\n",
        content_type="text/event-stream",
    ),
    # a byte order mark before the JSON
    "a byte order mark": sent("\ufeff" + json.dumps(completion({"content": TEXT}))),
    # usage with negative or textual counts
    "odd usage": sent(
        completion({"content": TEXT}) | {"usage": {"prompt_tokens": "9", "completion_tokens": -1}}
    ),
}


@pytest.mark.parametrize("case", FOUND)
async def test_the_result_is_found(agent: MakeAgent, case: str) -> None:
    one = await agent(FOUND[case])

    outcome = await one.run()

    assert (OutcomeKind.SUCCEEDED, ["Ripe"]) == (outcome.kind, [item["title"] for item in outcome.items])
    assert outcome.metrics["promptTokens"] > 0
    assert 1 == len(one.model.asked)


# -- what is no result, and never "found nothing" ----------------------------------------------------------

NOTHING: dict[str, tuple[Answer, str]] = {
    "no content": (sent(completion({"content": None})), "not the required JSON"),
    "only thoughts": (says("<think>I look"), "not the required JSON"),
    "a draft in thoughts without end": (says(f"<think>first {DRAFT} then"), "not the required JSON"),
    "items that are none": (says('{"items": [7, null, {}]}'), "not the required JSON"),
    "an empty summary": (says('{"summary": ""}'), "not the required JSON"),
    "brackets in prose": (says("I could not look: [] was all I got"), "not the required JSON"),
    "a unicode escape that is cut": (says('{"summary": "\\u00'), "not the required JSON"),
    "an item of something cut off": (
        says('{"items": [{"title": "Ripe", "summary": "x"}, {"ti'),
        "not the required JSON",
    ),
    "cut off": (says('{"summary": "Fou', finish="length"), "cut off"),
    # vLLM, reasoning models: all tokens went into thoughts
    "cut off in thoughts": (says("<think>I", finish="length"), "cut off"),
    "a refusal": (sent(completion({"content": None, "refusal": "I cannot."})), "withheld"),
    "a content filter": (says("", finish="content_filter"), "withheld"),
    "no choices": (sent({"choices": []}), "no reply at all: its choices are empty"),
    "choices null": (sent({"choices": None, "id": "1"}), "no reply at all: its choices are empty"),
    "tools that nobody offered": (
        says("", calls=(("web_search", {}),)),
        "called tools, which the task has not",
    ),
}


@pytest.mark.parametrize("count", [10**12, -1, float("inf"), True, "9"])
async def test_a_count_of_tokens_that_cannot_be_true_is_estimated(agent: MakeAgent, count: object) -> None:
    """A wrong count would take all credits of the owner."""
    usage = {"prompt_tokens": count, "completion_tokens": 9}
    one = await agent(sent(completion({"content": TEXT}) | {"usage": usage}))

    outcome = await one.run()

    assert (True, True) == (outcome.metrics["tokensEstimated"], outcome.metrics["promptTokens"] < 10_000)


@pytest.mark.parametrize("case", NOTHING)
async def test_what_is_no_result_is_a_failure(agent: MakeAgent, case: str) -> None:
    reply, said = NOTHING[case]
    one = await agent(reply)

    outcome = await one.run()

    assert OutcomeKind.FAILED is outcome.kind
    assert said in outcome.summary
    assert [] == one.model.faults


# -- faults ------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[Answer, bool, str]] = {
    # mini-swe-agent 902, OpenJarvis 970 (OpenRouter)
    "502 in a 200": (
        sent({"error": {"message": "Upstream is ill", "code": 502}}),
        False,
        "(502): Upstream is ill",
    ),
    "429 in a 200": (sent({"error": {"code": 429, "message": "Slow down"}}), False, "busy (429): Slow down"),
    "a code in words": (
        sent({"error": {"code": "rate_limit_exceeded", "message": "Slow"}}),
        False,
        "(429): Slow",
    ),
    "no credit in a 200": (sent({"error": {"code": 402, "message": "Pay"}}), True, "no credit left"),
    "a wrong key in a 200": (
        sent({"error": {"type": "invalid_api_key", "message": "Key?"}}),
        True,
        "LLM_API_KEY",
    ),
    # OpenAI from some countries, OpenRouter's moderation: it is not the key
    "no access": (
        sent({"error": {"code": "x", "message": "Country not supported"}}, status=403),
        True,
        "refused access (403): Country not supported",
    ),
    "a firewall": (sent("<html>", status=403, content_type="text/html"), True, "(403); check LLM_API_KEY"),
    "a fault called a stream": (
        sent({"error": {"message": "Slow down"}}, status=429, content_type="text/event-stream"),
        False,
        "busy (429): Slow down",
    ),
    # vLLM: {"object": "error", ...}
    "a flat object": (sent({"object": "error", "message": "Too bad", "code": 400}), True, "(400): Too bad"),
    # Gemini: a list of one
    "a list": (
        sent([{"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}]),
        False,
        "Quota",
    ),
    "a list with its status": (
        sent([{"error": {"code": 400, "message": "Bad key"}}], status=400),
        True,
        "Bad key",
    ),
    # ollama 14795: the error is a text
    "a text": (sent({"error": "model is loading"}), False, "model is loading"),
    # FastAPI
    "a detail": (
        sent({"detail": [{"msg": "field required", "loc": ["body"]}]}, status=422),
        True,
        "field required",
    ),
    # MiniMax
    "a base_resp": (sent({"base_resp": {"status_code": 1008, "status_msg": "ill"}}), False, "ill"),
    # OpenRouter: the fault is in the choice
    "in the choice": (
        sent({"choices": [{"error": {"code": 502, "message": "Gone"}, "message": {"content": ""}}]}),
        False,
        "(502): Gone",
    ),
    # a fault in the middle of a stream
    "in a stream": (
        sent('data: {"error": {"message": "Broke", "code": 500}}\n\n', content_type="text/event-stream"),
        False,
        "Broke",
    ),
    "a page of a proxy": (sent("<html>Bad gateway", status=502, content_type="text/html"), False, "(502)"),
    "a page of a proxy with a title": (
        sent("<html><head>\n<title>502 Bad Gateway</title>", status=502, content_type="text/html"),
        False,
        "(502): 502 Bad Gateway",
    ),
    "a page called a text": (
        sent("<h1>No backend</h1>", status=503, content_type="text/plain"),
        False,
        "(503): No backend",
    ),
    "a page in a fault": (
        sent({"error": {"message": "<html><body><p>Gone</p>", "code": 502}}, status=502),
        False,
        "(502): Gone",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
async def test_a_fault_is_told_in_the_servers_words(agent: MakeAgent, case: str) -> None:
    reply, permanent, said = FAULTS[case]
    one = await agent(reply)

    outcome = await one.run()

    assert (OutcomeKind.FAILED, permanent) == (outcome.kind, outcome.permanent)
    assert said in outcome.summary
    assert "<" not in outcome.summary
    assert (1 if permanent else 3) == len(one.model.asked)


async def test_a_fault_that_passes_is_waited_for(agent: MakeAgent) -> None:
    one = await agent(sent({"error": {"code": 429, "message": "Slow"}}), refuses(503), finds(RIPE))

    assert OutcomeKind.SUCCEEDED is (await one.run()).kind


# -- requests that a server refuses ------------------------------------------------------------------------

TOO_LONG = "This model's maximum context length is 8192 tokens. However, you requested 8900 tokens"
REFUSED: dict[str, Answer] = {
    # emmethalm 6, vLLM: a context of 8k
    "a context of 8k": wants(
        lambda body: bound(body) < 7000, 400, {"error": {"message": TOO_LONG}}, finds(RIPE)
    ),
    # OpenAI: at most 4,096 of a reply
    "4,096 of a reply": wants(
        lambda body: bound(body) <= 4096,
        400,
        {
            "error": {
                "message": "max_tokens is too large: 8192. This model supports at most 4096 completion tokens"
            }
        },
        finds(RIPE),
    ),
    # vLLM's flat error
    "1,024 of a reply": wants(
        lambda body: bound(body) <= 1024, 400, {"object": "error", "message": TOO_LONG}, finds(RIPE)
    ),
    # Mistral: max_completion_tokens is unknown there
    "the newer field alone": wants(
        lambda body: "max_completion_tokens" in body,
        400,
        {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}},
        finds(RIPE),
    ),
    # browser-use 1237, autogen 1037: no role for instructions
    "no system role": wants(
        lambda body: all(one["role"] != "system" for one in body["messages"]),
        400,
        {"error": {"message": "System role not supported"}},
        finds(RIPE),
    ),
    # newer o-models behind proxies: "temperature", "developer", "response_format" are never sent
    "strict about fields": wants(
        lambda body: (
            not {"temperature", "response_format", "parallel_tool_calls", "store"} & body.keys()
            and all(one["role"] != "developer" for one in body["messages"])
        ),
        400,
        {"error": {"message": "Unknown field"}},
        finds(RIPE),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_a_server_refuses_is_asked_in_another_way(agent: MakeAgent, case: str) -> None:
    one = await agent(REFUSED[case])

    first = await one.run()
    before = len(one.model.asked)
    second = await one.run({"silentWhenNothingNew": False})

    assert (OutcomeKind.SUCCEEDED, OutcomeKind.SUCCEEDED) == (first.kind, second.kind), first.summary
    assert before <= 5
    if case != "no system role":
        assert before + 1 == len(one.model.asked), "it is remembered"


async def test_a_request_that_stays_too_long_ends(agent: MakeAgent) -> None:
    one = await agent(refuses(400, TOO_LONG))

    outcome = await one.run()

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert TOO_LONG[:60] in outcome.summary
    assert len(one.model.asked) <= 12


async def run_with_tools(one: Agent, *replies: Answer, **params: Any) -> Outcome:
    one.model.answers = list(replies)
    return await one.run(LOOKS | params)


def strict(then: Answer) -> Answer:
    return wants(
        alternates, 400, {"object": "error", "message": "After the tool, roles must take turns"}, then
    )


# vLLM 6862, TGI 3198, suitenumerique 197
@pytest.mark.parametrize("last", ["an answer", "no JSON, then an answer", "nothing, then an answer"])
async def test_agents_with_tools_run_where_roles_must_take_turns(agent: MakeAgent, last: str) -> None:
    one = await agent(finds(RIPE))
    site = await one.serves(answer())
    call = says("", calls=(("http_get", {"url": f"http://127.0.0.1:{site.port}/"}),))
    between = {
        "an answer": (),
        "no JSON, then an answer": (says("Ripe!"),),
        "nothing, then an answer": (says(""),),
    }
    replies = (says("plan"), call, call, *between[last], finds(RIPE))

    outcome = await run_with_tools(one, *map(strict, replies), maxSteps=2)

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
    assert [] == one.model.faults


def readable(body: Mapping[str, Any]) -> bool:
    calls = [call for one in body["messages"] for call in one.get("tool_calls") or ()]
    try:
        return all(isinstance(json.loads(call["function"]["arguments"]), dict) for call in calls)
    except ValueError:
        return False


# agno 10254, llm 1521, ollama
@pytest.mark.parametrize("arguments", ['{"url": "https://exa', "", "null", "[1]", '"https://example.com/"'])
@pytest.mark.parametrize("finish", ["tool_calls", "length"])
async def test_arguments_that_are_cut_off_go_back_to_the_model(
    agent: MakeAgent, arguments: str, finish: str
) -> None:
    one = await agent(finds(RIPE))
    refusal = {"error": {"message": "invalid arguments: unexpected end of JSON input"}}
    last = wants(readable, 400, refusal, finds(RIPE))

    outcome = await run_with_tools(
        one, says("plan"), says("", calls=(("http_get", arguments),), finish=finish), last
    )

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
    told = [message["content"] for message in one.model.asked[-1]["messages"] if message["role"] == "tool"]
    assert 'The arguments must be JSON such as {"url": "https://..."}' == told[0]


async def test_calls_without_ids_or_with_one_id_are_told_apart(agent: MakeAgent) -> None:
    """Gemini and ollama leave ids out; some servers number each from 0."""
    one = await agent(finds(RIPE))
    calls = [{"id": id_, "function": {"name": "http_get", "arguments": {}}} for id_ in (None, "a", "a")]

    outcome = await run_with_tools(
        one, says("plan"), sent(completion({"content": None, "tool_calls": calls})), finds(RIPE)
    )

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
    assert [] == one.model.faults


async def test_a_model_without_tools_is_told_as_such(agent: MakeAgent) -> None:
    """ollama 11131, 14795: what was to be looked up would be invented."""
    one = await agent(sent({"error": {"message": "little-model does not support tools"}}, status=400))

    outcome = await one.run(LOOKS)

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert "does not support tools" in outcome.summary


async def test_a_tool_loop_without_end_ends(agent: MakeAgent) -> None:
    one = await agent(finds(RIPE))
    call = says("", calls=(("http_get", {"url": "http://127.0.0.1:9/"}),))

    outcome = await run_with_tools(one, says("plan"), call, maxSteps=3)

    assert "The model called more tools than maxSteps allows, and gave no answer" == outcome.summary
    assert 6 == len(one.model.asked)


async def test_a_tool_call_in_a_stream_is_made(agent: MakeAgent) -> None:
    one = await agent(finds(RIPE))
    site = await one.serves(answer())
    url = f"http://127.0.0.1:{site.port}/"
    head = {"index": 0, "id": "c1", "function": {"name": "http_get", "arguments": '{"url": '}}
    tail = {"index": 0, "function": {"arguments": f'"{url}"}}'}}
    stream = sent(events({"tool_calls": [head]}, {"tool_calls": [tail]}), content_type="text/event-stream")

    outcome = await run_with_tools(one, says("plan"), stream, finds(RIPE))

    assert (OutcomeKind.SUCCEEDED, 1) == (outcome.kind, len(site.requests))
