"""Settings: what is accepted, what is refused, and that no value ever shows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from functions.config.settings import SECRET_VARIABLES, Settings
from functions.errors import SettingsError

SECRET = "live-secret-0123456789-abcdefghij"
PREVIOUS = "previous-secret-0123456789-abcdef"
CANARY = "canary-value-nobody-may-see"


def settings(**env: str) -> Settings:
    return Settings.from_env({"CRON_SECRET": SECRET} | env)


def fault_of(env: Mapping[str, str], *, door: bool = True) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(env, serves_http=door)
    return str(caught.value)


def test_one_secret_is_enough() -> None:
    """Everything else has a default that works on one's own machine."""
    found = settings().model_dump(exclude={"cron_secret"})

    assert {
        "cron_secret_previous": None,
        "api_key": None,
        "oidc_audience": (),
        "oidc_service_accounts": (),
        "store_url": "sqlite:///scheduler.db",
        "settlements": "at_once",
        "firestore_emulator_host": None,
        "default_timezone": "UTC",
        "tick_budget_seconds": 24.0,
        "max_concurrency": 200,
        "feishu_app_id": None,
        "feishu_app_secret": None,
        "feishu_base_url": "https://open.feishu.cn",
        "bitable_keys": False,
        "signing_secret": None,
        "signing_secret_previous": None,
        "feishu_webhook_url": None,
        "feishu_webhook_secret": None,
        "dingtalk_webhook_url": None,
        "dingtalk_secret": None,
        "wecom_webhook_url": None,
        "webhook_url": None,
        "slack_webhook_url": None,
        "discord_webhook_url": None,
        "telegram_bot_token": None,
        "telegram_chat_id": None,
        "teams_webhook_url": None,
        "smtp_url": None,
        "notify_email_to": (),
        "notify_email_from": None,
        "pagerduty_routing_key": None,
        "ntfy_url": None,
        "ntfy_token": None,
        "apprise_urls": None,
        "webhook_secret": None,
        "webhook_secret_previous": None,
        "notice_language": "en",
        "allow_private_networks": False,
        "allow_ports": None,
        "allow_commands": False,
        "python_tasks": (),
        "before_task": None,
        "after_task": None,
        "task_types": (),
        "github_token": None,
        "github_api_url": "https://api.github.com",
        "log_level": "INFO",
        "public_url": None,
        "worker_queue": None,
        "worker_url": None,
        "worker_service_account": None,
        "worker_budget_seconds": 280.0,
        "worker_shares": 4,
        "cloud_tasks_emulator_host": None,
        "events_topic": None,
        "pubsub_emulator_host": None,
        "otel_exporter_otlp_endpoint": None,
        "heartbeat_url": None,
        "late_after_minutes": 0.0,
        "llm_base_url": None,
        "llm_api_key": None,
        "llm_model": None,
        "llm_provider": "openai",
        "agent_mcp_servers": {},
        "credits_per_run": {},
        "credits_per_1k_tokens": 0.0,
        "max_tasks_per_owner": 1000,
    } == found


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        (
            "OIDC_AUDIENCE",
            "https://a.example.com, https://b.example.com,",
            ("https://a.example.com", "https://b.example.com"),
        ),
        ("STORE_URL", "firestore://project/database", "firestore://project/database"),
        ("STORE_URL", "sqlite://:memory:", "sqlite://:memory:"),
        ("CREDITS_PER_RUN", "agent=5, http=0.5,", {"agent": 5.0, "http": 0.5}),
        ("CREDITS_PER_1K_TOKENS", "0.25", 0.25),
        ("LLM_BASE_URL", "http://localhost:11434/v1", "http://localhost:11434/v1"),
        ("DEFAULT_TIMEZONE", "Europe/Riga", "Europe/Riga"),
        ("TICK_BUDGET_SECONDS", "50.5", 50.5),
        ("MAX_CONCURRENCY", "1", 1),
        ("NOTICE_LANGUAGE", "zh", "zh"),
        ("ALLOW_PRIVATE_NETWORKS", "1", True),
        ("ALLOW_PRIVATE_NETWORKS", "true", True),
        ("ALLOW_PRIVATE_NETWORKS", "0", False),
        ("ALLOW_PRIVATE_NETWORKS", "False", False),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("PUBLIC_URL", "https://cronfire.example.com/", "https://cronfire.example.com/"),
        ("NOTIFY_EMAIL_TO", "a@example.com, b@example.com", ("a@example.com", "b@example.com")),
        ("MAX_CONCURRENCY", "", 200),
        ("MAX_CONCURRENCY", "  ", 200),
        ("TICK_BUDGET_SECONDS", " 30 ", 30.0),
    ],
)
def test_a_variable_becomes_its_field(variable: str, value: str, expected: Any) -> None:
    """An empty variable is an absent one: forms and templates leave them empty."""
    found = settings(**{"OIDC_AUDIENCE": "a", "OIDC_SERVICE_ACCOUNTS": "x@example.com", variable: value})

    assert expected == getattr(found, variable.lower())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OIDC_AUDIENCE", ","),
        ("OIDC_SERVICE_ACCOUNTS", " , "),
        ("STORE_URL", f"mongo://{CANARY}"),
        ("STORE_URL", "sqlite://"),
        ("STORE_URL", CANARY),
        ("DEFAULT_TIMEZONE", CANARY),
        ("DEFAULT_TIMEZONE", "Europe"),
        ("DEFAULT_TIMEZONE", "CET"),  # what no task may have
        ("DEFAULT_TIMEZONE", "Etc/GMT+5"),
        ("DEFAULT_TIMEZONE", "../../etc/passwd"),
        ("TICK_BUDGET_SECONDS", CANARY),
        ("TICK_BUDGET_SECONDS", "nan"),
        ("TICK_BUDGET_SECONDS", "inf"),
        ("TICK_BUDGET_SECONDS", "3.9"),
        ("TICK_BUDGET_SECONDS", "3301"),
        ("MAX_CONCURRENCY", "0"),
        ("MAX_CONCURRENCY", "1001"),
        ("MAX_CONCURRENCY", "1.5"),
        ("FEISHU_WEBHOOK_URL", CANARY),
        ("WEBHOOK_URL", f"ftp://{CANARY}"),
        ("WEBHOOK_URL", "https://"),
        ("WEBHOOK_URL", "https:///path"),
        ("NOTICE_LANGUAGE", CANARY),
        ("ALLOW_PRIVATE_NETWORKS", "yes"),
        ("ALLOW_PRIVATE_NETWORKS", "on"),
        ("ALLOW_PRIVATE_NETWORKS", "2"),
        ("LOG_LEVEL", CANARY),
        ("PUBLIC_URL", "javascript:alert(1)"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_not_repeated(variable: str, value: str) -> None:
    env = {
        "CRON_SECRET": SECRET,
        "OIDC_AUDIENCE": "a",
        "OIDC_SERVICE_ACCOUNTS": "x@example.com",
        variable: value,
    }

    fault = fault_of(env)

    assert fault.startswith(f"{variable} must be ")
    assert fault.endswith(".")
    assert "None" not in fault
    assert CANARY not in fault


def test_every_fault_is_said_at_once() -> None:
    """Nobody likes to be told the second mistake after a second deployment."""
    fault = fault_of(
        {
            "CRON_SECRET": "short",
            "MAX_CONCURRENCY": "x",
            "LOG_LEVEL": "x",
            "OIDC_AUDIENCE": "a",
            "WEBHOOK_SECRET_FILE": "/nowhere",
        }
    )

    named = (
        "CRON_SECRET has",
        "MAX_CONCURRENCY must",
        "LOG_LEVEL must",
        "OIDC_SERVICE_ACCOUNTS is missing",
        "WEBHOOK_SECRET_FILE must",
    )
    assert [True] * 5 == [name in fault for name in named]


def test_the_cause_of_a_refusal_holds_no_value() -> None:
    """A traceback shows causes, and the library's own error would print what it was given."""
    with pytest.raises(SettingsError) as caught:
        settings(MAX_CONCURRENCY=CANARY)

    assert caught.value.__cause__ is None
    assert CANARY not in repr(caught.value.__context__)


@pytest.mark.parametrize(
    "secret", ["", "  \n ", "x" * 31, f"{'x' * 31} ", "é" * 40, f"{SECRET} {SECRET}", f"{SECRET}\x01"]
)
def test_a_door_needs_a_secret_that_is_hard_to_guess_and_fits_a_header(secret: str) -> None:
    fault = fault_of({"CRON_SECRET": secret})

    assert fault.startswith("CRON_SECRET ")
    assert "secrets.token_urlsafe(32)" in fault


@pytest.mark.parametrize(
    "key", ["é" * 40, f"{SECRET} {SECRET}", f"{SECRET}\x01", f"{SECRET}.{SECRET}.x", SECRET]
)
def test_an_api_key_that_nobody_could_use_or_pingers_hold_is_refused(key: str) -> None:
    fault = fault_of({"CRON_SECRET": SECRET, "API_KEY": key})

    assert fault.startswith("API_KEY ")
    assert key not in fault


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("docs=https://mcp.example.com", "AGENT_MCP_SERVERS must be JSON such as"),
        ('["https://mcp.example.com"]', "AGENT_MCP_SERVERS must be JSON such as"),
        ('{"Docs!": "https://mcp.example.com"}', "names have 1 to 24 of a-z"),
        ('{"docs": {"command": "npx"}}', "docs: must be an address"),
        ('{"docs": "ftp://mcp.example.com"}', "docs: must be an address that begins with https://"),
        ('{"docs": "https://mcp.example.com/?key=c4nary-value"}', "no user, no query and no secret"),
        (
            '{"docs": {"url": "https://a.example", "headers": {"A": "c4nary-value"}}}',
            "must refer to a secret",
        ),
        (
            '{"docs": {"url": "https://a.example", "headers": {"A:": "{{secret:X}}"}}}',
            "a header has a character",
        ),
        ('{"docs": {"url": "https://a.example", "headers": {"A": "{{secret:X}}"}}}', "set TASK_SECRET_X"),
    ],
)
def test_an_mcp_server_that_could_not_be_asked_is_refused(value: str, said: str) -> None:
    fault = fault_of({"CRON_SECRET": SECRET, "AGENT_MCP_SERVERS": value})

    assert fault.startswith("AGENT_MCP_SERVERS")
    assert said in fault
    assert "c4nary-value" not in fault


