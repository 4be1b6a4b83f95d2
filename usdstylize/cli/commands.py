"""The command line: `Options` from its arguments, exit codes, and what goes to which stream.

0: all done. 1: some objects failed, or `verify` found something. 2: a usage error, or nothing
could be done. 130, 143, 129: interrupted by Ctrl-C, SIGTERM, SIGHUP.
"""

import logging
import os
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter, Token, UnusedCliTokensError

from usdstylize import interrupts
from usdstylize.cli import console, progress
from usdstylize.config.options import (
    FarmOptions,
    LookOptions,
    Options,
    OutputOptions,
    PerformanceOptions,
    PresetName,
    StageOptions,
    StyleOptions,
)
from usdstylize.encoders import ENCODERS, weights
from usdstylize.errors import OptionsError, UsdStylizeError
from usdstylize.model.results import DialResult, MixResult
from usdstylize.version import __version__

__all__ = ["run"]

ALL_DONE, SOME_FAILED, NOTHING_DONE = 0, 1, 2
SIGNALLED = 128
"""Plus the number of the signal, as a shell reports it: 130 for Ctrl-C, 143 for SIGTERM."""
READER_GONE = 141
"""As a shell reports SIGPIPE."""


def _words(_type: Any, tokens: Sequence[Token]) -> tuple[str, ...]:
    """``/A,/B`` and repeated options, as in usdrecord."""
    words = tuple(word for token in tokens for word in token.value.replace(",", " ").split())
    if not words:  # an empty shell variable must not mean the whole stage
        raise ValueError("it is empty; name something, or leave the option out.")
    return words


def _range(_type: Any, tokens: Sequence[Token]) -> tuple[float, float]:
    """``2,4``, or ``3`` for both ends."""
    text = tokens[-1].value
    try:
        ends = [float(word) for word in text.replace(",", " ").split()]
        near, far = ends * 2 if len(ends) == 1 else ends
    except ValueError:
        raise ValueError(f'"{text}" is neither a number nor two numbers such as 2,4.') from None
    return near, far


def _sizes(_type: Any, tokens: Sequence[Token]) -> tuple[int, ...]:
    """``128,256,512``."""
    text = ",".join(token.value for token in tokens)
    try:
        return tuple(int(word) for word in text.replace(",", " ").split())
    except ValueError:
        raise ValueError(f'"{text}" is no list of whole numbers such as 128,256,512.') from None


def _default_text(value: Any) -> str | None:
    """A default in ``--help``: none where it is the preset's, an empty list or an absent flag."""
    if value is None or value is False or value == ():
        return None
    return ",".join(value) if isinstance(value, tuple) else str(value)


Words = Annotated[tuple[str, ...], Parameter(converter=_words, n_tokens=1, metavar="A,B")]

_ARGUMENTS = Group("Arguments", sort_key=0)
"""The first section of every ``--help``: what a newcomer needs. Verbs follow, then the groups of options."""


def _section(title: str, place: int) -> Parameter:
    """A group of options as a section of ``--help``."""
    return Parameter(name="*", group=Group(title, sort_key=place))


@_section("Stage", 2)
@dataclass(frozen=True)
class StageArguments(StageOptions):
    """`StageOptions` as they are typed; only fields with a parser or section of their own are repeated."""

    mask: Words = StageOptions.mask
    purposes: Words = StageOptions.purposes
    per_instance: Words = StageOptions.per_instance


def _encoders() -> str:
    """Every encoder, as `--help` lists them."""
    listed = ", ".join(f"{name} ({spec.summary})" for name, spec in ENCODERS.items())
    return f"{listed}, timm:NAME (any convolutional network of timm)"


@_section("Style", 3)
@dataclass(frozen=True)
class StyleArguments(StyleOptions):
    """`StyleOptions` as they are typed."""

    encoder: Annotated[
        str | None, Parameter(help=f"Network that carries the style: {_encoders()}.", metavar="CHOICE")
    ] = StyleOptions.encoder
    style_weight: Words = StyleOptions.style_weight


