package ui

import (
	"fmt"
	"strings"
	"time"

	"github.com/lakectl/lakectl/table"
)

// Changed prints what a write did, or would do: verb is "merged into", "appended to"; a dry run says "would …".
func (t *Terminal) Changed(verb, name string, r *table.Result, dryRun bool) error {
	if t.Machine() {
		return t.Object(struct {
			*table.Result
			DryRun bool `json:"dry_run"`
		}{r, dryRun})
	}
	for _, w := range r.Warnings {
		t.Warnf("%s", Clean(w))
	}
	if r.AlreadyDone {
		t.Printf("nothing to do: %s has this work already   version %d\n", name, r.VersionBefore)
		return nil
	}
	t.Headline(verb, name, int64(r.VersionBefore), int64(r.VersionAfter), r.Milliseconds, dryRun)
	t.Fact("rows", rowsOf(r)...)
	var files []string
	skipped := r.FilesSkippedPartition + r.FilesSkippedStats
	if r.FilesScanned > 0 || skipped > 0 {
		files = append(files, fmt.Sprintf("matched %s of %s", Count(int64(r.FilesMatched)), Count(int64(r.FilesTotal))))
		if r.FilesScanned != r.FilesMatched {
			files = append(files, "read "+Count(int64(r.FilesScanned)))
		}
		files = append(files, "skipped "+Skipped(r.FilesSkippedPartition, r.FilesSkippedStats))
	}
	files = append(files, "written "+Count(int64(r.FilesAdded)))
	if r.FilesRemoved > 0 {
		removed := "removed " + Count(int64(r.FilesRemoved))
		if r.FilesRewritten > 0 {
			removed += fmt.Sprintf(" (%s rewritten)", Count(int64(r.FilesRewritten)))
		}
		files = append(files, removed)
	}
	if r.Operation == "MERGE" || r.DeletionVectors > 0 {
		files = append(files, "deletion vectors "+Count(int64(r.DeletionVectors)))
	}
	if r.ChangeFiles > 0 {
		files = append(files, "change data "+Count(int64(r.ChangeFiles)))
	}
	t.Fact("files", files...)
	t.Fact("bytes", "read "+Bytes(r.BytesRead), "written "+Bytes(r.BytesWritten))
	if n := int64(len(r.Rebased)); n > 0 {
		t.Fact("rebased", "over "+Plural(n, "harmless commit")+" of other writers")
	}
	for _, why := range r.Replanned {
		t.Fact("again", Clean(why))
	}
	return nil
}

// rowsOf says how many rows a write changed, of the kinds that it can change.
func rowsOf(r *table.Result) []string {
	source := "(source " + Count(r.RowsSource) + ")"
	deleted := "deleted " + unknownBelowZero(r.RowsDeleted)
	switch {
	case r.Operation == "MERGE":
		return []string{"updated " + Count(r.RowsUpdated), "inserted " + Count(r.RowsInserted), deleted, source}
	case r.Operation == "UPDATE":
		return []string{"updated " + Count(r.RowsUpdated)}
	case r.Operation == "DELETE":
		return []string{deleted}
	case r.RowsDeleted != 0:
		return []string{"inserted " + Count(r.RowsInserted), deleted, source}
	}
	return []string{"inserted " + Count(r.RowsInserted), source}
}

// Headline is the first line of what a write did.
func (t *Terminal) Headline(verb, name string, before, after, milliseconds int64, dryRun bool) {
	version := fmt.Sprintf("version %d → %d", before, after)
	switch {
	case dryRun && before < 0:
		version = "would be version 0"
	case dryRun:
		version = fmt.Sprintf("version %d stays", before)
	case before < 0:
		version = fmt.Sprintf("version %d", after)
	case before == after:
		version = fmt.Sprintf("version %d, unchanged", after)
	}
	mark := ""
	if dryRun {
		mark = t.Yellow("dry run: ")
	}
	t.Printf("%s%s %s   %s   %s\n", mark, verb, t.Bold(Clean(name)), version, Seconds(time.Duration(milliseconds)*time.Millisecond))
}

// Fact is one of the lines below a headline.
func (t *Terminal) Fact(name string, parts ...string) {
	t.Printf("  %-8s %s\n", name, strings.Join(parts, "   "))
}

// Skipped is "179 (177 by partition, 2 by min/max)".
func Skipped(byPartition, byStats int) string {
	n := byPartition + byStats
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%s (%s by partition, %s by min/max)", Count(int64(n)), Count(int64(byPartition)), Count(int64(byStats)))
}

func unknownBelowZero(n int64) string {
	if n < 0 {
		return "unknown"
	}
	return Count(n)
}

// Scanned is the note under a query: how many files it had to read, and what came from a store beyond this machine to do
// so, in bytes; below zero there is none.
func (t *Terminal) Scanned(reports []*table.ScanReport, fetched, milliseconds int64) {
	var sum table.ScanReport
	for _, r := range reports {
		sum.Files += r.Files
		sum.Read += r.Read
		sum.SkippedByPartition += r.SkippedByPartition
		sum.SkippedByStats += r.SkippedByStats
		sum.Bytes += r.Bytes
		sum.BytesRead += r.BytesRead
	}
	from := ""
	if fetched >= 0 {
		from = "fetched " + Bytes(fetched) + "   "
	}
	took := Seconds(time.Duration(milliseconds) * time.Millisecond)
	if len(reports) == 0 {
		if from != "" { // files outside tables, of a store
			t.Notef("%s\n", t.dimErr(from+took))
		}
		return
	}
	line := fmt.Sprintf("files %s of %s read", Count(int64(sum.Read)), Count(int64(sum.Files)))
	if sum.Read < sum.Files {
		line += fmt.Sprintf(", %s skipped (%s by partition, %s by min/max)", Count(int64(sum.Files-sum.Read)), Count(int64(sum.SkippedByPartition)), Count(int64(sum.SkippedByStats)))
	}
	t.Notef("%s\n", t.dimErr(fmt.Sprintf("%s   bytes %s of %s   %s%s", line, Bytes(sum.BytesRead), Bytes(sum.Bytes), from, took)))
}

func (t *Terminal) dimErr(s string) string {
	if !t.ErrTTY {
		return s
	}
	return t.Dim(s)
}
