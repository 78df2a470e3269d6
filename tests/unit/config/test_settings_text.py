"""Settings: what a shell, an editor or a copied page adds to a value, and addresses that name nothing."""

import sys
from pathlib import Path

import pytest

from functions.config.settings import SECRET_VARIABLES, Settings
from functions.errors import SettingsError
from functions.stores import create_store
from functions.stores.bitable.config import FeishuCredentials

SECRET = "live-secret-0123456789-abcdefghij"
SIGNING = "signing-secret-0123456789-abcdefg"
APP = {"FEISHU_APP_ID": "cli_1", "FEISHU_APP_SECRET": "a-secret-of-it"}
ADDRESSES = (
    "PUBLIC_URL",
    "WORKER_URL",
    "HEARTBEAT_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "LLM_BASE_URL",
    "GITHUB_API_URL",
    "FEISHU_BASE_URL",
    "WEBHOOK_URL",
    "NTFY_URL",
)
TOKENS = ("LLM_API_KEY", "GITHUB_TOKEN", "NTFY_TOKEN", "TELEGRAM_BOT_TOKEN", "PAGERDUTY_ROUTING_KEY")


def settings(**env: str) -> Settings:
    return Settings.from_env({"CRON_SECRET": SECRET} | env)


def fault_of(**env: str) -> str:
    with pytest.raises(SettingsError) as refused:
        settings(**env)
    return str(refused.value)


