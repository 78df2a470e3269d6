"""A plain client of the local Bitable, for tests of its rules: it sends what it is told and hides nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.fakes.bitable import FakeBitable, Table

APPS = "/open-apis/bitable/v1/apps"
Answer = tuple[int, Any]


class Client:
    """Calls with one token; an answer is the HTTP status and the whole JSON."""

    def __init__(self, feishu: FakeBitable, session: aiohttp.ClientSession) -> None:
        self._feishu, self._session = feishu, session
        self.token = ""

    @classmethod
    @asynccontextmanager
    async def signed_in(cls, feishu: FakeBitable) -> AsyncIterator["Client"]:
        async with aiohttp.ClientSession() as session:
            client = cls(feishu, session)
            await client.sign_in()
            yield client

    async def sign_in(self) -> Answer:
        """Fetch a token, and use it from now on."""
        body = {"app_id": self._feishu.app_id, "app_secret": self._feishu.app_secret}
        status, answer = await self.call("POST", "/open-apis/auth/v3/tenant_access_token/internal", body=body)
        self.token = answer.get("tenant_access_token", "")
        return status, answer

    async def call(
        self, method: str, path: str, *, body: Any = None, query: dict[str, str] | None = None
    ) -> Answer:
        """One request, as it is."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self._session.request(
            method, self._feishu.url + path, json=body, params=query, headers=headers
        ) as response:
            return response.status, await response.json()

    async def records(
        self, table: Table, call: str, *, query: dict[str, str] | None = None, **body: Any
    ) -> Answer:
        """POST to one of the calls on records."""
        path = f"{APPS}/{table.base.app_token}/tables/{table.table_id}/records/{call}"
        return await self.call("POST", path, body=body, query=query)

    async def data(self, table: Table, call: str, *, query: dict[str, str] | None = None, **body: Any) -> Any:
        """The data of a call on records that succeeds."""
        status, answer = await self.records(table, call, query=query, **body)
        assert (200, 0) == (status, answer["code"]), answer
        return answer["data"]
