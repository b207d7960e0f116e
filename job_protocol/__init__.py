"""The facts that the control plane, the puller and the clients share. Standard library only."""
