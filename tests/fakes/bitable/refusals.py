"""The vendor's ways to say no: codes, the HTTP status each comes with, and its words.

Taken from the error tables of the vendor's own pages on records, tables and fields. Where its Chinese and its
English pages differ in the HTTP status, the Chinese one is followed; a client must look at the code alone.
"""

from collections.abc import Mapping
from typing import Final

# code: (HTTP status, msg)
WORDS: Final[Mapping[int, tuple[int, str]]] = {
    10003: (400, "invalid param"),
    10014: (400, "app secret invalid"),
    91403: (403, "Forbidden"),
    1254000: (200, "WrongRequestJson"),
    1254001: (200, "WrongRequestBody"),
    1254013: (200, "TableNameDuplicated"),
    1254014: (400, "FieldNameDuplicated"),
    1254015: (400, "Field types do not match."),
    1254037: (400, "Invalid client token, make sure that it complies with the specification."),
    1254040: (200, "BaseTokenNotFound"),
    1254041: (200, "TableIdNotFound"),
    1254043: (200, "RecordIdNotFound"),
    1254045: (200, "FieldNameNotFound"),
    1254060: (200, "TextFieldConvFail"),
    1254061: (200, "NumberFieldConvFail"),
    1254062: (200, "SingleSelectFieldConvFail"),
    1254063: (200, "MultiSelectFieldConvFail"),
    1254064: (200, "DatetimeFieldConvFail"),
    1254065: (200, "CheckboxFieldConvFail"),
    1254066: (200, "UserFieldConvFail"),
    1254068: (200, "URLFieldConvFail"),
    1254103: (200, "RecordExceedLimit"),
    1254104: (200, "RecordAddOnceExceedLimit"),
    1254130: (200, "TooLargeCell"),
    1254291: (200, "Write conflict"),
    1255006: (400, "Client token conflict, please generate a new client token and try again."),
    99991400: (429, "request trigger frequency limit"),
    99991661: (400, "Missing access token for authorization. Please make a request with token attached."),
    99991663: (400, "Invalid access token for authorization. Please make a request with token attached."),
}


class Refusal(Exception):
    """The vendor's no.

    Args:
        detail: What its longer message says; it may quote what it was sent.
    """

    def __init__(self, code: int, detail: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code} {detail}")
        self.code = code
        self.status, self.msg = WORDS.get(code, (200, "Fail"))
        self.detail = detail
        self.headers = dict(headers or {})
