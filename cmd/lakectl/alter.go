package main

import (
	"context"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

type alterFlags struct {
	set, unset, features               []string
	rename, drop, add                  []string
	changeType, commentColumn, move    []string
	setNotNull, dropNotNull            []string
	setDefault, dropDefault            []string
	addConstraint, dropConstraint      []string
	comment, clusterBy, txn, message   string
	dryRun, commentGiven, clusterGiven bool
}

func (a *app) alterCommand() *cobra.Command {
	var f alterFlags
	c := &cobra.Command{
		Use:   "alter TABLE",
		Short: "Change columns, properties, features and rules of a table",
		Long: `alter changes what a table is like, in one commit; no data file is touched. Flags may be repeated and combined; they
apply in the order in which they are listed below. To rename and drop columns a table needs column mapping:
--set delta.columnMapping.mode=name turns it on. A column inside a struct is address.city, inside an array
tags.element.name, in a map prices.value.amount; odd names stand in backticks.`,
		Example: `  lakectl alter ./orders --add-column "note string comment 'free text' after status" --set delta.checkpointInterval=20
  lakectl alter ./orders --set delta.columnMapping.mode=name --rename-column status=state --dry-run`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.commentGiven, f.clusterGiven = cmd.Flags().Changed("comment"), cmd.Flags().Changed("cluster-by")
			return a.alter(cmd.Context(), args[0], f)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&f.set, "set", nil, "table property: name=value; delta.feature.X=supported asks for a feature")
	flags.StringArrayVar(&f.unset, "unset", nil, "take a table property away")
	flags.StringArrayVar(&f.features, "feature", nil, "table feature that the table shall support; it can never be taken away")
	flags.StringArrayVar(&f.rename, "rename-column", nil, "old=new (needs column mapping)")
	flags.StringArrayVar(&f.drop, "drop-column", nil, "column that goes (needs column mapping)")
	flags.StringArrayVar(&f.add, "add-column", nil, "new column: 'name type [comment 'text'] [first | after other]'")
	flags.StringArrayVar(&f.changeType, "change-type", nil, "column=type, a wider one")
	flags.StringArrayVar(&f.setNotNull, "set-not-null", nil, "column that must have a value; existing rows are checked")
	flags.StringArrayVar(&f.dropNotNull, "drop-not-null", nil, "column that may be null from now on")
	flags.StringArrayVar(&f.setDefault, "set-default", nil, "column=expression, the value of rows that are written without one")
	flags.StringArrayVar(&f.dropDefault, "drop-default", nil, "column that has no default from now on")
	flags.StringArrayVar(&f.commentColumn, "comment-column", nil, "column=text; an empty text takes the comment away")
	flags.StringArrayVar(&f.move, "move-column", nil, "'column first' or 'column after other'")
	flags.StringArrayVar(&f.dropConstraint, "drop-constraint", nil, "constraint that goes, by its name")
	flags.StringArrayVar(&f.addConstraint, "add-constraint", nil, "name=expression that every row must satisfy; existing rows are checked")
	flags.StringVar(&f.comment, "comment", "", "description of the table; '' takes it away")
	flags.StringVar(&f.clusterBy, "cluster-by", "", "columns that optimize lays rows out by, with commas between; none switches it off")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would change, check rows, and change nothing")
	flags.StringVar(&f.txn, "txn", "", "APP:VERSION makes the command repeatable: a version that is in the table is not applied again")
	flags.StringVar(&f.message, "message", "", "a note that history keeps (userMetadata)")
	return c
}

// request reads the flags.
func (f alterFlags) request() (table.Alter, error) {
	r := table.Alter{
		UnsetProperties: f.unset, AddFeatures: f.features, DropColumns: f.drop, DropConstraints: f.dropConstraint, DryRun: f.dryRun,
	}
	for _, read := range []func(*table.Alter) error{f.properties, f.columns, f.constraints} {
		if err := read(&r); err != nil {
			return r, err
		}
	}
	if f.commentGiven {
		r.Comment = &f.comment
	}
	if f.clusterGiven {
		columns := strings.FieldsFunc(f.clusterBy, func(c rune) bool { return c == ',' || c == ' ' })
		if strings.EqualFold(f.clusterBy, "none") {
			columns = nil
		} else if len(columns) == 0 {
			return r, usagef("--cluster-by: which columns? or none")
		}
		r.ClusterBy = &columns
	}
	return r, nil
}

func (f alterFlags) properties(r *table.Alter) error {
	for _, s := range f.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return usagef("--set: %q is not name=value", s)
		}
		if r.SetProperties == nil {
			r.SetProperties = map[string]string{}
		}
		if _, twice := r.SetProperties[name]; twice {
			return usagef("--set: %s is given twice", name)
		}
		r.SetProperties[name] = value
	}
	return nil
}

