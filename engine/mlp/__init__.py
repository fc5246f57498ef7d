"""Networks that read points of the plane: their tasks, their training, their probes."""
