package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

// commentKey is the key of a column's comment in its metadata.
const commentKey = "comment"

// column finds a column and spells it as the schema does.
func (x *alteration) column(verb, text string) (schemaedit.Path, error) {
	p, err := schemaedit.Resolve(x.schema, text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalidRequest, verb, err)
	}
	return p, nil
}

// edited takes over a schema that an edit made.
func (x *alteration) edited(verb string, p schemaedit.Path, s *txlog.Schema, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %s %s: %w", ErrInvalidRequest, verb, p, err)
	}
	x.schema = s
	return nil
}

// needMapping refuses what only physical names make possible.
func (x *alteration) needMapping(verb string, p schemaedit.Path) error {
	if x.mapping == txlog.MappingNone {
		return fmt.Errorf("%w: %s %s needs column mapping: set %s = name", ErrInvalidRequest, verb, p, propMappingMode)
	}
	return nil
}

// renameColumns gives columns other names. Data files, partition values and statistics keep the physical ones.
//
// Protocol: "Column Mapping".
func (x *alteration) renameColumns(a Alter) error {
	for _, r := range a.RenameColumns {
		p, err := x.column("rename", r.Column)
		if err != nil {
			return err
		}
		if err := x.needMapping("rename", p); err != nil {
			return err
		}
		if p[len(p)-1] == r.To {
			continue
		}
		if err := x.unused("rename", p); err != nil {
			return err
		}
		s, err := schemaedit.Rename(x.schema, p, r.To)
		if err := x.edited("rename", p, s, err); err != nil {
			return err
		}
		to := append(slices.Clone(p[:len(p)-1]), r.To)
		if len(p) == 1 {
			if i := slices.Index(x.meta.PartitionColumns, p[0]); i >= 0 {
				x.meta.PartitionColumns = slices.Clone(x.meta.PartitionColumns)
				x.meta.PartitionColumns[i] = r.To
			}
		}
		x.renameStatistics(p, to)
		x.changed("column %s is now %s", p, to)
		x.step("RENAME COLUMN", map[string]string{"oldColumnPath": p.String(), "newColumnPath": to.String()})
	}
	return nil
}

// dropColumns takes columns out of the schema. Their data stays in files until they are rewritten, and nobody sees it.
func (x *alteration) dropColumns(a Alter) error {
	var gone []string
	for _, text := range a.DropColumns {
		p, err := x.column("drop", text)
		if err != nil {
			return err
		}
		if err := x.needMapping("drop", p); err != nil {
			return err
		}
		if len(p) == 1 && slices.Contains(x.meta.PartitionColumns, p[0]) {
			return fmt.Errorf("%w: drop %s: the table is partitioned by it", ErrInvalidRequest, p)
		}
		if x.clustered(p) {
			return fmt.Errorf("%w: drop %s: the table is clustered by it", ErrInvalidRequest, p)
		}
		if err := x.unused("drop", p); err != nil {
			return err
		}
		s, err := schemaedit.Drop(x.schema, p)
		if err := x.edited("drop", p, s, err); err != nil {
			return err
		}
		if len(x.schema.Fields) == len(x.meta.PartitionColumns) {
			return fmt.Errorf("%w: drop %s: only partition columns would be left", ErrInvalidRequest, p)
		}
		x.renameStatistics(p, nil)
		gone = append(gone, p.String())
		x.changed("column %s is gone", p)
	}
	if len(gone) > 0 {
		x.step("DROP COLUMNS", map[string]string{"columns": jsonText(gone)})
	}
	return nil
}

// addColumns adds columns that may be NULL, since old rows have no value.
func (x *alteration) addColumns(a Alter) error {
	var fresh []string
	for _, add := range a.AddColumns {
		p, err := schemaedit.ParsePath(add.Column)
		if err != nil {
			return fmt.Errorf("%w: add %w", ErrInvalidRequest, err)
		}
		if add.Type == nil {
			return fmt.Errorf("%w: add %s: a type is missing", ErrInvalidRequest, p)
		}
		f := txlog.Field{Name: p[len(p)-1], Type: add.Type, Nullable: true}
		if add.Comment != "" {
			f.Metadata = map[string]json.RawMessage{commentKey: json.RawMessage(jsonText(add.Comment))}
		}
		s, err := schemaedit.Add(x.schema, p[:len(p)-1], f, add.Place)
		if err := x.edited("add", p, s, err); err != nil {
			return err
		}
		if odd := oddName([]txlog.Field{f}, ""); odd != "" {
			if err := x.needMapping("add", p); err != nil {
				return err
			}
		}
		fresh = append(fresh, p.String()+" "+add.Type.SQL())
		x.changed("column %s %s is new", p, add.Type.SQL())
	}
	if len(fresh) > 0 {
		x.step("ADD COLUMNS", map[string]string{"columns": jsonText(fresh)})
	}
	return nil
}

