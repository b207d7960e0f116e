"""The control plane: one thin module per trigger, pure rules, and ports to AWS."""
