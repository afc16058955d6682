import logging
from typing import Any

class MMLogger(logging.Logger): ...

class HistoryBuffer:
    data: tuple[Any, Any]
    max_length: int
    def __init__(
        self, log_history: Any = (), count_history: Any = (), max_length: int = 1000000
    ) -> None: ...

def print_log(msg: object, logger: Any = None, level: int = 20) -> None: ...