func (f alterFlags) columns(r *table.Alter) error {
	for _, s := range f.rename {
		from, to, ok := cutColumn(s, '=')
		if !ok || to == "" {
			return usagef("--rename-column: %q is not old=new", s)
		}
		path, err := schemaedit.ParsePath(to)
		if err != nil || len(path) != 1 {
			return usagef("--rename-column: %q is no name for a column; the new name stands alone, without what it lies in", to)
		}
		r.RenameColumns = append(r.RenameColumns, table.RenameColumn{Column: from, To: path[0]})
	}
	for _, s := range f.add {
		c, err := newColumn(s)
		if err != nil {
			return err
		}
		r.AddColumns = append(r.AddColumns, c)
	}
	for _, s := range f.changeType {
		column, sql, ok := cutColumn(s, '=')
		if !ok {
			return usagef("--change-type: %q is not column=type", s)
		}
		t, err := txlog.ParseType(sql)
		if err != nil {
			return usagef("--change-type: %v", err)
		}
		r.ChangeColumns = append(r.ChangeColumns, table.ChangeColumn{Column: column, Type: t})
	}
	required, optional := false, true
	for _, column := range f.setNotNull {
		r.ChangeColumns = append(r.ChangeColumns, table.ChangeColumn{Column: column, Nullable: &required})
	}
	for _, column := range f.dropNotNull {
		r.ChangeColumns = append(r.ChangeColumns, table.ChangeColumn{Column: column, Nullable: &optional})
	}
	for _, s := range f.commentColumn {
		column, text, ok := cutColumn(s, '=')
		if !ok {
			return usagef("--comment-column: %q is not column=text", s)
		}
		r.ChangeColumns = append(r.ChangeColumns, table.ChangeColumn{Column: column, Comment: &text})
	}
	for _, s := range f.setDefault {
		column, expression, ok := cutColumn(s, '=')
		if !ok || strings.TrimSpace(expression) == "" {
			return usagef("--set-default: %q is not column=expression", s)
		}
		r.ChangeColumns = append(r.ChangeColumns, table.ChangeColumn{Column: column, Default: &expression})
	}
	for _, column := range f.dropDefault {
		none := ""
		r.ChangeColumns = append(r.ChangeColumns, table.ChangeColumn{Column: column, Default: &none})
	}
	for _, s := range f.move {
		column, words, _ := cutColumn(s, ' ')
		place, rest := cutPlace(" " + words)
		if place == nil || strings.TrimSpace(rest) != "" {
			return usagef("--move-column: %q is neither 'column first' nor 'column after other'", s)
		}
		r.ChangeColumns = append(r.ChangeColumns, table.ChangeColumn{Column: column, Place: place})
	}
	return nil
}

func (f alterFlags) constraints(r *table.Alter) (err error) {
	r.AddConstraints, err = constraintFlags("--add-constraint", f.addConstraint)
	return err
}

// constraintFlags reads name=expression of each value of a flag.
func constraintFlags(flag string, values []string) ([]table.AddConstraint, error) {
	var out []table.AddConstraint
	for _, s := range values {
		name, expression, ok := strings.Cut(s, "=")
		name, expression = strings.TrimSpace(name), strings.TrimSpace(expression)
		if !ok || name == "" || expression == "" {
			return nil, usagef("%s: %q is not name=expression", flag, s)
		}
		out = append(out, table.AddConstraint{Name: name, Expression: expression})
	}
	return out, nil
}

// newColumn reads "address.zip int comment 'x' after city".
func newColumn(s string) (table.AddColumn, error) {
	column, rest, ok := cutColumn(strings.TrimSpace(s), ' ')
	if !ok {
		return table.AddColumn{}, usageHint("--add-column: \""+s+"\" has no type", "--add-column 'note string'")
	}
	place, rest := cutPlace(rest)
	parsed, err := txlog.ParseColumns("c " + rest)
	if err != nil {
		return table.AddColumn{}, usageHint("--add-column: \""+s+"\": "+err.Error(), "--add-column 'note string'; types: lakectl create --help")
	}
	if len(parsed.Fields) != 1 {
		return table.AddColumn{}, usageHint("--add-column: \""+s+"\" is no column: one column with its type is wanted", "--add-column 'note string comment ''free text'' after status'; types: lakectl create --help")
	}
	field := parsed.Fields[0]
	if !field.Nullable {
		return table.AddColumn{}, usagef("--add-column: %q: old rows have no value, so a new column cannot be not null", s)
	}
	for key := range field.Metadata {
		if key != "comment" {
			return table.AddColumn{}, usagef("--add-column: %q: old rows have no value, so a new column has a type and a comment only; --set-default comes in the next change", s)
		}
	}
	c := table.AddColumn{Column: column, Type: field.Type}
	if place != nil {
		c.Place = *place
	}
	if raw, has := field.Metadata["comment"]; has {
		if err := json.Unmarshal(raw, &c.Comment); err != nil {
			return c, usagef("--add-column: %q: the comment cannot be read", s)
		}
	}
	return c, nil
}

