from typing import Any

NetworkSettings = Any
TaskSettings = Any
