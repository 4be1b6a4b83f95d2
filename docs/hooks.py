"""Gives the documentation site the repository's own tree, so that every relative link holds in both.

MkDocs knows the files of ``docs/`` alone, with ``docs/`` as their root. Here they get their path in the
repository; README.md and the other rooms' pages join them, and so does each file that a page links to:
`mkdocs build --strict` then fails where a page names a module that has moved.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "sample_stages/README.md",
    "schemas/README.md",
    "tests/README.md",
    "training/README.md",
    "usdstylize/encoders/draft_encoder.md",
)
"""Beside those of ``docs/``, as paths in the repository."""

_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the theme, the pages, and what the pages link to."""
    docs = Path(config.docs_dir)
    own = [file for file in files if file.abs_src_path and Path(file.abs_src_path).is_relative_to(docs)]
    for file in own:
        files.remove(file)
    paths = {f"{docs.name}/{file.src_uri}" for file in own if not file.src_uri.endswith(".py")} | set(PAGES)
    linked = {found for path in paths if path.endswith(".md") for found in _links(ROOT / path)}
    for path in sorted(paths | linked):
        # INCLUDED: MkDocs leaves out names that begin with a dot, such as .ci/run, unless asked.
        added = File.generated(config, path, abs_src_path=str(ROOT / path), inclusion=InclusionLevel.INCLUDED)
        files.append(added)
    return files


def _links(page: Path) -> set[str]:
    """The repository's files that a page links to, as paths in it."""
    targets = {(page.parent / link).resolve() for link in _LINK.findall(page.read_text(encoding="utf-8"))}
    return {
        target.relative_to(ROOT).as_posix()
        for target in targets
        if target.is_file() and target.is_relative_to(ROOT)
    }
