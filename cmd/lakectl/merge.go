package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/statement"
)

type mergeFlags struct {
	writeFlags
	source      string
	on          string
	file        string
	clauses     []table.Clause
	mergeSchema bool

	rewriteShare float64
}

func (a *app) mergeCommand() *cobra.Command {
	var f mergeFlags
	c := &cobra.Command{
		Use:   "merge TABLE",
		Short: "Update, delete and insert rows from a source, in one commit",
		Long: `merge compares the rows of --source (files, a table or a query; alias s) with those of TABLE (alias t) by the condition
--on and applies the first clause of its kind whose condition is true:
  --when-matched-update      '*' or 'status = s.status, n = t.n + 1'
  --when-matched-delete      a condition, or true for every matched row
  --when-not-matched-insert  '*' or '(id, status) VALUES (s.id, s.status)'
  --when-not-matched-by-source-update, --when-not-matched-by-source-delete  for rows of TABLE that match no row of --source
A clause may end in WHERE and a condition, and may be repeated. A NULL key matches nothing. Two source rows that would
change one row of the table are an error that lists the keys. -f reads a MERGE INTO statement instead.`,
		Example: `  lakectl merge ./orders --source updates.csv --on 't.id = s.id' --when-matched-update '*' --when-not-matched-insert '*'
  lakectl merge ./orders --source "SELECT id FROM './cancelled'" --on 't.id = s.id' --when-matched-delete true --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && f.file != "" {
				return nil
			}
			return exactly("TABLE")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			target := ""
			if len(args) == 1 {
				target = args[0]
			}
			return a.merge(cmd.Context(), target, f)
		},
	}
	f.add(c.Flags())
	flags := c.Flags()
	flags.StringVar(&f.source, "source", "", "files, a table or a query")
	flags.StringVar(&f.on, "on", "", "which rows match: 't.id = s.id'")
	flags.StringVarP(&f.file, "file", "f", "", "read a MERGE INTO statement from a file")
	flags.BoolVar(&f.mergeSchema, "merge-schema", false, "add columns and fields that the table lacks, and let '*' leave out those that the source lacks")
	flags.Float64Var(&f.rewriteShare, "rewrite-share", table.DefaultRewriteShare,
		"share of a file's rows above which the file is written anew instead of marking rows as deleted")
	flags.Var(&clauseFlag{&f.clauses, parseUpdate}, "when-matched-update", "change matched rows")
	flags.Var(&clauseFlag{&f.clauses, parseDelete}, "when-matched-delete", "delete matched rows")
	flags.Var(&clauseFlag{&f.clauses, parseInsert}, "when-not-matched-insert", "insert source rows that match none")
	flags.Var(&clauseFlag{&f.clauses, orphan(parseUpdate)}, "when-not-matched-by-source-update", "change rows of the table that match none")
	flags.Var(&clauseFlag{&f.clauses, orphan(parseDelete)}, "when-not-matched-by-source-delete", "delete rows of the table that match none")
	return c
}

// clauseFlag adds a clause to the list that all clause flags share, so that their order on the command line counts.
type clauseFlag struct {
	clauses *[]table.Clause
	parse   func(string) (table.Clause, error)
}

func (f *clauseFlag) String() string { return "" }
func (f *clauseFlag) Type() string   { return "clause" }

func (f *clauseFlag) Set(text string) error {
	c, err := f.parse(text)
	if err != nil {
		return err
	}
	*f.clauses = append(*f.clauses, c)
	return nil
}

// orphan makes a clause on matched rows one on rows of the table without a source row.
func orphan(parse func(string) (table.Clause, error)) func(string) (table.Clause, error) {
	return func(text string) (table.Clause, error) {
		c, err := parse(text)
		c.When = table.NotMatchedBySource
		return c, err
	}
}

// parseUpdate reads "*" or "a = s.a, b = s.b", each with an optional WHERE.
func parseUpdate(text string) (table.Clause, error) {
	body, condition := cutWhere(text)
	c := table.Clause{When: table.Matched, Do: table.DoUpdate, If: condition}
	if len(body) > 4 && strings.EqualFold(body[:4], "SET ") {
		body = body[4:]
	}
	if body == "*" {
		c.Star = true
		return c, nil
	}
	for _, item := range splitCommas(body) {
		name, value, ok := strings.Cut(item, "=")
		column, quoteOK := columnName(name)
		if !ok || !quoteOK || strings.TrimSpace(value) == "" {
			return c, usagef("%q is not '*' or 'column = expression, …'", text)
		}
		c.Set = append(c.Set, table.Assignment{Column: column, Value: strings.TrimSpace(value)})
	}
	return c, nil
}

// parseDelete reads a condition; true deletes every matched row.
func parseDelete(text string) (table.Clause, error) {
	condition := strings.TrimSpace(text)
	if head, rest := cutWhere(text); head == "" && rest != "" {
		condition = rest
	}
	if condition == "" {
		return table.Clause{}, usagef("which rows? give a condition, or true for every matched row")
	}
	if strings.EqualFold(condition, "true") {
		condition = ""
	}
	return table.Clause{When: table.Matched, Do: table.DoDelete, If: condition}, nil
}

// parseInsert reads "*" or "(a, b) VALUES (s.a, s.b)", each with an optional WHERE.
func parseInsert(text string) (table.Clause, error) {
	body, condition := cutWhere(text)
	c := table.Clause{When: table.NotMatched, Do: table.DoInsert, If: condition}
	if body == "*" {
		c.Star = true
		return c, nil
	}
	bad := usagef("%q is not '*' or '(a, b) VALUES (s.a, s.b)'", text)
	names, rest, ok := parenthesised(body)
	if !ok || !isWordAt(rest, 0, "values") {
		return c, bad
	}
	values, rest, ok := parenthesised(strings.TrimSpace(rest[len("values"):]))
	if !ok || rest != "" {
		return c, bad
	}
	columns, expressions := splitCommas(names), splitCommas(values)
	if len(columns) != len(expressions) {
		return c, usagef("%q has %d columns and %d values", text, len(columns), len(expressions))
	}
	for i := range columns {
		column, ok := columnName(columns[i])
		if !ok || expressions[i] == "" {
			return c, bad
		}
		c.Set = append(c.Set, table.Assignment{Column: column, Value: expressions[i]})
	}
	return c, nil
}

// parenthesised cuts "(inner) rest".
func parenthesised(s string) (inner, rest string, ok bool) {
	if !strings.HasPrefix(s, "(") {
		return "", "", false
	}
	depth, offset := 0, 0
	for i, p := range statement.Pieces(s) {
		for j := 0; i%2 == 0 && j < len(p); j++ {
			switch p[j] {
			case '(':
				depth++
			case ')':
				if depth--; depth == 0 {
					return strings.TrimSpace(s[1 : offset+j]), strings.TrimSpace(s[offset+j+1:]), true
				}
			}
		}
		offset += len(p)
	}
	return "", "", false
}

// columnName reads a column, quoted or not, with or without the alias of the target.
func columnName(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) > 2 && strings.EqualFold(s[:2], "t.") {
		s = s[2:]
	}
	if len(s) > 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return strings.ReplaceAll(s[1:len(s)-1], `""`, `"`), true
	}
	if len(s) > 2 && s[0] == '`' && s[len(s)-1] == '`' {
		return s[1 : len(s)-1], true
	}
	return s, s != "" && !strings.ContainsAny(s, " \t\n\"'()")
}

