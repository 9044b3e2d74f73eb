"""Runs notebooks as Jupyter does: in a real kernel, cell by cell."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_client.blocking import BlockingKernelClient


class Notebook:
    """A kernel that executes cells, and what it sent: outputs, and the values that widgets got.

    Attributes:
        text: what cells printed, and the text form of what they showed.
        widgets: how many widgets were shown.
        values: the state that each change of a widget brought, as JSON.
    """

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client
        self.text = ""
        self.widgets = 0
        self.values: list[str] = []

    def cell(self, code: str, seconds: float = 60) -> str:
        """Executes a cell; returns what it said. Fails when the cell does."""
        before = len(self.text)
        reply = self._client.execute_interactive(code, timeout=seconds, output_hook=self._note, allow_stdin=False)
        content = reply["content"]
        assert content["status"] == "ok", f"{code}\n{''.join(content['traceback'])}\n{self.text[-2000:]}"
        return self.text[before:]

    def run(self, path: Path, seconds: float = 60) -> dict[int, str]:
        """Executes a notebook's code cells in order, as they stand; what each said, by its index among all cells."""
        cells = json.loads(path.read_text("utf-8"))["cells"]
        return {
            index: self.cell("".join(cell["source"]), seconds)
            for index, cell in enumerate(cells)
            if cell["cell_type"] == "code" and "".join(cell["source"]).strip()
        }

    def wait_for(self, text: str) -> None:
        """Returns once a widget has shown the text."""
        deadline = time.monotonic() + 60
        while not any(text in value for value in self.values):
            assert time.monotonic() < deadline, (text, self.values[-5:])
            try:
                self._note(self._client.get_iopub_msg(timeout=1))
            except Empty:
                continue

    def _note(self, message: Mapping[str, Any]) -> None:
        content, kind = message["content"], message["msg_type"]
        if kind == "stream":
            self.text += content["text"]
        elif kind in ("display_data", "execute_result"):
            self.widgets += "application/vnd.jupyter.widget-view+json" in content["data"]
            self.text += content["data"].get("text/html", "") + content["data"].get("text/plain", "") + "\n"
        elif kind in ("comm_open", "comm_msg"):
            self.values.append(json.dumps(content["data"].get("state", {})))


@contextmanager
def notebook_in(folder: Path, variables: Mapping[str, str]) -> Iterator[Notebook]:
    """A kernel of this Python whose current folder is `folder`.

    Args:
        variables: further ones of its environment.
    """
    from jupyter_client.manager import KernelManager

    folder.mkdir(parents=True, exist_ok=True)
    private = folder.with_name(folder.name + ".jupyter")  # beside it: runs take a snapshot of the folder
    private.mkdir()
    environment = {
        **os.environ,
        "IPYTHONDIR": str(private / "ipython"),
        "MPLCONFIGDIR": str(private / "matplotlib"),
        # Cells write `!more file`, which waits for a key at the end of the file when it may.
        "MORE": "-e",
        **variables,
    }
    manager = KernelManager(kernel_name="python3", connection_file=str(private / "kernel.json"))
    manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager.start_kernel(env=environment, cwd=str(folder))
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        yield Notebook(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