def test_mcp_servers_have_addresses_and_headers_with_secrets() -> None:
    given = {
        "docs": "https://a.example/mcp",
        "crm": {"url": "https://b.example", "headers": {"A": "B {{secret:C}}"}},
    }
    env = {"AGENT_MCP_SERVERS": json.dumps(given), "TASK_SECRET_C": "c4nary-token", "CRON_SECRET": SECRET}
    found = Settings.from_env(env)

    servers = found.agent_mcp_servers
    assert ("https://a.example/mcp", "https://b.example") == (servers["docs"].url, servers["crm"].url)
    assert {"A": "B c4nary-token"} == servers["crm"].resolved_headers(found.task_secrets())
    assert {} == servers["docs"].resolved_headers({})


def test_the_retiring_secret_is_no_api_key() -> None:
    retired = "r" * 40

    assert "must differ" in fault_of({"CRON_SECRET": f"{SECRET}\n{retired}", "API_KEY": retired})


def test_thirty_two_characters_are_enough() -> None:
    assert ("x" * 32,) == settings(CRON_SECRET="x" * 32).secrets()


@pytest.mark.parametrize(
    "env",
    [
        {"CRON_SECRET": f"{SECRET}\n{PREVIOUS}"},
        {"CRON_SECRET": f"\r\n {SECRET} \r\n\n {PREVIOUS} \n"},
        {"CRON_SECRET": SECRET, "CRON_SECRET_PREVIOUS": f" {PREVIOUS}\n"},
    ],
)
def test_the_secret_being_retired_has_two_places(env: dict[str, str]) -> None:
    found = Settings.from_env(env)

    assert (SECRET, PREVIOUS) == found.secrets()


