from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from nbannotate.errors import ImageError
from nbannotate.images.decoding import decode, open_header
from nbannotate.images.rendering import Picture, render, size
from nbannotate.images.zoom import DecodedCache, crop, decoded

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def encoded(pixels: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def shown(picture: Picture) -> Image.Image:
    """What a browser that ignores EXIF would show."""
    image = Image.open(io.BytesIO(picture.data))
    assert picture.mime == f"image/{image.format.lower()}"
    image.load()
    return image


def with_orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_orientation_is_applied_to_the_pixel(kind, value):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    raw = encoded(NOISE, kind, exif=with_orientation(value), **options)
    plain = Image.fromarray(NOISE)
    plain.getexif()[0x0112] = value
    upright = ImageOps.exif_transpose(plain)
    picture = render(raw, "k")
    assert np.array_equal(np.asarray(shown(picture).convert("RGB")), np.asarray(upright))
    assert (picture.width, picture.height) == upright.size == size(raw, "k")
    assert picture.scale == 1
    if value != 1:
        assert "exif" not in shown(picture).info  # else a browser would turn it again


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("base_pixels", [4_000_000, 400])
def test_orientation_of_a_jpeg_also_when_it_is_made_smaller(value, base_pixels):
    raw = encoded(
        np.kron(NOISE, np.ones((16, 16, 1), np.uint8)), "JPEG", exif=with_orientation(value)
    )
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(raw)))
    picture = render(raw, "k", base_pixels=base_pixels)
    result = shown(picture)
    assert (picture.width, picture.height) == upright.size == size(raw, "k")
    assert result.width * result.height <= base_pixels
    expected = np.asarray(upright.resize((9, 6) if value < 5 else (6, 9), Image.Resampling.BOX))
    got = np.asarray(result.resize((9, 6) if value < 5 else (6, 9), Image.Resampling.BOX))
    assert np.abs(expected.astype(int) - got).mean() < 12
    assert picture.scale == pytest.approx(result.width / upright.width)


def test_png_exif_behind_the_pixels_counts_too():
    plain = encoded(NOISE, "PNG")
    body = b"eXIf" + with_orientation(6).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    raw = plain[:-12] + chunk + plain[-12:]
    assert size(raw, "k") == (6, 9)
    assert np.array_equal(np.asarray(shown(render(raw, "k"))), np.rot90(NOISE, -1))


@pytest.mark.parametrize("value", [0, 9, 77])
def test_orientation_out_of_range_is_none(value):
    assert size(encoded(NOISE, "PNG", exif=with_orientation(value)), "k") == (9, 6)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"),
     ("PNG", "LA"), ("WEBP", "RGB"), ("WEBP", "RGBA")],
)  # fmt: skip
def test_what_a_browser_decodes_passes_unchanged(kind, mode):
    raw = encoded(Image.fromarray(NOISE).convert(mode), kind)
    assert render(raw, "k").data is raw


def test_picture_of_more_than_base_pixels_is_made_smaller():
    raw = encoded(Image.new("RGB", (400, 300), "red"), "JPEG")
    picture = render(raw, "k", base_pixels=1200)
    assert shown(picture).size == (40, 30)
    assert (picture.width, picture.height, picture.scale) == (400, 300, 0.1)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 5000))
def test_size_is_kept_and_base_pixels_is_never_passed(width, height, base_pixels):
    picture = render(np.zeros((height, width), np.uint8), "k", base_pixels=base_pixels)
    result = shown(picture)
    assert (picture.width, picture.height) == (width, height)
    assert result.width * result.height <= base_pixels
    assert picture.scale == result.width / width <= 1


def test_very_long_picture_fits_a_canvas():
    picture = render(np.zeros((1, 100_000), np.uint8), "k")
    assert max(shown(picture).size) <= 16_384


