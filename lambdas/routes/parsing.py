"""The route that reads a job file: the only one that needs the readers of HCL."""

from __future__ import annotations

from lambdas.errors import Refused
from lambdas.routes.registration import body_of, refused
from lambdas.routes.route import Answer, Call
from lambdas.rules import registration
from nomad_jobs.job_file.defaults import canonical
from nomad_jobs.job_file.reading import read_job_file
from nomad_jobs.job_file.variables import VariableFile

_FILE = "job.nomad"
_VARIABLES = "variables"


def parse(call: Call) -> Answer:
    """Read a job file: HCL, or Nomad's JSON."""
    body = body_of(call)
    text, variables = body.get("JobHCL"), body.get("Variables") or ""
    if not isinstance(text, str) or not text:
        raise Refused(400, "Job spec is empty", "state the job file's text in JobHCL")
    if not isinstance(variables, str):
        raise Refused(400, "Variables must be a text", "state the text of a variable file")
    files = (VariableFile(_VARIABLES, variables),) if variables else ()
    found = read_job_file(text, file=_FILE, variable_files=files)
    if found.job is None:
        raise refused(tuple(map(registration.as_problem, found.problems)))
    if body.get("Canonicalize") is not True:
        return Answer(body=found.job)
    examined = registration.examine(found.job, places=found.places)
    if examined.job is None:
        raise refused(examined.problems)
    return Answer(body=canonical(examined.job))
