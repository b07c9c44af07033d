// Command bench measures append, scan and merge of a seeded table beside plain DuckDB on the same Parquet, in one run.
//
// Every measurement is a process of its own, so that peak memory is its own too; ours and the peer's take turns, and
// the median of the rounds counts. Nothing here asserts a time: the figures go to docs/benchmarks.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// settings is what parent and children agree on.
type settings struct {
	Rows     int        `json:"rows"`
	Files    int        `json:"files"`
	Rounds   int        `json:"rounds"`
	Threads  int        `json:"threads"`
	Memory   int64      `json:"memory"` // bytes, for us and for the peer
	Dir      string     `json:"dir"`
	Store    string     `json:"store"`              // URL of the store that the children use
	Measure  string     `json:"measure"`            // set in children: what to measure
	Cache    *cacheWork `json:"cache,omitempty"`    // set in children that measure the cache
	Log      *logWork   `json:"log,omitempty"`      // set in children that measure the log
	Generate *logTables `json:"generate,omitempty"` // set in a child that writes logs
	// set in children of the merge benchmark
	MergeTables *mergeTables `json:"merge_tables,omitempty"`
	MergeWork   *mergeWork   `json:"merge_work,omitempty"`
}

// figure is what a child prints.
type figure struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"`   // seconds of all processors in that time; of logs and merges
	RSS     int64   `json:"rss"`   // bytes, peak, of the child
	Count   int     `json:"count"` // what both sides must agree on
	Note    string  `json:"note"`
	// Of a query with an empty cache: what it fetched, and the seconds of the same query after it.
	Bytes    int64   `json:"bytes,omitempty"`
	Requests int64   `json:"requests,omitempty"`
	Again    float64 `json:"again,omitempty"`
}

func main() {
	var s settings
	flag.IntVar(&s.Rows, "rows", 10_000_000, "rows of the table")
	flag.IntVar(&s.Files, "files", 20, "input files")
	flag.IntVar(&s.Rounds, "rounds", 3, "times each measurement is taken")
	flag.IntVar(&s.Threads, "threads", 2, "threads of the engine and of the peer")
	flag.Int64Var(&s.Memory, "memory", 4<<30, "bytes of memory for the engine and for the peer")
	flag.StringVar(&s.Dir, "dir", ".cache/bench", "folder for data and tables")
	child := flag.String("child", "", "settings of a child process, JSON; set by bench itself")
	minio := flag.Bool("minio", true, "measure on a MinIO that it starts, too")
	works := flag.String("works", "tables,log", "what to measure: tables beside plain DuckDB, logs beside delta-rs, merge beside delta-rs and Spark, cache beside whole files")
	python := flag.String("python", ".cache/py/bin/python", "a Python with the deltalake of tests/interop/requirements.txt")
	var logs logTables
	flag.IntVar(&logs.Adds, "adds", 1_000_000, "files of the largest log")
	flag.IntVar(&logs.Plan, "plan", 200_000, "files of the log that a predicate is planned on")
	flag.IntVar(&logs.Commits, "commits", 10_000, "commits of one file each")
	var m mergeRun
	flag.Float64Var(&m.tables.Scale, "scale", 1, "size of the tables of the merge benchmark; 1 is the one that counts")
	systems := flag.String("systems", strings.Join([]string{systemOurs, systemDeltaRS, systemSpark}, ","), "who merges")
	flag.StringVar(&m.only, "only", "", "merge only in cases whose name has this text")
	flag.BoolVar(&m.again, "again", false, "measure merges of ours again that an earlier run measured")
	flag.StringVar(&m.page, "page", "", "page that gets the table of merges")
	flag.StringVar(&m.sparkPy, "spark", ".cache/py-peers/bin/python", "a Python with the pyspark of tests/interop/requirements-peers.txt")
	flag.StringVar(&m.jars, "jars", "", "the jars of Delta Lake for Spark, comma-separated")
	flag.Parse()
	m.python, m.systems = *python, strings.Split(*systems, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s, *child, *works, logs, &m, *python, *minio); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, s settings, child, works string, logs logTables, m *mergeRun, python string, minio bool) error {
	if child != "" {
		if err := json.Unmarshal([]byte(child), &s); err != nil {
			return fmt.Errorf("read the settings of the child: %w", err)
		}
		return measure(ctx, s)
	}
	top, err := filepath.Abs(s.Dir)
	if err != nil {
		return fmt.Errorf("find the data folder: %w", err)
	}
	s.Dir = filepath.Join(top, fmt.Sprintf("%d-%d", s.Rows, s.Files))
	logs.Dir = filepath.Join(top, fmt.Sprintf("log-%d-%d-%d", logs.Adds, logs.Plan, logs.Commits))
	m.tables.Dir, m.tables.Memory = filepath.Join(top, fmt.Sprintf("merge-%g", m.tables.Scale)), s.Memory
	b := &bench{settings: s, out: tabwriter.NewWriter(os.Stdout, 2, 0, 2, ' ', tabwriter.AlignRight)}
	for work := range strings.SplitSeq(works, ",") {
		switch work {
		case "tables":
			err = b.tables(ctx, minio)
		case "log":
			err = b.logs(ctx, logs, python, minio)
		case "merge":
			m.bench = b
			err = m.run(ctx)
		case "cache":
			err = b.caches(ctx)
		default:
			err = fmt.Errorf("nothing is called %q", work)
		}
		if err = errors.Join(err, b.out.Flush()); err != nil {
			return err
		}
	}
	return nil
}

