package typed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Options of an Append. The zero value works.
type Options struct {
	// FileSize is the size in bytes at which a file is ended, within a group of rows; 0 is DefaultFileSize. Files are
	// made in memory, one for each partition that rows come for.
	FileSize int64
	// Memory is how many bytes the rows of all unfinished files may take, before the largest of them is ended early;
	// 0 is DefaultMemory. Codecs take some more.
	Memory int64
	Meta   table.ChangeMeta
}

const (
	// DefaultFileSize is the size of files in bytes.
	DefaultFileSize = 32 << 20
	// DefaultMemory bounds the rows of unfinished files, in bytes.
	DefaultMemory = 256 << 20
	// groupRows is how often the size of a file is looked at.
	groupRows = 16 << 10
)

// Append adds rows to the table in one commit. Columns that T has no field for are NULL. Without rows it commits only
// what Meta carries.
//
// Protocol: a blind append. Errors: table.ErrSchemaMismatch where T does not fit the columns; table.ErrValue and
// *table.ConstraintError for a row; table.ErrUnsupported for a table whose rows are computed or checked by SQL: give
// those to table.Append; those of Commit. Nothing is visible after an error.
func Append[T any](ctx context.Context, t *table.Table, rows iter.Seq[T], o Options) (*table.Result, error) {
	c, w, err := t.PrepareFiles(o.Meta)
	if err != nil {
		return nil, err
	}
	if res := c.Result(); res.AlreadyDone {
		return res, nil
	}
	err = write(ctx, c, w, rows, o)
	if err == nil {
		var res *table.Result
		if res, err = c.Commit(ctx); err == nil {
			return res, nil
		}
	}
	return nil, fmt.Errorf("append to %s: %w", t.URL(), errors.Join(err, discarded(ctx, c, err)))
}

// discarded removes staged files, unless the commit may have named them.
func discarded(ctx context.Context, c *table.Change, err error) error {
	if errors.Is(err, txlog.ErrUnknown) || errors.Is(err, txlog.ErrExpired) {
		return nil
	}
	return c.Discard(context.WithoutCancel(ctx))
}

