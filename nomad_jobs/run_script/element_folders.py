"""Where an element of a job has its folders inside the job directory."""

from __future__ import annotations

from nomad_jobs.run_script.specification import Group, JobSpecification


def element_folder(job: JobSpecification, group: Group, index: str) -> str:
    """The folder of an element; empty for a job of one element, whose folder is the job directory.

    Args:
        job: the job.
        group: the element's group.
        index: its index in the group; empty for what every element's folder begins with.
    """
    if job.elements == 1:
        return ""
    # As `job_protocol.element_files` has it, so that users fetch the files of some elements.
    return f"elements/{index}" if job.swept else f"{group.name}.{index}"
