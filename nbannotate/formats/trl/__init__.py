"""TRL's data sets of answers that are compared and rated."""
