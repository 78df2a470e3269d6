from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NullValue(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NULL_VALUE: _ClassVar[NullValue]
NULL_VALUE: NullValue

class RunQueryRequest(_message.Message):
    __slots__ = ("parent", "structured_query")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    STRUCTURED_QUERY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    structured_query: StructuredQuery
    def __init__(self, parent: _Optional[str] = ..., structured_query: _Optional[_Union[StructuredQuery, _Mapping]] = ...) -> None: ...

class RunAggregationQueryRequest(_message.Message):
    __slots__ = ("parent", "structured_aggregation_query")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    STRUCTURED_AGGREGATION_QUERY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    structured_aggregation_query: StructuredAggregationQuery
    def __init__(self, parent: _Optional[str] = ..., structured_aggregation_query: _Optional[_Union[StructuredAggregationQuery, _Mapping]] = ...) -> None: ...

class BatchGetDocumentsRequest(_message.Message):
    __slots__ = ("database", "documents")
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    database: str
    documents: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, database: _Optional[str] = ..., documents: _Optional[_Iterable[str]] = ...) -> None: ...

class BatchWriteRequest(_message.Message):
    __slots__ = ("database", "writes")
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    database: str
    writes: _containers.RepeatedCompositeFieldContainer[Write]
    def __init__(self, database: _Optional[str] = ..., writes: _Optional[_Iterable[_Union[Write, _Mapping]]] = ...) -> None: ...

class RunQueryResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: Document
    def __init__(self, document: _Optional[_Union[Document, _Mapping]] = ...) -> None: ...

class RunAggregationQueryResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: AggregationResult
    def __init__(self, result: _Optional[_Union[AggregationResult, _Mapping]] = ...) -> None: ...

class BatchGetDocumentsResponse(_message.Message):
    __slots__ = ("found", "missing")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    found: Document
    missing: str
    def __init__(self, found: _Optional[_Union[Document, _Mapping]] = ..., missing: _Optional[str] = ...) -> None: ...

class BatchWriteResponse(_message.Message):
    __slots__ = ("write_results", "status")
    WRITE_RESULTS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    write_results: _containers.RepeatedCompositeFieldContainer[WriteResult]
    status: _containers.RepeatedCompositeFieldContainer[Status]
    def __init__(self, write_results: _Optional[_Iterable[_Union[WriteResult, _Mapping]]] = ..., status: _Optional[_Iterable[_Union[Status, _Mapping]]] = ...) -> None: ...

