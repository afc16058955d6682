from mmengine.registry import Registry

DATASETS: Registry
MODELS: Registry
