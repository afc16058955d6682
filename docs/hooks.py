"""Hooks of MkDocs: pages from outside docs/, and links to files that are no pages.

Pages link to files by relative paths, which GitHub shows and a checkout has. On the site such a
link leads to the page of the file, or to the file in the repository (``repo_url`` of mkdocs.yml).
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    **{
        f'model_cards/{path.name}': f'model_cards/{path.name}'
        for path in ROOT.glob('model_cards/*')
    },
    'model_cards/README.md': 'model_cards/index.md',
    'README.md': 'index.md',
    'CHANGELOG.md': 'changelog.md',
    'CONTRIBUTING.md': 'contributing.md',
    'SECURITY.md': 'security.md',
}
"""Pages of the site by their path in the repository."""

LINK = re.compile(r'(?<=\]\()(?![a-z]+:|[#/])([^)#\s]+)')
ROLE = re.compile(r':\w+:<code>~?(?:[\w.]+\.)?(\w+)</code>')
"""A role of Sphinx in a docstring, such as ``:func:`~r21d_plugin.create_model```."""


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages from outside docs/."""
    for path, uri in OUTSIDE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make links that leave docs/, or come from outside, those of the site or the repository."""
    here = page.file.src_uri
    paths = {uri: path for path, uri in OUTSIDE.items()}
    folder = posixpath.dirname(paths.get(here, f'docs/{here}'))

    def replace(match: re.Match) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[1]))
        uri = OUTSIDE.get(path, path[5:] if path.startswith('docs/') else None)
        if uri is not None:
            return posixpath.relpath(uri, posixpath.dirname(here) or '.')
        return f'{config.repo_url}/blob/main/{path}' if (ROOT / path).exists() else match[1]

    return LINK.sub(replace, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show names in docstrings without the roles of Sphinx."""
    return ROLE.sub(r'<code>\1</code>', html).replace('::</p>', ':</p>')
