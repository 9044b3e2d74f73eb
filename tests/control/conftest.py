"""The plugin's own fixtures, and scripts to run under a clock of the test's."""

from __future__ import annotations

from tests.support.submitting import current_folder as current_folder
from tests.support.submitting import submit as submit

from localaml.testing.plugin import workspace as workspace