@pytest.mark.parametrize("name", [*SECRET_VARIABLES, "NOTIFY_EMAIL_FROM", "LLM_MODEL"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_around_a_value_are_not_a_part_of_it(name: str, quote: str) -> None:
    """`docker run --env-file` keeps them; the pinger that has the secret without them would get 401."""
    value = f"c4nary-{name.lower()}-0123456789-abcdefghij"

    fault = fault_of(**{name: f"{quote}{value}{quote}"})

    assert f"{name} begins and ends with quotes" in fault
    assert "remove them" in fault
    assert "c4nary" not in fault


def test_quotes_within_a_value_are_a_part_of_it() -> None:
    assert "a'b\"c" == settings(LLM_MODEL="a'b\"c").llm_model
    assert "'" == settings(LLM_MODEL="'").llm_model


def test_bytes_that_are_no_text_are_refused_by_name() -> None:
    fault = fault_of(DEFAULT_TIMEZONE="Europe/\udcff")

    assert "DEFAULT_TIMEZONE holds a character that cannot be seen" in fault


@pytest.mark.parametrize("odd", ["\u200b", "\ufeff", "\u202e", "\x07", "\u00ad"])
def test_a_character_that_cannot_be_seen_is_named_as_such(odd: str) -> None:
    """It comes with what is copied from a page, and makes of one secret two."""
    fault = fault_of(SIGNING_SECRET=f"{SIGNING}{odd}x")

    assert "SIGNING_SECRET holds a character that cannot be seen" in fault
    assert SIGNING not in fault


def test_lists_may_have_lines_and_names_may_have_accents() -> None:
    found = settings(NOTIFY_EMAIL_TO="a@example.com,\r\n\tb@example.com", LLM_MODEL="modèle")

    assert (("a@example.com", "b@example.com"), "modèle") == (found.notify_email_to, found.llm_model)


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("token", ["schl\u00fcssel", "two words", "two\nlines"])
def test_a_token_that_no_header_carries_is_refused(name: str, token: str) -> None:
    fault = fault_of(**{name: token})

    assert fault == f"{name} must be letters, digits and signs of ASCII, without spaces."


def test_a_file_written_on_windows_holds_the_same_secret(tmp_path: Path) -> None:
    """Its editors write a byte order mark first and end lines with two characters."""
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbf" + SIGNING.encode() + b"\r\n")

    found = settings(SIGNING_SECRET_FILE=str(tmp_path / "key"))

    assert found.signing_secret is not None
    assert SIGNING == found.signing_secret.get_secret_value()


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize(
    "address",
    ["https://c4nary:99999", "https://c4nary:port", "http://[c4nary", "https://:443", "https://h:0"],
)
def test_an_address_that_nothing_can_be_sent_to_is_refused(name: str, address: str) -> None:
    fault = fault_of(**{name: address})

    assert f"{name} must be an address that begins with https:// or http://, with a host" in fault
    assert "c4nary" not in fault


@pytest.mark.parametrize(
    "address",
    ["http://[::1]:8080/a?b=c", "https://\u00e9cole.example/x", "http://localhost", "https://a.b:65535"],
)
def test_an_address_with_a_host_is_accepted(address: str) -> None:
    assert address == settings(OTEL_EXPORTER_OTLP_ENDPOINT=address).otel_exporter_otlp_endpoint


@pytest.mark.parametrize(
    "address",
    [
        "https://c4nary@a.b",
        "https://u:c4nary@a.b",
        "https://a.b?c4nary",
        "https://a.b/#c4nary",
        "https://a.b/dashboard/",
    ],
)
def test_an_address_that_no_link_can_begin_with_is_refused(address: str) -> None:
    fault = fault_of(PUBLIC_URL=address)

    assert fault.startswith("PUBLIC_URL must be an address that begins with")
    assert "without user name, ?, # and /dashboard" in fault
    assert "c4nary" not in fault


@pytest.mark.parametrize(
    "address", ["https://a.b/", "https://a-b.cloudfunctions.net/cronfire", "http://[::1]:8080"]
)
def test_an_address_that_links_begin_with_may_have_a_path(address: str) -> None:
    assert address == settings(PUBLIC_URL=address).public_url


@pytest.mark.parametrize("name", ["SIGNING_SECRET", "SIGNING_SECRET_PREVIOUS"])
@pytest.mark.parametrize("of_pingers", ["CRON_SECRET", "CRON_SECRET_PREVIOUS"])
def test_what_pingers_hold_signs_nothing(name: str, of_pingers: str) -> None:
    """Whoever pings could otherwise sign a session of the administrator."""
    fault = fault_of(**{of_pingers: SIGNING, name: SIGNING})

    assert fault.startswith(f"{name} must differ from CRON_SECRET")
    assert SIGNING not in fault


@pytest.mark.parametrize(
    "account", ["serviceAccount:tick@p.iam.gserviceaccount.com", "cronfire-invoker", "a b@c"]
)
def test_an_account_is_an_address_as_tokens_name_it(account: str) -> None:
    """Roles are given to `serviceAccount:...`; no token has that, and each tick would be 403."""
    pair = {"OIDC_AUDIENCE": "https://a.example.com", "OIDC_SERVICE_ACCOUNTS": f"tick@p.example, {account}"}

    assert fault_of(**pair).startswith(
        "OIDC_SERVICE_ACCOUNTS must be the e-mail address of a service account"
    )
    assert fault_of(WORKER_SERVICE_ACCOUNT=account).startswith(
        "WORKER_SERVICE_ACCOUNT must be the e-mail address"
    )


@pytest.mark.parametrize(
    "accepted",
    [
        {},
        {"OIDC_AUDIENCE": "https://a.example.com", "OIDC_SERVICE_ACCOUNTS": "tick@p.iam.gserviceaccount.com"},
    ],
)
def test_a_function_that_is_its_own_worker_accepts_what_its_queue_sends(accepted: dict[str, str]) -> None:
    """It would answer 401 or 403 to each of its own messages, and long tasks would never start."""
    worker = "work@p.iam.gserviceaccount.com"
    queue = {
        "WORKER_QUEUE": "projects/p/locations/l/queues/work",
        "PUBLIC_URL": "https://a.example.com",
        "WORKER_SERVICE_ACCOUNT": worker,
    }

    assert "WORKER_SERVICE_ACCOUNT must be one of OIDC_SERVICE_ACCOUNTS" in fault_of(**queue, **accepted)
    assert settings(**queue, OIDC_AUDIENCE="https://a.example.com", OIDC_SERVICE_ACCOUNTS=f"x@y,{worker}")
    assert settings(**queue, **accepted, WORKER_URL="https://b.example.com/work")


STORES = [
    "sqlite:///scheduler.db",
    "sqlite:////var/lib/with space/\u00e9.db",
    "sqlite://:memory:",
    "json:///tasks.json",
    "bitable://bascn_1-2/tblX1",
    "firestore://my-project",
    "firestore://my-project/",
    "firestore://my-project/(default)",
    "firestore://example.com:my-project/my-database",
]
NO_STORES = [
    "sqlite:///",
    "sqlite:///folder/",
    "sqlite://scheduler.db",
    "json:///",
    "json:///tasks.yaml",
    "json:///.json",
    "json://tasks.json",
    "bitable://base",
    "bitable://base/view1",
    "bitable://b a/tbl1",
    "firestore:///database",
    "firestore://My-Project/database",
    "firestore://my-project/db",
    "firestore://my-project/database/more",
]


@pytest.mark.parametrize("url", STORES)
async def test_a_store_that_settings_accept_is_opened(url: str) -> None:
    given = settings(STORE_URL=url, **APP).store_url

    await create_store(given, feishu=FeishuCredentials("cli_1", "x")).close()


@pytest.mark.parametrize("url", NO_STORES)
def test_a_store_that_could_not_be_opened_stops_the_process_and_not_its_first_tick(url: str) -> None:
    assert fault_of(STORE_URL=url, **APP).startswith("STORE_URL must be ")
    with pytest.raises(SettingsError):
        create_store(url, feishu=FeishuCredentials("cli_1", "x"))


def test_what_settings_name_is_installed_where_a_server_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tick failed, and to a pinger with the secret it answered 200 all the same."""
    settings(TASK_TYPES="json.tool, tests.unit").require_packages()

    with pytest.raises(SettingsError, match=r"TASK_TYPES names no_such_shop\.stock, and no_such_shop is not"):
        settings(TASK_TYPES="json.tool,no_such_shop.stock").require_packages()

    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(SettingsError, match=r"pip install -r requirements-otel\.txt, or unset it"):
        settings(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318").require_packages()


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("sqlite:///~/x.db", False),
        ("json:////srv/~/x.json", False),
        ("sqlite:///$HOME/x.db", False),
        ("sqlite:////srv/${DATA}/x.db", False),
        ("sqlite:///x.db?mode=ro", False),
        ("sqlite:///x.db~", True),
        ("sqlite:////srv/~snapshot/x.db", True),
        ("sqlite:////srv/5$/what?.db", True),
        ("sqlite:////srv/100%/a b.db", True),
    ],
)
def test_what_a_shell_or_a_url_would_expand_is_refused_and_not_taken_for_a_name(
    url: str, is_taken: bool
) -> None:
    if is_taken:
        assert settings(STORE_URL=url, **APP).store_url == url
    else:
        assert fault_of(STORE_URL=url, **APP).startswith("STORE_URL is taken as it is: ~ and $ stand for no ")
