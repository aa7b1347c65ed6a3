"""The largest number that data may hold."""

# Networks compute in float32, which ends at 3.4e38. The square of this number, 1e36, still fits.
LARGEST = 1e18
