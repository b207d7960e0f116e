"""CDK runs the Node.js that `infra` chooses: so `infra` comes before any test imports CDK."""

from __future__ import annotations

import importlib

importlib.import_module("infra")