def test_cmyk_jpeg_becomes_rgb():
    red = Image.new("RGB", (32, 32), (220, 30, 40)).convert("CMYK")
    got = np.asarray(shown(render(encoded(red, "JPEG", quality=95), "k")))
    assert got.shape == (32, 32, 3)
    assert np.abs(got[16, 16].astype(int) - (220, 30, 40)).max() < 12


def test_palette_with_transparency_stays_transparent_when_made_smaller():
    image = Image.new("P", (40, 40), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(1, (0, 0, 40, 20))
    raw = encoded(image, "PNG", transparency=0)
    assert render(raw, "k").data is raw
    got = shown(render(raw, "k", base_pixels=100))
    assert got.mode == "RGBA"
    assert got.getpixel((5, 1)) == (0, 255, 0, 255)
    assert got.getpixel((5, 8))[3] == 0


def test_animated_pictures_show_their_first_frame():
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "blue", "lime")]
    for kind, more in [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})]:
        raw = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **more)
        picture = render(raw, "k")
        assert picture.mime == "image/png"
        assert shown(picture).convert("RGB").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_more_than_8_bits_are_windowed_from_least_to_greatest(kind, dtype):
    if kind == "PNG" and dtype != np.uint16:
        pytest.skip("PNG has no such kind")
    values = np.linspace(1000, 1510, 52).astype(dtype).reshape(4, 13)
    got = np.asarray(shown(render(encoded(values, kind), "k")))
    assert (got[0, 0], got[-1, -1]) == (0, 255)
    assert np.abs(got.ravel() - np.linspace(0, 255, 52)).max() <= 1


def test_float_picture_with_nan_and_infinity():
    values = np.array([[np.nan, 0, 1, np.inf]], np.float32)
    assert np.asarray(shown(render(encoded(values, "TIFF"), "k"))).tolist() == [[0, 0, 255, 255]]


def test_gray_with_alpha_and_one_bit_when_turned():
    gray = Image.merge("LA", [Image.fromarray(NOISE[..., 0]), Image.fromarray(NOISE[..., 1])])
    got = shown(render(encoded(gray, "PNG", exif=with_orientation(3)), "k"))
    assert got.mode == "LA"
    assert np.array_equal(np.asarray(got), np.asarray(gray)[::-1, ::-1])
    bits = Image.fromarray(NOISE[..., 0] > 127)
    got = shown(render(encoded(bits, "TIFF", compression="group4"), "k"))
    assert np.array_equal(np.asarray(got) > 0, NOISE[..., 0] > 127)


@pytest.mark.parametrize("array", [NOISE, NOISE[..., 0], np.dstack([NOISE, NOISE[..., 0]])])
def test_arrays_and_pil_images_show_their_pixels(array):
    for raw in (array, Image.fromarray(array)):
        assert np.array_equal(np.asarray(shown(render(raw, "k"))), array)
        assert size(raw, "k") == (9, 6)


def test_bmp_is_shown():
    assert np.array_equal(np.asarray(shown(render(encoded(NOISE, "BMP"), "k"))), NOISE)


@pytest.mark.parametrize("keep", [0.5, 0.99])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
def test_file_that_is_cut_off_is_an_error_that_names_it(kind, keep):
    noise = RNG.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    raw = encoded(noise, kind)
    with pytest.raises(ImageError, match=r"^a/b\.jpg: broken or cut off .*Copy it again"):
        render(raw[: int(len(raw) * keep)], "a/b.jpg")


