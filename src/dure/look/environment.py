"""The template environment of every program that shows pages or writes reports.

Responsible for: autoescaping, the base templates and components, words and addresses of assets in templates. Not
responsible for: any page.
"""

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from dure import __version__
from dure.look.assets import version
from dure.look.words import LANGUAGES, Words


def environment(*packages: str) -> Environment:
    """An environment that finds the design system's templates and those in `templates/` of each package.

    A template that names what it wasn't given fails, rather than showing nothing.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, "dure.look")]),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(look=address, languages=LANGUAGES, release=__version__)
    return made


def address(name: str) -> str:
    """Where a page finds an asset; it changes with the asset, so that browsers may keep it for long."""
    return f"/look/{name}?v={version(name)}"


def speaking(environment: Environment, words: Words) -> Environment:
    """The environment in one language: `_` and `words` in every template and macro."""
    made = environment.overlay()
    made.globals = {**environment.globals, "_": words, "words": words}
    return made