@_section("Look", 4)
@dataclass(frozen=True)
class LookArguments(LookOptions):
    """`LookOptions` as they are typed."""

    camera_distance: Annotated[
        tuple[float, float] | None, Parameter(converter=_range, n_tokens=1, metavar="NEAR,FAR")
    ] = LookOptions.camera_distance
    texture_hierarchy: Annotated[
        tuple[int, ...], Parameter(converter=_sizes, n_tokens=1, metavar="A,B,C")
    ] = LookOptions.texture_hierarchy


@_section("Performance", 5)
@dataclass(frozen=True)
class PerformanceArguments(PerformanceOptions):
    """`PerformanceOptions` as they are typed."""

    preset: Annotated[PresetName, Parameter(group=_ARGUMENTS)] = PerformanceOptions.preset


@_section("Output", 6)
@dataclass(frozen=True)
class OutputArguments(OutputOptions):
    """`OutputOptions` as they are typed."""

    output: Annotated[Path | None, Parameter(alias="-o", group=_ARGUMENTS)] = OutputOptions.output
    block_contexts: Words = OutputOptions.block_contexts


@_section("Farm", 7)
@dataclass(frozen=True)
class FarmArguments(FarmOptions):
    """`FarmOptions` as they are typed."""


@Parameter(name="*")
@dataclass(frozen=True)
class Arguments:
    """Every group of options, each a section of ``--help``."""

    output: OutputArguments = OutputArguments()
    performance: PerformanceArguments = PerformanceArguments()
    stage: StageArguments = StageArguments()
    style: StyleArguments = StyleArguments()
    look: LookArguments = LookArguments()
    farm: FarmArguments = FarmArguments()

    def options(self) -> Options:
        """Raises OptionsError where options of two groups contradict each other."""
        groups = [vars(group) for group in vars(self).values()]
        return Options(**{name: value for group in groups for name, value in group.items()})


@_section("Messages", 8)
@dataclass(frozen=True)
class Flags:
    """What every verb takes."""

    json: bool = False
    """Print the result as JSON on stdout, and nothing else there."""
    quiet: bool = False
    """Print errors only, and the path of the result."""
    verbose: bool = False
    """Show the stack trace of an error."""


app = App(
    name="usdstylize",
    version=__version__,
    usage="Usage: usdstylize STAGE --style-set PATH [OPTIONS]\n       usdstylize COMMAND [OPTIONS] ...",
    group_arguments=_ARGUMENTS,
    group_parameters=_ARGUMENTS,
    group_commands=Group("Commands", sort_key=1),
    default_parameter=Parameter(negative=(), show_default=_default_text),
    suppress_keyboard_interrupt=False,  # it would exit by itself, without a message
)


