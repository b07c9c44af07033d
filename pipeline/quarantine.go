package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Reasons of rejected rows.
const (
	reasonRule         = "rule"
	reasonContract     = "contract"
	reasonParse        = "parse"
	reasonPoisonFile   = "poison_file"
	reasonNullKey      = "null_key"
	reasonNullSequence = "null_sequence"
)

// rawBytesMax bounds the raw text that is kept of a row.
const rawBytesMax = 64 << 10

// quarantineSchema is the columns of every side table, in order (pipelines.md, Quarantine table).
func quarantineSchema() (*txlog.Schema, error) {
	return txlog.ParseColumns(strings.Join([]string{
		"_id string", "_run string", "_reason string", "_detail string", "_source string", "_position string", "_interval string",
		"_row string", "_raw string", "_code string", "_rules array<string>", "_plan bigint", "_source_version bigint",
		"_resolved_by bigint", "_at timestamp",
	}, ", "))
}

// rejects says which rows a task puts into the side table.
type rejects struct {
	judged     string       // SELECT of judged rows
	fields     []string     // columns of the candidate row
	conditions []condition  // to name the values that broke a rule
	count      int64        // rejected rows
	source     string       // SQL: where a row comes from
	position   string       // SQL: its place there; "": from the row itself
	version    *int64       // of the source table
	extra      []poisonFile // files that could not be read at all
	replace    []string     // sources whose older rows leave
	all        bool         // all older rows leave
}

// poisonFile is a landing file that nobody can read.
type poisonFile struct {
	file PlanFile
	why  string
}

// quarantine brings the side table to plan N: rejected rows in, rows of plans that never landed out, one commit, before
// the target's. A side table that is at N already, by this plan, is left alone.
func (t *task) quarantine(ctx context.Context, q rejects) error {
	for attempt := int64(1); ; attempt++ {
		err := t.quarantineOnce(ctx, q)
		if err == nil || !errors.Is(err, txlog.ErrConflict) && !errors.Is(err, table.ErrTableExists) {
			return err
		}
		if attempt >= t.r.o.Project.Limits.CommitAttempts {
			return fmt.Errorf("%w: %w", txlog.ErrConcurrentWrite, err)
		}
		if t.s.quarantine, err = t.r.openTable(ctx, t.s.m.Quarantine()); err != nil {
			return err
		}
	}
}

