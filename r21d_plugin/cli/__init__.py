"""What the commands share: arguments, errors, processes, and the console script ``r21d``."""
