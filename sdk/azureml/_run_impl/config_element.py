"""The base of run configuration objects: which attributes they have and how they are written as camelCase mappings."""

from typing import Any, ClassVar, Dict, List, NamedTuple, Optional, Tuple

from azureml._localaml.path_text import path_text


class Field(NamedTuple):
    """One serialised attribute.

    Attributes:
        name: the public attribute's name in snake_case; its camelCase form is the serialised key, unless `key` is
            given.
        kind: class of a nested ConfigElement, or None for plain values.
        is_map: a dict of `kind` by name.
        attribute: where it is really kept, when not under `name`.
    """

    name: str
    kind: Optional[type] = None
    is_map: bool = False
    key: str = ""
    attribute: str = ""

    @property
    def serialized_key(self) -> str:
        return self.key or camel_case(self.name)


def camel_case(name: str) -> str:
    """`node_count` -> `nodeCount`."""
    head, *tail = name.strip("_").split("_")
    return head + "".join(part.capitalize() for part in tail)


class ConfigElement:
    """Attributes can be changed but not invented: a misspelled one raises AttributeError, as in Azure's SDK."""

    _FIELDS: "ClassVar[Tuple[Field, ...]]" = ()
    _sealed = False

    def _seal(self) -> None:
        self._sealed = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self._sealed and not name.startswith("_") and not hasattr(self, name):
            known = sorted(attribute for attribute in vars(self) if not attribute.startswith("_"))
            raise AttributeError(
                "{} has no attribute {!r}. It has: {}.".format(type(self).__name__, name, ", ".join(known))
            )
        super().__setattr__(name, path_text(value))

    def __repr__(self) -> str:
        import json

        return json.dumps(self._to_dict(), indent=4, default=str)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._to_dict() == other._to_dict()

    __hash__ = None  # type: ignore[assignment]  # it can change

    def _to_dict(self) -> Dict[str, Any]:
        """The element as a camelCase mapping of plain values."""
        result: Dict[str, Any] = {}
        for field in self._FIELDS:
            value = getattr(self, field.attribute or field.name)
            if field.is_map:
                value = {key: _plain(item) for key, item in (value or {}).items()}
            result[field.serialized_key] = _plain(value)
        return result

    def _update(self, content: Dict[str, Any]) -> List[str]:
        """Takes values over from a mapping with camelCase or snake_case keys; returns the keys that mean nothing
        here."""
        fields: Dict[str, Field] = {}
        for field in self._FIELDS:
            for key in (field.name, field.serialized_key):
                fields[key.replace("_", "").lower()] = field
        unknown = []
        for key, value in content.items():
            found = fields.get(str(key).replace("_", "").lower())
            if found is None:
                unknown.append(str(key))
                continue
            attribute = found.attribute or found.name
            if found.is_map:
                value = {name: _element(found.kind, item) for name, item in (value or {}).items()}
            elif found.kind is not None:
                current = getattr(self, attribute)
                if isinstance(current, ConfigElement) and isinstance(value, dict):
                    unknown.extend("{}.{}".format(key, inner) for inner in current._update(value))
                    continue
                value = _element(found.kind, value)
            setattr(self, attribute, value)
        return unknown


def _element(kind: Optional[type], value: Any) -> Any:
    if kind is None or not isinstance(value, dict):
        return value
    element = kind()
    element._update(value)
    return element


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigElement):
        return value._to_dict()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "as_dict"):
        return value.as_dict()
    return path_text(value)
