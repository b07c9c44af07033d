package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
)

func (a *app) describeCommand() *cobra.Command {
	var o table.Describe
	c := &cobra.Command{
		Use:   "describe TABLE",
		Short: "Columns, partitioning, properties, features and size of a table",
		Long:  "describe says what a table is like, at its newest version or at the one that TABLE names. It reads the log only.",
		Example: `  lakectl describe ./orders
  lakectl describe ./orders@v1 --files --output json`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.oneValue(); err != nil {
				return err
			}
			t, err := a.readTable(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			d, err := t.Describe(cmd.Context(), o)
			if err != nil {
				return err
			}
			if a.term.Machine() {
				return a.term.Object(d)
			}
			return a.describe(d)
		},
	}
	c.Flags().BoolVar(&o.Files, "files", false, "list every data file")
	return c
}

func (a *app) describe(d *table.Description) error {
	line := func(name, text string) {
		if text != "" {
			a.term.Printf("%-12s %s\n", name, ui.Clean(text))
		}
	}
	line("table", d.Table)
	line("name", d.Name)
	line("comment", d.Comment)
	line("version", fmt.Sprintf("%d   %s", d.Version, ui.Time(d.Timestamp)))
	rows := "unknown"
	if d.Rows != nil {
		rows = ui.Count(*d.Rows)
	}
	if d.DeletedRows > 0 {
		rows += fmt.Sprintf("   (%s more hidden by %s)", ui.Count(d.DeletedRows), ui.Plural(int64(d.DeletionVectors), "deletion vector"))
	}
	line("rows", rows)
	files := ui.Count(int64(d.Files))
	if d.Files > 0 {
		files += fmt.Sprintf("   %s   smallest %s, median %s, largest %s", ui.Bytes(d.Bytes), ui.Bytes(d.SmallestFile), ui.Bytes(d.MedianFile), ui.Bytes(d.LargestFile))
	}
	line("files", files)
	if len(d.PartitionColumns) > 0 {
		line("partitions", fmt.Sprintf("%s by %s", ui.Count(int64(d.Partitions)), strings.Join(d.PartitionColumns, ", ")))
	}
	line("clustering", strings.Join(d.ClusteringColumns, ", "))
	line("protocol", protocol(d))
	line("not readable", d.NotReadable)
	line("not writable", d.NotWritable)
	for _, k := range slices.Sorted(maps.Keys(d.Properties)) {
		line("property", k+"="+d.Properties[k])
	}
	for _, app := range slices.Sorted(maps.Keys(d.Txns)) {
		line("txn", fmt.Sprintf("%s:%d", app, d.Txns[app]))
	}
	a.term.Printf("\n")
	return errorsFirst(a.describeColumns(d), a.describeFiles(d))
}

func protocol(d *table.Description) string {
	s := fmt.Sprintf("reader %d, writer %d", d.MinReaderVersion, d.MinWriterVersion)
	features := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(d.ReaderFeatures), d.WriterFeatures...))))
	if len(features) > 0 {
		s += "   features " + strings.Join(features, ", ")
	}
	if d.ColumnMapping != "none" && d.ColumnMapping != "" {
		s += "   column mapping by " + d.ColumnMapping
	}
	return s
}

func (a *app) describeColumns(d *table.Description) error {
	columns := []ui.Column{{Name: "column"}, {Name: "type"}, {Name: "null"}, {Name: "notes"}}
	rows := a.term.NewRows(columns...)
	for _, c := range d.Columns {
		null := "yes"
		if !c.Nullable {
			null = "no"
		}
		var notes []string
		if c.Partition {
			notes = append(notes, "partition")
		}
		if c.Physical != "" {
			notes = append(notes, "stored as "+c.Physical)
		}
		if c.Comment != "" {
			notes = append(notes, c.Comment)
		}
		if err := rows.Write([]any{c.Name, c.Type, null, strings.Join(notes, ", ")}); err != nil {
			return err
		}
	}
	return rows.Close()
}

func (a *app) describeFiles(d *table.Description) error {
	if d.FileList == nil {
		return nil
	}
	a.term.Printf("\n")
	rows := a.term.NewRows(ui.Column{Name: "file"}, ui.Column{Name: "bytes", Right: true}, ui.Column{Name: "rows", Right: true}, ui.Column{Name: "deleted", Right: true}, ui.Column{Name: "modified"})
	for _, f := range d.FileList {
		count := "unknown"
		if f.Rows != nil {
			count = ui.Count(*f.Rows)
		}
		if err := rows.Write([]any{f.Path, ui.Bytes(f.Size), count, ui.Count(f.Deleted), ui.Time(f.Modified)}); err != nil {
			return err
		}
	}
	return rows.Close()
}

// errorsFirst is the first error that is not nil.
func errorsFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
