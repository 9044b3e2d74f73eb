"""A real TensorBoard, started over the logs of runs that may still be going on."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import weakref
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Union

from azureml.tensorboard._log_copies import LogCopies

if TYPE_CHECKING:
    from azureml.core.run import Run

_HOST = "127.0.0.1"
_START_SECONDS = 120.0
_LOOK_SECONDS = 0.1
_STOP_SECONDS = 10.0


class Tensorboard:
    """Shows the `logs/` of runs in TensorBoard. A thread fetches them, those of running runs as they grow.

    Args:
        runs: runs (or one run); none is fine when `local_root` has logs already.
        local_root: folder for the logs, as ``<local_root>/<run id>/``. Default: a temporary one, which goes at `stop`.
        port: TensorBoard's port; 0 takes any free one.
        use_display_name: show runs by their display names, not by their ids.

    Raises:
        UserErrorException: not runs, or no port.
    """

    def __init__(
        self,
        runs: "Union[Run, Sequence[Run]]",
        local_root: Optional[str] = None,
        port: int = 6006,
        use_display_name: bool = False,
    ) -> None:
        from azureml.core.run import Run
        from azureml.exceptions import UserErrorException

        self._runs: List[Any] = [runs] if isinstance(runs, Run) else list(runs)
        for run in self._runs:
            if not isinstance(run, Run):
                raise UserErrorException("Tensorboard takes runs, not {!r}.".format(type(run).__name__))
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 65536:
            raise UserErrorException("port must be a number from 0 to 65535, not {!r}.".format(port))
        self._local_root = None if local_root is None else os.fspath(local_root)
        self._port = port
        self._use_display_name = use_display_name
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._copies: Optional[LogCopies] = None
        self._finalizer: Optional[weakref.finalize[Any, Any]] = None

    def start(self, start_browser: bool = False) -> str:
        """Starts TensorBoard and returns once it answers; prints its address. Call `stop` to end it.

        Args:
            start_browser: open the address in a browser.

        Returns:
            The address, e.g. ``http://localhost:6006/``.

        Raises:
            UserErrorException: tensorboard is not installed, it runs already, or TensorBoard did not start (with what
                it said).
        """
        from azureml.exceptions import UserErrorException

        if self._process is not None:
            raise UserErrorException("This Tensorboard has been started already; stop() it first.")
        command = _tensorboard_command()
        root = self._local_root
        temporary = None
        if root is None:
            root = temporary = tempfile.mkdtemp(prefix="azureml-tensorboard-")
        os.makedirs(root, exist_ok=True)
        port = self._port or _free_port()
        command += ["--logdir", os.path.abspath(root), "--port", str(port), "--host", _HOST, "--reload_interval", "2"]
        said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        copies = LogCopies(self._runs, root, self._use_display_name)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        # Also at the end of this process: TensorBoard would go on for ever.
        self._finalizer = weakref.finalize(self, _end, process, copies, said, temporary)
        self._process, self._copies = process, copies
        copies.start()
        url = "http://localhost:{}/".format(port)
        try:
            _wait(process, "http://{}:{}/".format(_HOST, port), said)
        except BaseException:
            self.stop()
            raise
        print(url)
        if start_browser:
            import webbrowser

            webbrowser.open(url)
        return url

    def stop(self) -> None:
        """Ends TensorBoard and the fetching of logs. A temporary folder goes. Does nothing when it does not run."""
        finalizer, self._finalizer = self._finalizer, None
        self._process = self._copies = None
        if finalizer is not None:
            finalizer()


def _tensorboard_command() -> List[str]:
    import importlib.util
    import sys

    from azureml.exceptions import UserErrorException

    # `azureml.tensorboard` is another name: what is looked for is the package tensorboard.
    if importlib.util.find_spec("tensorboard") is not None:
        return [sys.executable, "-m", "tensorboard.main"]
    program = shutil.which("tensorboard")
    if program is not None:
        return [program]
    raise UserErrorException("TensorBoard is not installed in this Python: pip install tensorboard.")


def _wait(process: "subprocess.Popen[bytes]", url: str, said: Any) -> None:
    from azureml.exceptions import UserErrorException

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if process.poll() is not None:
            why = "ended with {}".format(process.returncode)
            break
        try:
            with opener.open(url, timeout=5):
                pass
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            if time.monotonic() > deadline:
                why = "does not answer"
                break
            time.sleep(_LOOK_SECONDS)
            continue
        # Somebody else may have the port: then our process ends by itself.
        if process.poll() is None:
            return
    said.seek(0)
    text = said.read().decode("utf-8", "replace").strip()
    raise UserErrorException("TensorBoard {}. It said: {}".format(why, text[-2000:] or "nothing"))


def _end(process: "subprocess.Popen[bytes]", copies: LogCopies, said: Any, temporary: Optional[str]) -> None:
    copies.stop()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    said.close()
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((_HOST, 0))
        return int(sock.getsockname()[1])
