"""JSON schemas of models, collected for a document: one name, one schema."""

from copy import deepcopy
from typing import Literal, TypeAlias
from weakref import WeakKeyDictionary

from pydantic import BaseModel, JsonValue
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

JsonObject: TypeAlias = dict[str, JsonValue]
Field: TypeAlias = core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField

REF = "#/components/schemas/{model}"


class SchemaNameTaken(ValueError):
    """Two different models have one name, by which clients would know both."""

    def __init__(self, name: str) -> None:
        super().__init__(f"two different schemas are called {name}")
        self.name = name


class SchemaRegistry:
    """The schemas under `components/schemas` of one document."""

    def __init__(self) -> None:
        self._by_name: dict[str, JsonObject] = {}

    def add_model(
        self,
        model: type[BaseModel],
        *,
        name: str | None = None,
        mode: Literal["validation", "serialization"] = "serialization",
    ) -> JsonObject:
        """Take in a model with all that it refers to; returns the reference to it.

        What clients send is described for validation (a default makes a field optional),
        what they get for serialization.
        """
        schema = inline_schema(model, mode=mode)
        inner = schema.pop("$defs", {})
        assert isinstance(inner, dict)
        for inner_name, definition in inner.items():
            assert isinstance(definition, dict)
            self._put(inner_name, definition)
        return self._put(name or model.__name__, schema)

    def sorted_schemas(self) -> JsonObject:
        """Give all of them, by name."""
        return {name: self._by_name[name] for name in sorted(self._by_name)}

    def _put(self, name: str, schema: JsonObject) -> JsonObject:
        if self._by_name.setdefault(name, schema) != schema:
            raise SchemaNameTaken(name)
        return {"$ref": REF.format(model=name)}


class _AsWritten(GenerateJsonSchema):
    """Schemas that say what the codec does."""

    def field_title_should_be_set(self, schema: object) -> bool:
        """Leave titles out: they would only repeat the names."""
        return False

    def field_is_required(self, field: Field, total: bool) -> bool:
        """Promise what is always written: all but what is None if nobody says otherwise."""
        schema = field["schema"]
        if self.mode == "serialization" and schema["type"] == "default":
            return "default_factory" in schema or schema["default"] is not None
        return super().field_is_required(field, total)


# What was described once, for as long as the model exists: most models are met many times.
_described: WeakKeyDictionary[type[BaseModel], dict[str, JsonObject]] = WeakKeyDictionary()


def inline_schema(
    model: type[BaseModel], *, mode: Literal["validation", "serialization"]
) -> JsonObject:
    """Describe one model; what it refers to is in its `$defs`."""
    known = _described.setdefault(model, {})
    if mode not in known:
        known[mode] = model.model_json_schema(
            mode=mode, ref_template=REF, schema_generator=_AsWritten
        )
    return deepcopy(known[mode])
