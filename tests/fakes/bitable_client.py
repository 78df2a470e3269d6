"""A plain client of the local Bitable, for tests of its rules: it sends what it is told and hides nothing."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.fakes.bitable import Base, FakeBitable, Table

APPS = "/open-apis/bitable/v1/apps"
AUTH = "/open-apis/auth/v3/tenant_access_token/internal"
Query = dict[str, str]


class Client:
    """Calls with one token.

    Attributes:
        headers: Those of the last answer.
    """

    def __init__(self, feishu: FakeBitable, session: aiohttp.ClientSession) -> None:
        self._feishu, self._session = feishu, session
        self.token = ""
        self.headers: Mapping[str, str] = {}

    @classmethod
    @asynccontextmanager
    async def signed_in(cls, feishu: FakeBitable) -> AsyncIterator["Client"]:
        async with aiohttp.ClientSession() as session:
            client = cls(feishu, session)
            await client.sign_in()
            yield client

    async def sign_in(self, secret: str | None = None) -> Any:
        """Fetch a token, and use it from now on; return the answer."""
        body = {"app_id": self._feishu.app_id, "app_secret": secret or self._feishu.app_secret}
        _, answer = await self.call("POST", AUTH, body=body)
        self.token = answer.get("tenant_access_token", self.token)
        return answer

    async def call(
        self, method: str, path: str, *, body: Any = None, query: Query | None = None
    ) -> tuple[int, Any]:
        """One request: the HTTP status, and the JSON of the answer."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = self._feishu.url + path
        async with self._session.request(method, url, json=body, params=query, headers=headers) as response:
            self.headers = response.headers
            return response.status, await response.json()

    async def records(
        self, table: Table, call: str, *, query: Query | None = None, **body: Any
    ) -> tuple[int, Any]:
        """POST to one of the calls on records."""
        return await self.call("POST", f"{path_of(table)}/records/{call}", body=body, query=query)

    async def data(self, table: Table, call: str, *, query: Query | None = None, **body: Any) -> Any:
        """The data of a call on records that succeeds."""
        status, answer = await self.records(table, call, query=query, **body)
        assert (200, 0) == (status, answer["code"]), answer
        return answer["data"]

    async def code(self, table: Table, call: str, *, query: Query | None = None, **body: Any) -> int:
        """The code of a call on records."""
        _, answer = await self.records(table, call, query=query, **body)
        return int(answer["code"])

    async def found(self, table: Table, name: str, **body: Any) -> list[str]:
        """What the rows of a search say in the column *name*, of text."""
        data = await self.data(table, "search", query={"page_size": "500"}, **body)
        return ["".join(piece["text"] for piece in item["fields"].get(name, [])) for item in data["items"]]


def path_of(place: Table | Base) -> str:
    """Where the calls on *place* are."""
    if isinstance(place, Base):
        return f"{APPS}/{place.app_token}"
    return f"{APPS}/{place.base.app_token}/tables/{place.table_id}"
