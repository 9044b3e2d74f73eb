"""The registry of environments: registering, finding and building them."""

import threading
import uuid
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional

from azureml._localaml.unsupported import unsupported
from azureml.exceptions import AzureMLException, UserErrorException

if TYPE_CHECKING:
    from azureml.core.environment import Environment
    from azureml.core.workspace import Workspace

# Parts of an environment that mean nothing to the emulator: it keeps them as they are.
_OTHER_SECTIONS = ("spark", "r", "databricks", "inferencingStackVersion")
_PLATFORMS = ("linux",)


class EnvironmentRegistry:
    """The part of `Environment` that needs a workspace."""

    def register(self, workspace: "Workspace") -> "Environment":
        """Registers the definition as the next version of its name; an unchanged one keeps its version.

        `version` of this object does not matter: versions are counted. A registry's password is not kept.

        Returns:
            The registered version, as another object.

        Raises:
            UserErrorException: no name, one that cannot be registered (``AzureML...``), or a definition that cannot
                be read.
        """
        environment: Any = self
        if not environment.name:
            raise UserErrorException("An environment needs a name to be registered: set environment.name.")
        request = {
            "parent": workspace._resource_name,
            "environmentName": environment.name,
            "definition": environment_definition(environment),
            "otherSections": _other_sections(environment),
            "requestId": str(uuid.uuid4()),
        }
        return environment_of(workspace._client.call("EnvironmentService", "RegisterEnvironment", request))

    @staticmethod
    def get(
        workspace: "Workspace", name: str, version: Optional[str] = None, label: Optional[str] = None
    ) -> "Environment":
        """A registered or curated environment.

        Args:
            version: default: the newest.
            label: the version that has this label; ``latest`` is the newest.

        Raises:
            UserErrorException: there is none; or it is a curated one of Azure's that cannot be had here.
        """
        request = {
            "name": "{}/environments/{}".format(workspace._resource_name, name),
            "version": "" if version is None else str(version),
            "label": label or "",
        }
        return environment_of(workspace._client.call("EnvironmentService", "GetEnvironment", request))

    @staticmethod
    def list(workspace: "Workspace") -> "Dict[str, Environment]":
        """The newest versions of all registered environments, and the curated ones, by name."""
        request = {"parent": workspace._resource_name, "latestOnly": True}
        found = workspace._client.pages("EnvironmentService", "ListEnvironments", request, "environments")
        return {str(environment.name): environment for environment in map(environment_of, found)}

    @staticmethod
    def label(workspace: "Workspace", name: str, version: str, labels: List[str]) -> None:
        """Gives labels to a version; other versions of the name lose them."""
        request = {
            "name": "{}/environments/{}".format(workspace._resource_name, name),
            "version": str(version),
            "labels": [labels] if isinstance(labels, str) else [str(label) for label in labels],
        }
        workspace._client.call("EnvironmentService", "LabelEnvironment", request)

    @staticmethod
    def add_private_pip_wheel(workspace: "Workspace", file_path: str, exist_ok: bool = False) -> str:
        """Not supported."""
        raise unsupported("Environment.add_private_pip_wheel", "Put the wheel into the source directory.")

    def get_image_details(self, workspace: "Workspace") -> Any:
        """Not supported: there is no image."""
        raise unsupported("Environment.get_image_details", "environment.build_local(workspace) builds it here.")

    def build(self, workspace: "Workspace", image_build_compute: Optional[str] = None) -> "ImageBuildDetails":
        """Begins to build the environment at the emulator; runs then find it built. No image is made.

        Args:
            image_build_compute: not supported: there is one machine.
        """
        if image_build_compute is not None:
            raise unsupported("Environment.build(image_build_compute=...)", "The emulator's machine builds.")
        return ImageBuildDetails(workspace, self)

    def build_local(self, workspace: "Workspace", platform: Optional[str] = None, **kwargs: Any) -> str:
        """Builds the environment on this machine, printing the log as it comes; runs then find it built.

        Args:
            platform: ``Linux`` or None.
            kwargs: `useDocker` and `pushImageToWorkspaceAcr` only as False: no image is made.

        Returns:
            The log.

        Raises:
            UserErrorException: it cannot be built; the text has the builder's reason.
        """
        for name, value in kwargs.items():
            if name not in ("useDocker", "pushImageToWorkspaceAcr"):
                raise TypeError("build_local() got an unexpected keyword argument {!r}".format(name))
            if value:
                raise unsupported("Environment.build_local({}=True)".format(name), "Without it the packages are built.")
        if platform is not None and str(platform).lower() not in _PLATFORMS:
            raise unsupported("Environment.build_local(platform={!r})".format(platform))
        lines: List[str] = []
        for line in _build(workspace, self):
            print(line)
            lines.append(line)
        return "\n".join(lines)


