package logops

import (
	"context"
	"errors"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// OpenTable opens the table as a process would.
func OpenTable(ctx context.Context, l *txlog.Log, at time.Time, seed uint64) (*table.Table, error) {
	return table.Open(ctx, l.Store(), Path, table.Options{Log: txlog.Options{Clock: clock.NewStepping(at), Rand: clock.SeededRand(seed)}})
}

// rowless is an engine for which every table is empty: a new rule finds no row that breaks it.
type rowless struct{}

func (rowless) Parse(context.Context, table.Parse) (*table.Statement, error) {
	return nil, errors.ErrUnsupported
}

func (rowless) Query(context.Context, table.Query) (*table.Rows, error) {
	return &table.Rows{All: func(func([]any, error) bool) {}, Close: func() error { return nil }}, nil
}

func (rowless) Write(context.Context, table.Query, table.Write) ([]table.WrittenFile, error) {
	return nil, errors.ErrUnsupported
}

// alter wraps a change of what the table is like, made by package table.
func alter(name string, whole bool, what func(who string) table.Alter) Operation {
	return planned(name, whole, func(ctx context.Context, t *table.Table, who string, meta table.ChangeMeta) (*table.Change, error) {
		a := what(who)
		a.Meta = meta
		return t.PrepareAlter(ctx, rowless{}, a)
	})
}

// planned wraps a change that package table plans without an engine.
func planned(name string, whole bool, prepare func(context.Context, *table.Table, string, table.ChangeMeta) (*table.Change, error)) Operation {
	return Operation{Name: name, Run: func(ctx context.Context, l *txlog.Log, who string, r *Report) {
		t, err := OpenTable(ctx, l, Start(), 2000+uint64(who[0]))
		if err != nil {
			r.Err = err
			return
		}
		meta := table.ChangeMeta{UserMetadata: name + " by " + who}
		c, err := prepare(ctx, t, who, meta)
		if err != nil || c.Empty() {
			r.Err = err
			return
		}
		r.Tried, r.User, r.Base, r.Whole = true, meta.UserMetadata, t.Snapshot().Version(), whole
		done, err := c.Commit(ctx)
		if r.Err = err; err == nil {
			r.Version, r.TxnID = done.VersionAfter, done.TxnID
		}
	}}
}

// Alterations lists the changes of what a table is like. What two of them do at once differs with their writer.
func Alterations() []Operation {
	integer := &txlog.DataType{Kind: txlog.KindInteger, Name: "integer"}
	return []Operation{
		alter("alter property", false, func(who string) table.Alter {
			return table.Alter{SetProperties: map[string]string{"owner": who}}
		}),
		alter("alter column", false, func(who string) table.Alter {
			return table.Alter{AddColumns: []table.AddColumn{{Column: "of_" + who, Type: integer}}}
		}),
		alter("alter constraint", true, func(who string) table.Alter {
			return table.Alter{AddConstraints: []table.AddConstraint{{Name: "of_" + who, Expression: "id > 0"}}}
		}),
		alter("alter row ids", true, func(string) table.Alter {
			return table.Alter{SetProperties: map[string]string{txlog.RowTrackingKey: "true"}}
		}),
		alter("alter clustering", false, func(string) table.Alter {
			return table.Alter{ClusterBy: &[]string{"id"}}
		}),
		alter("alter times", false, func(string) table.Alter {
			return table.Alter{SetProperties: map[string]string{"delta.enableInCommitTimestamps": "true"}}
		}),
		planned("alter everything", true, func(ctx context.Context, t *table.Table, who string, meta table.ChangeMeta) (*table.Change, error) {
			schema, err := txlog.ParseColumns("id bigint, of_" + who + " int")
			if err != nil {
				return nil, err
			}
			return t.PrepareReplace(ctx, rowless{}, table.Create{Schema: schema, Meta: meta}, table.Query{})
		}),
	}
}
