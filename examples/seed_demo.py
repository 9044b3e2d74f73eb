"""Two training jobs as for Azure Machine Learning, on this machine: scikit-learn on one node, Open MPI on two.

Needs a running emulator and the config.json of a workspace (`localaml start -d`, `localaml init`); scripts/demo does
all of it. Arguments: folder of config.json, folder for downloads.
"""

import os
import sys
import time

from azureml.core import Experiment, Workspace
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.train.estimator import Estimator

HERE = os.path.dirname(os.path.abspath(__file__))


def title(text):
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def show_nodes(compute_target, when):
    status = compute_target.get_status().serialize()
    counts = status["nodeStateCounts"]
    states = [f"{count} {name.replace('NodeCount', '')}" for name, count in sorted(counts.items()) if count]
    print(
        "nodes of {} {}: {} ({})".format(
            compute_target.name, when, ", ".join(states) or "none", status["allocationState"]
        )
    )


def main():
    config_folder, download_folder = sys.argv[1:]
    began = time.monotonic()

    title("Workspace and cluster")
    ws = Workspace.from_config(path=config_folder)
    compute_target = ComputeTarget.create(
        ws, "cpu-cluster", AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", min_nodes=0, max_nodes=2)
    )
    compute_target.wait_for_completion(show_output=True)
    show_nodes(compute_target, "now")

    title("Data to the datastore")
    ds = ws.get_default_datastore()
    ds.upload_files(
        [os.path.join(HERE, "data", "digits.csv.gz")], target_path="digits", overwrite=True, show_progress=True
    )

    title("One node: scikit-learn")
    script_params = {"--data-folder": ds.as_mount(), "--regularization": 0.8}

    sk_est = Estimator(
        source_directory=os.path.join(HERE, "my-sklearn-proj"),
        script_params=script_params,
        compute_target=compute_target,
        entry_script="train.py",
        conda_packages=["scikit-learn"],
    )

    run = Experiment(ws, "digits-sklearn").submit(sk_est)
    print(run.get_details().status)
    run.wait_for_completion(show_output=True)
    sk_metrics = run.get_metrics()
    print("metrics:", sk_metrics)
    model = os.path.join(download_folder, "model.pkl")
    run.download_file(name="outputs/model.pkl", output_file_path=model)

    title("Two nodes: Open MPI")
    mpi_est = Estimator(
        source_directory=os.path.join(HERE, "my-mpi-proj"),
        script_params={"--data-folder": ds.as_mount()},
        compute_target=compute_target,
        entry_script="train.py",
        node_count=2,
        process_count_per_node=1,
        distributed_backend="mpi",
        pip_packages=["numpy", "mpi4py"],
    )

    mpi_run = Experiment(ws, "digits-mpi").submit(mpi_est)
    mpi_run.wait_for_completion(show_output=True)
    mpi_metrics = mpi_run.get_metrics()
    print("metrics: loss", *(f"{loss:.3f}" for loss in mpi_metrics["loss"]))
    print("rank 1 said:")
    rank_1 = os.path.join(download_folder, "rank_1.txt")
    mpi_run.download_file("azureml-logs/80_driver_log_rank_1.txt", output_file_path=rank_1)
    with open(rank_1) as log:
        print("".join("  " + line for line in log), end="")
    show_nodes(compute_target, "now")
    print("files:", *mpi_run.get_file_names(), sep="\n  ")
    weights = os.path.join(download_folder, "weights.npz")
    mpi_run.download_file(name="outputs/weights.npz", output_file_path=weights)

    title("Summary")
    difference = mpi_metrics["difference to one process"]
    print("scikit-learn  {}: accuracy {:.4f}".format(run.get_status(), sk_metrics["accuracy"]))
    print(
        "Open MPI      {}: accuracy {:.4f} on nodes {}; weights differ from one process's by {:.1e}".format(
            mpi_run.get_status(), mpi_metrics["accuracy"], " and ".join(mpi_metrics["nodes"]), difference
        )
    )
    for path in (model, weights):
        print(f"downloaded    {path} ({os.path.getsize(path):,} bytes)")
    print(f"took          {time.monotonic() - began:.1f} s")

    assert len(set(mpi_metrics["nodes"])) == 2, "each rank should have had a node of its own"
    assert difference < 1e-9, "spread over two nodes, the training should give the same weights"
    assert min(sk_metrics["accuracy"], mpi_metrics["accuracy"]) > 0.9


if __name__ == "__main__":
    main()
