"""Entry points of ``torch.hub.load``: every network by its name, as ``create_model`` builds it.

``torch.hub.load(FOLDER, 'r2plus1d_34', source='local', weights='ig65m_kinetics_32f')``
"""

from functools import partial, update_wrapper

from r21d_plugin import create_model, list_models

dependencies = ['torch']

for _name in list_models():
    globals()[_name] = update_wrapper(partial(create_model, _name), create_model)
del create_model, list_models, partial, update_wrapper
