"""The interop run: every case of cases/*.yaml is written by each engine that can, and read by the others.

    interop.py --lakectl BIN --ours BIN --work FOLDER [--jars A,B] [--only TEXT] [--page FILE]

A case has a name, the table features that it is about, and a writer for each engine:
  spark     SQL statements; {t} is the table
  lakectl   requests of tests/interop/ours, in order
  delta-rs  calls of peers.DeltaRs, in order
  changes   the change data feed since this version is compared, too
  checkpoint_only  the newest version is also read without the commits before the newest checkpoint
  times     Spark and lakectl agree on the time of each version
  row_ids   Spark finds row ids by this column: each is unique, and a row keeps its own from version to version
  same      the last versions that Spark and lakectl wrote have equal rows
  except    what an engine cannot: "writer>reader: reason", "writer>reader changes: reason" for the change feed, or
            "writer: reason" when it cannot write the table. Reasons are in reasons.yaml; each says with which words the
            engine refuses, and the run checks that it still does

Every version of a table is compared, rows as multisets and types by name.
"""
import argparse
import collections
import concurrent.futures
import json
import pathlib
import re
import shutil
import sys
import time

import yaml

import canonical
import page
import peers
import turns

HERE = pathlib.Path(__file__).parent
SPARK_THREADS = 4
PAGE = HERE.parent.parent / "docs" / "format-coverage.md"

def load_cases():
    cases = []
    for file in sorted((HERE / "cases").glob("*.yaml")):
        for case in yaml.safe_load(file.read_text()):
            cases.append(case | {"group": file.stem})
    reasons = yaml.safe_load((HERE / "reasons.yaml").read_text())
    names = collections.Counter(c["name"] for c in cases)
    if twice := [n for n, count in names.items() if count > 1]:
        sys.exit(f"two cases are called {twice}")
    return cases, reasons


