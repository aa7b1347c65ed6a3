"""Looking inside a network: its gates and states on one sequence, as a page or as data."""
