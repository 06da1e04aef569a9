"""Feast fields from the project's vocabulary, so that a name or type is written once."""

from feast import Field
from feast.types import Array, FeastType, Float32, Int32, Int64, String

from marquee import schema

FEAST_TYPES: dict[str, FeastType] = {
    "Float32": Float32,
    "Int64": Int64,
    "String": String,
    "List(Float32)": Array(Float32),
    "List(Int32)": Array(Int32),
    "List(Int64)": Array(Int64),
    "List(String)": Array(String),
}


def fields(view: str) -> list[Field]:
    """Key and features of a view, complete: nothing is inferred from data."""
    columns = {schema.VIEW_KEYS[view]: "String"} | {
        name: str(dtype) for name, dtype in schema.FEATURE_VIEWS[view].items()
    }
    return [Field(name=name, dtype=FEAST_TYPES[dtype]) for name, dtype in columns.items()]


def tags(*, domain: str, pii: str, cadence: str, freshness_slo_h: int, source_system: str) -> dict[str, str]:
    """What operators ask of every view; the licence is that of the data set that is loaded."""
    return {
        "domain": domain,
        "pii": pii,
        "cadence": cadence,
        "freshness_slo_h": str(freshness_slo_h),
        "source_system": source_system,
        "license": "as the data set's: marquee data list",
    }
