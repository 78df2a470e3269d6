"""The endpoint that settings ask for."""

import pytest

from functions.config.settings import Settings
from functions.web.factory import create_app
from tests.unit.web.asgi import ask
from tests.unit.web.fakes import ACCOUNT, AUDIENCE, RETIRING, SECRET, FakeWired, id_token

OIDC = {"OIDC_AUDIENCE": AUDIENCE, "OIDC_SERVICE_ACCOUNTS": ACCOUNT}


async def test_both_secrets_of_the_settings_open_it_for_the_time_set() -> None:
    wired = FakeWired()
    env = {"CRON_SECRET": SECRET, "CRON_SECRET_PREVIOUS": RETIRING, "TICK_BUDGET_SECONDS": "10"}
    door = create_app(Settings.from_env(env), lambda: wired)

    answers = [
        await ask(door, "POST", "/tick", ("Authorization", f"Bearer {token}"))
        for token in (SECRET, RETIRING, "None")
    ]

    assert [200, 200, 401] == [answer.status for answer in answers]
    assert [10, 10] == [
        round(budget.response_limit.total_seconds()) for budget in wired.budgets if budget.response_limit
    ]


@pytest.mark.parametrize(("oidc", "reason"), [({}, "wrong_secret"), (OIDC, "wrong_algorithm_or_key")])
async def test_id_tokens_are_looked_at_only_when_settings_say_whose(
    oidc: dict[str, str], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    door = create_app(Settings.from_env({"CRON_SECRET": SECRET} | oidc), FakeWired)
    token = id_token(header={"alg": "none"})

    answer = await ask(door, "POST", "/tick", ("Authorization", f"Bearer {token}"))

    assert 401 == answer.status
    assert [reason] == [vars(record)["reason"] for record in caplog.records]


def test_settings_of_the_command_line_open_no_door() -> None:
    with pytest.raises(ValueError, match="CRON_SECRET"):
        create_app(Settings.from_env({}, serves_http=False), FakeWired)
