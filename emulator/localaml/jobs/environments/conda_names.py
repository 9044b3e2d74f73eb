"""What conda calls packages that PyPI calls otherwise, or does not have: data only. The documentation's table is made
from it.

Names are canonical (lower case, `-`). A conda package that is not in here has the same name on PyPI.
"""

from __future__ import annotations

import re

# conda name -> (PyPI requirement name, why it differs; empty when it is only another name).
RENAMED: dict[str, tuple[str, str]] = {
    "pytorch": ("torch", ""),
    "pytorch-cpu": ("torch", ""),
    "pytorch-gpu": ("torch", "jobs run on the CPU"),
    "torchvision-cpu": ("torchvision", ""),
    "tensorflow-gpu": ("tensorflow", "jobs run on the CPU"),
    "tensorflow-mkl": ("tensorflow", ""),
    "tensorflow-eigen": ("tensorflow", ""),
    "tensorflow-base": ("tensorflow", ""),
    "keras-gpu": ("keras", "jobs run on the CPU"),
    "cntk-gpu": ("cntk", "jobs run on the CPU"),
    "opencv": ("opencv-python-headless", ""),
    "py-opencv": ("opencv-python-headless", ""),
    "libopencv": ("opencv-python-headless", ""),
    "pytables": ("tables", ""),
    "msgpack-python": ("msgpack", ""),
    "py-xgboost": ("xgboost", ""),
    "py-xgboost-cpu": ("xgboost", ""),
    "py-xgboost-gpu": ("xgboost", "jobs run on the CPU"),
    "py-lightgbm": ("lightgbm", ""),
    "python-graphviz": ("graphviz", "the Python binding alone; `dot` has to be on the machine"),
    "pyqt": ("pyqt5", ""),
    "ruamel-yaml": ("ruamel.yaml", ""),
    "psycopg2": ("psycopg2-binary", "the build that needs no compiler"),
    "python-lmdb": ("lmdb", ""),
    "python-hdfs": ("hdfs", ""),
    "python-blosc": ("blosc", ""),
    "python-flatbuffers": ("flatbuffers", ""),
    "python-kaleido": ("kaleido", ""),
    "dask-core": ("dask", ""),
    "matplotlib-base": ("matplotlib", ""),
    "seaborn-base": ("seaborn", ""),
    "numpy-base": ("numpy", ""),
    "scikit-learn-base": ("scikit-learn", ""),
    "pil": ("pillow", ""),
    "faiss": ("faiss-cpu", ""),
    "faiss-gpu": ("faiss-cpu", "jobs run on the CPU"),
}

# Left out, because the job has them all the same or has no use for them: conda name -> why.
_INTERPRETER = "comes with the Python interpreter or the machine"
_IN_WHEELS = "is inside the wheels that need it"
_SELECTOR = "chooses between builds that exist on conda only"
LEFT_OUT: dict[str, str] = {
    "pip": "uv installs the packages",
    "openmpi": "LocalAML brings Open MPI 4.1",
    "mpi": "LocalAML brings Open MPI 4.1",
    "openmpi-mpicc": "LocalAML brings Open MPI 4.1",
    "nomkl": _SELECTOR,
    "blas": _SELECTOR,
    "cpuonly": _SELECTOR,
    "mkl-fft": _IN_WHEELS,
    "mkl-random": _IN_WHEELS,
    "intel-openmp": _IN_WHEELS,
    "llvm-openmp": _IN_WHEELS,
    "libgfortran": _IN_WHEELS,
    "libgfortran-ng": _IN_WHEELS,
    "libgfortran4": _IN_WHEELS,
    "libgfortran5": _IN_WHEELS,
    "libopenblas": _IN_WHEELS,
    "libblas": _IN_WHEELS,
    "libcblas": _IN_WHEELS,
    "liblapack": _IN_WHEELS,
    "openblas": _IN_WHEELS,
    "libprotobuf": _IN_WHEELS,
    "libtorch": _IN_WHEELS,
    "hdf5": _IN_WHEELS,
    "libpng": _IN_WHEELS,
    "libtiff": _IN_WHEELS,
    "libwebp": _IN_WHEELS,
    "libjpeg-turbo": _IN_WHEELS,
    "jpeg": _IN_WHEELS,
    "lcms2": _IN_WHEELS,
    "freetype": _IN_WHEELS,
    "zeromq": _IN_WHEELS,
    "libsodium": _IN_WHEELS,
    "arrow-cpp": _IN_WHEELS,
    "libarrow": _IN_WHEELS,
    "libxgboost": _IN_WHEELS,
    "libgcc": _INTERPRETER,
    "libgcc-ng": _INTERPRETER,
    "libstdcxx-ng": _INTERPRETER,
    "libgomp": _INTERPRETER,
    "libffi": _INTERPRETER,
    "libuuid": _INTERPRETER,
    "libnsl": _INTERPRETER,
    "libsqlite": _INTERPRETER,
    "libzlib": _INTERPRETER,
    "libexpat": _INTERPRETER,
    "libxcrypt": _INTERPRETER,
    "liblzma": _INTERPRETER,
    "libmpdec": _INTERPRETER,
    "libedit": _INTERPRETER,
    "ld-impl-linux-64": _INTERPRETER,
    "ld-impl-linux-aarch64": _INTERPRETER,
    "ca-certificates": _INTERPRETER,
    "openssl": _INTERPRETER,
    "sqlite": _INTERPRETER,
    "tk": _INTERPRETER,
    "xz": _INTERPRETER,
    "zlib": _INTERPRETER,
    "bzip2": _INTERPRETER,
    "expat": _INTERPRETER,
    "readline": _INTERPRETER,
    "ncurses": _INTERPRETER,
    "tzdata": _INTERPRETER,
    "python-abi": _INTERPRETER,
    "python-tzdata": _INTERPRETER,
}

