"""The channels there are: those whose files are there, set up by their first setting."""

import pytest

from functions.http_client.trusted import TrustedHttpClient
from functions.notifications import channel_modules, create_channels

URL = "https://example.com/canary-path"


def test_channels_are_the_files_that_open_one() -> None:
    names = [module.__name__.rpartition(".")[2] for module in channel_modules()]

    assert {"feishu", "webhook"} <= set(names)
    assert not {"teller", "post", "channel", "feishu_card"} & set(names)


def test_each_channel_is_named_like_its_file(post: TrustedHttpClient) -> None:
    """Rules in task files name channels; the name must be the one people see in the folder."""
    settings = dict.fromkeys(("FEISHU_WEBHOOK_URL", "WEBHOOK_URL"), URL)

    channels = create_channels(settings, post)

    assert {"feishu": "feishu", "webhook": "webhook"} == {
        key: channel.name for key, channel in channels.items()
    }


@pytest.mark.parametrize("settings", [{}, {"WEBHOOK_URL": "  "}, {"FEISHU_WEBHOOK_SECRET": "x"}])
def test_channel_without_its_first_setting_is_not_opened(
    settings: dict[str, str], post: TrustedHttpClient
) -> None:
    assert {} == create_channels(settings, post)


def test_wrong_setting_of_one_channel_leaves_the_others(
    post: TrustedHttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"FEISHU_WEBHOOK_URL": "canary, no address", "WEBHOOK_URL": URL}

    channels = create_channels(settings, post)

    assert ["webhook"] == list(channels)
    assert [("ERROR", "channel_misconfigured")] == [(r.levelname, r.message) for r in caplog.records]
    assert "canary" not in str([record.__dict__ for record in caplog.records])
