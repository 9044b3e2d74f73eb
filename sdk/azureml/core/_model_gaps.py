"""What Azure's `Model` does to serve models: LocalAML serves none, and says so by name."""

from typing import Any, List, Optional

from azureml._localaml.unsupported import unsupported

_INSTEAD = "Load the model where you need it: Model.get_model_path, model.download."


class ModelGaps:
    """The part of `Model` that is not supported."""

    @staticmethod
    def deploy(
        workspace: Any,
        name: str,
        models: List[Any],
        inference_config: Any = None,
        deployment_config: Any = None,
        deployment_target: Any = None,
        overwrite: bool = False,
        show_output: bool = False,
    ) -> Any:
        """Not supported."""
        raise unsupported("Model.deploy", _INSTEAD)

    @staticmethod
    def package(
        workspace: Any,
        models: List[Any],
        inference_config: Any = None,
        generate_dockerfile: bool = False,
        image_name: Optional[str] = None,
        image_label: Optional[str] = None,
    ) -> Any:
        """Not supported."""
        raise unsupported("Model.package", _INSTEAD)

    @staticmethod
    def profile(
        workspace: Any,
        profile_name: str,
        models: List[Any],
        inference_config: Any,
        input_dataset: Any,
        cpu: Optional[float] = None,
        memory_in_gb: Optional[float] = None,
        description: Optional[str] = None,
    ) -> Any:
        """Not supported."""
        raise unsupported("Model.profile", _INSTEAD)

    @staticmethod
    def print_configuration(
        models: List[Any], inference_config: Any, deployment_config: Any, deployment_target: Any
    ) -> None:
        """Not supported."""
        raise unsupported("Model.print_configuration", _INSTEAD)