def run(tokens: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. ``tokens`` is ``sys.argv[1:]`` if not given."""
    tokens = sys.argv[1:] if tokens is None else list(tokens)
    if "--verbose" in tokens:
        logging.basicConfig(format="%(message)s")
        logging.getLogger("usdstylize").setLevel(logging.DEBUG)
    try:
        code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except KeyboardInterrupt:
        console.note("usdstylize: interrupted; nothing was written.")
        return SIGNALLED + interrupts.last_signal()
    except BrokenPipeError:  # `| head` has seen enough; Python must not try to flush the rest at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except CycloptsError as error:
        return _refuse(tokens, error, f"{_usage_error(error)}; see `usdstylize --help`.")
    except UsdStylizeError as error:
        return _refuse(tokens, error, str(error))
    except Exception as error:  # our own mistake; a farm still gets a sentence and an exit code
        what = f"{type(error).__name__}: {error}"
        return _refuse(tokens, error, f"internal error ({what}); please report it with what --verbose shows.")
    return code if isinstance(code, int) else ALL_DONE  # --help and --version return nothing


def _usage_error(error: CycloptsError) -> str:
    """Cyclopts' own words, as one sentence without its full stop."""
    if isinstance(error, UnusedCliTokensError):
        return f"{' '.join(error.unused_tokens or ())} is more than this command takes"
    return re.sub(r"\. Did you mean (.*)\?$", r" (did you mean \1?)", str(error).strip()).rstrip(".")


def _refuse(tokens: Sequence[str], error: Exception, text: str) -> int:
    # The arguments may be what is wrong, so the flags are searched in the bare tokens.
    if "--verbose" in tokens:
        traceback.print_exception(error)
    if "--json" in tokens:
        console.show_json({"error": {"type": type(error).__name__, "message": text}})
    console.note(f"usdstylize: {text}")
    return NOTHING_DONE


@app.default
def stylize(
    stage: Path,
    /,
    *,
    style_set: Path,
    arguments: Arguments = Arguments(),
    dry_run: bool = False,
    flags: Flags = Flags(),
) -> int:
    """Carry the style of concept art onto the textures of a USD stage, as layers beside it.

    The stage and its textures are only read. Exit codes: 0 all done, 1 some objects failed or the
    written result is not right, 2 nothing could be done, 130 interrupted (143 by SIGTERM, 129 by SIGHUP).

    Parameters
    ----------
    stage
        The stage to stylise (.usd, .usda, .usdc, .usdz).
    style_set
        Folder of concept art (or one image); its name becomes the variant's.
    dry_run
        Show what would be done, and write nothing.
    """
    from usdstylize.pipeline import stylize as run_pipeline  # a second or more: torch

    options = arguments.options()
    with progress.observe(options, quiet=flags.quiet) as observer:
        result = run_pipeline(stage, style_set, options, observer=observer, dry_run=dry_run)
    if flags.json:
        console.show_json(result.to_dict())
    elif dry_run:
        console.show_plan(result.plan)
    elif not flags.quiet:
        console.show_run(result)
    elif result.root_layer is not None:
        print(result.session_layer or result.root_layer)
    finished = [obj for obj in result.objects if obj.status != "failed"]
    for remark in () if flags.quiet else result.remarks:
        console.note(f"Note: {remark}")
    for problem in result.problems:
        console.note(f"usdstylize: the written result is not right: {problem}")
    if result.interrupted:
        kept = f"{len(finished)} of {len(result.plan.objects)} objects are kept, --resume does the others"
        if len(result.objects) == len(result.plan.objects):
            kept = "the result is written, but not verified; `usdstylize verify` does that"
        console.note(f"usdstylize: interrupted; {kept if result.root_layer else 'nothing was written'}.")
        return SIGNALLED + interrupts.last_signal()
    broken = [item for item in result.plan.skipped if item.broken]
    if flags.quiet:
        reasons = [(item.path, item.reason) for item in result.failed]
        for path, reason in [*reasons, *((item.path, item.reason) for item in broken)]:
            console.note(f"usdstylize: {path}: {reason}")
    if not dry_run and not finished:
        return NOTHING_DONE
    return SOME_FAILED if result.failed or broken or result.problems else ALL_DONE


@app.command
def inspect(
    stage: Path,
    /,
    *,
    options: StageArguments = StageArguments(),
    flags: Flags = Flags(),
) -> int:
    """List what of a stage would be stylised, and what would not and why.

    Parameters
    ----------
    stage
        The stage to read (.usd, .usda, .usdc, .usdz).
    """
    from usdstylize.pipeline import inspect as read

    contents = read(stage, options)
    if flags.json:
        console.show_json(asdict(contents))
    else:
        console.show_contents(contents)
    return ALL_DONE


@app.command
def verify(result: Path, /, *, flags: Flags = Flags()) -> int:
    """Check a stylised stage: sources unchanged, valid USD, every path and binding, T + T_S = bake.

    Parameters
    ----------
    result
        The ``.stylized.usda`` that a run wrote, or its package (.usdz). The exit code is 1 where a check
        fails.
    """
    from usdstylize.usd import verify

    report = verify.verify(result)
    if flags.json:
        console.show_json(asdict(report) | {"ok": report.ok})
    elif not flags.quiet:
        console.show_verification(report)
    for check in report.failed:
        console.note(f"usdstylize: {check}")
    return ALL_DONE if report.ok else SOME_FAILED


@app.command
def select(result: Path, /, *, style: str, mask: Words = (), flags: Flags = Flags()) -> int:
    """Switch a stylised stage to another of its styles, or to its original materials.

    Parameters
    ----------
    result
        The ``.stylized.usda`` that a run wrote; its selections are changed in place.
    style
        A style of the result, or ``original``.
    mask
        Only what lies at or under these prim paths.
    """
    from usdstylize.usd import write

    changed = write.select(result, style, mask)
    if flags.json:
        console.show_json({"root_layer": result, "style": style, "objects": changed})
    elif not flags.quiet:
        print(f"{result}: {style} is now selected on {console.count(changed, 'object')}.")
    return ALL_DONE


@app.command
def mix(
    result: Path,
    /,
    *strengths: str,
    mask: Words = (),
    package: bool = False,
    flags: Flags = Flags(),
) -> int:
    """Mix styles that a stylised stage holds, by weight: ink=0.7 gouache=0.3; nothing is optimised.

    Writes the variant ``mix``, with a dial for each style, and shows it. The exit code is 1 where some
    objects could not be mixed.

    Parameters
    ----------
    result
        The ``.stylized.usda`` that a run wrote; it gets one more variant.
    strengths
        A style of the result and how much of it, 0 to 2, as often as you like.
    mask
        Only what lies at or under these prim paths.
    package
        Also write the result as one ``.usdz``.
    """
    from usdstylize.mixing import mix as write_mix

    mixed = write_mix(result, _strengths(strengths), mask, package=package)
    if flags.json:
        console.show_json(mixed)
    elif not flags.quiet and mixed.objects:
        console.show_mix(mixed)
    return _rewritten(mixed, quiet=flags.quiet)


def _strengths(words: Sequence[str]) -> dict[str, float]:
    """``ink=0.7`` and the like, by style. Raises OptionsError."""
    found: dict[str, float] = {}
    for word in words:
        style, sign, text = word.partition("=")
        try:
            strength = float(text)
        except ValueError:
            sign = ""
        if not (style and sign):
            raise OptionsError(f'"{word}" is no style with its strength; write it as ink=0.7.')
        if style in found:
            raise OptionsError(f"The mix names {style} twice; give each style one strength.")
        found[style] = strength
    return found


@app.command
def dial(
    result: Path,
    strength: float,
    /,
    *,
    style: str | None = None,
    mask: Words = (),
    package: bool = False,
    flags: Flags = Flags(),
) -> int:
    """Set the strength of a stylised stage: its dials, and its bakes anew; nothing is optimised.

    The exit code is 1 where some objects could not be done.

    Parameters
    ----------
    result
        The ``.stylized.usda`` that a run wrote; its dials and bakes are changed in place.
    strength
        How much of the style, 0 (the source) to 2.
    style
        A style of the result; else every one, but for a mix.
    mask
        Only what lies at or under these prim paths.
    package
        Also write the result as one ``.usdz``.
    """
    from usdstylize.dialling import dial as set_dials

    dialled = set_dials(result, strength, mask, style=style, package=package)
    if flags.json:
        console.show_json(dialled)
    elif not flags.quiet and dialled.objects:
        console.show_dial(dialled)
    return _rewritten(dialled, quiet=flags.quiet)


def _rewritten(made: MixResult | DialResult, *, quiet: bool) -> int:
    """Notes on what could not be done, and the exit code."""
    for item in made.failed:
        console.note(f"usdstylize: {item.path}: {item.reason}")
    for remark in () if quiet else made.remarks:
        console.note(f"Note: {remark}")
    for problem in made.problems:
        console.note(f"usdstylize: the package is not right: {problem}")
    if not made.objects:
        return NOTHING_DONE
    return SOME_FAILED if made.failed or made.problems else ALL_DONE


@app.command(name="weights")
def network_weights(
    *,
    fetch: bool = False,
    folder: Annotated[Path | None, Parameter(name="--weights")] = FarmOptions.weights,
    flags: Flags = Flags(),
) -> int:
    """List the network weights: which preset needs which, and in which file they are.

    The exit code is 1 where a file has the wrong contents.

    Parameters
    ----------
    fetch
        Download what is missing: from the folder of --weights, or from every place that is searched.
    folder
        Folder searched first.
    """
    if fetch:
        for name in ENCODERS:
            with progress.download(name, quiet=flags.quiet) as received:
                weights.fetch(name, folder, received)
    statuses = weights.report(folder)
    if flags.json:
        console.show_json([asdict(status) for status in statuses])
    elif not flags.quiet:
        console.show_weights(statuses)
    return SOME_FAILED if any(status.state == "refused" for status in statuses) else ALL_DONE
