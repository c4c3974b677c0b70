"""From an address and a configuration to clips to train on: list, filter, look at each file, split.

All of it happens before a worker exists, so that a dataset which cannot be trained on costs no GPU.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from thornback.datasets.clips import Clip, Listing
from thornback.datasets.manifest import list_clips
from thornback.datasets.report import BrokenFile, DatasetReport
from thornback.datasets.source import BrokenClip, ClipSource, Header
from thornback.datasets.split import Split, split_clips
from thornback.errors import DataError
from thornback.jobs.convnext import TrainingConfig

_READERS = 16  # threads that look at headers; s3:// answers in tens of milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioDataset:
    """Clips to train, validate and test on. A clip's class is the place of its label in `classes`."""

    root: str
    classes: tuple[str, ...]
    train: tuple[Clip, ...]
    val: tuple[Clip, ...]
    test: tuple[Clip, ...]
    report: DatasetReport


def check(path: str | None, config: TrainingConfig) -> DatasetReport:
    """Say what a run with this configuration would train on.

    Raises:
        DataError: it could not; names the field and what to do.
    """
    return open_dataset(path, config).report


def open_dataset(
    path: str | None, config: TrainingConfig, *, check: Callable[[str], None] | None = None
) -> AudioDataset:
    """List, filter, check and split the dataset at `path`, a local path or s3://.

    `check` hears the address of one clip of each folder elsewhere that a manifest names, before any is opened; what it
    raises ends this.

    Raises:
        DataError: nothing there, a missing column, an empty class, one class only, too many broken files.
    """
    if not path:
        raise DataError.field("data", "no dataset is named here and none is set as THORNBACK_DATASET")
    listing = list_clips(path)
    if check is not None:
        for address in _elsewhere(listing):
            check(address)
    wanted, dropped = _filter(listing, config)
    _refuse_empty_classes(listing, wanted, dropped)
    kept, headers, broken = _look_at(wanted, ClipSource(listing.root))
    _refuse_broken(broken, len(wanted), config.max_broken_share)
    _refuse_empty_classes(listing, kept, [*dropped, *((clip, "broken") for clip, _ in broken)])
    split = split_clips(kept, share=config.validation_split, seed=config.seed)
    return _dataset(path, listing, split, headers, dropped, broken)


def _elsewhere(listing: Listing) -> Iterable[str]:
    return {posixpath.dirname(clip.path): clip.path for clip in listing if "://" in clip.path}.values()


def _filter(listing: Listing, config: TrainingConfig) -> tuple[list[Clip], list[tuple[Clip, str]]]:
    kept: list[Clip] = []
    dropped: list[tuple[Clip, str]] = []
    for clip in listing:
        if clip.snr_db is not None and clip.snr_db < config.min_snr_db:
            dropped.append((clip, "min_snr_db"))
        elif config.only_approved and clip.approved is False:
            dropped.append((clip, "only_approved"))
        else:
            kept.append(clip)
    return kept, dropped


def _refuse_empty_classes(listing: Listing, kept: Sequence[Clip], dropped: Sequence[tuple[Clip, str]]) -> None:
    if not kept:
        if not dropped:
            raise DataError.field("data", f"{listing.root} holds no audio files")
        reasons = _count(reason for _, reason in dropped)
        raise DataError.field("data", f"no clips are left of {len(listing.clips)}: dropped {reasons}")
    present = {clip.label for clip in kept}
    for name in sorted(listing.classes.keys() - present):
        lost = [reason for clip, reason in dropped if clip.label == name]
        why = f"all {len(lost)} clips were dropped ({_count(lost)})" if lost else listing.classes[name]
        raise DataError.field("data", f"the class {name!r} is empty: {why}")
    if len(present) < 2:
        raise DataError.field("data", f"there is only one class, {min(present)!r}; a classifier needs two or more")


def _look_at(clips: Sequence[Clip], source: ClipSource) -> tuple[list[Clip], dict[str, Header], list[tuple[Clip, str]]]:
    paths = list(dict.fromkeys(clip.path for clip in clips))
    with ThreadPoolExecutor(_READERS) as pool:
        found = dict(zip(paths, pool.map(partial(_header, source), paths), strict=True))
    kept: list[Clip] = []
    broken: list[tuple[Clip, str]] = []
    for clip in clips:
        header = found[clip.path]
        if isinstance(header, str):
            broken.append((clip, header))
        elif clip.start * header.sample_rate >= header.frames:
            length = header.frames / header.sample_rate
            broken.append((clip, f"it is {length:.2f} s long and the clip would start at {clip.start:g} s"))
        else:
            kept.append(replace(clip, version=header.version))
    return kept, {path: header for path, header in found.items() if isinstance(header, Header)}, broken


def _header(source: ClipSource, path: str) -> Header | str:
    try:
        return source.header(path)
    except BrokenClip as error:
        return str(error)


def _refuse_broken(broken: Sequence[tuple[Clip, str]], clips: int, max_share: float) -> None:
    share = len(broken) / clips
    if share > max_share:
        named = "; ".join(f"{clip.path}: {reason}" for clip, reason in broken[:5])
        raise DataError.field(
            "max_broken_share",
            f"{len(broken)} of {clips} clips ({share:.1%}) cannot be read and {max_share:.1%} are allowed: {named}",
        )


def _dataset(
    path: str,
    listing: Listing,
    split: Split,
    headers: dict[str, Header],
    dropped: Sequence[tuple[Clip, str]],
    broken: Sequence[tuple[Clip, str]],
) -> AudioDataset:
    kept = [*split.train, *split.val, *split.test]
    counts = Counter(clip.label for clip in kept)
    classes = tuple(sorted(counts))
    seconds = [_seconds(clip, headers[clip.path]) for clip in kept]
    report = DatasetReport(
        path=path,
        layout="folder" if listing.layout == "folder" else "manifest",
        found=len(listing.clips),
        kept=len(kept),
        dropped={
            "min_snr_db": sum(reason == "min_snr_db" for _, reason in dropped),
            "only_approved": sum(reason == "only_approved" for _, reason in dropped),
            "broken": len(broken),
        },
        broken=tuple(BrokenFile(path=clip.path, reason=reason) for clip, reason in broken),
        broken_share=len(broken) / (len(kept) + len(broken)),
        classes={name: counts[name] for name in classes},
        train=len(split.train),
        val=len(split.val),
        test=len(split.test),
        split="manifest" if split.is_given else "stratified",
        sample_rates=dict(Counter(headers[clip.path].sample_rate for clip in kept)),
        seconds=round(sum(seconds), 3),
        shortest_seconds=round(min(seconds), 3),
        longest_seconds=round(max(seconds), 3),
        warnings=split.warnings,
    )
    return AudioDataset(
        root=listing.root, classes=classes, train=split.train, val=split.val, test=split.test, report=report
    )


def _seconds(clip: Clip, header: Header) -> float:
    rest = header.frames / header.sample_rate - clip.start
    return rest if clip.duration is None else min(rest, clip.duration)


def _count(reasons: object) -> str:
    counts = Counter(reasons)  # type: ignore[call-overload]
    return ", ".join(f"{count} by {reason}" for reason, count in counts.most_common())
