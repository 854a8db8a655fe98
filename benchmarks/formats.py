"""What it costs to read, convert and write a large set of boxes, beside other converters.

Method
------
A seeded set of 20,000 images and 1,000,000 boxes in 80 classes, as COCO and as YOLO; some images
are empty. Each conversion is done by each contender in a process of its own, by turns, which times
itself without its imports and tells its own peak memory; panlabel, a program of its own, is timed
whole. A contender that takes over five minutes is given up. The floor: what parsing the file alone
takes (``orjson.loads``), and what writing as many small files takes. All files are in memory where
the system has a disk there, else a disk's caches are what is measured.

The others are installed into an environment beside ours, for some want older packages; ultralytics
is where ``make test`` puts it. FiftyOne is left out, for it starts a database.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.report import Table, Verdict, tell

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv/peers"
PACKAGES = (
    "datumaro",
    "globox",
    "labelformat",
    "opencv-python-headless",
    "orjson",
    "panlabel",
    "pylabel",
    "supervision",
)
IMAGES, BOXES, CLASSES = 20_000, 1_000_000, 80
WIDTH, HEIGHT = 640, 480  # pixels
ROUNDS = 3
LONGEST = 300.0  # seconds
PATIENT = 20.0  # seconds; who takes longer is not asked again
OURS, FLOOR = "nbannotate", "floor"
CONTENDERS = (OURS, FLOOR, "panlabel", "labelformat", "globox", "datumaro", "supervision",
              "ultralytics", "pylabel")  # fmt: skip
MB = 1024  # ru_maxrss is in kB
_SHM = Path("/dev/shm")
MEMORY = str(_SHM) if _SHM.is_dir() and shutil.disk_usage(_SHM).free > 4 * 2**30 else None

_PARSE = "import orjson\nbegun = time.perf_counter()\nfound = orjson.loads(open(coco, 'rb').read())"
_FILES = """
import os
text = "0 0.5 0.5 0.1 0.1\\n" * {lines}
os.makedirs(out)
begun = time.perf_counter()
for number in range({images}):
    with open(f"{{out}}/{{number}}.{suffix}", "w") as file:
        file.write(text)
