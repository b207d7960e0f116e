"""The functions of Nomad's HCL: which there are, and which are refused.

Source: nomad/jobspec2/functions.go and the functions of go-cty and go-cty-funcs that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nomad_jobs.job_file import (
    collection_functions,
    encoding_functions,
    number_functions,
    text_functions,
)
from nomad_jobs.job_file.budget import Budget

_FILES = (
    "a job file is evaluated where the user's files are not; name the file as an input or an "
    "artifact of the task, or write its text into the job file as a heredoc"
)
REFUSED = {
    **dict.fromkeys(
        ("abspath", "file", "filebase64", "fileexists", "fileset", "pathexpand"), _FILES
    ),
    "bcrypt": "it gives another result each time, so the job would change with every registration",
    "uuidv4": "it gives another result each time, so the job would change with every registration; "
    "uuidv5() gives the same one",
    "regex_replace": "the time that a regular expression takes has no bound; use replace()",
    "rsadecrypt": "a private key does not belong into a job file",
    "yamldecode": "there is no YAML here; use jsondecode(), or convert the text before",
    "yamlencode": "there is no YAML here; jsonencode() gives a text that YAML readers understand",
}
"""Functions that Nomad has and this does not, with the reason and the way out."""

FUNCTIONS: dict[str, tuple[int, int | None, Callable[..., Any]]] = {
    **text_functions.FUNCTIONS,
    **collection_functions.FUNCTIONS,
    **number_functions.FUNCTIONS,
    **encoding_functions.FUNCTIONS,
}
"""Name: least and most arguments (None: any number), and the function."""

_GROWING = {
    "range": lambda arguments: number_functions.range_length(*arguments),
    "setproduct": lambda lists: collection_functions.product_size(*lists),
    "format": text_functions.format_cost,
    "formatlist": text_functions.formatlist_cost,
    "indent": text_functions.indent_cost,
    "replace": text_functions.replace_cost,
    "join": text_functions.join_cost,
}
"""What the functions will cost whose results may be much larger than their arguments."""


def call(name: str, arguments: Sequence[Any], budget: Budget) -> Any:
    """The result of a function.

    Raises:
        ValueError: the arguments do not fit.
        TooMuchWork: the result would be too large.
    """
    least, most, function = FUNCTIONS[name]
    if len(arguments) < least or (most is not None and len(arguments) > most):
        wanted = least if least == most else f"{least} to {most}" if most else f"at least {least}"
        raise ValueError(f"takes {wanted} arguments, not {len(arguments)}")
    budget.spend_on(list(arguments))
    if name in _GROWING:
        budget.spend(_GROWING[name](arguments))
    result = function(*arguments)
    budget.spend_on(result)
    return result
