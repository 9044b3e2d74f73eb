"""docs/compatibility-api.md is what our SDK is: names, parameters and defaults against the surface of Azure's SDK."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from tests.compatibility import bad_arguments, generate
from tests.compatibility.behaviour import is_refusal, refusal_is_missing, unread
from tests.compatibility.surface import Name, compare, has, holder, names, parameters, read
from tests.compatibility.verdicts import declared, parameters_of, reason_against

_NAMES = list(names())
_SUPPORTED = [name for name in _NAMES if not reason_against(name.path)]
_ESTIMATORS = ("Estimator", "PyTorch", "TensorFlow", "Chainer", "SKLearn")


def _call(name: Name) -> Any:
    where = holder(name)
    return where if name.member == "__init__" else inspect.getattr_static(where, name.member)


def test_the_document_is_what_the_generator_writes() -> None:
    assert generate.DOCUMENT.read_text("utf-8") == generate.render(), "run scripts/generate-compatibility"


def test_every_supported_name_is_there_with_its_parameters_and_defaults() -> None:
    different = declared()["different"]
    wrong = {name.path: compare(name).problems for name in _SUPPORTED if name.path not in different}
    assert not {path: problems for path, problems in wrong.items() if problems}


def test_what_is_not_supported_says_so_when_it_is_used() -> None:
    refused = [name for name in _NAMES if reason_against(name.path)]
    wrong = {name.path: problem for name in refused if (problem := refusal_is_missing(name))}
    assert not wrong


def test_nothing_refuses_without_being_declared() -> None:
    assert not [name.path for name in _SUPPORTED if is_refusal(_call_or_none(name))]


def _call_or_none(name: Name) -> Any:
    try:
        return _call(name)
    except AttributeError:
        return None  # an attribute that objects get when they are made


def test_parameters_without_effect_are_declared_and_no_others() -> None:
    """A parameter that its function never reads must be declared. One that is read may be declared, too: reading is not
    using."""
    declaration = declared()["without_effect"]
    silent = {}
    for name in _SUPPORTED:
        if name.is_call:
            public = {*parameters_of(name, 0), *parameters_of(name, 1)}
            ignored = (unread(_call(name)) & public) - set(declaration.get(name.path, {}))
            if ignored:
                silent[name.path] = sorted(ignored)
    assert not silent


def test_every_declaration_is_about_something_that_is_there() -> None:
    known = {name.path: name for name in _NAMES}
    for kind in ("without_effect", "refused"):
        for path, listed in declared()[kind].items():
            assert not reason_against(path), f"{path} is not supported at all"
            there = parameters(_call_of(known[path])) if known[path].is_call else {""}
            assert set(listed) <= set(there), path
    assert set(declared()["different"]) <= {name.path for name in _SUPPORTED}
    prefixes = {".".join(path.split(".")[:length]) for path in known for length in range(1, path.count(".") + 2)}
    assert set(declared()["not_supported"]) <= prefixes


def _call_of(name: Name) -> Any:
    where = holder(name)
    return where if name.member == "__init__" else getattr(where, name.member)


def test_what_is_declared_as_different_differs() -> None:
    known = {name.path: name for name in _NAMES}
    assert not [path for path in declared()["different"] if not compare(known[path]).problems]


_REFUSED = [
    pytest.param(item or path.rpartition(".")[2], shown["call"], id=f"{path}({item})")
    for path, listed in declared()["refused"].items()
    for item, shown in listed.items()
]


@pytest.mark.parametrize(("parameter", "call"), _REFUSED)
def test_a_refused_parameter_is_named(
    parameter: str, call: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # runs make their folders in the current one
    space = bad_arguments.names(ws=request.getfixturevalue("workspace"))
    *before, last = call.split("; ")
    exec("\n".join(before), space)
    with pytest.raises(space["UserErrorException"], match=parameter):
        exec(last, space)


def test_all_parameters_of_the_estimators_are_supported() -> None:
    estimators = [name for name in _NAMES if name.cls in _ESTIMATORS and name.member == "__init__"]
    assert len(estimators) == len(_ESTIMATORS)
    for name in estimators:
        assert not reason_against(name.path)
        assert not compare(name).problems
        assert name.path not in declared()["refused"]


# How notebooks come to objects of classes that they never name.
_OBJECTS = {
    "ComputeTarget": "azureml.core.compute.AmlCompute",
    "AmlComputeStatus": "azureml.core.compute.amlcompute.AmlComputeStatus",
    "CondaDependencies": "azureml.core.conda_dependencies.CondaDependencies",
    "DataReference": "azureml.data.data_reference.DataReference",
    "Dataset": "azureml.data.tabular_dataset.TabularDataset",
    "Datastore": "azureml.data.azure_storage_datastore.AzureBlobDatastore",
    "DatasetConsumptionConfig": "azureml.data.dataset_consumption_config.DatasetConsumptionConfig",
    "DockerSection": "azureml.core.environment.DockerSection",
    "FileDataset": "azureml.data.file_dataset.FileDataset",
    "FileDatasetFactory": "azureml.data.dataset_factory.FileDatasetFactory",
    "InteractiveLoginAuthentication": "azureml.core.authentication.InteractiveLoginAuthentication",
    "Model": "azureml.core.model.Model",
    "MpiConfiguration": "azureml.core.runconfig.MpiConfiguration",
    "PythonSection": "azureml.core.environment.PythonSection",
    "RunDetails": "azureml.widgets.RunDetails",
    "TabularDataset": "azureml.data.tabular_dataset.TabularDataset",
    "TabularDatasetFactory": "azureml.data.dataset_factory.TabularDatasetFactory",
    "Tensorboard": "azureml.tensorboard.Tensorboard",
    "set_diagnostics_collection": "azureml.telemetry.set_diagnostics_collection",
}
_WANTED = [
    pytest.param(api, id=api)
    for api, kind, count, group in read("usage.json")
    if count >= 2 and group in ("training", "tracking", "datastore", "hyperdrive")
]


@pytest.mark.parametrize("api", _WANTED)
def test_what_several_notebooks_use_is_supported(api: str) -> None:
    """The goal: all of it. What is excepted says why, in `declared.json`."""
    excepted = declared()["excepted_from_the_goal"]
    problem = _unusable(api)
    assert (problem is not None) == (api in excepted), problem or f"{api} works: take it off the exceptions"


def _unusable(api: str) -> str | None:
    """Why a name, as the count has it, cannot be used; None when it can."""
    if api.startswith(("from ", "import ")):
        try:
            exec(api, {})
        except ImportError as error:
            return str(error)
        return None
    path = api.partition(" (")[0].removesuffix("()")
    first, _, member = path.partition(".")
    if first == "azureml":
        module, _, member = path.rpartition(".")
        return None if hasattr(importlib.import_module(module), member) else f"no {path}"
    problems = []
    for where in _holders(first):
        problem = _unusable_member(where, member) if member else None
        if problem is None:
            return None
        problems.append(problem)
    return " and ".join(problems) or f"no {first}"


def _holders(first: str) -> list[Any]:
    """The classes that the count may mean by a name: the one of that name, and that of its objects."""
    found = [bad_arguments.names().get(first)]
    with contextlib.suppress(ImportError):
        found.append(_imported(_OBJECTS[first]) if first in _OBJECTS else None)
    return [where for where in found if where is not None]


def _unusable_member(where: Any, member: str) -> str | None:
    full = f"{where.__module__}.{where.__name__}.{member}"
    mine = [name for name in _NAMES if name.member == member and name.cls in _classes(where)]
    if any(reason_against(name.path) for name in mine):
        return f"{full} is not supported"
    return None if has(where, member) else f"no {full}"


def _imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _classes(where: Any) -> set[str]:
    return {base.__name__ for base in where.__mro__}
