"""Feishu's Bitable on loopback: several bases in memory, behind the vendor's own rules.

`FakeBitable` is the server; `add_base` and `add_table` make what a person makes in the app, and a `Row` is
edited as a person edits it. `python -m tests.fakes.bitable` runs it by hand.
"""

from tests.fakes.bitable.call import Limits
from tests.fakes.bitable.cells import Field, FieldType
from tests.fakes.bitable.faults import Gate
from tests.fakes.bitable.server import Asked, FakeBitable
from tests.fakes.bitable.tables import Base, Row, Table

__all__ = ["Asked", "Base", "FakeBitable", "Field", "FieldType", "Gate", "Limits", "Row", "Table"]
