"""Trains a classifier of handwritten digits with scikit-learn on one node."""

import argparse
import os

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split

from azureml.core import Run

parser = argparse.ArgumentParser()
parser.add_argument("--data-folder", required=True, help="folder that has digits/digits.csv.gz")
parser.add_argument("--regularization", type=float, default=1.0, help="strength of the L2 penalty")
args = parser.parse_args()

run = Run.get_context()

data = np.loadtxt(os.path.join(args.data_folder, "digits", "digits.csv.gz"), delimiter=",")
pixels, digits = data[:, :-1] / 16.0, data[:, -1].astype(int)
train_x, test_x, train_y, test_y = train_test_split(pixels, digits, test_size=0.25, random_state=0, stratify=digits)
print(f"{len(train_x)} digits to learn from, {len(test_x)} to be tested on, from {args.data_folder}")

model = LogisticRegression(C=1.0 / args.regularization, max_iter=1000)
model.fit(train_x, train_y)
accuracy = float(model.score(test_x, test_y))
print(f"accuracy with regularization {args.regularization}: {accuracy:.4f}")

run.log("regularization", args.regularization)
run.log("accuracy", accuracy)
confusion = confusion_matrix(test_y, model.predict(test_x))
run.log_list("errors by digit", (confusion.sum(axis=1) - confusion.diagonal()).tolist())

# What is written to ./outputs is kept with the run.
os.makedirs("outputs", exist_ok=True)
joblib.dump(model, os.path.join("outputs", "model.pkl"))
