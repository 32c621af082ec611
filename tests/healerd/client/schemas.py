"""A small validator of JSON Schema: the keywords that the published schema uses, and no others."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
TOLD = {
    "title",
    "description",
    "default",
    "$schema",
    "$defs",
    "properties",
    "additionalProperties",
    "required",
    "items",
}
KNOWN = TOLD | {"type", "const", "enum", "anyOf", "$ref", "format", "minItems", "maxItems", "prefixItems"}


def problems(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str = "$") -> Iterator[str]:
    """Say where a value breaks a schema; a keyword that is not known here is a problem too."""
    unknown = schema.keys() - KNOWN
    if unknown:
        yield f"{at}: keywords {sorted(unknown)}"
    if "$ref" in schema:
        yield from problems(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, at)
    if "anyOf" in schema and all(list(problems(value, each, root, at)) for each in schema["anyOf"]):
        yield f"{at}: {value!r:.80} fits none of {[each.get('type', each.get('$ref')) for each in schema['anyOf']]}"
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r:.80} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r:.80} is none of {schema['enum']}"
    if "type" in schema and not _is(value, schema["type"]):
        yield f"{at}: {value!r:.80} is no {schema['type']}"
        return
    yield from _inside(value, schema, root, at)


def strict(schema: Any) -> Any:
    """The same schema, in which no object may hold what is not described."""
    if isinstance(schema, dict):
        inner = {name: strict(value) for name, value in schema.items()}
        return {**inner, "additionalProperties": False} if "properties" in inner and "type" in inner else inner
    return [strict(each) for each in schema] if isinstance(schema, list) else schema


def _is(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _inside(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str) -> Iterator[str]:
    if schema.get("format") == "date-time":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            yield f"{at}: {value!r} is no time"
    if isinstance(value, dict):
        missing = set(schema.get("required", ())) - value.keys()
        if missing:
            yield f"{at}: without {sorted(missing)}"
        for name, inner in value.items():
            rule = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
            if rule is False:
                yield f"{at}.{name}: not described"
            elif isinstance(rule, dict):
                yield from problems(inner, rule, root, f"{at}.{name}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{at}: {len(value)} items"
        first = schema.get("prefixItems", [])
        for place, each in enumerate(value):
            rule = first[place] if place < len(first) else schema.get("items", True)
            if isinstance(rule, dict):
                yield from problems(each, rule, root, f"{at}[{place}]")
