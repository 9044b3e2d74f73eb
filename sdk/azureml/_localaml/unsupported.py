"""What Azure's SDK has and LocalAML does not (yet): refused by name, never pretended."""

from azureml.exceptions import UserErrorException

WHERE = "What is and is not supported: docs/compatibility.md of LocalAML."


def unsupported(what: str, instead: str = "") -> UserErrorException:
    """The exception for a function, argument or kind of thing that LocalAML lacks.

    Args:
        what: how the user wrote it, e.g. ``Workspace.sync_keys``.
        instead: a sentence on what to use.
    """
    text = "LocalAML does not support {} yet.".format(what)
    exception = UserErrorException(" ".join(part for part in (text, instead, WHERE) if part))
    exception.reason = "NOT_SUPPORTED"
    return exception


def refused_class(module: str, name: str, instead: str = "") -> type:
    """A class that can be imported and asked for by `isinstance`, but not made.

    Args:
        module: whose class it is.
        instead: a sentence on what to use.
    """

    def refuse(self: object, *args: object, **kwargs: object) -> None:
        raise unsupported(name, instead)

    return type(name, (), {"__init__": refuse, "__module__": module, "__doc__": "Not supported."})


def unsupported_import(name: str) -> ImportError:
    """The exception for a module or class that LocalAML lacks: an ImportError, so that `import` shows its text."""
    return ImportError("LocalAML does not support {} yet. {}".format(name, WHERE), name=name)