// changeColumns changes types, NOT NULL, comments and places.
func (x *alteration) changeColumns(a Alter) error {
	for _, ch := range a.ChangeColumns {
		p, err := x.column("change", ch.Column)
		if err != nil {
			return err
		}
		before := len(x.changes)
		for _, change := range []func(schemaedit.Path, ChangeColumn) error{x.retype, x.setNullable, x.setDefault, x.setColumnComment, x.move} {
			if err := change(p, ch); err != nil {
				return err
			}
		}
		if len(x.changes) > before {
			x.step("CHANGE COLUMN", map[string]string{"column": jsonText(p.String())})
		}
	}
	return nil
}

// setNullable drops NOT NULL, or sets it after a look at the rows.
func (x *alteration) setNullable(p schemaedit.Path, ch ChangeColumn) error {
	if ch.Nullable == nil {
		return nil
	}
	was := false
	s, err := schemaedit.Update(x.schema, p, func(f *txlog.Field) error {
		was, f.Nullable = f.Nullable, *ch.Nullable
		return nil
	})
	if err := x.edited("change", p, s, err); err != nil || was == *ch.Nullable {
		return err
	}
	if *ch.Nullable {
		x.changed("column %s may be null", p)
		return nil
	}
	for i := 1; i < len(p); i++ {
		if f, err := schemaedit.Field(x.schema, p[:i]); err != nil || f.Type.Kind != txlog.KindStruct {
			return fmt.Errorf("%w: not null below an array or a map: %s", ErrUnsupported, p)
		}
	}
	x.rules = append(x.rules, notNullRule(p))
	x.changed("column %s is not null", p)
	return nil
}

// setDefault changes the value of rows that are written without one. Rows that are there keep theirs: so a column that
// is new in this change has none yet.
//
// Protocol: "Default Columns".
func (x *alteration) setDefault(p schemaedit.Path, ch ChangeColumn) error {
	if ch.Default == nil {
		return nil
	}
	text := strings.TrimSpace(*ch.Default)
	if len(p) > 1 {
		return fmt.Errorf("%w: default of %s: only a column of the table itself can have one", ErrInvalidRequest, p)
	}
	was := ""
	s, err := schemaedit.Update(x.schema, p, func(f *txlog.Field) (err error) {
		if was, err = f.Default(); err != nil {
			return err
		}
		if old, err := x.base.Schema(); err != nil || text != "" && indexOfColumn(old, *f) < 0 {
			return errors.Join(err, errors.New("the column is new in this change: give it its default in the next one"))
		}
		*f = f.WithDefault(text)
		return nil
	})
	if err := x.edited("change", p, s, err); err != nil || was == text {
		return err
	}
	target := sqlTarget(nil)
	target.Now = x.t.opts.Log.Clock.Now()
	if _, err := translate(text, target); err != nil && text != "" {
		return ruleRefused(txlog.FeatureColumnDefaults, "column "+p.String(), err)
	}
	x.changed("default of column %s: %s", p, orNone(text))
	return nil
}

func (x *alteration) setColumnComment(p schemaedit.Path, ch ChangeColumn) error {
	if ch.Comment == nil {
		return nil
	}
	var was string
	s, err := schemaedit.Update(x.schema, p, func(f *txlog.Field) error {
		if raw := f.Metadata[commentKey]; raw != nil {
			_ = json.Unmarshal(raw, &was) // a comment that is no text is no comment
		}
		delete(f.Metadata, commentKey)
		if *ch.Comment != "" {
			f.Metadata[commentKey] = json.RawMessage(jsonText(*ch.Comment))
		}
		return nil
	})
	if err := x.edited("change", p, s, err); err != nil || was == *ch.Comment {
		return err
	}
	x.changed("comment of column %s: %s", p, orNone(*ch.Comment))
	return nil
}