func write[T any](ctx context.Context, c *table.Change, w table.Write, rows iter.Seq[T], o Options) error {
	members, err := bind(reflect.TypeFor[T](), w.Schema.Fields, "", writing)
	if err != nil {
		return err
	}
	if err := allRequired(members, w.Schema.Fields, ""); err != nil {
		return err
	}
	a := &appending{change: c, write: w, size: o.FileSize, memory: o.Memory, open: map[string]*dataFile{}}
	if a.size <= 0 {
		a.size = DefaultFileSize
	}
	if a.memory <= 0 {
		a.memory = DefaultMemory
	}
	if err := a.layout(members); err != nil {
		return err
	}
	for row := range rows {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		values, err := encodeMembers(reflect.ValueOf(&row).Elem(), members, len(w.Schema.Fields))
		if err == nil {
			err = a.add(ctx, values)
		}
		if err != nil {
			return err
		}
	}
	for _, f := range a.open {
		if err := a.end(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// appending is an Append under way.
type appending struct {
	change    *table.Change
	write     table.Write
	size      int64
	memory    int64
	held      int64 // bytes of rows in unfinished files
	partition []int // of the schema, the partition columns
	stored    []int // of the schema, the columns of files
	fields    []txlog.Field
	columns   []parquetio.Column
	open      map[string]*dataFile
}

// dataFile is a file in the making.
type dataFile struct {
	key       string
	out       bytes.Buffer
	writer    *parquetio.Writer
	stats     *statistics
	partition map[string]string
	rows      int64
	held      int64
}

// layout decides which columns files have: those that T has, and no partition columns.
func (a *appending) layout(members []member) error {
	for _, name := range a.write.PartitionBy {
		i := slices.IndexFunc(a.write.Schema.Fields, func(f txlog.Field) bool { return strings.EqualFold(f.Name, name) })
		if i < 0 {
			return fmt.Errorf("%w: no partition column %s", txlog.ErrCorruptLog, name)
		}
		a.partition = append(a.partition, i)
	}
	for _, m := range members {
		if slices.Contains(a.partition, m.at) {
			continue
		}
		f := a.write.Schema.Fields[m.at]
		c, err := columnOf(f, a.write.Mapping)
		if err != nil {
			return err
		}
		a.stored, a.fields, a.columns = append(a.stored, m.at), append(a.fields, f), append(a.columns, *c)
	}
	if len(a.stored) == 0 {
		return fmt.Errorf("%w: rows of partition columns alone", table.ErrSchemaMismatch)
	}
	return nil
}

func (a *appending) add(ctx context.Context, values []any) error {
	partition, key := map[string]string{}, ""
	for _, i := range a.partition {
		f := a.write.Schema.Fields[i]
		text, err := partitionText(f.Type, values[i])
		if err != nil {
			return fmt.Errorf("partition column %s: %w", f.Name, err)
		}
		if text == "" && !f.Nullable { // the protocol writes an empty text as it does NULL
			return &table.ConstraintError{Kind: "not null", Column: f.Name}
		}
		partition[f.Name] = text
		key += fmt.Sprintf("%d:%s", len(text), text)
	}
	f := a.open[key]
	if f == nil {
		f = &dataFile{key: key, partition: partition, stats: newStatistics(a.fields, a.write.Mapping, a.write.Stats)}
		var err error
		if f.writer, err = parquetio.NewWriter(&f.out, a.columns, parquetio.Options{Codec: a.write.Codec, RowGroupRows: groupRows}); err != nil {
			return err
		}
		a.open[key] = f
	}
	row := make([]any, len(a.stored))
	for n, i := range a.stored {
		row[n] = values[i]
	}
	if err := f.writer.WriteRow(row); err != nil {
		return err
	}
	f.stats.add(row)
	n := sizeOf(row)
	f.held, a.held = f.held+n, a.held+n
	if f.rows++; f.rows%groupRows == 0 && int64(f.out.Len()) >= a.size {
		return a.end(ctx, f)
	}
	return a.room(ctx)
}

// sizeOf is about how many bytes a value takes until it is encoded.
func sizeOf(v any) int64 {
	const slot = 24 // of a value in a column buffer
	n := int64(slot)
	switch x := v.(type) {
	case string:
		n += int64(len(x))
	case []byte:
		n += int64(len(x))
	case []any:
		for _, e := range x {
			n += sizeOf(e)
		}
	case []parquetio.Entry:
		for _, e := range x {
			n += sizeOf(e.Key) + sizeOf(e.Value)
		}
	}
	return n
}

// partitionText is a value in the form of the log.
func partitionText(t *txlog.DataType, v any) (string, error) {
	switch x := v.(type) {
	case nil:
		return "", nil
	case bool:
		return txlog.PartitionText(t, txlog.Literal{Kind: txlog.KindBoolean, Bool: x})
	case []byte:
		return txlog.PartitionText(t, txlog.Literal{Kind: txlog.KindBinary, String: string(x)})
	}
	l, ok := literal(t, v)
	if !ok {
		return "", fmt.Errorf("%w: %T for %s", table.ErrValue, v, t.SQL())
	}
	return txlog.PartitionText(t, l)
}

// room ends the largest file where rows take too much memory.
func (a *appending) room(ctx context.Context) error {
	if a.held < a.memory {
		return nil
	}
	var most *dataFile
	for _, f := range a.open {
		if most == nil || f.held > most.held {
			most = f
		}
	}
	return a.end(ctx, most)
}

// end puts a file.
func (a *appending) end(ctx context.Context, f *dataFile) error {
	delete(a.open, f.key)
	a.held -= f.held
	if err := f.writer.Close(); err != nil {
		return err
	}
	stats, err := f.stats.json()
	if err != nil {
		return err
	}
	return a.change.AddFile(ctx, objectstore.Bytes(f.out.Bytes()), table.WrittenFile{Rows: f.rows, Partition: f.partition, Stats: stats})
}
