"""Trains softmax regression by full-batch gradient descent, with the data spread over the ranks of an MPI job.

Each rank computes the gradient of its share of the digits; one allreduce per step adds the shares up. The sum does not
depend on how the data is spread (but for the order of floating-point additions), so the result has to be that of one
process: rank 0 checks it at the end.
"""

import argparse
import os

import numpy as np
from mpi4py import MPI

from azureml.core import Run

STEPS = 150
LEARNING_RATE = 0.5

parser = argparse.ArgumentParser()
parser.add_argument("--data-folder", required=True, help="folder that has digits/digits.csv.gz")
args = parser.parse_args()

world = MPI.COMM_WORLD
rank, size, host = world.Get_rank(), world.Get_size(), MPI.Get_processor_name()
local_rank = os.environ["OMPI_COMM_WORLD_LOCAL_RANK"]
print(f"rank {rank} of {size} on node {host} (local rank {local_rank})", flush=True)

data = np.loadtxt(os.path.join(args.data_folder, "digits", "digits.csv.gz"), delimiter=",")
np.random.default_rng(0).shuffle(data)
pixels, digits = data[:, :-1] / 16.0, data[:, -1].astype(int)
pixels = np.hstack([pixels, np.ones((len(pixels), 1))])
held_out = len(pixels) // 4
test_x, test_y = pixels[:held_out], digits[:held_out]
train_x, train_y = pixels[held_out:], digits[held_out:]


def loss_and_gradient(weights, x, y):
    """Sums over the examples, not means: shares can be added up."""
    scores = x @ weights
    scores -= scores.max(axis=1, keepdims=True)
    probabilities = np.exp(scores)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    chosen = np.arange(len(y)), y
    loss = -np.log(probabilities[chosen]).sum()
    probabilities[chosen] -= 1.0
    return loss, x.T @ probabilities


def train(x, y, add_up, report):
    """Gradient descent on a share of the digits; `add_up` gives the sum over all shares."""
    weights = np.zeros((x.shape[1], 10))
    for step in range(STEPS):
        loss, gradient = loss_and_gradient(weights, x, y)
        total = add_up(np.append(gradient.ravel(), loss))
        weights -= LEARNING_RATE * total[:-1].reshape(weights.shape) / len(train_x)
        if step % 10 == 0 or step == STEPS - 1:
            report(step, total[-1] / len(train_x))
    return weights


def allreduce(share):
    total = np.empty_like(share)
    world.Allreduce(share, total, op=MPI.SUM)
    return total


run = Run.get_context()


def report(step, loss):
    if rank == 0:
        print(f"step {step:3}: loss {loss:.4f}", flush=True)
        run.log("loss", loss)


my_x, my_y = train_x[rank::size], train_y[rank::size]
print(f"rank {rank} has {len(my_x)} of {len(train_x)} digits", flush=True)
weights = train(my_x, my_y, allreduce, report)
hosts = world.gather(host, root=0)

if rank == 0:
    alone = train(train_x, train_y, lambda share: share, lambda step, loss: None)
    difference = float(np.abs(weights - alone).max())
    accuracy = float((np.argmax(test_x @ weights, axis=1) == test_y).mean())
    print(f"accuracy {accuracy:.4f}; largest difference to the weights of one process: {difference:.2e}")
    run.log("accuracy", accuracy)
    run.log("difference to one process", difference)
    run.log_list("nodes", hosts)
    os.makedirs("outputs", exist_ok=True)
    np.savez(os.path.join("outputs", "weights.npz"), weights=weights)
