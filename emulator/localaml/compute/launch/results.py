"""Exit records turned into a `LaunchResult`: what happened, and what to tell people."""

from __future__ import annotations

import contextlib
import re
import signal
from dataclasses import dataclass, replace

from localaml import job_files
from localaml.compute.launch.marks import NODE_LOST, OUT_OF_MEMORY, TIMED_OUT, marked
from localaml.compute.launch.open_mpi import LOST_CONTACT
from localaml.compute.launch.role_launch import driver_log
from localaml.compute.runtime import LaunchPlan, LaunchResult, RankExit
from localaml.domain.job import Launch
from localaml.domain.roles import PARAMETER_SERVER, RANK

# Codes of processes that were ended from outside; when one rank fails, Open MPI ends the others like this.
_ENDED_BY_OTHERS = frozenset({128 + signal.SIGTERM, 128 + signal.SIGKILL})
_TAIL_CHARACTERS = 600
# Of mpirun's messages; a job can have it print without end.
_MESSAGES_BYTES = 64 * 1024
_WORD_BYTES = 256
# What a shell leaves; whatever else a job has put there is no record.
_EXIT_CODE = re.compile(rb"(\d{1,3})\n")
# What mpirun says of the first that failed: by itself, or by a signal that also hit its wrapper.
_FAILED_FIRST = re.compile(r"Process name: \[\[\d+,\d+\],(\d+)\]|mpirun noticed that process rank (\d+) with PID")


@dataclass(frozen=True, slots=True)
class _Record:
    rank: int
    exit_code: int
    # When it was written, nanoseconds.
    time: int


@dataclass(frozen=True, slots=True)
class _Failure:
    """What went wrong: two empty words when nothing did."""

    reason: str
    error: str
    rank: int | None = None
    log: str = ""


# Ends that have nothing to do with memory, even where it ran out, too.
_NOT_OF_MEMORY = ("NODE_LOST", "LAUNCH_TIMED_OUT")
_NO_FAILURE = _Failure("", "")


def read_result(plan: LaunchPlan) -> LaunchResult:
    """The result of a launch whose processes have all ended."""
    launcher = _read_record(plan, "exit", 0)
    exit_code = None if launcher is None else launcher.exit_code
    if plan.launch is Launch.SINGLE:
        records = [launcher] if launcher else []
        expected = 1
    elif plan.processes:
        workers = [(rank, each.role.name) for rank, each in enumerate(plan.processes) if not each.role.serves]
        found = (_read_record(plan, f"{name}.exit", rank) for rank, name in workers)
        records = [record for record in found if record]
        expected = len(workers)
    else:
        found = (_read_record(plan, f"rank_{rank}.exit", rank) for rank in range(plan.process_count))
        records = [record for record in found if record]
        expected = plan.process_count
    failure = _explain(plan, exit_code, records)
    return LaunchResult(
        exit_code=exit_code,
        ranks=tuple(RankExit(record.rank, record.exit_code) for record in records),
        expected_ranks=expected,
        error=failure.error,
        reason=failure.reason,
        failed_rank=failure.rank,
        failed_log=failure.log,
    )


def silent_ranks(plan: LaunchPlan) -> list[int]:
    """Ranks that have shown no sign of life."""
    control = plan.run_dir / "control"
    return [rank for rank in range(plan.process_count) if not (control / f"rank_{rank}.pid").exists()]


def _explain(plan: LaunchPlan, exit_code: int | None, records: list[_Record]) -> _Failure:
    failure = _explain_end(plan, exit_code, records)
    if failure.reason and failure.reason not in _NOT_OF_MEMORY and (node := marked(plan, OUT_OF_MEMORY)):
        why = f"OutOfMemory: {node} had no memory left: the kernel killed a process of the run."
        return replace(failure, reason="OUT_OF_MEMORY", error=f"{why} {failure.error}")
    return failure


def _explain_end(plan: LaunchPlan, exit_code: int | None, records: list[_Record]) -> _Failure:
    if lost := marked(plan, NODE_LOST):
        return _Failure("NODE_LOST", f"The node {lost} was lost while the run was on it.")
    if silent := marked(plan, TIMED_OUT):
        return _Failure(
            "LAUNCH_TIMED_OUT",
            f"Not all processes of the run started within {plan.launch_timeout_seconds:g} seconds: {silent} gave"
            f" no sign of life.{_launcher_says(plan)}",
        )
    if plan.launch is Launch.SINGLE:
        return _explain_single(plan, exit_code)
    failure = _explain_roles(plan, exit_code, records) if plan.processes else _explain_ranks(plan, exit_code, records)
    if failure.rank is None:
        return failure
    log = f"80_driver_log_rank_{failure.rank}.txt"
    return replace(failure, log=driver_log(plan.processes[failure.rank].role) if plan.processes else log)


def _explain_single(plan: LaunchPlan, exit_code: int | None) -> _Failure:
    if exit_code is None:
        return _Failure("PROCESS_KILLED", f"The run's process {_no_record(plan)}")
    if exit_code == 0:
        return _NO_FAILURE
    if name := _signal_name(exit_code):
        sentence = f"The run's process was ended by signal {exit_code - 128} ({name}).{_hint(exit_code)}"
        return _Failure("PROCESS_KILLED", sentence, 0, "80_driver_log.txt")
    sentence = f"The run's process ended with exit code {exit_code}; see 80_driver_log.txt."
    return _Failure("USER_SCRIPT_FAILED", sentence, 0, "80_driver_log.txt")