@pytest.mark.parametrize(
    "env",
    [
        {"CRON_SECRET": f"{SECRET}\n{PREVIOUS}\n{'z' * 32}"},
        {"CRON_SECRET": f"{SECRET}\n{PREVIOUS}", "CRON_SECRET_PREVIOUS": "z" * 32},
    ],
)
def test_three_secrets_are_one_too_many(env: dict[str, str]) -> None:
    """A secret that somebody forgot to remove is a door left open."""
    assert "two secrets, no more" in fault_of(env)


@pytest.mark.parametrize(
    "env", [{"CRON_SECRET": f"{SECRET}\nshort"}, {"CRON_SECRET": SECRET, "CRON_SECRET_PREVIOUS": "short"}]
)
def test_the_retiring_secret_is_as_strong(env: dict[str, str]) -> None:
    assert fault_of(env).startswith("CRON_SECRET_PREVIOUS has fewer than 32 characters")


def test_the_command_line_needs_no_secret_but_takes_no_weak_one() -> None:
    assert Settings.from_env({}, serves_http=False).cron_secret is None
    assert fault_of({"CRON_SECRET": "short"}, door=False).startswith("CRON_SECRET has")


@pytest.mark.parametrize(
    ("given", "missing"),
    [("OIDC_AUDIENCE", "OIDC_SERVICE_ACCOUNTS"), ("OIDC_SERVICE_ACCOUNTS", "OIDC_AUDIENCE")],
)
def test_half_of_the_id_token_settings_is_refused(given: str, missing: str) -> None:
    """Without an audience any Google token would do, without accounts anybody's."""
    assert fault_of({"CRON_SECRET": SECRET, given: "x"}).startswith(f"{missing} is missing")


