"""Settings of tests of studies."""

from tests import unsynced

unsynced.databases()
