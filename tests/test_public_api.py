"""The public API. A missing or additional name is a change for users."""

import importlib
import re

import pytest
from support import ROOT

API = {
    'r21d_plugin': (
        'InputError PublicWeights __version__ accelerate create_model list_models list_weights '
        'load_weights'
    ),
    'r21d_plugin.models': (
        'FR2D MCx R2D R2Plus1D R3D RMCx VideoResNet accelerate factorized_channels'
    ),
    'r21d_plugin.weights': (
        'PublicWeights Published RefusalError STREAMS Weights classes_of download find_state_dict '
        'find_weights fuse_checkpoints identify infer_network list_weights load_checkpoint '
        'load_matching load_pickle_as_data load_state_dict_of load_weights match_weights '
        'read_weights save_checkpoint tensors_alone'
    ),
    'r21d_plugin.weights.transforms': 'VideoClassification',
    'r21d_plugin.datasets': (
        'CheckedPipeline DecordClipDecode DecordClipInit EpochSizeSampler FarnebackFlow FixedCrops '
        'LabelledVideoDataset OpenVideo RandomShift ReadFrames SampleClips SampleFramesOfClips '
        'ToGray inner_datasets'
    ),
    'r21d_plugin.datasets.pipelines': 'clip_pipelines dataloaders',
    'r21d_plugin.engine': (
        'AccelerateHook BFloat16OptimWrapper CheckpointMatchHook EpochSeedHook FiniteLossHook '
        'GradualWarmupLR PredictionPicturesHook ResumableCheckpointHook ResumableEarlyStoppingHook '
        'SkippedVideosHook TaskHook TrainingAccuracyHook TrainingTimeHook check_model '
        'keep_freed_memory'
    ),
    'r21d_plugin.evaluation': 'ClipVideoAccuracy MultiLabelMetric OrdinalMetric RegressionMetric',
    'r21d_plugin.registry': (
        'DATASETS DATA_SAMPLERS HOOKS METRICS MODELS OPTIM_WRAPPERS PARAM_SCHEDULERS TRANSFORMS '
        'WEIGHT_INITIALIZERS'
    ),
    'r21d_plugin.hub': 'HubNetwork from_pretrained push_to_hub save_pretrained',
    'r21d_plugin.pytorchvideo': (
        'create_fr2d create_mcx create_r2d create_r2plus1d create_r3d create_rmcx '
        'state_dict_from_net state_dict_to_net'
    ),
}


@pytest.mark.parametrize('name', API)
def test_public_names(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if name not in ('r21d_plugin.hub', 'r21d_plugin.pytorchvideo'):
            raise
        pytest.skip(str(error))
    assert sorted(module.__all__) == sorted(API[name].split())
    assert all(hasattr(module, public) for public in module.__all__)


def test_the_page_of_the_api_has_every_public_module():
    page = (ROOT / 'docs/api.md').read_text('utf-8')
    assert re.findall(r'^::: (\S+)$', page, re.MULTILINE) == [*API]