class Run:
    def __init__(self, cases, reasons, work, engines):
        self.cases, self.reasons, self.work, self.engines = cases, reasons, work, engines
        self.results = {}  # (case, writer, reader): versions that are equal; reader is "" for the writer's own work
        self.problems = []
        self.seen = {}  # (case, writer): {version: (columns, rows)} as the writer itself shows them
        self.feeds = {}  # (case, writer): the change feed as the writer shows it
        self.seconds = collections.Counter()
        self.turns = 0  # versions of the table of turns.py that are equal for all readers

    def path(self, case, writer):
        return self.work / writer / case["name"].replace(" ", "-")

    def problem(self, case, pair, text):
        self.problems.append(f"{case['name']}, {pair}: {text}")
        print(f"FAIL {self.problems[-1]}", flush=True)

    def reason(self, case, pair):
        """The reason that a case gives for what an engine cannot, or None."""
        name = case.get("except", {}).get(pair)
        return (name, self.reasons[name]) if name else (None, None)

    def write(self, case, writer):
        """One engine writes its table, and says what it sees in each version."""
        script = case.get(writer)
        if script is None:
            return
        engine, path = self.engines["Spark" if writer == "spark" else writer], self.path(case, writer)
        path.parent.mkdir(parents=True, exist_ok=True)
        name, reason = self.reason(case, writer)
        began = time.monotonic()
        try:
            engine.write(path, script)
        except peers.Refused as e:
            if reason is None:
                self.problem(case, writer, f"cannot write: {e}")
            elif not says(reason, e, path):
                self.problem(case, writer, f"refuses with other words than reason {name}: {e}")
            else:
                self.results[case["name"], writer, ""] = name
            return
        finally:
            self.seconds[writer, "write"] += time.monotonic() - began
        if reason is not None:
            self.problem(case, writer, f"can write now; reason {name} is out of date")
        self.look(case, writer, engine, path)

    def look(self, case, writer, engine, path):
        seen = {}
        began = time.monotonic()
        for version in peers.versions(path):
            try:
                shown = engine.read(path, version)
                seen[version] = shown.tree, canonical.rows_text(shown.rows, shown.tree)
            except Exception as e:
                self.problem(case, writer, f"cannot read its own version {version}: {e}")
        self.seconds[writer, "own"] += time.monotonic() - began
        self.seen[case["name"], writer] = seen
        if "changes" in case:
            try:
                shown = engine.changes(path, case["changes"])
                self.feeds[case["name"], writer] = shown.tree, canonical.rows_text(shown.rows, shown.tree)
            except Exception as e:
                self.problem(case, writer, f"cannot read its own change feed: {e}")
        self.results[case["name"], writer, ""] = len(seen)
        if writer != "spark":
            self.fsck(case, path)

    def fsck(self, case, path):
        try:
            if findings := self.engines["lakectl"].ask(path, do="fsck").get("findings"):
                self.problem(case, "fsck", "; ".join(findings))
        except peers.Refused as e:
            self.problem(case, "fsck", str(e))

    def compare(self, case, writer, reader):
        """Another engine reads every version."""
        seen = self.seen.get((case["name"], writer))
        if seen is None:
            return
        pair, path, engine = f"{writer}>{reader}", self.path(case, writer), self.engines[reader]
        name, reason = self.reason(case, pair)
        equal, met = 0, False
        began = time.monotonic()
        for version, (tree, rows) in seen.items():
            try:
                difference = differ(engine.read(path, version), tree, rows)
            except Exception as e:
                difference = f"{e}"
            if not difference:
                equal += 1
            elif reason is None:
                self.problem(case, pair, f"version {version}: {difference}")
            elif not says(reason, difference, path):
                self.problem(case, pair, f"version {version}: not what reason {name} says: {difference}")
            else:
                met = True
        self.seconds[writer, reader] += time.monotonic() - began
        if reason is not None and not met:
            self.problem(case, pair, f"reads every version; reason {name} is out of date")
        self.results[case["name"], writer, reader] = name if met else equal
        if writer == "spark" and not met:
            self.fsck(case, path)
        if feed := self.feeds.get((case["name"], writer)):
            self.compare_feed(case, writer, reader, feed)
        if (writer, reader) in (("lakectl", "Spark"), ("spark", "lakectl")):
            self.compare_more(case, writer, reader)
        if case.get("checkpoint_only") and not met:
            self.from_checkpoint(case, writer, reader)

    def compare_feed(self, case, writer, reader, feed):
        engine, pair = self.engines[reader], f"{writer}>{reader} changes"
        if not hasattr(engine, "changes"):
            return
        name, reason = self.reason(case, pair)
        try:
            difference = differ(engine.changes(self.path(case, writer), case["changes"]), *feed)
        except Exception as e:
            difference = f"{e}"
        if difference and (reason is None or not says(reason, difference, self.path(case, writer))):
            self.problem(case, pair, difference)
        elif reason is not None and not difference:
            self.problem(case, pair, f"the feed is equal; reason {name} is out of date")

    def compare_more(self, case, writer, reader):
        """What Spark and lakectl tell of a table besides its rows."""
        path, pair = self.path(case, writer), f"{writer}>{reader}"
        try:
            if case.get("times") and (ours := self.engines["lakectl"].times(path)) != (theirs := self.engines["Spark"].times(path)):
                self.problem(case, pair, f"times of versions: lakectl {ours}, Spark {theirs}")
            if case.get("row_ids"):
                self.check_row_ids(case, pair, path)
        except peers.Refused as e:
            self.problem(case, pair, f"{e}")

    def check_row_ids(self, case, pair, path):
        known = {}  # of the version before, by key
        for version in peers.versions(path):
            rows = self.engines["Spark"].row_ids(path, version, case["row_ids"])
            if len({row_id for _, row_id, _ in rows}) != len(rows) or any(row_id is None or since is None or since > version for _, row_id, since in rows):
                self.problem(case, pair, f"version {version}: row ids are not unique, or of a later version: {rows[:5]}")
            for key, row_id, _ in rows:
                if known.get(key, row_id) != row_id:
                    self.problem(case, pair, f"version {version}: row {key} has id {row_id}, it was {known[key]}")
            known = {key: row_id for key, row_id, _ in rows}

    def from_checkpoint(self, case, writer, reader):
        """The newest version is read without the commits before the newest checkpoint, as after log clean-up."""
        path = self.path(case, writer)
        copy = path.with_name(f"{path.name}-after-{reader}")
        shutil.copytree(path, copy)
        log = copy / "_delta_log"
        checkpoints = sorted(log.glob("*.checkpoint*"))
        if not checkpoints:
            self.problem(case, writer, "has no checkpoint")
            return
        for commit in log.glob("*.json"):
            if commit.name[:20].isdigit() and "checkpoint" not in commit.name and commit.name[:20] < checkpoints[-1].name[:20]:
                commit.unlink()
        seen = self.seen[case["name"], writer]
        tree, rows = seen[max(seen)]
        try:
            difference = differ(self.engines[reader].read(copy, max(seen)), tree, rows)
        except Exception as e:
            difference = f"{e}"
        if difference:
            self.problem(case, f"{writer}>{reader}", f"from a checkpoint: {difference}")

    def confirm(self, case, reader):
        """What a peer cannot with our table it cannot with Spark's table of the same story: so it is not our doing."""
        name, reason = self.reason(case, f"lakectl>{reader}")
        seen = self.seen.get((case["name"], "spark"))
        if reason is None or not seen:
            return
        for version, (tree, rows) in seen.items():
            try:
                difference = differ(self.engines[reader].read(self.path(case, "spark"), version), tree, rows)
            except Exception as e:
                difference = f"{e}"
            if difference and says(reason, difference, self.path(case, "spark")):
                return
        self.problem(case, f"lakectl>{reader}", f"reason {name}: it reads the table that Spark wrote")

    def same(self, case):
        """The same story told by two engines ends with the same rows."""
        stories = [self.seen.get((case["name"], w)) for w in ("spark", "lakectl")]
        if not case.get("same") or not all(stories):
            return
        (theirs, their_rows), (ours, our_rows) = (s[max(s)] for s in stories)
        if canonical.type_text(theirs) != canonical.type_text(ours) or their_rows != our_rows:
            self.problem(case, "same", f"the last versions differ: {first_difference(our_rows, their_rows)}")


