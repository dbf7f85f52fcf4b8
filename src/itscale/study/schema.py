"""The JSON schema of a study file for editors, and the table of its keys for readers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from itscale.study.config import INGREDIENTS, StudyConfig

__all__ = ["describe_type", "keys_table", "study_schema", "study_schema_text"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def study_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of study files.

    A list of names may stand for ingredients without options, and nothing for an ingredient without any.
    What options a plugin has, `itscale plugins show` says.
    """
    schema = StudyConfig.model_json_schema()
    names = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    for key in INGREDIENTS:
        own = schema["properties"][key]
        sections = {
            name: own.pop(name) for name in list(own) if name not in ("title", "description", "default")
        }
        for form in ("additionalProperties", "patternProperties"):
            _let_be_empty(sections, form)
        own["anyOf"] = [sections, names]
    return {"$schema": DIALECT, **schema}


def _let_be_empty(sections: dict[str, Any], form: str) -> None:
    """Let a section be left empty (null in YAML)."""
    if form == "patternProperties" and form in sections:
        sections[form] = {key: {"anyOf": [value, {"type": "null"}]} for key, value in sections[form].items()}
    elif isinstance(sections.get(form), dict):
        sections[form] = {"anyOf": [sections[form], {"type": "null"}]}


def study_schema_text() -> str:
    """Return the schema as it is kept in the workflow's folder."""
    return json.dumps(study_schema(), indent=2) + "\n"


def keys_table() -> str:
    """Return the table of every key of a study, in Markdown."""
    schema = study_schema()
    rows = ["| key | type | default | what it is |", "|---|---|---|---|"]
    for key, kind, default, description in _keys(schema["properties"], schema, ""):
        rows.append(f"| `{key}` | {kind} | {default} | {description} |".replace("\n", " "))
    return "\n".join(rows) + "\n"


def _keys(
    properties: Mapping[str, Any], schema: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, str, str, str]]:
    required = schema.get("required", ()) if not prefix else ()
    for name, value in properties.items():
        key = prefix + name
        if name in INGREDIENTS and not prefix:
            yield key, "names, or labels with options", _default(name, value, required), value["description"]
            reference = _reference(value["anyOf"][0])
            yield from _keys(_resolved(reference, schema), schema, f"{name}.<label>.")
        elif value.get("type") == "object" and (reference := _reference(value)):
            yield key, "labels with keys", _default(name, value, required), value["description"]
            yield from _keys(_resolved(reference, schema), schema, f"{name}.<label>.")
        elif "$ref" in value:
            yield from _keys(_resolved(value["$ref"], schema), schema, f"{key}.")
        else:
            yield key, describe_type(value), _default(name, value, required), value.get("description", "")


def _reference(value: Any) -> str:
    """Return the one reference in a piece of schema."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            return str(value["$ref"])
        return next((found for part in value.values() if (found := _reference(part))), "")
    if isinstance(value, list):
        return next((found for part in value if (found := _reference(part))), "")
    return ""


def _resolved(reference: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = schema["$defs"][reference.rpartition("/")[2]]["properties"]
    return properties


def describe_type(value: Mapping[str, Any]) -> str:
    """Return the type of a piece of JSON schema in words: `integer (>= 1)`, `one of "a", "b"`."""
    if "anyOf" in value:
        return " or ".join(describe_type(part) for part in value["anyOf"] if part.get("type") != "null")
    if "enum" in value:
        return f"one of {', '.join(map(json.dumps, value['enum']))}"
    if "$ref" in value:
        return str(value["$ref"].rpartition("/")[2])
    if value.get("type") == "array":
        return f"list of {describe_type(value.get('items', {}))}"
    bounds = [f"{sign} {value[key]:,}" for key, sign in BOUNDS.items() if key in value]
    return str(value.get("type", "any")) + (f" ({', '.join(bounds)})" if bounds else "")


def _default(name: str, value: Mapping[str, Any], required: Any) -> str:
    if name in required:
        return "required"
    default = value.get("default")
    if default in (None, {}):
        return "—"
    return f"`{', '.join(default) if isinstance(default, dict) else json.dumps(default)}`"
