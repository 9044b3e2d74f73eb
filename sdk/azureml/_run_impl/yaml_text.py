"""YAML as configuration files have it: read by PyYAML where it is installed, else by a small reader; written by hand.

Written are block mappings and lists of plain or quoted scalars, in a form that both read back as it was.
"""

import re
from typing import Any, Dict, List

from azureml._run_impl.small_yaml import MOST_LEVELS, load_small_yaml
from azureml._run_impl.yaml_scalars import YamlSubsetError, plain_value

_PLAIN = re.compile(r"^[A-Za-z0-9_./$<~(][^#\n\t]*$")
# Far more than any configuration needs; few enough for a client's memory and time.
_MOST_CHARACTERS = 4 * 1024 * 1024
_MOST_VALUES = 200000


def dump(value: Any) -> str:
    """Writes nested dicts, lists and scalars as block YAML, in the order given."""
    if not isinstance(value, (dict, list)) or not value:
        return _scalar(value) + "\n"
    lines: List[str] = []
    _dump_into(lines, value, 0)
    return "\n".join(lines) + "\n"


def load(text: str) -> Any:
    """Reads one YAML document: dicts, lists, texts, numbers, bools and None. Dates stay texts.

    Raises:
        YamlSubsetError: the text is not YAML; it is too long, too deep, or its aliases make it too large; a key comes
            twice; or PyYAML is not installed and it uses more of YAML than the small reader knows.
    """
    if len(text) > _MOST_CHARACTERS:
        raise YamlSubsetError("It is longer than {:,} characters.".format(_MOST_CHARACTERS))
    try:
        import yaml
    except ImportError:
        return load_small_yaml(text)
    try:
        _check_depth(yaml, text)
        value = yaml.load(text, _loader(yaml))  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlSubsetError("This is not valid YAML: {}".format(error)) from None
    except ValueError as error:
        if isinstance(error, YamlSubsetError):
            raise
        # A scalar that looks like a number and is none.
        raise YamlSubsetError("This is not valid YAML: {}".format(error)) from None
    _check_size(value)
    return value


def _loader(yaml: Any) -> Any:
    """A safe loader that leaves dates as texts and refuses keys that come twice."""

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Dict[Any, Any]:
            seen = set()
            for key_node, _ in getattr(node, "value", ()):
                key = (key_node.tag, key_node.value) if isinstance(key_node.value, str) else None
                if key in seen:
                    line = key_node.start_mark.line + 1
                    raise YamlSubsetError("Line {}: the key {!r} comes twice.".format(line, key_node.value))
                if key is not None:
                    seen.add(key)
            found: Dict[Any, Any] = super().construct_mapping(node, deep=deep)
            return found

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def _check_depth(yaml: Any, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MOST_LEVELS:
                line = event.start_mark.line + 1
                raise YamlSubsetError("Line {}: it lies more than {} levels deep.".format(line, MOST_LEVELS))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_size(value: Any) -> None:
    """Counts values as they are once aliases are written out: a few lines can stand for more than any memory."""
    count, left = 0, [(value, 0)]
    while left:
        found, depth = left.pop()
        count += 1
        if count > _MOST_VALUES or depth > MOST_LEVELS:
            raise YamlSubsetError("It has too many values, or its aliases make it endless.")
        if isinstance(found, dict):
            left.extend((item, depth + 1) for item in found.values())
        elif isinstance(found, (list, set)):
            left.extend((item, depth + 1) for item in found)


def _dump_into(lines: List[str], value: Any, indent: int) -> None:
    pad = " " * indent
    if isinstance(value, dict):
        for key, item in value.items():
            head = pad + _scalar(str(key)) + ":"
            if isinstance(item, (dict, list)) and item:
                lines.append(head)
                _dump_into(lines, item, indent if isinstance(item, list) else indent + 2)
            else:
                lines.append(head + " " + _scalar(item))
        return
    for item in value:
        if isinstance(item, (dict, list)) and item:
            nested: List[str] = []
            _dump_into(nested, item, indent + 2)
            nested[0] = pad + "- " + nested[0][indent + 2 :]
            lines.extend(nested)
        else:
            lines.append(pad + "- " + _scalar(item))


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, int):
        return repr(value)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    text = str(value)
    plain = (
        _PLAIN.match(text)
        and text == text.strip()
        and ": " not in text
        and not text.endswith(":")
        and plain_value(text) == text
        and text.isprintable()
    )
    return text if plain else '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char == " " or char.isprintable():
        return char
    code = ord(char)
    return "\\n" if char == "\n" else ("\\U{:08x}" if code > 0xFFFF else "\\u{:04x}").format(code)


def _float(value: float) -> str:
    text = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value), repr(value))
    mantissa, mark, exponent = text.partition("e")
    # Without a point YAML takes it for a text.
    return mantissa + ".0" + mark + exponent if mark and "." not in mantissa else text
