package main

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func (a *app) historyCommand() *cobra.Command {
	var limit int
	var since string
	var full bool
	c := &cobra.Command{
		Use:   "history TABLE",
		Short: "What happened to a table, newest first",
		Long: `history has one line per version: when, what, how many rows (+ inserted, ~ updated, - deleted) and files (+ added,
- removed, ± kept with other deleted rows), by whom, and how. --full adds parameters, metrics, engine and txnId.`,
		Example: `  lakectl history ./orders
  lakectl history ./orders --limit 5 --full`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			o := txlog.HistoryOptions{Limit: limit}
			if limit < 0 {
				return usagef("--limit: %d is negative", limit)
			}
			if since != "" {
				t, err := a.parseSince(since)
				if err != nil {
					return err
				}
				o.Since = t
			}
			t, err := a.readTable(ctx, args[0])
			if err != nil {
				return err
			}
			return a.history(t.History(ctx, o), full)
		},
	}
	c.Flags().IntVarP(&limit, "limit", "n", 0, "at most this many versions (0: all)")
	c.Flags().StringVar(&since, "since", "", "only versions since a time (2026-01-31) or for a time back from now (24h, 7d)")
	c.Flags().BoolVar(&full, "full", false, "everything that the log knows of each version")
	return c
}

// parseSince reads a time, or a span back from now.
func (a *app) parseSince(text string) (time.Time, error) {
	if t, err := parseTime(text); err == nil {
		return t, nil
	}
	d, err := parseDuration("since", text)
	if err != nil {
		return time.Time{}, usagef("--since: %q is neither a time such as 2026-01-31 nor a span such as 7d", text)
	}
	return a.clock.Now().Add(-d), nil
}

func (a *app) history(entries iter.Seq2[*table.HistoryEntry, error], full bool) error {
	if a.term.Format == ui.JSON || a.term.Format == ui.NDJSON {
		list := a.term.NewList()
		for e, err := range entries {
			if err != nil {
				return err
			}
			if err := list.Write(e); err != nil {
				return err
			}
		}
		return list.Close()
	}
	if full && a.term.Format == ui.Table {
		for e, err := range entries {
			if err != nil {
				return err
			}
			a.historyFull(e)
		}
		return nil
	}
	rows := a.term.NewRows(ui.Column{Name: "version", Right: true}, ui.Column{Name: "time"}, ui.Column{Name: "operation"},
		ui.Column{Name: "rows"}, ui.Column{Name: "files"}, ui.Column{Name: "by"}, ui.Column{Name: "details"})
	for e, err := range entries {
		if err != nil {
			return err
		}
		if err := rows.Write([]any{e.Version, ui.Time(e.Timestamp), operation(e), rowChanges(e), fileChanges(e), by(e), e.Details}); err != nil {
			return err
		}
	}
	return rows.Close()
}

func operation(e *table.HistoryEntry) string {
	if e.Operation == "" {
		return "(not said)"
	}
	return e.Operation
}

// by prefers the name of a repeatable job, as --txn gives it, to that of the person.
func by(e *table.HistoryEntry) string {
	if len(e.Txns) == 1 {
		for app := range e.Txns {
			if !strings.HasPrefix(app, "lake/") {
				return app
			}
		}
	}
	return e.By
}

// rowChanges is "+1 203 ~4 812 -0", as far as it is known; "" for versions that change no row.
func rowChanges(e *table.HistoryEntry) string {
	var parts []string
	for _, p := range []struct {
		sign string
		n    *int64
	}{{"+", e.RowsInserted}, {"~", e.RowsUpdated}, {"-", e.RowsDeleted}} {
		if p.n != nil {
			parts = append(parts, p.sign+ui.Count(*p.n))
		}
	}
	return strings.Join(parts, " ")
}

// fileChanges is "+2 -0 ±3"; "" for versions that touch no file.
func fileChanges(e *table.HistoryEntry) string {
	if e.FilesAdded+e.FilesRemoved+e.DeletionVectors == 0 {
		return ""
	}
	s := fmt.Sprintf("+%s -%s", ui.Count(int64(e.FilesAdded)), ui.Count(int64(e.FilesRemoved)))
	if e.DeletionVectors > 0 || e.Operation == "MERGE" {
		s += " ±" + ui.Count(int64(e.DeletionVectors))
	}
	return s
}

// historyFull prints one version as a block of lines.
func (a *app) historyFull(e *table.HistoryEntry) {
	a.term.Printf("version %d   %s   %s   by %s\n", e.Version, ui.Time(e.Timestamp), a.term.Bold(ui.Clean(operation(e))), ui.Clean(by(e)))
	line := func(name, text string) {
		if text != "" {
			a.term.Printf("  %-10s %s\n", name, ui.Clean(text))
		}
	}
	line("rows", rowChanges(e))
	if f := fileChanges(e); f != "" {
		line("files", fmt.Sprintf("%s   bytes +%s -%s", f, ui.Bytes(e.BytesAdded), ui.Bytes(e.BytesRemoved)))
	}
	line("details", e.Details)
	line("parameters", pairs(e.Parameters))
	line("metrics", pairs(e.Metrics))
	if e.ReadVersion != nil {
		line("read", fmt.Sprintf("version %d", *e.ReadVersion))
	}
	line("isolation", e.IsolationLevel)
	line("engine", e.Engine)
	line("txnId", e.TxnID)
	for _, app := range slices.Sorted(maps.Keys(e.Txns)) {
		line("txn", fmt.Sprintf("%s:%d", app, e.Txns[app]))
	}
	line("message", e.UserMetadata)
}

func pairs(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, "  ")
}
