"""httpx transports between a vendor's SDK and the model's server: guarded and bounded."""

import json
from functools import partial

from functions.domain.json_depth import parse_json
from functions.http_client import FetchError
from functions.http_client.httpx import httpx
from functions.parsing.completions import Fault, find_fault, read_completion
from functions.parsing.errors import ParsingStoppedError, UnreadableError
from functions.parsing.pool import MAX_PARSING_S, Parse, parsing_time
from functions.task_types.agent.dialect import Dialect
from functions.task_types.support.context import LanguageModel
from functions.task_types.support.responses import is_truncated

MAX_RESPONSE_BYTES = 1_048_576
MAX_ANSWERED_BYTES = 4000  # that an error about the answer may show some of
MAX_ADAPTATIONS = 3
_NOT_FORWARDED = frozenset({"accept-encoding", "connection", "content-length", "host"})
_REFUSALS = frozenset({400, 404, 422, 500, 501})  # statuses that servers give to a request they cannot read


class UnusableAnswerError(FetchError, httpx.TransportError):
    """The server answered, but not with what its protocol has; *reason* is whole."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        FetchError.__init__(self, reason, permanent=permanent)


class ModelTransport(httpx.AsyncBaseTransport):
    """Sends an SDK's requests through the client that reaches the model's server alone.

    The timeout of a request is its total, the body of an answer is bounded, and no redirect is followed.

    Attributes:
        answered: The beginning of the answer to the last request; empty when none came.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.answered = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer, a fault with the status that it means; errors as from the guarded client."""
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in _NOT_FORWARDED
        }
        response = await self._send(request, headers, await request.aread())
        if response.status_code == 200 and (fault := _find_fault(response.content)):
            response.status_code = fault.status
        return response

    async def _send(self, request: httpx.Request, headers: dict[str, str], body: bytes) -> httpx.Response:
        self.answered = ""
        response = await self._model.http.request(
            request.method,
            str(request.url),
            headers=headers,
            content=body,
            follow_redirects=False,
            timeout=_total_timeout(request),
            extensions={"max_body_bytes": MAX_RESPONSE_BYTES},
        )
        self.answered = response.content[:MAX_ANSWERED_BYTES].decode("utf-8", "replace")
        if is_truncated(response):
            raise UnusableAnswerError("The model's server answered with more than 1 MB")
        if 300 <= response.status_code < 400:  # the SDK would follow it, with the key
            reason = f"The model's server redirects ({response.status_code}): set LLM_BASE_URL to the target"
            raise UnusableAnswerError(reason, permanent=True)
        return httpx.Response(
            response.status_code, headers=response.headers, content=response.content, request=request
        )


class CompletionsTransport(ModelTransport):
    """A `ModelTransport` for servers of OpenAI's chat completions.

    Attributes:
        dialect: What the server is known to accept; learned from its refusals.
    """

    def __init__(self, model: LanguageModel, dialect: Dialect, parse: Parse) -> None:
        super().__init__(model)
        self._parse = parse
        self.dialect = dialect

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return a completion as OpenAI's servers write it, or an error with the server's own words."""
        body = json.loads(await request.aread())
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._model.api_key:
            headers["Authorization"] = f"Bearer {self._model.api_key}"
        for _ in range(MAX_ADAPTATIONS):
            answer = await self._exchange(request, headers, body)
            refused = answer.status_code in _REFUSALS
            other = self.dialect.after_refusal(answer.text) if refused else None
            if other is None:
                return answer
            self.dialect = other
        return await self._exchange(request, headers, body)

    async def _exchange(
        self, request: httpx.Request, headers: dict[str, str], body: object
    ) -> httpx.Response:
        assert isinstance(body, dict)  # the SDK made it
        sent = json.dumps(self.dialect.request(body), ensure_ascii=False).encode("utf-8", "replace")
        response = await self._send(request, headers, sent)
        kind = response.headers.get("content-type", "").lower()
        read = partial(
            read_completion,
            status=response.status_code,
            content_type=kind[:200],
            model=str(body.get("model")),
            keep_thoughts=self.dialect.returns_thoughts,
        )
        try:
            answer = await self._parse(
                read, response.content, timeout_s=parsing_time(_total_timeout(request) or MAX_PARSING_S)
            )
        except ParsingStoppedError as exc:
            raise UnusableAnswerError(f"The model's server: its answer could not be read {exc.why}") from None
        except UnreadableError as exc:
            raise UnusableAnswerError(
                f"The model's server answered with {exc}; if this repeats, check LLM_BASE_URL"
            ) from None
        wait = _wait(response.headers, answer.get("wait_s"))
        return httpx.Response(
            answer["status"],
            headers={"retry-after": wait} if wait else {},
            json=answer["body"],
            request=request,
        )


def _find_fault(document: bytes) -> Fault | None:
    try:
        return find_fault(parse_json(document.decode()))
    except ValueError:
        return None


def _wait(headers: httpx.Headers, wait_s: float | None) -> str:
    """Return the value of `Retry-After`: of Azure's header in milliseconds, or what the fault itself says."""
    milliseconds = headers.get("retry-after-ms", "")
    if milliseconds.isascii() and milliseconds.isdigit():
        return f"{int(milliseconds[:12]) / 1000}"
    return headers.get("retry-after") or ("" if wait_s is None else f"{wait_s:.3f}")


def _total_timeout(request: httpx.Request) -> float | None:
    times = [value for value in request.extensions.get("timeout", {}).values() if value is not None]
    return max(times, default=None)
