"""Train the net of `lightmask.detect.trace_cosmics`: write its weights, and those without each camera.

    python scripts/training/train.py

With the same packages on the same kind of machine it writes the same bytes. The card of the weights is written by
tests/benches/bench_truth.py, which says how right they are.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # the same sums each time, and one image to each process

import json
import multiprocessing
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import frames
import numpy as np
import samples
from sklearn.neural_network import MLPClassifier

from lightmask.detect import net

SIMULATED = 1200  # images
VERSIONS = 8  # of each real frame
HIDDEN = (96, 24)
EPOCHS = 16
RATES = 1.5e-3, 2e-5  # of learning: the first and the last
BATCH = 1024
SCALE = np.float32(1 / 64)  # of the inputs
LARGEST = 127  # of a weight
LARGEST_BIAS = 1 << 22
SEED = 1


def all_samples(processes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs, truth and camera of all samples."""
    real = [
        (camera, place, number)
        for camera in frames.CAMERAS
        for place in range(len(frames.frames(camera)))
        for number in range(VERSIONS)
    ]
    with multiprocessing.Pool(processes) as pool:
        found = pool.map(samples.of_simulated, range(SIMULATED), 4) + pool.starmap(samples.of_real, real, 1)
    return (
        np.concatenate([each.inputs for each in found]),
        np.concatenate([each.is_ray for each in found]),
        np.concatenate([np.full(each.is_ray.size, each.camera) for each in found]),
    )


def fit(inputs: np.ndarray, is_ray: np.ndarray) -> MLPClassifier:
    """Return a net that was trained; each epoch sees each sample once, turned at random."""
    rng = np.random.default_rng(SEED)
    model = MLPClassifier(HIDDEN, alpha=1e-5, batch_size=BATCH, random_state=SEED, learning_rate_init=RATES[0])
    for epoch in range(EPOCHS):
        rate = RATES[1] + RATES[0] * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2
        if epoch:
            model._optimizer.learning_rate_init = rate
        order = rng.permutation(len(inputs))
        for start in range(0, len(order) - BATCH, 1 << 16):
            part = order[start : start + (1 << 16)]
            symmetry = rng.integers(0, 8, part.size)
            seen = np.empty((part.size, inputs.shape[1]), np.float32)
            for each in range(8):
                those = symmetry == each
                seen[those] = samples.turned(inputs[part[those]], each) * SCALE
            if part.size >= BATCH:
                model.partial_fit(seen, is_ray[part], classes=[False, True])
        print(f"  epoch {epoch + 1} of {EPOCHS}: loss {model.loss_:.4f}", flush=True)
    return model


def as_integers(model: MLPClassifier, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Return the weights as whole numbers; the range of each hidden unit is taken from some inputs.

    Each output of a layer has its own scale: the largest of its weights becomes LARGEST. The sums of a hidden
    unit are cut to whole numbers up to `net.LARGEST_HIDDEN` after a shift, and the next layer's weights make up for it.
    """
    result: dict[str, np.ndarray] = {}
    unit = np.full(inputs.shape[1], float(SCALE))  # what a step of each input is worth
    seen = inputs.astype(np.float64)
    last = len(model.coefs_) - 1
    for number, (weights, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        exact = weights * unit[:, None]
        factor = np.minimum(LARGEST / np.abs(exact).max(axis=0), LARGEST_BIAS / np.maximum(np.abs(bias), 1e-9))
        whole = np.rint(exact * factor)
        of_bias = np.rint(bias * factor)
        sums = seen @ whole + of_bias
        if number == last:
            # The scale of a score is a power of two, as all are: the weights give the rest.
            shift = np.floor(np.log2(factor / net.PER_LOGIT))
            factor = net.PER_LOGIT * 2**shift
            whole, of_bias = np.rint(exact * factor), np.rint(bias * factor)
        else:
            highest = np.percentile(sums, 99.95, axis=0)
            shift = np.ceil(np.log2(np.maximum(highest, 1) / float(net.LARGEST_HIDDEN)))
            seen = np.clip(np.floor(sums / 2**shift), 0, float(net.LARGEST_HIDDEN))
            unit = 2**shift / factor
        shift = np.broadcast_to(shift, whole.shape[1])
        result |= {
            f"weights{number}": whole.astype(np.int8),
            f"bias{number}": of_bias.astype(np.int32),
            f"shift{number}": shift.astype(np.int8),
        }
        bound = np.abs(whole).sum(axis=0) * (512 if number == 0 else float(net.LARGEST_HIDDEN)) + np.abs(of_bias)
        if bound.max() >= 1 << 24:
            raise ValueError(f"layer {number}: sums of up to {bound.max():.3g} do not fit float32")
    return result


def save(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Write weights; the same ones give the same bytes."""
    np.savez_compressed(path, **weights)
    print(f"wrote {path}, {path.stat().st_size} bytes")


def trained(chosen: np.ndarray, inputs: np.ndarray, is_ray: np.ndarray) -> dict[str, np.ndarray]:
    """Return weights that come from some of the samples."""
    model = fit(inputs[chosen], is_ray[chosen])
    return as_integers(model, inputs[chosen][:: max(chosen.sum() // 200_000, 1)])


def commit() -> str:
    """Return the commit of this code, and whether it was changed since."""
    git = ["git", "-C", str(Path(__file__).parent)]
    done = [subprocess.run([*git, *what], capture_output=True, text=True, check=True).stdout for what in COMMIT]
    return done[0].strip() + ", with changes" * bool(done[1].strip())


COMMIT = ["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no", "--", ".", "../lightmask/detect"]


def main() -> None:
    """Train without the cameras of each fold, and with all."""
    warnings.filterwarnings("ignore", message="Got `batch_size`")
    of = commit()
    inputs, is_ray, camera = all_samples(os.cpu_count() or 1)
    names, counts = np.unique(camera, return_counts=True)
    pixels = dict(zip(names.tolist(), counts.tolist(), strict=True))
    print(f"{len(inputs)} pixels, {is_ray.mean():.0%} of rays: {pixels}", flush=True)
    for fold, cameras in frames.FOLDS.items():
        print(f"without {', '.join(cameras)}")
        save(frames.without(fold), trained(~np.isin(camera, cameras), inputs, is_ray))
    print("all cameras")
    save(net.FILE, trained(np.ones(len(inputs), bool), inputs, is_ray))
    packages = {name: version(name) for name in ("numpy", "scipy", "scikit-learn")}
    record = {
        "commit": of,
        "pixels": pixels,
        "of_rays": round(float(is_ray.mean()), 3),
        "simulated_images": SIMULATED,
        "versions_of_each_frame": VERSIONS,
        "hidden": HIDDEN,
        "epochs": EPOCHS,
        "packages": packages,
    }
    frames.RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