def says(reason, words, path):
    """The words hold what the reason expects, and not because the folder of the table is called so."""
    return re.search(reason["says"], str(words).replace(str(path), ""))


def differ(shown, tree, rows):
    """How what a reader shows differs from what the writer shows; "" when it does not."""
    want = [(f["name"], canonical.type_text(f["type"])) for f in tree["fields"]]
    got = [(f["name"], canonical.type_text(f["type"])) for f in shown.tree["fields"]]
    if got != want:
        return f"columns differ: {got} instead of {want}"
    if all("nullable" in f for t in (shown.tree, tree) for f in t["fields"]):
        got, want = canonical.nullable_text(shown.tree), canonical.nullable_text(tree)
        if got != want:
            return f"nullability differs: {got} instead of {want}"
    try:
        return first_difference(canonical.rows_text(shown.rows, tree), rows)
    except Exception as e:
        return f"rows cannot be compared: {e}"


def first_difference(got, want):
    if got == want:
        return ""
    more, less = collections.Counter(got), collections.Counter(want)
    extra, missing = list((more - less).elements()), list((less - more).elements())
    return f"rows differ: {len(got)} instead of {len(want)}; not expected: {extra[:2]}; missing: {missing[:2]}"


def go(run):
    """Spark works on several tables at a time, the others on one: planning keeps a thread busy more than tasks do."""
    if "Spark" not in run.engines:
        for c in run.cases:
            step(run, c)
        return
    with concurrent.futures.ThreadPoolExecutor(SPARK_THREADS) as spark, concurrent.futures.ThreadPoolExecutor(1) as others:
        for theirs, ours in ((lambda c: run.write(c, "spark"), step), (lambda c: run.compare(c, "lakectl", "Spark"), after)):
            work = [spark.submit(theirs, c) for c in run.cases] + [others.submit(ours, run, c) for c in run.cases]
            for w in work:
                w.result()
    for c in run.cases:
        run.same(c)


def step(run, case):
    for writer in ("lakectl", "delta-rs"):
        run.write(case, writer)
    for reader in ("delta-rs", "Polars", "DuckDB"):
        run.compare(case, "lakectl", reader)
    run.compare(case, "delta-rs", "lakectl")


def after(run, case):
    """What is done with the tables of Spark."""
    run.compare(case, "spark", "lakectl")
    for reader in ("delta-rs", "Polars", "DuckDB"):
        run.confirm(case, reader)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--lakectl", required=True)
    args.add_argument("--ours", required=True)
    args.add_argument("--work", required=True, type=pathlib.Path)
    args.add_argument("--jars", default="")
    args.add_argument("--only", default="", help="cases whose name or file has this in it")
    args.add_argument("--no-spark", action="store_true", help="leave Spark out, to look at the others quickly")
    args.add_argument("--page", default="", help="where the page of results goes")
    args = args.parse_args()
    cases, reasons = load_cases()
    cases = [c for c in cases if args.only in c["name"] or args.only == c["group"]]
    began = time.monotonic()
    engines = {e.name: e for e in (peers.Ours(args.ours), peers.DeltaRs(), peers.Polars(), peers.DuckDB())}
    if not args.no_spark:
        engines["Spark"] = peers.Spark(args.work, {"spark.jars": args.jars} if args.jars else {})
        print(f"Spark is up after {time.monotonic() - began:.1f} s", flush=True)
    run = Run(cases, reasons, args.work, engines)
    go(run)
    for key, seconds in sorted(run.seconds.items()):
        print(f"{' '.join(key):24} {seconds:6.1f} s")
    if "Spark" in engines:
        print(f"{'work of the JVM':24} {engines['Spark'].cpu_seconds():6.1f} s of a core")
    if "Spark" in engines and args.only in ("", "turns"):
        path = args.work / "turns"
        run.turns = turns.play(engines, args.lakectl, path, lambda text: run.problem({"name": "turns"}, "alternating", text))
        print(f"writers took turns: {run.turns} of {len(turns.TURNS)} versions equal for all readers")
    if not args.only and not args.no_spark and not run.problems:
        text = page.render(run)
        if args.page:
            pathlib.Path(args.page).write_text(text)
        elif text != PAGE.read_text():
            run.problem({"name": "page"}, PAGE.name, "says something else than this run: make interop-page")
    for engine in engines.values():
        engine.close()
    print(f"{len(cases)} cases, {len(run.problems)} problems, {time.monotonic() - began:.0f} s")
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
