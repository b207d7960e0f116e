"""Why calls of a dead job have no result: what the control plane says, and the job's last words."""

from __future__ import annotations

from job_protocol.object_keys import STDERR
from jobferry.job import Job
from jobferry.report import Report

_TOLD_OF_STDERR = 2000
_MOST_READ = 20
"""Elements whose standard error is read: the others mostly died of the same."""


class LastWords:
    """What is told of the calls of one dead job."""

    def __init__(self, job: Job, report: Report, chunk: int) -> None:
        """Nothing is read yet.

        Args:
            job: the job.
            report: its state, which is its last.
            chunk: calls of one array element.
        """
        self._job = job
        self._report = report
        self._chunk = chunk
        self._sizes: dict[str, int] | None = None
        self._ends: dict[int, str] = {}

    def why(self, number: int) -> str:
        """A text that says why a call has no result.

        Args:
            number: of the call in the job.

        Raises:
            JobferryError: the bucket cannot be read.
        """
        report = self._report
        code = "" if report.exit_code is None else f", exit code {report.exit_code}"
        lines = [
            f"call {number} of job {self._job.id!r} has no result: the job has ended as "
            f"{report.outcome}{code}; see {self._job.location}"
        ]
        if report.message is not None:
            lines.append(report.message)
        lines += [f"{r.get('key')}: {r.get('problem')}; {r.get('remedy')}" for r in report.reasons]
        element = number // self._chunk
        if element not in self._ends and len(self._ends) < _MOST_READ:
            self._ends[element] = self._end_of_stderr(element)
        if said := self._ends.get(element):
            lines += ["Its standard error ends with:", said]
        return "\n".join(lines)

    def _end_of_stderr(self, element: int) -> str:
        stem = STDERR.removesuffix("txt")
        if self._sizes is None:
            self._sizes = {file.path: file.size for file in self._job.files(stem)}
        of_element = f"{stem}{element}.txt"
        path = next((p for p in (of_element, STDERR) if self._sizes.get(p)), None)
        if path is None:
            return ""
        start = max(0, self._sizes[path] - _TOLD_OF_STDERR)
        return b"".join(self._job.read(path, start)).decode("utf-8", "replace").rstrip()
