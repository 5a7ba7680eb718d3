"""What a study costs and how far it is: hours per rule, from the rates of records that are there.

python reports/plan.py [study.yaml] [--rates FOLDER] [--workers 1,4,16] [--startup SECONDS]

The rates are seconds per update of a generator and per image that the classifier trains on (an image evaluated counts a
quarter), medians over the records under FOLDER (default reports/main). A data set that none of them is of is given the
slowest rate. Jobs are then dealt to workers as snakemake does: whenever one is free it takes a job whose inputs are there.
"""
import argparse
import heapq
from dataclasses import asdict
from pathlib import Path
from statistics import median

import yaml

from ndaug.core import read_record, record_path
from ndaug.data import dataset_name, load, split
from ndaug.report import read_study
from ndaug.study import GENERATORS, PROTOCOLS, duration


def rates(records):
    "(data set, what) -> seconds each, for classifier and generators."
    found = {}
    for r in records:
        p, parts = PROTOCOLS.get(r["protocol"]), r["seconds_parts"]
        if r["failed"] or r["seconds_resumed"] or not p or r["config"]["protocol"]["classifier"] != asdict(p.classifier): continue  # of another schedule
        found.setdefault((r["dataset"], "arm"), []).append(parts["classifier"]/p.images(r["arm"], r["n_train"], r["n_val"], r["n_test"]))
        if r["arm"] in GENERATORS: found.setdefault((r["dataset"], r["arm"]), []).append(parts["images"]/p.steps(r["n_train"], GENERATORS[r["arm"]][1].bs))
    return {k: median(v) for k, v in found.items()}


def sizes(dataset, data_dir):
    "Images to train on, validate on and test on."
    name = dataset_name(dataset)
    if name == "mnist": return 42_500, 17_500, 10_000
    if name in ("cifar10", "cifar10-folder"): return 42_500, 7_500, 10_000
    s = split(*load(dataset, data_dir))
    return len(s.train), len(s.val), len(s.test)


def jobs(study, rate, startup=0.):
    "name -> (rule, seconds, names of the jobs it needs, file that shows that it is done)."
    protocol, out, found = PROTOCOLS[study["protocol"]], Path(study["out"]), {}
    def seconds(data, what): return rate.get((data, what)) or max((v for (_, w), v in rate.items() if w == what), default=0.)
    for dataset in study["datasets"]:
        data, (n_all, n_val, n_test) = dataset_name(dataset), sizes(dataset, study["data_dir"])
        found[data] = ("features", startup + seconds(data, "arm")*(max(2*n_all, 6000) + n_val/4), (), out/data/"features.json")
        for frac in study["fracs"]:
            n = round(n_all*frac/100)
            for seed in study["seeds"]:
                for arm in study["arms"]:
                    needs, record = (data,), record_path(out, data, frac, seed, arm)
                    if arm in GENERATORS:
                        made = f"{data}/{frac}/{seed}/{arm} images"
                        found[made] = ("images", startup + seconds(data, arm)*protocol.steps(n, GENERATORS[arm][1].bs), needs, record.with_suffix(".images.json"))
                        needs = (data, made)
                    found[f"{data}/{frac}/{seed}/{arm}"] = ("arm", startup + seconds(data, "arm")*protocol.images(arm, n, n_val, n_test), needs, record)
    return found


def wall_time(found, workers):
    "Seconds until all jobs are done by so many workers: whenever one is free it takes the longest job whose inputs are there."
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


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("study", nargs="?", default="reports/study.yaml")
    a.add_argument("--rates", default="reports/main", help="folder of the records that rates are taken from")
    a.add_argument("--workers", default="1,2,4,8,16,32,64,128,256")
    a.add_argument("--startup", type=float, default=15., help="seconds that a job needs before it works")
    a = a.parse_args()
    study = yaml.safe_load(Path("reports/study.yaml").read_text()) | yaml.safe_load(Path(a.study).read_text())
    rate = rates(read_study(a.rates))
    found = jobs(study, rate, a.startup)
    finished = {k for k, (_, _, _, f) in found.items() if (read_record(f) if k.split("/")[-1] in study["arms"] else f.exists())}
    print(f"{len(study['datasets'])} data sets, {len(study['fracs'])} sizes, {len(study['seeds'])} seeds, {study['protocol']}; rates from {a.rates}:")
    for (data, what), v in sorted(rate.items()): print(f"  {data}: {'an image of the classifier' if what == 'arm' else f'an update of {what}'} {1e3*v:.1f} ms")
    print(f"{'rule':10}{'done':>6}{'of':>6}{'hours left':>12}{'of':>8}")
    for rule in ("features", "images", "arm"):
        mine = {k: v for k, v in found.items() if v[0] == rule}
        left = sum(v[1] for k, v in mine.items() if k not in finished)
        print(f"{rule:10}{len(finished & mine.keys()):6}{len(mine):6}{left/3600:12.1f}{sum(v[1] for v in mine.values())/3600:8.1f}")
    print(f"{len(finished)} of {len(found)} jobs done; left, one after the other: {duration(sum(v[1] for k, v in found.items() if k not in finished))}")
    print(f"{'workers':>8}{'wall time':>12}{'speedup':>9}")
    one = wall_time(found, 1)
    for w in map(int, a.workers.split(",")):
        t = wall_time(found, w)
        print(f"{w:8}{duration(t):>12}{one/t:9.1f}")
    chain = wall_time(found, len(found))
    print(f"never less than the longest chain of jobs: {duration(chain)}")


if __name__ == "__main__":
    main()