class Document(_message.Message):
    __slots__ = ("name", "fields", "create_time", "update_time")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    fields: _containers.MessageMap[str, Value]
    create_time: Timestamp
    update_time: Timestamp
    def __init__(self, name: _Optional[str] = ..., fields: _Optional[_Mapping[str, Value]] = ..., create_time: _Optional[_Union[Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[Timestamp, _Mapping]] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("null_value", "boolean_value", "integer_value", "double_value", "timestamp_value", "string_value", "bytes_value", "reference_value", "geo_point_value", "array_value", "map_value")
    NULL_VALUE_FIELD_NUMBER: _ClassVar[int]
    BOOLEAN_VALUE_FIELD_NUMBER: _ClassVar[int]
    INTEGER_VALUE_FIELD_NUMBER: _ClassVar[int]
    DOUBLE_VALUE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    BYTES_VALUE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_VALUE_FIELD_NUMBER: _ClassVar[int]
    GEO_POINT_VALUE_FIELD_NUMBER: _ClassVar[int]
    ARRAY_VALUE_FIELD_NUMBER: _ClassVar[int]
    MAP_VALUE_FIELD_NUMBER: _ClassVar[int]
    null_value: NullValue
    boolean_value: bool
    integer_value: int
    double_value: float
    timestamp_value: Timestamp
    string_value: str
    bytes_value: bytes
    reference_value: str
    geo_point_value: LatLng
    array_value: ArrayValue
    map_value: MapValue
    def __init__(self, null_value: _Optional[_Union[NullValue, str]] = ..., boolean_value: _Optional[bool] = ..., integer_value: _Optional[int] = ..., double_value: _Optional[float] = ..., timestamp_value: _Optional[_Union[Timestamp, _Mapping]] = ..., string_value: _Optional[str] = ..., bytes_value: _Optional[bytes] = ..., reference_value: _Optional[str] = ..., geo_point_value: _Optional[_Union[LatLng, _Mapping]] = ..., array_value: _Optional[_Union[ArrayValue, _Mapping]] = ..., map_value: _Optional[_Union[MapValue, _Mapping]] = ...) -> None: ...

class ArrayValue(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[Value]
    def __init__(self, values: _Optional[_Iterable[_Union[Value, _Mapping]]] = ...) -> None: ...

class MapValue(_message.Message):
    __slots__ = ("fields",)
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.MessageMap[str, Value]
    def __init__(self, fields: _Optional[_Mapping[str, Value]] = ...) -> None: ...

class LatLng(_message.Message):
    __slots__ = ("latitude", "longitude")
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    latitude: float
    longitude: float
    def __init__(self, latitude: _Optional[float] = ..., longitude: _Optional[float] = ...) -> None: ...

class Timestamp(_message.Message):
    __slots__ = ("seconds", "nanos")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    NANOS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    nanos: int
    def __init__(self, seconds: _Optional[int] = ..., nanos: _Optional[int] = ...) -> None: ...

class Write(_message.Message):
    __slots__ = ("update", "delete", "update_mask", "current_document")
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    CURRENT_DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    update: Document
    delete: str
    update_mask: DocumentMask
    current_document: Precondition
    def __init__(self, update: _Optional[_Union[Document, _Mapping]] = ..., delete: _Optional[str] = ..., update_mask: _Optional[_Union[DocumentMask, _Mapping]] = ..., current_document: _Optional[_Union[Precondition, _Mapping]] = ...) -> None: ...

class DocumentMask(_message.Message):
    __slots__ = ("field_paths",)
    FIELD_PATHS_FIELD_NUMBER: _ClassVar[int]
    field_paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field_paths: _Optional[_Iterable[str]] = ...) -> None: ...

class Precondition(_message.Message):
    __slots__ = ("exists", "update_time")
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    update_time: Timestamp
    def __init__(self, exists: _Optional[bool] = ..., update_time: _Optional[_Union[Timestamp, _Mapping]] = ...) -> None: ...

class WriteResult(_message.Message):
    __slots__ = ("update_time",)
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    update_time: Timestamp
    def __init__(self, update_time: _Optional[_Union[Timestamp, _Mapping]] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class StructuredQuery(_message.Message):
    __slots__ = ("from_", "where", "order_by", "start_at", "limit")
    class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DIRECTION_UNSPECIFIED: _ClassVar[StructuredQuery.Direction]
        ASCENDING: _ClassVar[StructuredQuery.Direction]
        DESCENDING: _ClassVar[StructuredQuery.Direction]
    DIRECTION_UNSPECIFIED: StructuredQuery.Direction
    ASCENDING: StructuredQuery.Direction
    DESCENDING: StructuredQuery.Direction
    class CollectionSelector(_message.Message):
        __slots__ = ("collection_id",)
        COLLECTION_ID_FIELD_NUMBER: _ClassVar[int]
        collection_id: str
        def __init__(self, collection_id: _Optional[str] = ...) -> None: ...
    class Filter(_message.Message):
        __slots__ = ("composite_filter", "field_filter")
        COMPOSITE_FILTER_FIELD_NUMBER: _ClassVar[int]
        FIELD_FILTER_FIELD_NUMBER: _ClassVar[int]
        composite_filter: StructuredQuery.CompositeFilter
        field_filter: StructuredQuery.FieldFilter
        def __init__(self, composite_filter: _Optional[_Union[StructuredQuery.CompositeFilter, _Mapping]] = ..., field_filter: _Optional[_Union[StructuredQuery.FieldFilter, _Mapping]] = ...) -> None: ...
    class CompositeFilter(_message.Message):
        __slots__ = ("op", "filters")
        class Operator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            OPERATOR_UNSPECIFIED: _ClassVar[StructuredQuery.CompositeFilter.Operator]
            AND: _ClassVar[StructuredQuery.CompositeFilter.Operator]
            OR: _ClassVar[StructuredQuery.CompositeFilter.Operator]
        OPERATOR_UNSPECIFIED: StructuredQuery.CompositeFilter.Operator
        AND: StructuredQuery.CompositeFilter.Operator
        OR: StructuredQuery.CompositeFilter.Operator
        OP_FIELD_NUMBER: _ClassVar[int]
        FILTERS_FIELD_NUMBER: _ClassVar[int]
        op: StructuredQuery.CompositeFilter.Operator
        filters: _containers.RepeatedCompositeFieldContainer[StructuredQuery.Filter]
        def __init__(self, op: _Optional[_Union[StructuredQuery.CompositeFilter.Operator, str]] = ..., filters: _Optional[_Iterable[_Union[StructuredQuery.Filter, _Mapping]]] = ...) -> None: ...
    class FieldFilter(_message.Message):
        __slots__ = ("field", "op", "value")
        class Operator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            OPERATOR_UNSPECIFIED: _ClassVar[StructuredQuery.FieldFilter.Operator]
            LESS_THAN: _ClassVar[StructuredQuery.FieldFilter.Operator]
            LESS_THAN_OR_EQUAL: _ClassVar[StructuredQuery.FieldFilter.Operator]
            GREATER_THAN: _ClassVar[StructuredQuery.FieldFilter.Operator]
            GREATER_THAN_OR_EQUAL: _ClassVar[StructuredQuery.FieldFilter.Operator]
            EQUAL: _ClassVar[StructuredQuery.FieldFilter.Operator]
            NOT_EQUAL: _ClassVar[StructuredQuery.FieldFilter.Operator]
            ARRAY_CONTAINS: _ClassVar[StructuredQuery.FieldFilter.Operator]
            IN: _ClassVar[StructuredQuery.FieldFilter.Operator]
            ARRAY_CONTAINS_ANY: _ClassVar[StructuredQuery.FieldFilter.Operator]
            NOT_IN: _ClassVar[StructuredQuery.FieldFilter.Operator]
        OPERATOR_UNSPECIFIED: StructuredQuery.FieldFilter.Operator
        LESS_THAN: StructuredQuery.FieldFilter.Operator
        LESS_THAN_OR_EQUAL: StructuredQuery.FieldFilter.Operator
        GREATER_THAN: StructuredQuery.FieldFilter.Operator
        GREATER_THAN_OR_EQUAL: StructuredQuery.FieldFilter.Operator
        EQUAL: StructuredQuery.FieldFilter.Operator
        NOT_EQUAL: StructuredQuery.FieldFilter.Operator
        ARRAY_CONTAINS: StructuredQuery.FieldFilter.Operator
        IN: StructuredQuery.FieldFilter.Operator
        ARRAY_CONTAINS_ANY: StructuredQuery.FieldFilter.Operator
        NOT_IN: StructuredQuery.FieldFilter.Operator
        FIELD_FIELD_NUMBER: _ClassVar[int]
        OP_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        field: StructuredQuery.FieldReference
        op: StructuredQuery.FieldFilter.Operator
        value: Value
        def __init__(self, field: _Optional[_Union[StructuredQuery.FieldReference, _Mapping]] = ..., op: _Optional[_Union[StructuredQuery.FieldFilter.Operator, str]] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...
    class Order(_message.Message):
        __slots__ = ("field", "direction")
        FIELD_FIELD_NUMBER: _ClassVar[int]
        DIRECTION_FIELD_NUMBER: _ClassVar[int]
        field: StructuredQuery.FieldReference
        direction: StructuredQuery.Direction
        def __init__(self, field: _Optional[_Union[StructuredQuery.FieldReference, _Mapping]] = ..., direction: _Optional[_Union[StructuredQuery.Direction, str]] = ...) -> None: ...
    class FieldReference(_message.Message):
        __slots__ = ("field_path",)
        FIELD_PATH_FIELD_NUMBER: _ClassVar[int]
        field_path: str
        def __init__(self, field_path: _Optional[str] = ...) -> None: ...
    FROM__FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    START_AT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    from_: _containers.RepeatedCompositeFieldContainer[StructuredQuery.CollectionSelector]
    where: StructuredQuery.Filter
    order_by: _containers.RepeatedCompositeFieldContainer[StructuredQuery.Order]
    start_at: Cursor
    limit: Int32Value
    def __init__(self, from_: _Optional[_Iterable[_Union[StructuredQuery.CollectionSelector, _Mapping]]] = ..., where: _Optional[_Union[StructuredQuery.Filter, _Mapping]] = ..., order_by: _Optional[_Iterable[_Union[StructuredQuery.Order, _Mapping]]] = ..., start_at: _Optional[_Union[Cursor, _Mapping]] = ..., limit: _Optional[_Union[Int32Value, _Mapping]] = ...) -> None: ...

class StructuredAggregationQuery(_message.Message):
    __slots__ = ("structured_query", "aggregations")
    class Aggregation(_message.Message):
        __slots__ = ("count", "alias")
        class Count(_message.Message):
            __slots__ = ()
            def __init__(self) -> None: ...
        COUNT_FIELD_NUMBER: _ClassVar[int]
        ALIAS_FIELD_NUMBER: _ClassVar[int]
        count: StructuredAggregationQuery.Aggregation.Count
        alias: str
        def __init__(self, count: _Optional[_Union[StructuredAggregationQuery.Aggregation.Count, _Mapping]] = ..., alias: _Optional[str] = ...) -> None: ...
    STRUCTURED_QUERY_FIELD_NUMBER: _ClassVar[int]
    AGGREGATIONS_FIELD_NUMBER: _ClassVar[int]
    structured_query: StructuredQuery
    aggregations: _containers.RepeatedCompositeFieldContainer[StructuredAggregationQuery.Aggregation]
    def __init__(self, structured_query: _Optional[_Union[StructuredQuery, _Mapping]] = ..., aggregations: _Optional[_Iterable[_Union[StructuredAggregationQuery.Aggregation, _Mapping]]] = ...) -> None: ...

class AggregationResult(_message.Message):
    __slots__ = ("aggregate_fields",)
    class AggregateFieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...
    AGGREGATE_FIELDS_FIELD_NUMBER: _ClassVar[int]
    aggregate_fields: _containers.MessageMap[str, Value]
    def __init__(self, aggregate_fields: _Optional[_Mapping[str, Value]] = ...) -> None: ...

class Cursor(_message.Message):
    __slots__ = ("values", "before")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[Value]
    before: bool
    def __init__(self, values: _Optional[_Iterable[_Union[Value, _Mapping]]] = ..., before: _Optional[bool] = ...) -> None: ...

class Int32Value(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: int
    def __init__(self, value: _Optional[int] = ...) -> None: ...
