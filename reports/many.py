"""Studies without snakemake: a few processes that stay do job after job, several at a time on one GPU.

python reports/many.py study.yaml [more.yaml ...] [--minutes 600] [--workers N] [--device auto]

Jobs of the first study come first, and of each study the small sizes. Records that are there are kept, whatever code
they are of. What has not ended when the minutes are over is ended, and resumed by the same command.
"""
import argparse
import sys
from pathlib import Path

from ndaug.core import pick_device
from ndaug.jobs import jobs_of, processes, work_through
from ndaug.studyfile import check_study, study_file

DEFAULTS = Path(__file__).parent/"study.yaml"


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("studies", nargs="*", default=[DEFAULTS], metavar="study.yaml")
    a.add_argument("--minutes", type=float, default=600.)
    a.add_argument("--workers", type=int, help="default: a process for each core, 8 on a GPU")
    a.add_argument("--device", default="auto")
    a = a.parse_args()
    try:
        studies = [check_study(study_file(DEFAULTS) | study_file(s)) for s in a.studies]
        todo = [j for s in studies for j in jobs_of(s, a.device)]
        workers = a.workers or processes(pick_device(a.device))
    except ValueError as e: sys.exit(str(e))
    print(f"{len(todo)} jobs in {workers} processes, for at most {a.minutes:g} minutes", flush=True)
    try: _, failed = work_through(todo, a.minutes, workers)
    except KeyboardInterrupt:
        print("interrupted: run the same again to go on", flush=True)
        sys.exit(130)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
