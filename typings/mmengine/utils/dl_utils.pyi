from typing import Any

def set_multi_processing(
    mp_start_method: str = 'fork',
    opencv_num_threads: int = 0,
    distributed: bool = False,
    **kwargs: Any,
) -> None: ...
