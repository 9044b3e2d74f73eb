"""What our functions do with what they are given, as far as a test can tell without a server: whether they refuse, and
which parameters they never read."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

from tests.compatibility.surface import Name, holder, parameters

_REFUSAL = "LocalAML does not support"


def refusal_is_missing(name: Name) -> str | None:
    """Uses a name that is declared as not supported. None when that raises an error that names it, else the problem."""
    word = name.cls if name.member == "__init__" else name.member
    try:
        where = holder(name)
    except ModuleNotFoundError as error:
        return None if error.name and name.module.startswith(error.name) else f"the error does not name it: {error}"
    except (ImportError, AttributeError) as error:
        return None if name.cls in str(error) else f"the error does not name it: {error}"
    if name.member == "__class__":
        return "is there"
    found = inspect.getattr_static(where, name.member, None)
    try:
        if found is None:
            getattr(where, name.member)
        _use(where, name.member, found)
    except AttributeError as error:
        return None if found is None and word in str(error) else f"raises AttributeError: {error}"
    except Exception as error:
        text = str(getattr(error, "message", error))
        return None if _REFUSAL in text and word in text else f"raises {type(error).__name__}: {text}"
    return "is declared as not supported, and raises nothing"


def _use(where: Any, member: str, found: Any) -> None:
    """Reads the property, or calls the function with anything for what it needs."""
    if isinstance(found, property):
        assert found.fget is not None
        found.fget(object.__new__(where))
        return
    if member == "__init__":
        call = where
    elif isinstance(found, staticmethod | classmethod) or not inspect.isclass(where):
        call = getattr(where, member)
    else:
        call = found.__get__(object.__new__(where))
    needed = [item for item in parameters(call).values() if item.default is item.empty]
    by_position = [object() for item in needed if item.kind is item.POSITIONAL_OR_KEYWORD]
    call(*by_position, **{item.name: object() for item in needed if item.kind is item.KEYWORD_ONLY})


def is_refusal(call: Any) -> bool:
    """Whether all that a function of ours does is to say that it is not supported."""
    tree = _tree(call)
    if tree is None:
        return False
    steps = [node for node in tree.body if not isinstance(node, ast.Expr | ast.Import | ast.ImportFrom)]
    return len(steps) == 1 and isinstance(steps[0], ast.Raise) and "unsupported(" in ast.unparse(steps[0])


def unread(call: Any) -> set[str]:
    """The public parameters that a function of ours never reads: they may be given, and change nothing."""
    if inspect.isclass(call):
        # What one of the two does not read, the other may.
        both = [_unread(made) for made in (call.__init__, call.__new__) if inspect.isfunction(made)]
        return set.intersection(*both) if both else set()
    return _unread(call)


def _unread(call: Any) -> set[str]:
    tree = _tree(call)
    if tree is None or getattr(call, "__isabstractmethod__", False) or _only_raises(tree):
        return set()
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    if "locals" in used:
        return set()
    given = {one.arg for one in [*tree.args.args, *tree.args.kwonlyargs] if not one.arg.startswith("_")}
    return given - used - {"self", "cls"}


def _only_raises(tree: ast.FunctionDef) -> bool:
    return isinstance(tree.body[-1], ast.Raise)


def _tree(call: Any) -> ast.FunctionDef | None:
    function = inspect.unwrap(getattr(call, "__func__", call))
    if isinstance(function, property):
        function = function.fget
    if not inspect.isfunction(function):
        return None
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    return tree if isinstance(tree, ast.FunctionDef) else None
