"""The largest number that can be used."""

# Networks compute in float32, which holds 1.2e-38 to 3.4e38; squares need room too.
LARGEST = 1e18
