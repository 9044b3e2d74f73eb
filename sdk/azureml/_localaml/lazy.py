"""Packages whose names are loaded when they are first used (PEP 562), so that `import azureml.core` stays light."""

import importlib
import sys
from types import ModuleType
from typing import Any, Callable, FrozenSet, List, Mapping, Tuple


def lazy_names(
    package: str, names: Mapping[str, str], unsupported: FrozenSet[str] = frozenset()
) -> Tuple[Callable[[str], Any], Callable[[], List[str]]]:
    """Makes a package's `__getattr__` and `__dir__`.

    Args:
        package: the package's `__name__`.
        names: public name -> module that has it.
        unsupported: names that Azure's SDK has and this one lacks: importing them tells so.
    """

    def get(name: str) -> Any:
        module = names.get(name)
        if module is not None:
            value = getattr(importlib.import_module(module), name)
            setattr(sys.modules[package], name, value)
            return value
        if name in unsupported:
            from azureml._localaml.unsupported import unsupported_import

            raise unsupported_import("{}.{}".format(package, name))
        raise AttributeError("module {!r} has no attribute {!r}".format(package, name))

    def names_of_package() -> List[str]:
        return sorted(set(vars(sys.modules[package])) | set(names))

    ask_module(package)
    return get, names_of_package


def ask_module(package: str) -> None:
    """Makes Python ask a module's own `__getattr__` and `__dir__`; from 3.7 on it does so by itself."""
    if sys.version_info < (3, 7):  # noqa: UP036  # ruff knows nothing older
        sys.modules[package].__class__ = _AskedModule


class _AskedModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        get = vars(self).get("__getattr__")
        if get is None:
            raise AttributeError("module {!r} has no attribute {!r}".format(self.__name__, name))
        return get(name)

    def __dir__(self) -> List[str]:
        names = vars(self).get("__dir__")
        return sorted(vars(self)) if names is None else names()