func (t *task) quarantineOnce(ctx context.Context, q rejects) error {
	side := t.s.quarantine
	if err := t.sideFence(ctx, snapshotOf(side)); err != nil {
		if errors.Is(err, errSideDone) {
			return nil
		}
		return err
	}
	rows := q.count + int64(len(q.extra))
	where, err := t.obsolete(ctx, q)
	if err != nil {
		return err
	}
	if rows == 0 && where == "" {
		return nil
	}
	schema, err := quarantineSchema()
	if err != nil {
		return err
	}
	source := table.Append{Source: t.query(t.rejectedSQL(q)), DeleteWhere: where}
	var c *table.Change
	if side == nil {
		create := table.Create{Schema: schema, Comment: "rows that " + t.s.m.Name + " did not let in"}
		c, err = table.PrepareCreateAppend(ctx, t.r.o.Store, t.s.m.QuarantinePath(), create, t.r.o.Engine, source, t.r.tableOptions())
	} else {
		c, err = side.PrepareAppend(ctx, t.r.o.Engine, source)
	}
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	c.AddTxn(txlog.Txn{AppID: t.r.taskID(t.s.m), Version: t.p.N})
	c.SetExtra("lake", t.mark())
	c.Fence(func(s *txlog.Snapshot) error { return t.sideFence(ctx, s) })
	if _, err := c.Commit(ctx); err != nil {
		err = errors.Join(err, c.Discard(context.WithoutCancel(ctx)))
		if errors.Is(err, errSideDone) {
			return nil
		}
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}

// errSideDone says that the side table holds this plan's rows already. Terminal; the work is done.
var errSideDone = errors.New("side table is at this plan")

// sideFence is F1 of the side table.
func (t *task) sideFence(ctx context.Context, s *txlog.Snapshot) error {
	if s == nil {
		return nil
	}
	if err := t.r.checkOwner(t.s.m, s); err != nil {
		return err
	}
	switch at := t.r.task(t.s.m, s); at {
	case quarantineTask(t.p):
		return nil
	case t.p.N:
		side, err := t.r.openTable(ctx, t.s.m.Quarantine())
		if err != nil {
			return err
		}
		mark, _, err := t.r.markOf(ctx, side, t.p.N)
		if err != nil {
			return err
		}
		if mark != nil && mark.PlanHash == t.p.hash {
			return errSideDone
		}
		return fmt.Errorf("%w: the quarantine table has another plan %d", ErrSuperseded, at)
	default:
		return fmt.Errorf("%w: the quarantine table is at plan %d", ErrSuperseded, at)
	}
}

// obsolete is the condition of side rows that leave with this commit, "" when there are none: rows of plans that never
// landed, of files that are loaded anew, and, for full models, of all plans before.
func (t *task) obsolete(ctx context.Context, q rejects) (string, error) {
	if t.s.quarantine == nil {
		return "", nil
	}
	conditions := []string{"_plan > " + strconv.FormatInt(t.p.Target.Task, 10)}
	if len(q.replace) > 0 {
		conditions = append(conditions, "_source IN ("+quoteStrings(q.replace)+")")
	}
	where := strings.Join(conditions, " OR ")
	if q.all {
		where = "TRUE"
	}
	rel, _, err := t.s.quarantine.Relation(ctx, table.ScanOptions{})
	if err != nil {
		return "", err
	}
	if len(rel.Files) == 0 {
		return "", nil
	}
	found := false
	sql := "SELECT 1 FROM _lake.q AS t WHERE " + where + " LIMIT 1"
	err = t.r.eachRow(ctx, table.Query{SQL: sql, Relations: map[string]table.Relation{"_lake.q": rel}}, func([]any) error {
		found = true
		return nil
	})
	if err != nil || !found {
		return "", err
	}
	return where, nil
}

// rejectedSQL is the SELECT of the rows for the side table.
func (t *task) rejectedSQL(q rejects) string {
	var unions []string
	if q.count > 0 {
		unions = append(unions, t.rejectedRows(q))
	}
	for _, f := range q.extra {
		row := "CAST(json_object('_file', " + quoteString(f.file.Key) + ", '_file_etag', " + quoteString(f.file.ETag) + ") AS VARCHAR)"
		unions = append(unions, t.sideRow(quoteString(reasonPoisonFile), quoteString(f.why), quoteString(f.file.Key), quoteString(f.file.Key+":0"),
			row, "CAST(NULL AS VARCHAR)", "CAST([] AS VARCHAR[])", nil, ""))
	}
	if len(unions) == 0 {
		return t.sideRow("''", "''", "''", "''", "''", "''", "CAST([] AS VARCHAR[])", nil, " WHERE FALSE")
	}
	return strings.Join(unions, " UNION ALL ")
}

func (t *task) rejectedRows(q rejects) string {
	pairs := make([]string, len(q.fields))
	for i, f := range q.fields {
		pairs[i] = quoteIdent(f) + " := " + quoteIdent(f)
	}
	row := "CAST(to_json(struct_pack(" + strings.Join(pairs, ", ") + ")) AS VARCHAR)"
	inner := "SELECT *, " + row + " AS _lake_row_json FROM " + bodyOf(q.judged) + " AS j WHERE " + rejected
	position := q.position
	if position == "" {
		// Without a place of its own a row is named by what it holds; the order of equal rows makes no difference.
		position = "'row:' || md5(_lake_row_json) || ':' || CAST(row_number() OVER (PARTITION BY _lake_row_json) AS VARCHAR)"
	}
	detail := "coalesce(" + colInfo + ", " + t.detail(q.conditions) + ")"
	rules := "CASE WHEN " + colQuarantine + " = '' THEN CAST([] AS VARCHAR[]) ELSE string_split(" + colQuarantine + ", ',') END"
	raw := "left(" + colRaw + ", " + strconv.Itoa(rawBytesMax/4) + ")" // characters have at most four bytes
	return t.sideRow("coalesce("+colReason+", '"+reasonRule+"')", detail, q.source, position, "_lake_row_json", raw, rules, q.version,
		" FROM ("+inner+") AS r")
}

// sideRow is a SELECT of one side row for each row of from.
func (t *task) sideRow(reason, detail, source, position, row, raw, rules string, version *int64, from string) string {
	v := "CAST(NULL AS BIGINT)"
	if version != nil {
		v = "CAST(" + strconv.FormatInt(*version, 10) + " AS BIGINT)"
	}
	at, _ := moment{asOf: t.p.AsOf}.lookup(nil)("@as_of") // a literal that cannot fail
	return "SELECT md5(" + position + " || '|' || " + quoteString(t.s.m.Name) + ") AS _id, " + quoteString(t.p.Run) + " AS _run, " +
		reason + " AS _reason, " + detail + " AS _detail, " + source + " AS _source, " + position + " AS _position, CAST(NULL AS VARCHAR) AS _interval, " +
		row + " AS _row, " + raw + " AS _raw, " + quoteString(t.p.Code) + " AS _code, " + rules + " AS _rules, CAST(" +
		strconv.FormatInt(t.p.N, 10) + " AS BIGINT) AS _plan, " + v + " AS _source_version, CAST(NULL AS BIGINT) AS _resolved_by, " + at + " AS _at" + from
}

// detail is SQL for "delay_min=-1116": the values of the columns whose rules rejected the row.
func (t *task) detail(conditions []condition) string {
	rules := map[string][]string{}
	var columns []string
	for _, c := range conditions {
		if c.onFail != onFailQuarantine {
			continue
		}
		for _, col := range c.columns {
			if !slices.Contains(columns, col) {
				columns = append(columns, col)
			}
			rules[col] = append(rules[col], c.name)
		}
	}
	if len(columns) == 0 {
		return "CAST(NULL AS VARCHAR)"
	}
	slices.Sort(columns)
	parts := make([]string, len(columns))
	for i, col := range columns {
		parts[i] = "CASE WHEN list_has_any(string_split(" + colQuarantine + ", ','), [" + quoteStrings(rules[col]) + "]) THEN " +
			quoteString(col+"=") + " || coalesce(CAST(" + quoteIdent(col) + " AS VARCHAR), 'NULL') END"
	}
	return "concat_ws(', ', " + strings.Join(parts, ", ") + ")"
}
