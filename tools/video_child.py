"""The process that decodes a video: a script that imports PyAV and nothing of ours.

    python -I video_child.py FOLDER COUNT MAX_PIXELS MAX_BYTES

Reads FOLDER/video and writes frames as FOLDER/MILLISECONDS.png.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

TOO_LARGE, BROKEN = 3, 4
_LONGEST = 2048  # pixels; models and the text reader take no more
_ALIKE = 2.0  # of 255, mean difference of two small grey copies
_WITHOUT_LENGTH = 3000
"""Frames looked at in a video that does not say how long it is."""


def main(folder: Path, count: int, max_pixels: int, max_bytes: int) -> int:
    """Decode; returns the exit code."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import av

    try:
        # Only local files: a playlist or a reference inside could else name any address.
        with av.open(str(folder / "video"), options={"protocol_whitelist": "file"}) as video:
            if video.format.name.split(",")[0] in ("hls", "concat", "dash", "image2", "sdp", "rtsp"):
                raise ValueError("a playlist is no video")
            stream = video.streams.video[0]
            if (stream.width or 0) * (stream.height or 0) > max_pixels:
                return TOO_LARGE
            stream.thread_type = "NONE"
            return _write(folder, video, stream, count, max_pixels)
    except (av.error.FFmpegError, ValueError, IndexError, MemoryError, OSError) as error:
        sys.stderr.write(f"{getattr(error, 'strerror', None) or type(error).__name__}\n")
        return BROKEN


def _write(folder: Path, video: Any, stream: Any, count: int, max_pixels: int) -> int:
    before: Any = None
    for frame in _frames(video, stream, count):
        if frame.width * frame.height > max_pixels:
            return TOO_LARGE
        scale = min(1.0, _LONGEST / max(frame.width, frame.height))
        image = frame.to_image(width=max(2, round(frame.width * scale)), height=max(2, round(frame.height * scale)))
        small = image.convert("L").resize((24, 24))
        if before is not None and _difference(before, small) < _ALIKE:
            continue
        before = small
        image.save(folder / f"{round(max(0.0, frame.time or 0.0) * 1000):09d}.png", compress_level=3)
    return 0


def _difference(one: Any, other: Any) -> float:
    pairs = zip(one.tobytes(), other.tobytes(), strict=True)
    return float(sum(abs(a - b) for a, b in pairs)) / (24 * 24)


def _frames(video: Any, stream: Any, count: int) -> Any:
    """Frames at the middles of equal stretches; of a video without a length every so many of its first frames."""
    base = float(stream.time_base)
    begin = (stream.start_time or 0) * base
    length = (stream.duration or 0) * base or (video.duration or 0) / 1_000_000
    if length <= 0:
        kept: list[Any] = []
        for number, frame in enumerate(video.decode(stream)):
            if number >= _WITHOUT_LENGTH:
                break
            if number % 50 == 0 and len(kept) < count:
                kept.append(frame)
        yield from kept
        return
    last = -1.0
    for number in range(count):
        wanted = begin + length * (number + 0.5) / count
        video.seek(round(wanted / base), stream=stream)
        found = None
        for frame in video.decode(stream):
            found = frame
            if (frame.time or 0.0) >= wanted:
                break
        if found is not None and (found.time or 0.0) > last:
            last = found.time or 0.0
            yield found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *(int(argument) for argument in sys.argv[2:5])))
