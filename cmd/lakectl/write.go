package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/pflag"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// writeFlags are those of every verb that adds rows.
type writeFlags struct {
	dryRun     bool
	txn        string
	csvOptions []string
	format     string
	message    string
}

func (w *writeFlags) add(f *pflag.FlagSet) {
	f.BoolVar(&w.dryRun, "dry-run", false, "say what would change, and change nothing")
	f.StringVar(&w.txn, "txn", "", "APP:VERSION makes the command repeatable: a version that is in the table is not applied again")
	f.StringVar(&w.format, "format", "", "format of the files: csv, json, ndjson or parquet (default: by their suffix)")
	f.StringArrayVar(&w.csvOptions, "csv-option", nil, "how csv files are read: delimiter=; header=false null_strings=NA … (may be repeated)")
	f.StringVar(&w.message, "message", "", "a note that history keeps (userMetadata)")
}

// files says how files are read; csv stays text where a table gives the types.
func (w *writeFlags) files(allText bool) (fileOptions, error) {
	o := fileOptions{format: w.format, allText: allText}
	if w.format != "" {
		if err := oneOf("format", w.format, "csv", "json", "ndjson", "parquet"); err != nil {
			return o, err
		}
	}
	for _, s := range w.csvOptions {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return o, usagef("--csv-option: %q is not name=value", s)
		}
		if err := oneOf("csv-option", name, "delimiter", "quote", "escape", "header", "null_strings", "date_format", "timestamp_format"); err != nil {
			return o, err
		}
		if o.options == nil {
			o.options = map[string]string{}
		}
		o.options[name] = value
	}
	return o, nil
}

// meta is what the commit carries besides rows.
func (a *app) meta(txns []txlog.Txn, message string) table.ChangeMeta {
	m := table.ChangeMeta{Txns: txns, UserMetadata: message}
	if name, err := json.Marshal(loginName(a.env)); err == nil {
		m.Extra = map[string]json.RawMessage{"userName": name}
	}
	return m
}

// finish commits what was prepared, or in a dry run only says what it would do. Where another writer made the plan
// untrue, again prepares it anew on the newest version.
func (a *app) finish(ctx context.Context, verb string, w word, dryRun bool, c *table.Change, again func() (*table.Change, error)) error {
	if dryRun {
		r := c.Result()
		if err := c.Discard(ctx); err != nil {
			return err
		}
		return a.term.Changed("would be "+verb, w.text, r, true)
	}
	var prepare func(context.Context) (*table.Change, error)
	if again != nil {
		prepare = func(context.Context) (*table.Change, error) { return again() }
	}
	r, err := c.CommitOrReplan(ctx, prepare)
	if err != nil {
		return err
	}
	return a.term.Changed(verb, w.text, r, false)
}