def test_damaged_png_is_an_error():
    raw = bytearray(encoded(RNG.integers(0, 256, (99, 99), dtype=np.uint8), "PNG"))
    raw[len(raw) // 2] ^= 0xFF
    with pytest.raises(ImageError, match="broken"):
        render(bytes(raw), "k")


@pytest.mark.parametrize(
    ("raw", "why"),
    [(b"", "is empty"), (b"hello", "not an image in JPEG"), (b"<svg xmlns='x'/>", "SVG"),
     (b"\n<!DOCTYPE html><html>", "web page"), (b"\0\0\0\x18ftypheic....", "HEIC"),
     (b"\xff\xd8\xff", "broken"), (b"\x89PNG\r\n\x1a\n", "broken"), (b"BM", "broken")],
)  # fmt: skip
def test_what_is_no_image_says_why(raw, why):
    for function in (render, size):
        with pytest.raises(ImageError, match=f"^k: .*{why}"):
            function(raw, "k")


@given(st.binary(max_size=300), st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"]))
@settings(deadline=None, max_examples=150)
def test_damage_of_any_kind_is_an_image_error_or_a_picture(damage, kind):
    raw = encoded(NOISE, kind)
    at = len(damage) % len(raw)
    broken = raw[:at] + damage + raw[at + len(damage) // 2 :]
    try:
        picture = render(broken, "k", max_pixels=1_000_000)
    except ImageError as error:
        assert str(error).startswith("k")
    else:
        assert picture.width * picture.height <= 1_000_000


def test_too_many_pixels_are_refused_before_decoding(monkeypatch):
    raw = encoded(Image.new("1", (30_000, 30_000)), "TIFF", compression="group4")
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(ImageError) as error:
        render(raw, "photo.tif")
    assert str(error.value) == (
        "photo.tif has 900 megapixels, more than the limit of 500; "
        "raise it with max_pixels=900000000."
    )


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_below_our_limit_that_of_pillow_does_not_matter(kind, monkeypatch):
    raw = encoded(NOISE, kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert render(raw, "k", base_pixels=30).width == 9
        assert len(crop(raw, "k", (0, 0, 9, 6), (9, 6))) > 0
    assert Image.MAX_IMAGE_PIXELS == 10


def test_crop_shows_the_region_to_the_pixel():
    part = Image.open(io.BytesIO(crop(np.dstack([NOISE, NOISE[..., :1] * 0 + 255]), "k",
                                      (2, 1, 4, 3), (4, 3))))  # fmt: skip
    assert np.array_equal(np.asarray(part)[..., :3], NOISE[1:4, 2:6])


def test_crop_is_upright_and_magnifies_pixels_to_squares():
    image = Image.new("RGBA", (4, 2))
    image.putpixel((0, 0), (255, 0, 0, 255))
    raw = encoded(image, "PNG", exif=with_orientation(6))
    part = Image.open(io.BytesIO(crop(decoded(raw, "k"), "k", (1, 0, 1, 1), (5, 5))))
    assert part.size == (5, 5)
    assert part.getcolors() == [(25, (255, 0, 0, 255))]


@pytest.mark.parametrize(
    "box", [(-1, 0, 2, 2), (8, 0, 2, 2), (0, 0, 0, 2), (float("nan"), 0, 1, 1)]
)
def test_crop_outside_the_image_is_an_error(box):
    with pytest.raises(ImageError, match="not within the image of 9 x 6"):
        crop(NOISE, "k", box, (5, 5))


def test_decoded_images_are_decoded_once_and_the_oldest_dropped():
    loads: list[str] = []

    def load(key: str) -> np.ndarray:
        loads.append(key)
        return NOISE

    cache = DecodedCache(max_bytes=2 * NOISE.nbytes)
    threads = [threading.Thread(target=cache.get, args=("a", load)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == ["a"]
    for key in ("b", "a", "c", "a", "b"):
        cache.get(key, load)
    assert loads == ["a", "b", "c", "b"]


def test_pil_image_from_a_file_can_be_shown_by_several_threads(tmp_path):
    pixels = RNG.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        results: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: results.append(render(image, "k").data))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 6
    assert all(np.array_equal(np.asarray(Image.open(io.BytesIO(r))), pixels) for r in results)


def test_decode_leaves_the_callers_picture_alone():
    image = Image.fromarray(NOISE)
    image.getexif()[0x0112] = 6
    assert decode(open_header(image, "k"), image, "k").size == (6, 9)
    assert image.size == (9, 6)
