"""Training objects without files: what a library trains on, made of a dataset.

Each module has one function, which ``Dataset.to_NAME`` calls; they are found through the entry
points ``nbannotate.training``. Pixels are read when they are asked for.
"""
