"""The version of conveyor."""

VERSION = "0.1.0"
