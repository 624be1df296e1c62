"""Frames of videos, decoded in a process of its own: what a hostile file does to the decoder ends there."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools import video_child
from tools.errors import ImageTooLarge, ImageUnreadable, VideoUnsupported

_SECONDS = 60.0
_MEMORY = 3_000_000_000


@dataclass(frozen=True)
class Frame:
    """A frame as a PNG file, ``at`` seconds from the beginning."""

    at: float
    png: bytes


def is_video(data: bytes) -> bool:
    """Whether a file looks like a video, by its first bytes: MP4 and MOV, Matroska and WebM, AVI, MPEG-TS, FLV."""
    if data[4:8] == b"ftyp":
        return data[8:12] not in (b"avif", b"avis", b"heic", b"heix", b"mif1", b"hevc", b"msf1")
    if data[:4] == b"RIFF":
        return data[8:12] == b"AVI "
    transport = data[:1] == b"G" and data[188:189] == b"G" and data[376:377] == b"G"
    return data[:4] in (b"\x1a\x45\xdf\xa3", b"FLV\x01") or data[4:8] in (b"moov", b"mdat", b"wide") or transport


def read_frames(data: bytes, name: str, count: int, max_pixels: int, seconds: float = _SECONDS) -> list[Frame]:
    """Frames from the middles of ``count`` equal stretches of a video, those that hardly differ once.

    Args:
        data: The file's bytes.
        name: What to call it in errors.
        count: Frames at most.
        max_pixels: Of one frame.
        seconds: That decoding may take.

    Raises:
        VideoUnsupported: the library that decodes videos is not installed.
        ImageUnreadable: damaged, without pictures, or it took too long.
        ImageTooLarge: its frames have too many pixels.
    """
    from importlib.util import find_spec

    if find_spec("av") is None:
        raise VideoUnsupported(
            f"{name} is a video, and the library that decodes videos is not installed.",
            hint="pip install 'phiq[video]', then restart the workers. Or send pictures taken from it.",
            subject=name,
        )
    with tempfile.TemporaryDirectory(prefix="phiq-video-") as folder:
        video = Path(folder) / "video"
        video.write_bytes(data)
        # As a script, with nothing of ours imported and no environment: it needs PyAV only.
        command = [sys.executable, "-I", str(video_child.__file__), folder, str(count), str(max_pixels), str(_MEMORY)]
        try:
            done = subprocess.run(  # noqa: S603 - our own script, and nothing of the video's in its arguments
                command, capture_output=True, timeout=seconds, check=False, env={}, cwd=folder
            )
        except subprocess.TimeoutExpired as error:
            raise _unreadable(name, f"could not be decoded within {seconds:.0f} seconds") from error
        frames = [Frame(int(path.stem) / 1000, path.read_bytes()) for path in sorted(Path(folder).glob("*.png"))]
    if done.returncode == video_child.TOO_LARGE:
        raise ImageTooLarge(
            f"The frames of {name} have more than {max_pixels:,} pixels.",
            hint="Scale it down, or raise PHIQ_MAX_IMAGE_PIXELS.",
            subject=name,
            limit=max_pixels,
        )
    if not frames:
        told = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = told[-1][:200] if done.returncode == video_child.BROKEN and told else "it ended the decoder"
        raise _unreadable(name, f"is damaged, or holds no moving picture ({why})")
    return frames


def _unreadable(name: str, why: str) -> ImageUnreadable:
    return ImageUnreadable(
        f"The video {name} {why}.", hint="Open it in a player and save it again as MP4, or send pictures.", subject=name
    )
