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
    return f"{group.name}.{index}" if job.elements > 1 else ""