@pytest.mark.parametrize("name", SECRET_VARIABLES)
def test_a_secret_may_come_from_a_file(name: str, tmp_path: Path) -> None:
    value = f"https://example.com/{PREVIOUS}" if name.endswith("URL") else PREVIOUS
    (tmp_path / "secret").write_text(f"{value}\n")
    env = {f"{name}_FILE": str(tmp_path / "secret")}

    found = Settings.from_env(env if name == "CRON_SECRET" else env | {"CRON_SECRET": SECRET})

    assert value == getattr(found, name.lower()).get_secret_value()


@pytest.mark.parametrize("content", [None, "", " \n", b"\xff\xfe"])
def test_a_secret_file_that_holds_nothing_readable_is_refused(
    content: str | bytes | None, tmp_path: Path
) -> None:
    """A typing error in a path must not quietly mean "no secret"."""
    path = tmp_path / "secret"
    if isinstance(content, str):
        path.write_text(content)
    elif content is not None:
        path.write_bytes(content)

    fault = fault_of({"CRON_SECRET": SECRET, "WEBHOOK_SECRET_FILE": str(path)})

    assert fault.startswith("WEBHOOK_SECRET_FILE must be the path of a readable file")
    assert str(path) not in fault


def test_a_value_and_a_file_contradict_each_other(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(PREVIOUS)

    fault = fault_of({"CRON_SECRET": SECRET, "CRON_SECRET_FILE": str(tmp_path / "secret")})

    assert fault.startswith("Set CRON_SECRET or CRON_SECRET_FILE, not both.")


def test_only_secrets_come_from_files() -> None:
    assert "sqlite:///scheduler.db" == settings(STORE_URL_FILE="/nowhere").store_url


def test_settings_show_no_secret_and_cannot_be_changed() -> None:
    found = settings(WEBHOOK_URL=f"https://example.com/{CANARY}", WEBHOOK_SECRET=CANARY)

    assert [False, False] == [secret in f"{found!r} {found}" for secret in (SECRET, CANARY)]
    with pytest.raises(ValidationError):
        found.max_concurrency = 1  # type: ignore[misc]  # that is the point


def test_channels_get_their_variables_as_plain_text() -> None:
    env = {
        "WEBHOOK_URL": "https://example.com/x",
        "WEBHOOK_SECRET": CANARY,
        "NOTICE_LANGUAGE": "zh",
        "NOTIFY_EMAIL_TO": "a@example.com,b@example.com",
    }

    assert env == settings(**env).channel_settings()


def test_channels_are_not_told_what_is_none_of_their_business() -> None:
    assert {"NOTICE_LANGUAGE": "en"} == settings(
        OIDC_AUDIENCE="a", OIDC_SERVICE_ACCOUNTS="b@c"
    ).channel_settings()


def test_all_secrets_are_named_for_masking() -> None:
    env = {name: f"https://example.com/{name}-{SECRET}" for name in SECRET_VARIABLES}

    assert set(env.values()) == set(settings(**env).secrets())
    assert {
        "CRON_SECRET",
        "CRON_SECRET_PREVIOUS",
        "SIGNING_SECRET",
        "SIGNING_SECRET_PREVIOUS",
        "API_KEY",
        "FEISHU_APP_SECRET",
        "FEISHU_WEBHOOK_URL",
        "FEISHU_WEBHOOK_SECRET",
        "DINGTALK_WEBHOOK_URL",
        "DINGTALK_SECRET",
        "WECOM_WEBHOOK_URL",
        "WEBHOOK_URL",
        "WEBHOOK_SECRET",
        "WEBHOOK_SECRET_PREVIOUS",
        "SLACK_WEBHOOK_URL",
        "DISCORD_WEBHOOK_URL",
        "TELEGRAM_BOT_TOKEN",
        "TEAMS_WEBHOOK_URL",
        "SMTP_URL",
        "PAGERDUTY_ROUTING_KEY",
        "NTFY_URL",
        "NTFY_TOKEN",
        "APPRISE_URLS",
        "GITHUB_TOKEN",
        "HEARTBEAT_URL",
        "LLM_API_KEY",
    } == set(SECRET_VARIABLES)


QUEUE = "projects/p/locations/l/queues/work"


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({}, "WORKER_URL is missing: .* WORKER_SERVICE_ACCOUNT is missing"),
        ({"WORKER_URL": "https://a.example.com/work"}, "WORKER_SERVICE_ACCOUNT is missing"),
        ({"WORKER_SERVICE_ACCOUNT": "w@p.iam.gserviceaccount.com"}, "WORKER_URL is missing"),
        (
            {"PUBLIC_URL": "https://a.example.com", "WORKER_SERVICE_ACCOUNT": "nobody"},
            "WORKER_SERVICE_ACCOUNT must",
        ),
    ],
)
def test_a_queue_that_could_reach_no_worker_is_refused(variables: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingsError, match=missing):
        settings(WORKER_QUEUE=QUEUE, **variables)


