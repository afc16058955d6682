from typing import Any, TypeVar

from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from torch import nn
from torch.utils.data import DataLoader

R = TypeVar('R', bound=Runner)

class BaseLoop:
    dataloader: Any
    def run(self) -> Any: ...

class EpochBasedTrainLoop(BaseLoop):
    epoch: int
    max_epochs: int
    val_begin: int
    val_interval: int
    def _decide_current_val_interval(self) -> None: ...

class Runner:
    cfg: Config
    epoch: int
    iter: int
    log_dir: str
    logger: MMLogger
    max_epochs: int
    message_hub: Any
    model: Any
    optim_wrapper: Any
    param_schedulers: Any
    seed: int
    test_dataloader: Any
    test_loop: Any
    timestamp: str
    train_dataloader: Any
    train_loop: Any
    val_dataloader: Any
    val_loop: Any
    visualizer: Any
    work_dir: str
    world_size: int
    @classmethod
    def from_cfg(cls: type[R], cfg: Any) -> R: ...
    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger: ...
    def build_model(self, model: Any) -> nn.Module: ...
    @staticmethod
    def build_dataloader(
        dataloader: Any, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader[Any]: ...
    def build_evaluator(self, evaluator: Any) -> Evaluator: ...
    def build_train_loop(self, loop: Any) -> BaseLoop: ...
    def build_val_loop(self, loop: Any) -> BaseLoop: ...
    def build_test_loop(self, loop: Any) -> BaseLoop: ...
    def build_optim_wrapper(self, optim_wrapper: Any) -> OptimWrapper: ...
    def build_param_scheduler(self, scheduler: Any) -> list[Any] | dict[str, Any]: ...
    def register_default_hooks(self, hooks: dict[str, Any] | None = None) -> None: ...
    def register_custom_hooks(self, hooks: list[Any]) -> None: ...
    def scale_lr(
        self, optim_wrapper: OptimWrapper, auto_scale_lr: dict[str, Any] | None = None
    ) -> None: ...
    def load_checkpoint(self, filename: str, *args: Any, **kwargs: Any) -> dict[str, Any]: ...
    def save_checkpoint(self, out_dir: str, filename: str, **kwargs: Any) -> None: ...
    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None: ...
    def train(self) -> nn.Module: ...
    def test(self) -> dict[str, Any]: ...

class CheckpointLoader:
    @classmethod
    def register_scheme(cls, prefixes: Any, loader: Any = None, force: bool = False) -> Any: ...

def find_latest_checkpoint(path: str) -> str | None: ...
def set_random_seed(
    seed: int | None = None, deterministic: bool = False, diff_rank_seed: bool = False
) -> int: ...
