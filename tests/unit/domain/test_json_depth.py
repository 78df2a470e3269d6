"""JSON of strangers: as deep as anybody needs, and no deeper."""

import pytest

from functions.domain.json_depth import MAX_DEPTH, parse_json


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_has_a_limit(opening: str, closing: str) -> None:
    levels = MAX_DEPTH // (2 if opening.startswith("[{") else 1)
    allowed = opening * levels + "1" + closing * levels

    assert parse_json(allowed)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(f"[{allowed}]")


@pytest.mark.parametrize("deep", [b"[" * 1_000_000, b"[" * 900 + b"]" * 900, b"[" * 100_000 + b"]" * 100_000])
def test_whatever_is_too_deep_is_no_value(deep: bytes) -> None:
    with pytest.raises(ValueError, match=r"nested too deeply|Expecting value"):
        parse_json(deep)


@pytest.mark.parametrize("text", ["1", "null", '"x"', "[]", '{"a": [1, {"b": null}]}', '"\\ud800"'])
def test_other_json_is_read_as_ever(text: str) -> None:
    parse_json(text)