class ImageBuildDetails:
    """A build that goes on in the background.

    Attributes:
        status: ``Running``, ``Succeeded`` or ``Failed``.
    """

    def __init__(self, workspace: "Workspace", environment: Any) -> None:
        self._lines: List[str] = []
        self._error: Optional[AzureMLException] = None
        self._changed = threading.Condition()
        self.status = "Running"
        self._thread = threading.Thread(
            target=self._follow, args=(workspace, environment), name="localaml-environment-build", daemon=True
        )
        self._thread.start()

    def get_log(self) -> str:
        """The log as far as it is there."""
        with self._changed:
            return "\n".join(self._lines)

    def wait_for_completion(self, show_output: bool = True) -> "ImageBuildDetails":
        """Returns when it has been built.

        Args:
            show_output: print the log as it comes.

        Raises:
            UserErrorException: it cannot be built.
        """
        shown = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: len(self._lines) > shown or self.status != "Running")  # noqa: B023
                new, shown = self._lines[shown:], len(self._lines)
                ended = self.status != "Running"
            if show_output:
                for line in new:
                    print(line)
            if ended:
                break
        if self._error is not None:
            raise self._error
        return self

    def _follow(self, workspace: "Workspace", environment: Any) -> None:
        error: Optional[AzureMLException] = None
        try:
            for line in _build(workspace, environment):
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        except AzureMLException as raised:
            error = raised
        except Exception as raised:
            error = UserErrorException("The build could not be followed: {}.".format(raised))
        with self._changed:
            self._error = error
            self.status = "Succeeded" if error is None else "Failed"
            self._changed.notify_all()


def _build(workspace: "Workspace", environment: Any) -> Iterable[str]:
    """The lines of the build's log as they come. Raises UserErrorException when it fails."""
    from azureml._localaml.errors import ConnectionFailed

    request = {"parent": workspace._resource_name, "definition": environment_definition(environment)}
    try:
        with workspace._client.stream("EnvironmentService", "BuildEnvironment", request) as answers:
            for answer in answers:
                built = answer.get("built")
                if built is None:
                    yield str(answer.get("line") or "")
                else:
                    how = "was built" if built.get("newlyBuilt") else "is there already"
                    yield "The environment {}: Python {} ({})".format(how, built["pythonVersion"], built["python"])
    except ConnectionFailed as error:
        raise UserErrorException("The emulator went away while it built the environment: {}.".format(error)) from None


def environment_definition(environment: Any) -> Dict[str, Any]:
    """An EnvironmentDefinition message."""
    from azureml._run_impl import definition

    return definition._environment(environment)


def _other_sections(environment: Any) -> Dict[str, Any]:
    content = environment._to_dict()
    other = {key: content[key] for key in _OTHER_SECTIONS if content.get(key) is not None}
    docker = {key: content["docker"][key] for key in ("platform", "buildContext") if content["docker"].get(key)}
    return dict(other, docker=docker)


def environment_of(message: Mapping[str, Any]) -> "Environment":
    """The environment of an Environment message."""
    environment = environment_of_definition(message.get("definition") or {})
    environment._update(dict(message.get("otherSections") or {}))
    environment.name = str(message["name"]).rpartition("/")[2]
    environment.version = str(message["version"])
    environment.asset_id = message.get("assetId") or None
    return environment


def environment_of_definition(definition: Mapping[str, Any], kind: Optional[type] = None) -> "Environment":
    """The environment of an EnvironmentDefinition message, whose fields are absent where they have default values.

    Args:
        kind: a class of environments; default: `Environment`.
    """
    from azureml.core.environment import Environment

    environment: Environment = (kind or Environment)(definition.get("name"))
    python = definition.get("python") or {}
    environment.python.user_managed_dependencies = False
    environment.docker.base_image = None
    environment.docker.shared_volumes = False
    environment._update(dict(definition))
    if "condaDependencies" not in python and not environment.python.user_managed_dependencies:
        environment.python.conda_dependencies = None
    return environment