// tables measures rows beside plain DuckDB.
func (b *bench) tables(ctx context.Context, minio bool) error {
	s := b.settings
	p, err := openPeer(s.Threads, fmt.Sprintf("%dMB", s.Memory>>20))
	if err != nil {
		return err
	}
	if err := (dataset{s.Rows, s.Files, s.Dir}).generate(ctx, p); err != nil {
		return err
	}
	if err := p.db.Close(); err != nil {
		return fmt.Errorf("close DuckDB: %w", err)
	}
	fmt.Printf("%d rows × 8 columns in %d files, %d threads, %d MiB of memory, median of %d rounds\n\n",
		s.Rows, s.Files, s.Threads, s.Memory>>20, s.Rounds)
	b.line("work\tlakectl s\tpeer s\tratio\taim\tfloor\tlakectl peak MiB\tpeer peak MiB\t\n")
	if err := b.folder(ctx); err != nil {
		return err
	}
	if minio {
		return b.minio(ctx)
	}
	return nil
}

// bench prints one line per comparison.
type bench struct {
	settings
	out *tabwriter.Writer
}

// folder measures on a folder beside plain DuckDB on the same files.
func (b *bench) folder(ctx context.Context) error {
	b.Store = "file://" + filepath.Join(b.Dir, "lake")
	for _, w := range []struct{ name, ours, peer, aim, floor string }{
		{"append", "append", "peer-append", "1.3", "2"},
		{"scan of 8 columns", "scan", "peer-scan", "1.2", "2"},
		{"merge 100,000 rows", "merge", "peer-merge", "0.25", "0.5"},
	} {
		if err := b.compare(ctx, w.name, w.aim, w.floor, b.at(w.ours), b.at(w.peer)); err != nil {
			return err
		}
	}
	return nil
}

// minio measures the same work on MinIO with a warm cache beside the folder.
func (b *bench) minio(ctx context.Context) error {
	url, stop, err := startMinIO(ctx)
	if err != nil {
		return err
	}
	defer stop()
	onMinIO := b.settings
	onMinIO.Store = url
	for _, w := range []struct{ name, work string }{
		{"append, MinIO : folder", "append"}, {"scan, MinIO : folder", "scan"}, {"merge, MinIO : folder", "merge"},
	} {
		if err := b.compare(ctx, w.name, "1.3", "2", onMinIO.at(w.work), b.at(w.work)); err != nil {
			return err
		}
	}
	return nil
}

func (s settings) at(work string) settings {
	s.Measure = work
	return s
}

// compare takes turns between two children and prints the medians.
func (b *bench) compare(ctx context.Context, name, aim, floor string, ours, peer settings) error {
	var o, p []figure
	for range b.Rounds {
		f, err := spawn(ctx, ours)
		if err != nil {
			return err
		}
		o = append(o, f)
		if f, err = spawn(ctx, peer); err != nil {
			return err
		}
		p = append(p, f)
	}
	om, pm := median(o), median(p)
	b.line("%s\t%.2f\t%.2f\t%.2f\t%s\t%s\t%d\t%d\t\n", name, om.Seconds, pm.Seconds, om.Seconds/pm.Seconds, aim, floor, om.RSS>>20, pm.RSS>>20)
	if om.Note != "" {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, om.Note)
	}
	return nil
}

// line writes a row of the table; Flush tells what went wrong.
func (b *bench) line(format string, a ...any) { _, _ = fmt.Fprintf(b.out, format, a...) }

func median(fs []figure) figure {
	slices.SortFunc(fs, func(a, b figure) int { return int(time.Duration((a.Seconds - b.Seconds) * 1e9)) })
	m := fs[len(fs)/2]
	for _, f := range fs {
		m.RSS = max(m.RSS, f.RSS)
	}
	return m
}

// spawn measures in a process of its own.
func spawn(ctx context.Context, s settings) (figure, error) {
	self, err := os.Executable()
	if err != nil {
		return figure{}, fmt.Errorf("find this program: %w", err)
	}
	arg, err := json.Marshal(s)
	if err != nil {
		return figure{}, fmt.Errorf("write the settings of the child: %w", err)
	}
	f, err := figureOf(exec.CommandContext(ctx, self, "-child", string(arg)))
	if err != nil {
		return figure{}, fmt.Errorf("measure %s: %w", s.Measure, err)
	}
	return f, nil
}

// figureOf runs a process that prints its figure.
func figureOf(cmd *exec.Cmd) (f figure, err error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &f)
	}
	return f, err
}

// report prints the figure of this child.
func report(seconds float64, note string) error {
	return reportFigure(figure{Seconds: seconds, Note: note})
}

// processorSeconds is what this process has used so far. It tells more than the clock where others keep the machine busy.
func processorSeconds() (float64, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds(), nil
}

func reportFigure(f figure) error {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return fmt.Errorf("read peak memory: %w", err)
	}
	f.RSS = u.Maxrss << 10
	return json.NewEncoder(os.Stdout).Encode(f)
}
