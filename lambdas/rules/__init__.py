"""The rules that the control plane applies: pure functions over dataclasses."""
