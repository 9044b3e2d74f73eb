"""What the framework estimators install. docs/frameworks.md shows these tables; a test holds both together.

With a `framework_version` exactly that release is installed, with the newest releases of other packages that still work
with it, on a Python for which it was published (the emulator looks for one on the machine). Without, the newest that
pip finds for the Python that the emulator would take anyway: Azure's defaults are of 2019 and 2020, and most of them
exist for no Python that is still maintained.

The sets of old releases were resolved on their Python; of them TensorFlow 1.13 was installed and trained with. Some
numpy bounds were tightened after that.
"""

from typing import Dict, NamedTuple, Optional, Tuple


class Release(NamedTuple):
    """What one version of a framework is installed from.

    Attributes:
        packages: requirements for pip.
        python: the version of Python to ask for; None: any.
    """

    packages: Tuple[str, ...]
    python: Optional[str] = None


class Framework(NamedTuple):
    """A framework that has an estimator.

    Attributes:
        newest: what is installed when no version is asked for.
        releases: what `framework_version` may be, oldest first.
        azures_default: the version that Azure's estimator takes when none is asked for.
    """

    newest: "Release"
    releases: "Dict[str, Release]"
    azures_default: str


PYTORCH = Framework(
    Release(("torch", "torchvision")),
    {
        "1.0": Release(("torch==1.0.0", "torchvision==0.2.1", "pillow<7"), "3.7"),
        "1.1": Release(("torch==1.1.0", "torchvision==0.3.0", "pillow<7"), "3.7"),
        "1.2": Release(("torch==1.2.0", "torchvision==0.4.0", "pillow<7"), "3.7"),
        "1.3": Release(("torch==1.3.1", "torchvision==0.4.2", "pillow<7"), "3.7"),
        "1.4": Release(("torch==1.4.0", "torchvision==0.5.0", "pillow<7"), "3.7"),
        "1.5": Release(("torch==1.5.0", "torchvision==0.6.0"), "3.7"),
        "1.6": Release(("torch==1.6.0", "torchvision==0.7.0"), "3.7"),
    },
    "1.4",
)

TENSORFLOW = Framework(
    Release(("tensorflow",)),
    {
        # These two were never published for Python 3.7.
        "1.10": Release(("tensorflow==1.10.0", "protobuf<3.20"), "3.6"),
        "1.12": Release(("tensorflow==1.12.0", "numpy<1.17", "h5py<3", "protobuf<3.20"), "3.6"),
        "1.13": Release(("tensorflow==1.13.1", "numpy<1.17", "h5py<3", "protobuf<3.20"), "3.7"),
        "2.0": Release(("tensorflow==2.0.0", "numpy<1.20", "h5py<3", "protobuf<3.20"), "3.7"),
        "2.1": Release(("tensorflow==2.1.0", "numpy<1.20", "h5py<3", "protobuf<3.20"), "3.7"),
        "2.2": Release(("tensorflow==2.2.0", "numpy<1.20", "h5py<3", "protobuf<3.20"), "3.7"),
        "2.3": Release(("tensorflow==2.3.0", "h5py<3", "protobuf<3.20"), "3.7"),
    },
    "1.13",
)

CHAINER = Framework(
    # Its last release needs a Python of its time to be built, and a NumPy that still has `numpy.bool`.
    Release(("chainer==7.8.1", "numpy<1.20"), "3.7"),
    {
        "5.1.0": Release(("chainer==5.1.0", "numpy<1.17"), "3.7"),
        "7.0.0": Release(("chainer==7.0.0", "numpy<1.20"), "3.7"),
    },
    "5.1.0",
)

SCIKIT_LEARN = Framework(
    Release(("scikit-learn",)),
    {"0.20.3": Release(("scikit-learn==0.20.3", "scipy==1.2.1", "joblib==0.13.2", "numpy<1.20"), "3.7")},
    "0.20.3",
)
