"""Frames come from a process of their own; what is broken is told."""

from __future__ import annotations

import importlib.util
import io

import pytest

from tools.errors import ImageTooLarge, ImageUnreadable, VideoUnsupported
from tools.video import is_video, read_frames

av = pytest.importorskip("av")
PIXELS = 10_000_000


@pytest.fixture(scope="module")
def film() -> bytes:
    """Six seconds: red, green, blue."""
    import numpy as np

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as made:
        stream = made.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(60):
            frame = np.zeros((120, 160, 3), np.uint8)
            frame[:, :, number // 20] = 200
            made.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        made.mux(stream.encode())
    return out.getvalue()


def test_frames_that_differ_are_taken_once(film: bytes) -> None:
    assert is_video(film)
    frames = read_frames(film, "a.mp4", 6, PIXELS)
    assert [frame.at for frame in frames] == [0.5, 2.5, 4.5]
    assert all(frame.png.startswith(b"\x89PNG") for frame in frames)
    assert len(read_frames(film, "a.mp4", 1, PIXELS)) == 1


def test_what_is_no_video() -> None:
    for data in (b"", b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x20ftypheic", b"RIFF\x00\x00\x00\x00WEBP", b"GIF89a"):
        assert not is_video(data)


@pytest.mark.parametrize("cut", [100, 2000])
def test_broken_ones_and_playlists_are_told(film: bytes, cut: int) -> None:
    with pytest.raises(ImageUnreadable, match=r"a\.mp4"):
        read_frames(film[:cut], "a.mp4", 3, PIXELS)
    with pytest.raises(ImageUnreadable):
        read_frames(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "a.mp4", 3, PIXELS)


def test_too_many_pixels_and_too_long(film: bytes) -> None:
    with pytest.raises(ImageTooLarge):
        read_frames(film, "a.mp4", 3, 100)
    with pytest.raises(ImageUnreadable, match="within"):
        read_frames(film, "a.mp4", 3, PIXELS, seconds=0.01)


def test_without_the_library_the_command_is_told(film: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(VideoUnsupported) as caught:
        read_frames(film, "a.mp4", 3, PIXELS)
    assert "pip install 'phiq[video]'" in caught.value.hint
