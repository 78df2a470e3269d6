"""The vendor's ways to say no: codes, the HTTP status each comes with, and its words.

Taken from the tables of errors on the vendor's own pages of each call. They differ in the status of one code
(200 on most pages, 400 or 404 on the page of batch_get): a client must look at the code. What no page says is
marked `assumed`.
"""

from collections.abc import Mapping
from typing import Final

# code: (HTTP status, msg)
WORDS: Final[Mapping[int, tuple[int, str]]] = {
    10003: (400, "invalid param"),  # seen in the wild
    10014: (400, "app secret invalid"),  # seen in the wild
    91403: (403, "Forbidden"),  # seen in the wild; once with 200
    1254000: (200, "WrongRequestJson"),
    1254001: (200, "WrongRequestBody"),
    1254002: (200, "Fail"),
    1254011: (400, "Page size must greater than 0."),
    1254012: (400, "NotSupportFieldOrView"),
    1254013: (200, "TableNameDuplicated"),
    1254014: (400, "FieldNameDuplicated"),
    1254015: (400, "Field types do not match."),
    1254016: (200, "InvalidSort"),
    1254018: (200, "InvalidFilter"),
    1254024: (200, "InvalidFieldNames"),
    1254028: (400, "EmptyFieldName"),
    1254030: (400, "InvalidPageToken"),  # named TooLargeResponse on other pages
    1254036: (400, "Base is copying, please try again later."),
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
    1254072: (200, "Failed to convert phone field, please make sure it is correct."),
    1254100: (200, "TableExceedLimit"),
    1254103: (200, "RecordExceedLimit"),
    1254104: (200, "RecordAddOnceExceedLimit"),
    1254105: (200, "ColumnExceedLimit"),
    1254107: (200, "FilterLengthExceedLimit"),
    1254130: (200, "TooLargeCell"),
    1254290: (200, "TooManyRequest"),
    1254291: (200, "Write conflict"),
    1254302: (403, "Permission denied."),
    1254607: (400, "Data not ready, please try again later"),
    1254608: (403, "Same API requests are submitted repeatedly."),
    1255001: (200, "InternalError"),
    1255006: (400, "Client token conflict, please generate a new client token and try again."),
    1255040: (504, "Request timed out, please try again later"),
    99991400: (429, "request trigger frequency limit"),
    99991661: (400, "Missing access token for authorization. Please make a request with token attached."),
    99991663: (400, "Invalid access token for authorization. Please make a request with token attached."),
    99992402: (400, "field validation failed"),
}
NOT_FOUND: Final = range(1254040, 1254046)  # on the page of batch_get their status is 404


class Refusal(Exception):
    """The vendor's no.

    Args:
        detail: What its longer message says; it may quote what it was sent.
    """

    def __init__(self, code: int, detail: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code} {detail}")
        self.code = code
        self.status, self.msg = WORDS.get(code, (200, "Fail"))
        self.detail = detail or self.msg
        self.headers = dict(headers or {})

    @property
    def strict_status(self) -> int:
        """The HTTP status on the pages that tell what was not found by 404, and all the rest by 400."""
        if self.code in NOT_FOUND:
            return 404
        return 400 if self.status == 200 else self.status


def as_json(code: int, msg: str, detail: str) -> dict[str, object]:
    """A failure as it is answered."""
    return {"code": code, "msg": msg, "error": {"message": detail, "log_id": "20261120120000FAKE"}}
