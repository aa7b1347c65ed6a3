"""Does each cell do what its paper says? One question a file, one command each:

scripts/bench evidence [--seeds N] [QUESTION ...]
"""