func (x *alteration) move(p schemaedit.Path, ch ChangeColumn) error {
	if ch.Place == nil {
		return nil
	}
	before := x.schema
	s, err := schemaedit.Move(x.schema, p, *ch.Place)
	if err := x.edited("move", p, s, err); err != nil || s.Equal(before) {
		return err
	}
	where := "last"
	switch {
	case ch.Place.First:
		where = "first"
	case ch.Place.After != "":
		where = "behind " + ch.Place.After
	}
	x.changed("column %s stands %s", p, where)
	return nil
}

// unused refuses to take a name away that an expression of the table may mean. It looks for the words alone: an
// expression that has them by chance is refused, too.
func (x *alteration) unused(verb string, p schemaedit.Path) error {
	check := func(what, expression string) error {
		for _, name := range p {
			if !mentions(expression, name) {
				return nil
			}
		}
		return fmt.Errorf("%w: %s %s: %s uses it: %s", ErrInvalidRequest, verb, p, what, clip(expression))
	}
	for key, expression := range x.meta.Configuration {
		if isConstraintKey(key) {
			if err := check("constraint "+key[len(constraintPrefix):], expression); err != nil {
				return err
			}
		}
	}
	var err error
	eachField(x.schema.Fields, func(f txlog.Field) {
		for _, key := range []string{"delta.generationExpression", "delta.invariants"} {
			var text string
			if raw := f.Metadata[key]; raw != nil && json.Unmarshal(raw, &text) == nil && err == nil {
				err = check("column "+f.Name, text)
			}
		}
	})
	return err
}

// eachField visits every field, those inside structs, arrays and maps included.
func eachField(fields []txlog.Field, visit func(txlog.Field)) {
	var inside func(t *txlog.DataType)
	inside = func(t *txlog.DataType) {
		switch t.Kind {
		case txlog.KindStruct:
			eachField(t.Fields, visit)
		case txlog.KindArray:
			inside(t.Element)
		case txlog.KindMap:
			inside(t.Key)
			inside(t.Value)
		default:
		}
	}
	for _, f := range fields {
		visit(f)
		inside(f.Type)
	}
}

// mentions tells whether a word of an expression is the name, without regard to case.
func mentions(expression, name string) bool {
	expression, name = strings.ToLower(expression), strings.ToLower(name)
	word := func(c byte) bool { return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 0x80 }
	for from := 0; ; {
		i := strings.Index(expression[from:], name)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(name)
		if (i == 0 || !word(expression[i-1])) && (end == len(expression) || !word(expression[end])) {
			return true
		}
		from = i + 1
	}
}

// renameStatistics follows a renamed column in the list of columns with statistics; nil takes it out.
func (x *alteration) renameStatistics(from, to schemaedit.Path) {
	list, has := x.meta.Configuration[propStatsColumns]
	if !has {
		return
	}
	var kept []string
	for _, item := range splitColumnList(list) {
		p, err := schemaedit.ParsePath(item)
		if err != nil || len(p) < len(from) || !slices.EqualFunc(p[:len(from)], from, strings.EqualFold) {
			kept = append(kept, item)
			continue
		}
		if to != nil {
			kept = append(kept, append(slices.Clone(to), p[len(from):]...).String())
		}
	}
	if len(kept) == 0 { // an empty list would mean the default
		delete(x.meta.Configuration, propStatsColumns)
		return
	}
	x.meta.Configuration[propStatsColumns] = strings.Join(kept, ",")
}

// splitColumnList cuts a list of column paths at its commas, not at those inside backticks.
func splitColumnList(list string) []string {
	var items []string
	quoted, start := false, 0
	for i := range len(list) {
		switch {
		case list[i] == '`':
			quoted = !quoted
		case list[i] == ',' && !quoted:
			items = append(items, strings.TrimSpace(list[start:i]))
			start = i + 1
		}
	}
	items = append(items, strings.TrimSpace(list[start:]))
	return slices.DeleteFunc(items, func(s string) bool { return s == "" })
}
