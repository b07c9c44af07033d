package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func (a *app) changesCommand() *cobra.Command {
	var from, to, where string
	var columns []string
	var limit int
	c := &cobra.Command{
		Use:   "changes TABLE --from VERSION|TIME",
		Short: "The rows that each version inserted, updated and deleted",
		Long: `changes reads the change data feed of a table: a row for each inserted and deleted row, and two for each updated one, before
and after. _change_type says which: insert, delete, update_preimage or update_postimage; _commit_version and _commit_timestamp
say when. Both ends of the range are included. The table must have delta.enableChangeDataFeed=true in every version of the
range; changes from before it was set were not recorded. In SQL: FROM table_changes('./orders', 2, 5).`,
		Example: `  lakectl changes ./events --from 1 --to 2
  lakectl changes ./events --from 1 --columns id --where "_change_type = 'insert'" --output json`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usagef("--limit: %d is negative", limit)
			}
			if from == "" {
				return usageHint("from which version or time?", "lakectl changes "+args[0]+" --from 0")
			}
			if _, err := a.tableWord(args[0]); err != nil {
				return err
			}
			call := "table_changes(" + table.QuoteString(args[0])
			var r table.ChangeRange
			for _, end := range []struct {
				flag, text string
				version    **txlog.Version
				time       *time.Time
			}{{"from", from, &r.From, &r.FromTime}, {"to", to, &r.To, &r.ToTime}} {
				if end.text == "" {
					continue
				}
				var err error
				if *end.version, *end.time, err = parseFeedEnd(end.text); err != nil {
					return usagef("--%s: %q is neither a version such as 3 nor a time such as 2026-01-31", end.flag, end.text)
				}
				call += ", " + table.QuoteString(end.text)
			}
			if backwards(r) {
				return usagef("--from %s comes after --to %s", from, to)
			}
			items := "*"
			if len(columns) > 0 {
				quoted := []string{table.CommitVersionColumn, table.ChangeTypeColumn}
				for _, name := range columns {
					quoted = append(quoted, table.QuoteIdent(strings.TrimSpace(name)))
				}
				items = strings.Join(quoted, ", ")
			}
			sql := "SELECT " + items + " FROM " + call + ")"
			if where != "" {
				sql += " WHERE (" + where + "\n)"
			}
			// Types of one version stand together, old images before new ones.
			sql += " ORDER BY " + table.CommitVersionColumn + ", list_position(['delete', 'update_preimage', 'update_postimage', 'insert'], " +
				table.ChangeTypeColumn + ")"
			if limit > 0 {
				sql += " LIMIT " + strconv.Itoa(limit)
			}
			return a.query(cmd.Context(), sql, "UTC")
		},
	}
	c.Flags().StringVar(&from, "from", "", "first version, or the time since which versions count")
	c.Flags().StringVar(&to, "to", "", "last version, or the time up to which versions count (default: the newest)")
	c.Flags().StringSliceVar(&columns, "columns", nil, "columns to print after version and type, with commas between")
	c.Flags().StringVar(&where, "where", "", "only changes for which this condition is true")
	c.Flags().IntVarP(&limit, "limit", "n", 0, "at most this many changes (0: all)")
	return c
}

// feedCall is one table_changes(…) of a statement.
type feedCall struct {
	table string
	ends  table.ChangeRange
}

// feedName is what stands in FROM for the call of this number: no table has such a name.
func feedName(n int) string { return "table_changes " + strconv.Itoa(n) }

// feedCalls takes the calls of table_changes out of SQL: a name stands for each in the text that comes back.
func feedCalls(sql string) (string, map[string]feedCall, error) {
	const function = "table_changes"
	calls := map[string]feedCall{}
	var out strings.Builder
	start := 0
	for i := 0; i < len(sql); {
		if end := quotedEnd(sql, i); end > i {
			i = end
			continue
		}
		if !isWordAt(sql, i, function) {
			i++
			continue
		}
		open := i + len(function)
		for open < len(sql) && strings.IndexByte(" \t\r\n", sql[open]) >= 0 {
			open++
		}
		if open == len(sql) || sql[open] != '(' {
			i = open
			continue
		}
		closing := closingParenthesis(sql, open)
		if closing < 0 {
			return "", nil, feedUsage("its parenthesis is not closed")
		}
		call, err := parseFeedCall(sql[open+1 : closing])
		if err != nil {
			return "", nil, err
		}
		name := feedName(len(calls) + 1)
		calls[name] = call
		out.WriteString(sql[start:i] + table.QuoteIdent(name))
		start, i = closing+1, closing+1
	}
	out.WriteString(sql[start:])
	return out.String(), calls, nil
}

// closingParenthesis is where the parenthesis that opens at i closes, -1 nowhere.
func closingParenthesis(sql string, i int) int {
	depth := 0
	for i < len(sql) {
		if end := quotedEnd(sql, i); end > i {
			i = end
			continue
		}
		switch sql[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
		i++
	}
	return -1
}

// parseFeedCall reads 'table', first [, last]: versions, or times in quotes.
func parseFeedCall(arguments string) (feedCall, error) {
	var c feedCall
	words := splitCommas(arguments)
	if len(words) < 2 || len(words) > 3 {
		return c, feedUsage(strconv.Itoa(len(words)) + " arguments")
	}
	for i, w := range words {
		text := w
		if len(w) >= 2 && w[0] == '\'' && w[len(w)-1] == '\'' {
			text = strings.ReplaceAll(w[1:len(w)-1], "''", "'")
		} else if i == 0 {
			return c, feedUsage("the table stands in quotes")
		}
		if i == 0 {
			c.table = text
			continue
		}
		version, when, err := parseFeedEnd(text)
		if err != nil {
			return c, feedUsage(w + " is neither a version nor a time")
		}
		if i == 1 {
			c.ends.From, c.ends.FromTime = version, when
		} else {
			c.ends.To, c.ends.ToTime = version, when
		}
	}
	if backwards(c.ends) {
		return c, feedUsage(words[1] + " comes after " + words[2])
	}
	return c, nil
}

func feedUsage(what string) error {
	return usageHint("table_changes: "+what, "FROM table_changes('./orders', 2, 5): a table, the first version or time, and the last one unless it is the newest")
}

// parseFeedEnd reads one end of a range of changes: a version or a time.
func parseFeedEnd(text string) (*txlog.Version, time.Time, error) {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		v := txlog.Version(n)
		return &v, time.Time{}, nil
	}
	t, err := parseTime(text)
	return nil, t, err
}

// backwards tells whether a range ends before it starts.
func backwards(r table.ChangeRange) bool {
	return r.From != nil && r.To != nil && *r.From > *r.To || !r.FromTime.IsZero() && !r.ToTime.IsZero() && r.FromTime.After(r.ToTime)
}

// feed opens what a call of table_changes reads.
func (a *app) feed(ctx context.Context, c feedCall) (*table.Table, table.Relation, error) {
	w, err := a.tableWord(c.table)
	if err != nil {
		return nil, table.Relation{}, err
	}
	t, err := a.openTable(ctx, w)
	if err != nil {
		return nil, table.Relation{}, err
	}
	rel, err := t.ChangeFeed(ctx, c.ends)
	return t, rel, err
}
