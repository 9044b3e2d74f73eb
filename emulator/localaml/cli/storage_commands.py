"""`localaml storage fsck | gc | migrate`: for a state folder whose emulator does not run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from localaml.cli.endpoint import default_state_dir
from localaml.cli.failure import CliError
from localaml.cli.options import StateDirOption
from localaml.cli.output import Format, OutputOption, print_facts, print_json, visible
from localaml.paths import StatePaths

if TYPE_CHECKING:
    from localaml.settings import StorageSettings
    from localaml.storage.object_store import ObjectInfo, ObjectStore
    from localaml.store import Store

app = typer.Typer()
_SHOWN = 20
_TEXTS = {
    "lost_artifacts": "Artifacts whose object is lost",
    "artifacts_without_row": "Artifacts without a record",
    "artifacts_of_no_run": "Artifacts of no run",
    "wrong_sizes": "Artifacts with a wrong size",
    "changed_artifacts": "Artifacts with other bytes than were stored",
    "broken_snapshots": "Snapshots with lost contents",
    "files_of_no_model": "Files of no model",
    "unfinished_uploads": "Uploads that nobody completed",
}


@app.command()
def fsck(
    repair: Annotated[
        bool, typer.Option("--repair", help="Make records and objects fit; without it nothing changes.")
    ] = False,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Check that every record has its object, and every object its owner. Exit code 1 when something stays wrong."""
    from localaml.clock import RealClock
    from localaml.jobs.storage_check import check_storage
    from localaml.jobs.unfinished_writes import settle_unfinished

    with _opened(state_dir) as (store, objects, _):
        if repair:
            asyncio.run(settle_unfinished(store, objects))
        findings = asyncio.run(check_storage(store, objects, repair=repair, now=RealClock().now()))
    if output is Format.JSON:
        print_json({**asdict(findings), "repaired": repair})
    else:
        print_facts([("Objects checked", str(findings.checked))])
        for name, found in findings.by_kind().items():
            for each in found[:_SHOWN]:
                print(visible(f"{_TEXTS[name]}: {each}"))
            if len(found) > _SHOWN:
                print(f"{_TEXTS[name]}: ... and {len(found) - _SHOWN} more")
        if not findings.count:
            print("Everything fits.")
        else:
            print(f"{findings.count} repaired." if repair else f"{findings.count} wrong. --repair makes them fit.")
    if findings.count and not repair:
        raise typer.Exit(1)


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
    state_dir: StateDirOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Remove snapshots that no run has, and their contents."""
    from localaml.jobs.storage_check import collect_garbage

    with _opened(state_dir) as (store, objects, _):
        garbage = asyncio.run(collect_garbage(store, objects, remove=not dry_run))
    if output is Format.JSON:
        print_json({**asdict(garbage), "removed": not dry_run})
        return
    verb = "could be removed" if dry_run else "removed"
    print(f"{garbage.snapshots} snapshot(s) and {garbage.contents} content(s), {garbage.size_bytes} bytes, {verb}.")


@app.command()
def migrate(
    to: Annotated[str, typer.Option("--to", help="disk, localstack, s3, azurite or azure.")],
    from_: Annotated[str | None, typer.Option("--from", help="Where they are now; checked when given.")] = None,
    s3_endpoint: Annotated[str | None, typer.Option(help="URL of the S3 to move to.")] = None,
    state_dir: StateDirOption = None,
) -> None:
    """Copy all objects to another cloud, which the state folder then belongs to. The old ones stay."""
    from localaml.cli.configuration import load_settings
    from localaml.jobs.storage_move import copy_all
    from localaml.storage.clouds import open_cloud_of, read_record, write_record

    if to == "moto":
        raise CliError("moto forgets everything when its emulator stops: there is nothing to move to.", exit_code=2)
    settings = load_settings(state_dir=_folder(state_dir), cloud=to, s3_endpoint=s3_endpoint).storage
    paths = StatePaths(_folder(state_dir))
    here = read_record(paths.cloud).get("cloud", "disk")
    if from_ is not None and from_ != here:
        raise CliError(f"The data of {paths.root} are in the cloud {here}, not in {from_}.", exit_code=2)

    def told(info: ObjectInfo) -> None:
        print(visible(f"{info.key}  {info.size_bytes}"))

    with _opened(state_dir) as (store, objects, _):
        cloud = open_cloud_of(settings, paths)
        try:
            if cloud.record == read_record(paths.cloud):
                raise CliError("That is where they are already.", exit_code=2)
            moved = asyncio.run(copy_all(store, objects, cloud.objects, told))
            if cloud.record:
                write_record(paths.cloud, cloud.record)
            else:
                paths.cloud.unlink(missing_ok=True)
        finally:
            cloud.close()
    print(
        f"{moved.copied} object(s) copied, {moved.size_bytes} bytes; {moved.kept} were there already. The state folder "
        f"is with {to} now: start with --cloud {to}. The old objects were left where they are."
    )


def _folder(state_dir: Path | None) -> Path:
    return default_state_dir() if state_dir is None else state_dir.expanduser().absolute()


@contextmanager
def _opened(state_dir: Path | None) -> Iterator[tuple[Store, ObjectStore, StorageSettings]]:
    """A state folder, held as an emulator holds it: none can be started meanwhile."""
    from localaml.cli.configuration import load_settings
    from localaml.state_dir import StateDir
    from localaml.storage.clouds import open_cloud_of, read_record
    from localaml.store import Store

    folder = _folder(state_dir)
    paths = StatePaths(folder)
    if not paths.metadata.is_file():
        raise CliError(f"{folder} is no state folder of an emulator.")
    state = StateDir.open(folder)
    try:
        record = read_record(paths.cloud)
        kind = record.get("cloud", "disk")
        if kind == "moto":
            raise CliError("The data went with moto when the emulator stopped. The next start forgets what had them.")
        settings = replace(load_settings(state_dir=folder).storage, cloud=kind)
        endpoint = record.get("endpoint", "")
        if kind == "s3":
            settings = replace(settings, s3_endpoint=endpoint if "://" in endpoint else None)
        elif kind in ("azure", "azurite"):
            settings = replace(settings, azure_endpoint=endpoint or None)
        cloud = open_cloud_of(settings, paths)
        try:
            store = Store.open(paths.metadata)
            try:
                yield store, cloud.objects, settings
            finally:
                store.close()
        finally:
            cloud.close()
    finally:
        state.close()
