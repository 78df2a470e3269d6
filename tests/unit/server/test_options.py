"""The server's options: what it could not serve with is refused before anything listens."""

import pytest

from functions.server.__main__ import main


@pytest.mark.parametrize(
    ("option", "value"),
    [("--workers", "0"), ("--workers", "-1"), ("--workers", "two"), ("--port", "65536"), ("--port", "80.5")],
)
def test_a_number_that_serves_nobody_is_refused(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a worker the port was open and no request was ever answered."""
    monkeypatch.setattr("sys.argv", ["python -m functions.server", option, value])

    with pytest.raises(SystemExit) as ended:
        main()

    assert 2 == ended.value.code
    assert f"{option}: must be a whole number from" in capsys.readouterr().err