func (f mergeFlags) check() error {
	const example = "lakectl merge T --source new.csv --on 't.id = s.id' --when-matched-update '*' --when-not-matched-insert '*'"
	switch {
	case f.source == "":
		return usageHint("--source is missing", example)
	case f.on == "":
		return usageHint("--on is missing: which rows match?", example)
	case len(f.clauses) == 0:
		return usageHint("what shall happen to the rows? give a --when-… clause", example)
	}
	return nil
}

func (a *app) merge(ctx context.Context, target string, f mergeFlags) error {
	if err := a.oneValue(); err != nil {
		return err
	}
	if f.rewriteShare <= 0 {
		return usagef("--rewrite-share: %g is not a share of rows; 1 never writes a file anew where deletion vectors are on", f.rewriteShare)
	}
	m := table.Merge{On: f.on, Clauses: f.clauses, MergeSchema: f.mergeSchema, RewriteShare: f.rewriteShare}
	if f.file != "" {
		st, err := f.statement(target)
		if err != nil {
			return err
		}
		target, f.source = st.Target.Text, st.Source.Word()
		st.Request.MergeSchema = st.Request.MergeSchema || m.MergeSchema
		m = st.Request
	} else if err := f.check(); err != nil {
		return err
	}
	txns, err := a.parseTxn(f.txn)
	if err != nil {
		return err
	}
	defer a.term.Progress(ctx, a.clock, "merging into "+ui.Clean(target), nil)()
	w, t, err := a.writeTable(ctx, target)
	if err != nil {
		return err
	}
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return err
	}
	schema, err := t.Schema()
	if err != nil {
		return err
	}
	o, err := f.files(true)
	if err != nil {
		return err
	}
	if m.Source, err = a.source(ctx, f.source, schema, o); err != nil {
		return err
	}
	m.Meta = a.meta(txns, f.message)
	change, err := t.PrepareMerge(ctx, engine, m)
	if err != nil {
		return a.placed(ctx, m.Source, schema, err)
	}
	return a.finish(ctx, "merged into", w, f.dryRun, change, func() (*table.Change, error) {
		if err := t.Refresh(ctx); err != nil {
			return nil, err
		}
		return t.PrepareMerge(ctx, engine, m)
	})
}

// statement reads the MERGE INTO of --file.
func (f mergeFlags) statement(target string) (*statement.Merge, error) {
	if target != "" || f.source != "" || f.on != "" || len(f.clauses) > 0 {
		return nil, usagef("--file says everything: TABLE, --source, --on and --when-… exclude it")
	}
	text, err := os.ReadFile(f.file)
	if err != nil {
		return nil, &toldError{code: exitNotFound, message: "cannot read " + f.file, why: err.Error(), hint: "check the path"}
	}
	all, err := statement.Parse(string(text))
	if err != nil {
		return nil, err
	}
	if len(all) == 1 {
		if m, ok := all[0].(*statement.Merge); ok {
			return m, nil
		}
	}
	return nil, usageHint(f.file+" is not one MERGE INTO statement", "lakectl query -f "+f.file+"   # runs any statements")
}
