"""Rules about headers and about values in JSON: a row for each, with what it is about, a rule and a value.

Example: `{"path": "$.queue", "less": 100}` is shown as `$.queue`, `is less than` and `100`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any

from functions.web.dashboard.forms.fields import Field
from functions.web.dashboard.forms.tables import Rows
from functions.web.dashboard.forms.widgets import MISSING, Choice, FieldError, Json, Line, Texts, Widget

_RULES = (
    ("equals", "is"),
    ("notEquals", "is not"),
    ("contains", "contains"),
    ("matches", "matches"),
    ("greater", "is more than"),
    ("less", "is less than"),
    ("length", "has the length"),
    ("exists", "exists"),
    ("changed", "is watched"),
)
_WHEN_EMPTY: Mapping[str, Any] = {"exists": True, "changed": "news"}
_RULE, _VALUE = "rule", "value"


@dataclass(frozen=True, slots=True)
class Conditions(Rows):
    """A list of rules, each with one operator; one with several is shown as JSON.

    Attributes:
        texts: The operators whose value is a text as it stands; of the others it is JSON.
    """

    texts: frozenset[str] = frozenset()

    def decode(self, texts: Texts, *, before: Any) -> Any:
        """See `Widget.decode`."""
        items: list[dict[str, Any]] = []
        wrong: dict[str, str] = {}
        for number, row in self.item_rows(texts, before=before):
            try:
                items.append(self._decode_item(row))
            except FieldError as exc:
                wrong |= {f"{number}.{name}": reason for name, reason in exc.reasons.items()}
        if wrong:
            raise FieldError(wrong)
        return items or MISSING

    def cell_of(self, place: str) -> str:
        """Return the cell that shows what is wrong at *place* of the value, e.g. `0.less` at `0.value`."""
        number, _, name = place.partition(".")
        if not name:
            return f"{number}.{_RULE}"
        is_operator = name.partition(".")[0] in dict(_RULES)
        return f"{number}.{_VALUE}" if is_operator else place

    def _encode_item(self, item: Any) -> dict[str, str] | None:
        key = self.columns[0].name
        operators = [name for name in item if name != key] if isinstance(item, dict) else []
        if len(operators) != 1 or operators[0] not in self._operators():
            return None
        [operator] = operators
        subject = self.columns[0].widget.encode(item.get(key, MISSING))
        value = self._widget(operator).encode(item[operator])
        if not subject or not value:
            return None
        text = value[""]
        if "\n" in text:  # an object or a list, which an input of one line holds in one line
            text = dumps(item[operator], ensure_ascii=False)
        return {key: subject[""], _RULE: operator, _VALUE: text}

    def _decode_item(self, row: Texts) -> dict[str, Any]:
        key, operator = self.columns[0].name, row.get(_RULE, "")
        subject = row.get(key, "").strip()
        if not subject:
            raise FieldError({key: "is required; empty the row to remove it"})
        if operator not in self._operators():
            raise FieldError({_RULE: "choose what must hold"})
        value = self._widget(operator).decode({"": row.get(_VALUE, "")}, before=MISSING)
        value = _WHEN_EMPTY.get(operator, MISSING) if value is MISSING else value
        if value is MISSING:
            raise FieldError({_VALUE: "is required"})
        return {key: subject, operator: value}

    def _operators(self) -> Mapping[str, str]:
        choice = self.columns[1].widget
        return dict(choice.options) if isinstance(choice, Choice) else {}

    def _widget(self, operator: str) -> Widget:
        return Line() if operator in self.texts else Json()


def _conditions(
    name: str, label: str, example: str, *, without: str = "", texts: frozenset[str]
) -> Conditions:
    rules = tuple(one for one in _RULES if one[0] != without)
    columns = (
        Field((name,), Line(), label, example=example),
        Field((_RULE,), Choice(rules, empty="–"), "Rule"),
        Field((_VALUE,), Line(), "Value"),
    )
    return Conditions(columns, texts)


CONDITIONS: Mapping[str, Conditions] = {  # by the dotted name of the param
    "expect.headers": _conditions(
        "name",
        "Header",
        "Content-Type",
        without="length",
        texts=frozenset({"equals", "notEquals", "contains", "matches", "changed"}),
    ),
    "expect.json": _conditions("path", "Path", "$.status", texts=frozenset({"matches", "changed"})),
}