@pytest.mark.parametrize(
    "variables",
    [
        {
            "PUBLIC_URL": "https://a.example.com",
            "WORKER_SERVICE_ACCOUNT": "w@p.iam.gserviceaccount.com",
            "OIDC_AUDIENCE": "https://a.example.com",
            "OIDC_SERVICE_ACCOUNTS": "tick@p.iam.gserviceaccount.com, w@p.iam.gserviceaccount.com",
        },
        {"WORKER_URL": "https://b.example.com/work", "WORKER_SERVICE_ACCOUNT": "w@p.iam.gserviceaccount.com"},
        {"WORKER_URL": "http://127.0.0.1:8080/work", "CLOUD_TASKS_EMULATOR_HOST": "127.0.0.1:9090"},
    ],
)
def test_a_queue_that_can_reach_its_workers_is_accepted(variables: dict[str, str]) -> None:
    assert QUEUE == settings(WORKER_QUEUE=QUEUE, **variables).worker_queue


@pytest.mark.parametrize("missing", ["FEISHU_APP_ID", "FEISHU_APP_SECRET"])
def test_a_table_of_feishu_needs_the_app_it_was_shared_with(missing: str) -> None:
    both = {"FEISHU_APP_ID": "cli_1", "FEISHU_APP_SECRET": CANARY}
    del both[missing]

    fault = fault_of({"CRON_SECRET": SECRET, "STORE_URL": f"bitable://{CANARY}/tbl1"} | both)

    assert f"{missing} is missing: bitable:// is opened with it" in fault
    assert CANARY not in fault


def test_people_read_the_rows_of_a_table_so_none_is_left_behind() -> None:
    table = {
        "STORE_URL": "bitable://base/tbl1",
        "FEISHU_APP_ID": "cli_1",
        "FEISHU_APP_SECRET": "a-secret-of-it",
    }

    fault = fault_of({"CRON_SECRET": SECRET, "SETTLEMENTS": "deferred"} | table)

    assert "SETTLEMENTS must be at_once with bitable://" in fault
    assert "deferred" == settings(SETTLEMENTS="deferred").settlements


def test_what_opens_a_base_is_masked() -> None:
    """Its token stands in the address of the store, and opens it together with any app it is shared with."""
    both = {"FEISHU_APP_ID": "cli_1", "FEISHU_APP_SECRET": "another-secret"}

    assert CANARY in settings(STORE_URL=f"bitable://{CANARY}/tbl1", **both).secrets()
    assert set(settings().secrets()) == {SECRET}
