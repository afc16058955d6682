from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

class FileClient:
    def __init__(
        self, backend: str | None = None, prefix: str | None = None, **kwargs: Any
    ) -> None: ...
    def get(self, filepath: str | Path) -> Any: ...

class LocalBackend:
    def put(self, obj: bytes, filepath: str | Path) -> None: ...

def exists(filepath: str | Path, backend_args: dict[str, Any] | None = None) -> bool: ...
def get_local_path(
    filepath: str | Path, backend_args: dict[str, Any] | None = None
) -> AbstractContextManager[str]: ...
def register_backend(
    name: str, backend: type[Any] | None = None, force: bool = False, prefixes: Any = None
) -> Any: ...
