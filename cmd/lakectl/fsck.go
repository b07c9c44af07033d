package main

import (
	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
)

func (a *app) fsckCommand() *cobra.Command {
	var deep bool
	c := &cobra.Command{
		Use:   "fsck TABLE",
		Short: "Check the log of a table and every file that it names",
		Long: `fsck reads the whole log and looks at every file of the newest version: sizes, footers, row counts, deletion vectors.
--deep reads all rows as well. Nothing is changed. Exit code 3 says that damage was found.`,
		Example: `  lakectl fsck ./orders
  lakectl fsck ./orders --deep --output json`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := a.oneValue(); err != nil {
				return err
			}
			w, err := a.tableWord(args[0])
			if err != nil {
				return err
			}
			if w.version != nil || w.time != nil {
				return usagef("%s: fsck looks at the whole log and the newest version; leave the @… out", args[0])
			}
			defer a.term.Progress(ctx, a.clock, "checking "+w.text, nil)()
			at, err := a.locate(ctx, w, false)
			if err != nil {
				return err
			}
			f := table.Fsck{Deep: deep}
			if deep {
				if f.Engine, err = a.sqlEngine(ctx); err != nil {
					return err
				}
			}
			r, err := table.Check(ctx, at.store, at.path, f, a.tableOptions())
			if err != nil {
				return err
			}
			return a.showChecked(w, r)
		},
	}
	c.Flags().BoolVar(&deep, "deep", false, "read every row, too")
	return c
}

func (a *app) showChecked(w word, r *table.FsckReport) error {
	if a.term.Machine() {
		if err := a.term.Object(r); err != nil {
			return err
		}
	} else {
		a.printChecked(w, r)
	}
	if !r.Sound() {
		return &codeError{exitCheck}
	}
	return nil
}

func (a *app) printChecked(w word, r *table.FsckReport) {
	verdict := a.term.Green("is sound")
	if !r.Sound() {
		verdict = a.term.Red("is damaged")
	}
	version := "no readable version"
	if r.Version >= 0 {
		version = "version " + ui.Text(r.Version)
	}
	a.term.Printf("%s %s   %s\n", a.term.Bold(ui.Clean(w.text)), verdict, version)
	a.term.Fact("log", ui.Plural(int64(r.Commits), "commit"), ui.Plural(int64(r.Checkpoints), "checkpoint"))
	rows := ui.Plural(r.Rows, "row")
	if r.Vectors > 0 {
		rows += " (deleted ones included)"
	}
	if r.Deep {
		rows += ", each of them read"
	}
	a.term.Fact("files", ui.Count(int64(r.Files)), ui.Plural(int64(r.Vectors), "deletion vector"), rows)
	for _, f := range r.Findings {
		level := a.term.Yellow(string(f.Level))
		if f.Level == table.Damage {
			level = a.term.Red(string(f.Level))
		}
		a.term.Printf("  %s: %s: %s: %s\n", level, f.Class, ui.Clean(f.Object), ui.Clean(f.Detail))
		if f.Advice != "" {
			a.term.Printf("    hint: %s\n", ui.Clean(f.Advice))
		}
	}
	if r.MoreFindings {
		a.term.Printf("  and more findings like these\n")
	}
}