def _explain_roles(plan: LaunchPlan, exit_code: int | None, records: list[_Record]) -> _Failure:
    ranks = {each.role.name: rank for rank, each in enumerate(plan.processes)}
    name = job_files.read_text(plan.base, plan.run_dir / "control" / "failed_first", _WORD_BYTES).strip()
    if name in ranks and (record := _read_record(plan, f"{name}.exit", ranks[name])):
        return _Failure("RANK_FAILED", _explain_rank(plan, record), record.rank)
    if exit_code is None:
        return _Failure("PROCESS_KILLED", f"The run's launcher {_no_record(plan)} All its processes were ended.")
    told = {record.rank for record in records}
    missing = [rank for rank, each in enumerate(plan.processes) if not each.role.serves and rank not in told]
    if missing:
        which = ", ".join(_title(plan, rank) for rank in missing)
        return _Failure("PROCESS_KILLED", f"{which} left no exit code: is the disk full?", missing[0])
    return _NO_FAILURE


def _explain_ranks(plan: LaunchPlan, exit_code: int | None, records: list[_Record]) -> _Failure:
    failed = sorted((record for record in records if record.exit_code != 0), key=lambda record: record.time)
    # When one fails, Open MPI ends the others: look for one that failed by itself.
    first = next((record for record in failed if record.exit_code not in _ENDED_BY_OTHERS), None)
    if exit_code == LOST_CONTACT and first is None:
        return _Failure("NODE_LOST", f"Open MPI lost contact with a node of the run.{_launcher_says(plan)}")
    if exit_code is None:
        return _Failure("PROCESS_KILLED", f"The run's launcher {_no_record(plan)} All its processes were ended.")
    missing = sorted(set(range(plan.process_count)) - {record.rank for record in records})
    if first is None:
        blamed = _blamed_rank(plan)
        if blamed in missing:
            return _Failure("PROCESS_KILLED", f"Rank {blamed} was killed.{_launcher_says(plan)}", blamed)
        # The others follow so fast that file times cannot tell.
        first = next((record for record in failed if record.rank == blamed), next(iter(failed), None))
    if first is not None:
        return _Failure("RANK_FAILED", _explain_rank(plan, first), first.rank)
    if not missing and exit_code == 0:
        return _NO_FAILURE
    if len(silent_ranks(plan)) == plan.process_count:
        return _Failure("LAUNCH_FAILED", f"Open MPI could not start the run's processes.{_launcher_says(plan)}")
    if missing:
        which = ", ".join(str(rank) for rank in missing)
        sentence = f"Rank {which} left no exit code: it was killed.{_launcher_says(plan)}"
        return _Failure("PROCESS_KILLED", sentence, missing[0])
    return _Failure("LAUNCH_FAILED", f"mpirun ended with exit code {exit_code}.{_launcher_says(plan)}")


def _explain_rank(plan: LaunchPlan, record: _Record) -> str:
    if plan.processes:
        role = plan.processes[record.rank].role
        node, log = role.node, f"see {driver_log(role)}"
    else:
        node, log = record.rank // plan.processes_per_node, f"see 80_driver_log_rank_{record.rank}.txt"
    where = f"{_title(plan, record.rank)} (node {plan.nodes[node].host_name})"
    if name := _signal_name(record.exit_code):
        return f"{where} was ended by signal {record.exit_code - 128} ({name}); {log}.{_hint(record.exit_code)}"
    return f"{where} ended with exit code {record.exit_code}; {log}."


def _title(plan: LaunchPlan, rank: int) -> str:
    """What people call a process: ``Rank 2 of 4``."""
    if not plan.processes or plan.processes[rank].role.kind == RANK:
        return f"Rank {rank} of {plan.process_count}"
    role = plan.processes[rank].role
    count = sum(1 for each in plan.processes if each.role.kind == role.kind)
    return f"{'Parameter server' if role.kind == PARAMETER_SERVER else 'Worker'} {role.index} of {count}"


def _no_record(plan: LaunchPlan) -> str:
    """Why there is no exit code: a file without one tells that it could not be written."""
    if (plan.run_dir / "control" / "exit").exists():
        return "ended, but its exit code could not be written: is the disk full?"
    return "was killed before it could leave an exit code."


def _hint(exit_code: int) -> str:
    return " A process that takes too much memory ends like this." if exit_code == 128 + signal.SIGKILL else ""


def _signal_name(exit_code: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(exit_code - 128).name
    return ""


def _launcher_messages(plan: LaunchPlan) -> str:
    """What mpirun itself has to say, on one line."""
    try:
        log = plan.run_dir / "logs" / "56_batchai_stderr.txt"
        text = job_files.read(plan.base, log, _MESSAGES_BYTES, end=True).data.decode(errors="replace")
    except OSError:
        return ""
    return " ".join(line.strip() for line in text.splitlines() if line.strip(" -"))


def _blamed_rank(plan: LaunchPlan) -> int | None:
    """The rank that mpirun saw fail first."""
    found = _FAILED_FIRST.search(_launcher_messages(plan))
    return int(found[1] or found[2]) if found else None


def _launcher_says(plan: LaunchPlan) -> str:
    """The end of mpirun's messages, as a further sentence."""
    words = _launcher_messages(plan)
    return f" mpirun says: {words[-_TAIL_CHARACTERS:]}" if words else ""


def _read_record(plan: LaunchPlan, name: str, rank: int) -> _Record | None:
    """An exit record; None when there is none, or half of one (no line end: the disk was full, or it was killed)."""
    try:
        content = job_files.read(plan.base, plan.run_dir / "control" / name, _WORD_BYTES)
    except OSError:
        return None
    found = _EXIT_CODE.fullmatch(content.data)
    return _Record(rank, int(found[1]), content.modified_ns) if found and int(found[1]) <= 255 else None