# Not Python packages, or not to be had as ones: conda name -> what to do. They fail the run by name.
_TOOL = "it is a program, not a Python package: have it on the machine's PATH and leave it out of the packages"
_CUDA = "it is CUDA: jobs run on the CPU here, so leave it out"
_COMPILER = "it is a compiler: have one on the machine's PATH and leave it out of the packages"
_LIBRARY = "it is a native library: have it on the machine and leave it out of the packages"
_CONDA = "it is conda itself, which LocalAML does not use: name the Python packages that you need"
_MPI = "LocalAML brings Open MPI 4.1 and no other MPI: leave it out"
REFUSED: dict[str, str] = {
    "cudatoolkit": _CUDA,
    "cudatoolkit-dev": _CUDA,
    "cuda": _CUDA,
    "cuda-toolkit": _CUDA,
    "cuda-runtime": _CUDA,
    "cudnn": _CUDA,
    "nccl": _CUDA,
    "cupti": _CUDA,
    "pytorch-cuda": _CUDA,
    "pytorch-mutex": _CUDA,
    "gcc": _COMPILER,
    "gxx": _COMPILER,
    "gcc-linux-64": _COMPILER,
    "gxx-linux-64": _COMPILER,
    "gfortran": _COMPILER,
    "gfortran-linux-64": _COMPILER,
    "clang": _COMPILER,
    "clangxx": _COMPILER,
    "compilers": _COMPILER,
    "c-compiler": _COMPILER,
    "cxx-compiler": _COMPILER,
    "fortran-compiler": _COMPILER,
    "binutils": _COMPILER,
    "make": _COMPILER,
    "automake": _COMPILER,
    "autoconf": _COMPILER,
    "libtool": _COMPILER,
    "pkg-config": _COMPILER,
    "mpich": _MPI,
    "mpich2": _MPI,
    "impi-rt": _MPI,
    "intelmpi": _MPI,
    "openjdk": _TOOL,
    "java-jdk": _TOOL,
    "maven": _TOOL,
    "scala": _TOOL,
    "nodejs": _TOOL,
    "yarn": _TOOL,
    "go": _TOOL,
    "rust": _TOOL,
    "perl": _TOOL,
    "ruby": _TOOL,
    "julia": _TOOL,
    "r": _TOOL,
    "git": _TOOL,
    "git-lfs": _TOOL,
    "wget": _TOOL,
    "curl": _TOOL,
    "unzip": _TOOL,
    "zip": _TOOL,
    "p7zip": _TOOL,
    "rsync": _TOOL,
    "openssh": _TOOL,
    "tmux": _TOOL,
    "vim": _TOOL,
    "htop": _TOOL,
    "ffmpeg": _TOOL,
    "sox": _TOOL,
    "imagemagick": _TOOL,
    "tesseract": _TOOL,
    "poppler": _TOOL,
    "ghostscript": _TOOL,
    "pandoc": _TOOL,
    "graphviz": "on conda it is the program `dot`; for the Python binding name `python-graphviz` or pip's `graphviz`",
    "libsndfile": _LIBRARY,
    "libxml2": _LIBRARY,
    "libxslt": _LIBRARY,
    "libboost": _LIBRARY,
    "boost": _LIBRARY,
    "boost-cpp": _LIBRARY,
    "eigen": _LIBRARY,
    "fftw": _LIBRARY,
    "gsl": _LIBRARY,
    "geos": _LIBRARY,
    "proj": _LIBRARY,
    "libgdal": _LIBRARY,
    "libspatialindex": _LIBRARY,
    "snappy": _LIBRARY,
    "leveldb": _LIBRARY,
    "unixodbc": _LIBRARY,
    "mkl-devel": _LIBRARY,
    "mkl-include": _LIBRARY,
    "yaml": _LIBRARY,
    "nltk-data": "it is data, not a Python package: put it into a datastore or download it in the script",
    "caffe": "PyPI does not have it",
    "conda": _CONDA,
    "conda-build": _CONDA,
    "conda-env": _CONDA,
    "mamba": _CONDA,
    "anaconda": _CONDA,
    "anaconda-client": _CONDA,
    "nb-conda": _CONDA,
    "nb-conda-kernels": _CONDA,
}

# Families: R's packages, and conda's own helpers (`_libgcc_mutex`, `_openmp_mutex`, …).
_R_PACKAGE = re.compile(r"r-.+")


def reason_refused(name: str) -> str | None:
    """Why a conda package cannot be had, else None. `name` is canonical."""
    if _R_PACKAGE.fullmatch(name):
        return "it is an R package: LocalAML runs Python jobs"
    if re.fullmatch(r"spacy-model-.+", name):
        return "it is a language model: name it under pip, by the address of its wheel"
    return REFUSED.get(name)


def reason_left_out(name: str) -> str | None:
    """Why a conda package is not installed, else None. `name` is canonical."""
    if name.startswith("-"):
        return _SELECTOR
    return LEFT_OUT.get(name)