// cutColumn cuts a text behind the column that it begins with, at a sign outside quotes.
func cutColumn(s string, sign byte) (column, rest string, ok bool) {
	var quote byte
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '`' || c == '"':
			quote = c
		case c == sign:
			return strings.TrimSpace(s[:i]), strings.TrimSpace(s[i+1:]), i > 0
		}
	}
	return s, "", false
}

// cutPlace cuts "first" or "after other" off the end of a text; nil where neither stands there.
func cutPlace(s string) (place *schemaedit.Place, rest string) {
	if at := regexp.MustCompile(`(?i)(^|\s)first\s*$`).FindStringIndex(s); at != nil {
		return &schemaedit.Place{First: true}, s[:at[0]]
	}
	at := regexp.MustCompile(`(?is)^(.*\s|)after\s+(\S.*)$`).FindStringSubmatchIndex(s)
	if at == nil {
		return nil, s
	}
	path, err := schemaedit.ParsePath(strings.TrimSpace(s[at[4]:at[5]]))
	if err != nil || len(path) != 1 || strings.Contains(path[0], "'") { // the end of a comment
		return nil, s
	}
	return &schemaedit.Place{After: path[0]}, s[:at[3]]
}

func (a *app) alter(ctx context.Context, target string, f alterFlags) error {
	if err := a.oneValue(); err != nil {
		return err
	}
	r, err := f.request()
	if err != nil {
		return err
	}
	if len(r.SetProperties)+len(r.UnsetProperties)+len(r.AddFeatures)+len(r.RenameColumns)+len(r.DropColumns)+len(r.AddColumns)+
		len(r.ChangeColumns)+len(r.AddConstraints)+len(r.DropConstraints) == 0 && r.Comment == nil && r.ClusterBy == nil {
		return usageHint("what is to change?", "lakectl alter --help")
	}
	txns, err := a.parseTxn(f.txn)
	if err != nil {
		return err
	}
	r.Meta = a.meta(txns, f.message)
	defer a.term.Progress(ctx, a.clock, "altering "+target, nil)()
	w, t, err := a.writeTable(ctx, target)
	if err != nil {
		return err
	}
	var engine table.Engine
	if len(f.setNotNull)+len(f.addConstraint) > 0 { // existing rows must be looked at
		if engine, err = a.sqlEngine(ctx); err != nil {
			return err
		}
	}
	res, err := t.Alter(ctx, engine, r)
	if err != nil {
		return err
	}
	return a.showAltered(w, res)
}

func (a *app) showAltered(w word, r *table.AlterResult) error {
	if a.term.Machine() {
		return a.term.Object(r)
	}
	for _, s := range r.Warnings {
		a.term.Warnf("%s", ui.Clean(s))
	}
	a.term.Headline(dryVerb("altered", r.DryRun), w.text, int64(r.VersionBefore), int64(r.VersionAfter), r.Milliseconds, r.DryRun)
	if len(r.Changes) == 0 {
		what := "nothing to do: the table is like this already"
		if r.AlreadyDone {
			what = "nothing to do: this --txn is in the table"
		}
		a.term.Fact("changes", what)
		return nil
	}
	for i, s := range r.Changes {
		a.term.Fact(onlyFirst("changes", i), ui.Clean(s))
	}
	if len(r.FeaturesAdded) > 0 {
		a.term.Fact("protocol", "("+strconv.Itoa(r.MinReaderVersion)+","+strconv.Itoa(r.MinWriterVersion)+")", "new: "+strings.Join(r.FeaturesAdded, ", "))
	}
	if r.FilesChecked > 0 {
		a.term.Fact("files", "checked "+ui.Count(int64(r.FilesChecked)))
	}
	a.peersLost(r.PeersLost)
	return nil
}

// peersLost says which other engines can do less with a table than before.
func (a *app) peersLost(lost []txlog.PeerLoss) {
	for i, l := range lost {
		a.term.Fact(onlyFirst("peers", i), l.String())
	}
}

// onlyFirst is the name of a fact on the first of its lines.
func onlyFirst(name string, line int) string {
	if line > 0 {
		return ""
	}
	return name
}
