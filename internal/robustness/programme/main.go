// Command programme runs the checks of the reliability programme, keeps their counts, and writes the page about them.
//
//	programme pull             every check in the size of a pull request, about 450 s on two quiet cores
//	programme long -slice 1h   the long forms, as far as the slice goes; the next slice goes on
//	programme page             docs/reliability.md from the counts of the last commits
//
// Each check is a `go test` that anybody can run alone: the table prints the command. A check whose count stays below
// its floor fails like one that found something.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
)

// errViolations ends the program with code 1 after the table was printed.
//
// Terminal.
var errViolations = errors.New("not every check passed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "reliability:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("say pull, long or page")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	file := flags.String("out", "reliability.jsonl", "where the counts are added")
	only := flags.String("only", "", "run these checks only: R2,R7")
	slice := flags.Duration("slice", time.Hour, "long: how long this slice lasts")
	page := flags.String("page", "docs/reliability.md", "page: the file that is written")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	p, err := open(*file, *only)
	if err != nil {
		return err
	}
	switch args[0] {
	case "pull":
		return p.pull(ctx, out)
	case "long":
		return p.longRun(ctx, out, *slice)
	case "page":
		return writePage(filepath.Join(p.root, *page), p.out)
	}
	return fmt.Errorf("%q is none of pull, long and page", args[0])
}

func open(out, only string) (*programme, error) {
	top, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return nil, fmt.Errorf("find the repository: %w", err)
	}
	p := &programme{root: strings.TrimSpace(string(top))}
	if p.out, err = filepath.Abs(out); err != nil {
		return nil, fmt.Errorf("find the counts: %w", err)
	}
	if p.commit, err = ledger.Commit(); err != nil {
		return nil, err
	}
	// What is not committed was tested, too: its counts are nobody else's.
	changed, err := exec.Command("git", "-C", p.root, "status", "--porcelain", "--untracked-files=no").Output()
	if err != nil {
		return nil, fmt.Errorf("ask git for changes: %w", err)
	}
	if len(changed) > 0 && os.Getenv(ledger.CommitVariable) == "" {
		p.commit += "+changes"
	}
	p.logs = filepath.Join(p.root, ".cache", "reliability")
	if err := os.MkdirAll(p.logs, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder for the output of the checks: %w", err)
	}
	if p.checks, err = checks(p.root); err != nil {
		return nil, err
	}
	if only != "" {
		ids := strings.Split(only, ",")
		p.checks = slices.DeleteFunc(p.checks, func(c check) bool { return !slices.Contains(ids, c.id) })
	}
	if len(p.checks) == 0 {
		return nil, fmt.Errorf("no check is named %s", only)
	}
	return p, nil
}

const line = "%-4s %-74s %10s %10s %7s %7s  %s\n"

// pull runs every check once.
func (p *programme) pull(ctx context.Context, out io.Writer) error {
	p.scale = ledger.Pull
	began := time.Now()
	end, err := p.build(ctx)
	if err != nil {
		return err
	}
	defer end()
	say(out, "commit %s · %s · compiled in %.0f s\n\n", p.commit, ledger.Machine(), time.Since(began).Seconds())
	say(out, line, "id", "what", "count", "floor", "seconds", "cpu", "")
	began = time.Now()
	results, err := p.all(ctx, out)
	if err != nil {
		return err
	}
	return p.ended(out, results, time.Since(began))
}

func print1(out io.Writer, r result, scale ledger.Scale) {
	verdict := "ok"
	if r.err != nil {
		verdict = "FAILED: " + r.err.Error()
	}
	say(out, line, r.id, r.what, group(r.count), group(r.floor), fmt.Sprintf("%.1f", r.seconds), fmt.Sprintf("%.1f", r.processor), verdict)
	say(out, "     %s\n", r.repeat(scale, r.seed))
	if r.err != nil {
		say(out, "%s\n    all of it: %s\n", r.said, r.log)
	}
}

func (p *programme) ended(out io.Writer, results []result, took time.Duration) error {
	bad := 0
	for _, r := range results {
		if r.err != nil {
			bad++
		}
	}
	processor := 0.0
	for _, r := range results {
		processor += r.processor
	}
	say(out, "\n%d checks, %d failed, %.0f s, %.0f s of processors; counts in %s\n", len(results), bad, took.Seconds(), processor, filepath.Base(p.out))
	if bad > 0 {
		return errViolations
	}
	return nil
}

// group writes 50000 as 50,000.
func group(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// say prints for people; whoever closed the other end has nobody left to tell.
func say(out io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
