"""What a study costs and how far it is: hours per rule, from the rates of records that are there.

python reports/plan.py [study.yaml] [--rates FOLDER] [--workers 1,4,16] [--startup SECONDS]

The rates are seconds per update of a generator and per image that the classifier trains on (an image evaluated counts a
quarter), medians over the records under FOLDER (default reports/main). A data set that none of them is of is given the
slowest rate, and more for images larger than 32x32. Jobs are then dealt to workers as snakemake does: whenever one is
free it takes a job that can run.
"""
import argparse
import heapq
import sys
from itertools import product
from pathlib import Path

from ndaug.arms import LEARNS, get, name_of
from ndaug.classifiers import CLASSIFIERS
from ndaug.data import dataset_name, load, split
from ndaug.records import read_record, record_path
from ndaug.schedules import EVALUATED, duration, rates, seconds, seen
from ndaug.stats import read_study
from ndaug.studyfile import arms_of, check_study, protocol_of, study_file

DEFAULTS = Path(__file__).parent/"study.yaml"


def sizes(dataset, study):
    "Images to train on, validate on and test on, and the pixels of one."
    name = dataset_name(dataset)
    if name == "mnist": return 42_500, 17_500, 10_000, 28**2
    if name in ("cifar10", "cifar10-folder"): return 42_500, 7_500, 10_000, 32**2
    given = dict(skip=bool(study["skip_unreadable"]), size=study["size"] or None, fit=study["fit"] or "crop")
    s = split(*load(dataset, study["data_dir"], **given), folds=study["folds"] or 0)
    return len(s.train), len(s.val), len(s.test), s.train.shape[1]*s.train.shape[2]


def jobs(study, rate, startup=0.):
    "name -> (rule, seconds, names of the jobs it needs, file that shows that it is done)."
    protocol, out, found = protocol_of(study), Path(study["out"]), {}
    for dataset in study["datasets"]:
        arms = {name_of(spec): get(spec).under(protocol.base) for spec in arms_of(study, dataset)}
        data, (n_all, n_val, n_test, pixels) = dataset_name(dataset), sizes(dataset, study)
        scale = 1 if (data, "arm") in rate else max(1, pixels/32**2)

        def cost(what, amount): return startup + scale*seconds(rate, data, what, amount)
        features = max(2*n_all, 6000) + n_val*EVALUATED
        found[data] = ("features", cost("arm", features), (), out/data/"features.json")
        for frac, seed, (name, arm) in product(study["fracs"], study["seeds"], arms.items()):
            n, needs, record = round(n_all*frac/100), (data,), record_path(out, data, frac, seed, name)
            if arm.kind in LEARNS:
                made = f"{data}/{frac}/{seed}/{name} images"
                learning = cost(name, arm.updates(n, protocol.budget))
                found[made] = ("images", learning, needs, record.with_suffix(".images.json"))
                needs = (data, made)
            images = seen(protocol, n, protocol.added(n) if arm.adds else 0, n_val, n_test)
            found[f"{data}/{frac}/{seed}/{name}"] = ("arm", cost("arm", images), needs, record)
    return found


def wall_time(found, workers):
    "Seconds until all jobs are done by so many workers: whenever one is free it takes the longest job that can run."
    waits = {k: len(needs) for k, (_, _, needs, _) in found.items()}
    users = {}
    for k, (_, _, needs, _) in found.items():
        for n in needs: users.setdefault(n, []).append(k)
    ready = [(-found[k][1], k) for k, w in waits.items() if not w]
    heapq.heapify(ready)
    running, now = [], 0.
    while ready or running:
        while ready and len(running) < workers:
            _, k = heapq.heappop(ready)
            heapq.heappush(running, (now + found[k][1], k))
        now, k = heapq.heappop(running)
        for u in users.get(k, ()):
            waits[u] -= 1
            if not waits[u]: heapq.heappush(ready, (-found[u][1], u))
    return now


def is_done(job):
    "Whether a job's file is there; of a record, whether it is one."
    rule, *_, file = job
    return read_record(file) is not None if rule == "arm" else file.exists()


def left_table(found, finished):
    "Jobs done and hours left, for each rule."
    print(f"{'rule':10}{'done':>6}{'of':>6}{'hours left':>12}{'of':>8}")
    for rule in ("features", "images", "arm"):
        mine = {k: v for k, v in found.items() if v[0] == rule}
        left = sum(v[1] for k, v in mine.items() if k not in finished)
        done, whole = len(finished & mine.keys()), sum(v[1] for v in mine.values())
        print(f"{rule:10}{done:6}{len(mine):6}{left/3600:12.1f}{whole/3600:8.1f}")
    left = sum(v[1] for k, v in found.items() if k not in finished)
    print(f"{len(finished)} of {len(found)} jobs done; left, one after the other: {duration(left)}")


def workers_table(found, workers):
    "Wall time on more workers."
    print(f"{'workers':>8}{'wall time':>12}{'speedup':>9}")
    one = wall_time(found, 1)
    for w in workers:
        t = wall_time(found, w)
        print(f"{w:8}{duration(t):>12}{one/t:9.1f}")
    print(f"never less than the longest chain of jobs: {duration(wall_time(found, len(found)))}")


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("study", nargs="?", default=DEFAULTS)
    a.add_argument("--rates", default="reports/main", help="folder of the records that rates are taken from")
    a.add_argument("--workers", default="1,2,4,8,16,32,64,128,256")
    a.add_argument("--startup", type=float, default=15., help="seconds that a job needs before it works")
    a = a.parse_args()
    try:
        study = check_study(study_file(DEFAULTS) | study_file(a.study))
        rate = rates(read_study(a.rates))
        found = jobs(study, rate, a.startup)
    except ValueError as e: sys.exit(str(e))
    finished = {k for k, job in found.items() if is_done(job)}
    size = f"{len(study['datasets'])} data sets, {len(study['fracs'])} sizes, {len(study['seeds'])} seeds"
    print(f"{size}, {protocol_of(study).name}; rates from {a.rates}:")
    for (data, what), v in sorted(rate.items()):
        print(f"  {data}: {'an image of the classifier' if what == 'arm' else f'an update of {what}'} {1e3*v:.1f} ms")
    if (name := study["classifier"] or CLASSIFIERS[0]) != CLASSIFIERS[0]:
        print(f"  these are of {CLASSIFIERS[0]}: {name} has others")
    left_table(found, finished)
    workers_table(found, map(int, a.workers.split(",")))


if __name__ == "__main__":
    main()