"""
_OURS = "import nbannotate as nba\nfrom nbannotate.core import registry\n"
_LF = "from pathlib import Path\nimport labelformat.formats as lf\n"
_GLOBOX = "from globox import AnnotationSet\n"
_DM = "import datumaro as dm\n"
_SV = "import supervision as sv\n"
_PYLABEL = "from pathlib import Path\nfrom pylabel import importer\nbegun = time.perf_counter()\n"
_PYLABEL_COCO = _PYLABEL + "found = importer.ImportCoco(coco, path_to_images=images)\n"
_SV_COCO = "sv.DetectionDataset.from_coco(images, coco)"

# What each does: Python that sets `begun` once all is imported. Names: coco, yolo and images are
# there, out is to be made.
JOBS: dict[str, dict[str, str]] = {
    "COCO to table": {
        OURS: _OURS + "registry.find('coco')\nbegun = time.perf_counter()\n"
        "found = nba.read(coco, format='coco').labels\nassert len(found) == boxes",
        FLOOR: _PARSE,
        "labelformat": _LF + "begun = time.perf_counter()\n"
        "found = list(lf.COCOObjectDetectionInput(input_file=Path(coco)).get_labels())",
        "globox": _GLOBOX + "begun = time.perf_counter()\n"
        "found = AnnotationSet.from_coco(file_path=coco)",
        "datumaro": _DM + "begun = time.perf_counter()\n"
        "found = list(dm.Dataset.import_from(coco, 'coco_instances'))",
        "supervision": _SV + f"begun = time.perf_counter()\nfound = {_SV_COCO}",
        "pylabel": _PYLABEL_COCO + "found = found.df",
    },
    "COCO to YOLO": {
        OURS: _OURS + "registry.find('yolo')\nbegun = time.perf_counter()\n"
        "nba.read(coco, format='coco').write(out, format='yolo', copy='none')",
        FLOOR: _FILES.format(images=IMAGES, lines=BOXES // IMAGES, suffix="txt"),
        "panlabel": "coco yolo",
        "labelformat": _LF + "begun = time.perf_counter()\n"
        "lf.YOLOv8ObjectDetectionOutput(output_file=Path(out) / 'data.yaml', output_split='train')"
        ".save(lf.COCOObjectDetectionInput(input_file=Path(coco)))",
        "globox": _GLOBOX + "begun = time.perf_counter()\n"
        "found = AnnotationSet.from_coco(file_path=coco)\n"
        "found.save_yolo_v5(out, label_to_id={name: n for n, name in enumerate(sorted("
        "found._labels()))})",
        "datumaro": _DM + "begun = time.perf_counter()\n"
        "dm.Dataset.import_from(coco, 'coco_instances').export(out, 'yolo', save_media=False)",
        "supervision": _SV + f"begun = time.perf_counter()\n{_SV_COCO}.as_yolo("
        "annotations_directory_path=out, data_yaml_path=out + '/data.yaml')",
        "ultralytics": "import os, shutil\nfrom ultralytics.data.converter import convert_coco\n"
        "os.makedirs(out + '-in')\nshutil.copy(coco, out + '-in/instances_train.json')\n"
        "begun = time.perf_counter()\n"
        "convert_coco(out + '-in', out, use_segments=False, cls91to80=False)",
        "pylabel": _PYLABEL_COCO + "found.export.ExportToYoloV5(output_path=out + '/labels')",
    },
    "YOLO to COCO": {
        OURS: _OURS + "registry.find('yolo')\nregistry.find('coco')\n"
        "begun = time.perf_counter()\n"
        "nba.read(yolo, format='yolo').write(out + '.json', format='coco')",
        "panlabel": "yolo coco",
        "labelformat": _LF + "begun = time.perf_counter()\n"
        "lf.COCOObjectDetectionOutput(output_file=Path(out + '.json')).save("
        "lf.YOLOv8ObjectDetectionInput(input_file=Path(yolo) / 'data.yaml', input_split='train'))",
        "globox": _GLOBOX + "begun = time.perf_counter()\n"
        "AnnotationSet.from_yolo_v5(folder=yolo + '/labels/train', image_folder=yolo + "
        "'/images/train').save_coco(out + '.json', auto_ids=True)",
        "datumaro": _DM + "begun = time.perf_counter()\n"
        "dm.Dataset.import_from(yolo, 'yolo').export(out, 'coco_instances', save_media=False)",
        "supervision": _SV + "begun = time.perf_counter()\n"
        "sv.DetectionDataset.from_yolo(yolo + '/images/train', yolo + '/labels/train', "
        "yolo + '/data.yaml').as_coco(annotations_path=out + '.json')",
        "pylabel": _PYLABEL + "found = importer.ImportYoloV5(yolo + '/labels/train', "
        "path_to_images=images, cat_names=[f'class {n}' for n in range(80)])\n"
        "found.export.ExportToCoco(output_path=out + '.json')",
    },
    "COCO to VOC": {
        OURS: _OURS + "registry.find('voc')\nbegun = time.perf_counter()\n"
        "nba.read(coco, format='coco').write(out, format='voc', copy='none')",
        FLOOR: _FILES.format(images=IMAGES, lines=6 * BOXES // IMAGES, suffix="xml"),
        "panlabel": "coco voc",
        "labelformat": _LF + "begun = time.perf_counter()\n"
        "lf.PascalVOCObjectDetectionOutput(output_folder=Path(out))"
        ".save(lf.COCOObjectDetectionInput(input_file=Path(coco)))",
        "globox": _GLOBOX + "begun = time.perf_counter()\n"
        "AnnotationSet.from_coco(file_path=coco).save_pascal_voc(out)",
        "datumaro": _DM + "begun = time.perf_counter()\n"
        "dm.Dataset.import_from(coco, 'coco_instances').export(out, 'voc', save_media=False)",
        "supervision": _SV + f"begun = time.perf_counter()\n{_SV_COCO}.as_pascal_voc("
        "annotations_directory_path=out)",
        "pylabel": _PYLABEL_COCO + "found.export.ExportToVoc(output_path=out)",
    },
    "table to COCO": {
        OURS: _OURS + "registry.find('coco')\nfound = nba.read(coco, format='coco')\n"
        "begun = time.perf_counter()\n"
        "nba.to_coco(found.labels, out + '.json', images=found.images)",
        "globox": _GLOBOX + "found = AnnotationSet.from_coco(file_path=coco)\n"
        "begun = time.perf_counter()\nfound.save_coco(out + '.json', auto_ids=True)",
        "supervision": _SV + f"found = {_SV_COCO}\nbegun = time.perf_counter()\n"
        "found.as_coco(annotations_path=out + '.json')",
        "pylabel": _PYLABEL_COCO + "begun = time.perf_counter()\n"
        "found.export.ExportToCoco(output_path=out + '.json')",
    },
}  # fmt: skip

TIMED = """
import resource, sys, time
coco, yolo, images, out, boxes = *sys.argv[1:5], int(sys.argv[5])
{code}
took = time.perf_counter() - begun
print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def synthesise(folder: Path, images: int, boxes: int) -> dict[str, str]:
    """Write the set as COCO and as YOLO, with small images of the right size."""
    chance = np.random.default_rng(0)
    at = np.sort(chance.integers(0, images - images // 160, boxes))  # the last are empty
    side = chance.uniform(4, 200, (boxes, 2))
    place = chance.uniform(0, 1, (boxes, 2)) * ([WIDTH, HEIGHT] - side)
    box = np.round(np.hstack([place, side]), 2)
    kind = chance.integers(0, CLASSES, boxes)
    names = [f"{number:06}" for number in random.Random(0).sample(range(10 * images), images)]
    content = {
        "images": [
            {"id": n + 1, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT}
            for n, name in enumerate(names)
        ],
        "categories": [{"id": 2 * n + 1, "name": f"class {n}"} for n in range(CLASSES)],
        "annotations": [
            {"id": n + 1, "image_id": image + 1, "category_id": 2 * c + 1, "bbox": b,
             "area": b[2] * b[3], "iscrowd": 0, "segmentation": []}
            for n, (image, c, b) in enumerate(
                zip(at.tolist(), kind.tolist(), box.tolist(), strict=True))
        ],
    }  # fmt: skip
    # datumaro wants the folder to be called so, and one of images beside it.
    coco, yolo = folder / "annotations/instances_train.json", folder / "yolo"
    coco.parent.mkdir()
    (folder / "images").mkdir()
    coco.write_text(json.dumps(content))
    pictures, texts = yolo / "images/train", yolo / "labels/train"
    pictures.mkdir(parents=True)
    texts.mkdir(parents=True)
    Image.new("1", (WIDTH, HEIGHT)).save(folder / "picture.png")
    picture = (folder / "picture.png").read_bytes()
    center = (box[:, :2] + box[:, 2:] / 2) / [WIDTH, HEIGHT]
    rows = np.hstack([kind[:, None], center, box[:, 2:] / [WIDTH, HEIGHT]])
    starts = np.searchsorted(at, np.arange(images + 1))
    for n, name in enumerate(names):
        (pictures / f"{name}.png").write_bytes(picture)
        part = rows[starts[n] : starts[n + 1]].tolist()
        lines = [f"{c:.0f} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for c, x, y, w, h in part]
        (texts / f"{name}.txt").write_text("".join(lines))
    listed = "\n".join(f"  {n}: class {n}" for n in range(CLASSES))
    (yolo / "data.yaml").write_text(
        f"path: {yolo}\ntrain: images/train\nval: images/train\nnames:\n{listed}\n"
    )
    # What datumaro's reader of YOLO wants beside that.
    (yolo / "obj.names").write_text("".join(f"class {n}\n" for n in range(CLASSES)))
    return {"coco": str(coco), "yolo": str(yolo), "images": str(pictures)}


def install_peers() -> Path:
    """The Python that has the others; made where it is not there."""
    python = PEERS / "bin/python"
    if not (PEERS / ".made").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        (PEERS / ".made").touch()
    return python


def run(
    job: str, name: str, files: Mapping[str, str], boxes: int, peers: Path
) -> tuple[float, float]:
    """Seconds and peak MB of one conversion; `RuntimeError` says why there are none."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        out = f"{folder}/out"
        if name == "panlabel":
            return _run_program(JOBS[job][name], files, out, peers)
        python = sys.executable if name in (OURS, FLOOR, "ultralytics") else str(peers)
        if job == "COCO to table" and name == FLOOR:
            python = str(peers)  # which has orjson
        script = TIMED.format(code=JOBS[job][name])
        paths = [files["coco"], files["yolo"], files["images"], out, str(boxes)]
        try:
            done = subprocess.run(
                [python, "-c", script, *paths],
                capture_output=True,
                text=True,
                timeout=LONGEST,
                cwd=ROOT if name == OURS else folder,
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"over {LONGEST:.0f} s") from None
        if done.returncode:
            raise RuntimeError(f"fails: {done.stderr.strip().splitlines()[-1][:80]}")
        seconds, memory = done.stdout.split()[-2:]
        return float(seconds), float(memory) / MB


def _run_program(
    formats: str, files: Mapping[str, str], out: str, peers: Path
) -> tuple[float, float]:
    source, target = formats.split()
    to = f"{out}.json" if target == "coco" else out
    command = [str(peers.with_name("panlabel")), "convert", "-f", source, "-t", target,
               "-i", files[source], "-o", to, "--allow-lossy"]  # fmt: skip
    script = (
        "import resource, subprocess, sys, time\nbegun = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "took = time.perf_counter() - begun\n"
        "if done.returncode: sys.exit(done.stderr or done.stdout)\n"
        "print(took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, timeout=LONGEST
    )
    if done.returncode:
        raise RuntimeError(f"fails: {done.stderr.strip().splitlines()[-1][:80]}")
    seconds, memory = done.stdout.split()
    return float(seconds), float(memory) / MB


def measure(files: Mapping[str, str], boxes: int, peers: Path, rounds: int) -> tuple[Table, Table]:
    """Time and peak memory of each conversion by each contender, by turns."""
    took = Table(f"{boxes:,} boxes, s", CONTENDERS)
    peak = Table("peak memory, MB", CONTENDERS)
    slow: set[tuple[str, str]] = set()
    for _ in range(rounds):
        for job, contenders in JOBS.items():
            for name in CONTENDERS:
                if name not in contenders or (job, name) in slow:
                    continue
                begun = time.monotonic()
                try:
                    seconds, memory = run(job, name, files, boxes, peers)
                except RuntimeError as error:
                    took.samples(job, name).note = str(error)
                    slow.add((job, name))
                    continue
                took.samples(job, name).add(seconds)
                peak.samples(job, name).add(memory)
                if time.monotonic() - begun > PATIENT:
                    slow.add((job, name))
    return took, peak


def judge(took: Table, peak: Table) -> list[Verdict]:
    """The targets: the floor of parsing, half of panlabel, a fifth of those in Python."""
    verdicts = [
        Verdict("COCO to table: times orjson.loads", took.ratio("COCO to table", FLOOR), 1.0),
        Verdict("COCO to table: peak memory, MB", peak.median("COCO to table"), 900.0),
    ]
    for job, contenders in JOBS.items():
        ours, floor = took.median(job), took.median(job, FLOOR)
        for name in CONTENDERS[2:]:
            theirs = took.median(job, name)
            if name not in contenders or ours is None or theirs is None:
                continue
            limit = 0.5 if name == "panlabel" else 0.2
            if name == "panlabel" and floor is not None and theirs < 1.5 * floor:
                limit = 1.2  # both stand on the floor of writing
            verdicts.append(Verdict(f"{job}: times {name}", ours / theirs, limit))
    return verdicts


def main(*, images: int = IMAGES, boxes: int = BOXES, rounds: int = ROUNDS) -> bool:
    """Measure everything; whether every target was met."""
    begun = time.monotonic()
    peers = install_peers()
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        # In a process of its own: those started later would begin with this one's peak memory.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            files = process.submit(synthesise, Path(name), images, boxes).result()
        took, peak = measure(files, boxes, peers, rounds)
    verdicts = judge(took, peak)
    tell("formats", [took, peak], verdicts, seconds=round(time.monotonic() - begun))
    return all(verdict.passed for verdict in verdicts)
