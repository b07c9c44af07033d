package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Columns of decoded text, before the values of the files: c0, c1, ….
const (
	textFile  = "n"     // index of the file in the plan
	textRow   = "r"     // number of the record in the file, from 1
	textWhy   = "why"   // why the record is broken; NULL for a good one
	textRaw   = "raw"   // its text, when broken
	textExtra = "extra" // unknown columns as a JSON object of texts; NULL for none

	relText = "_lake.text"
)

// partRows bounds one decoded part: it is built in memory before it is put.
const partRows = 250_000

// decoded is what the files of a plan hold, as text.
type decoded struct {
	rows    int64
	bytes   int64
	poison  []poisonFile
	skipped []int // indexes of poison files in the plan
}

// textWriter turns records into Parquet parts of text in the scratch store.
type textWriter struct {
	t       *task
	columns []parquetio.Column
	buf     bytes.Buffer
	w       *parquetio.Writer
	rel     table.Relation
	row     []any
	parts   int
}

func (t *task) newTextWriter(known int) *textWriter {
	w := &textWriter{t: t, row: make([]any, 5+known)}
	add := func(name string, k parquetio.Kind, kind txlog.Kind, typeName string) {
		w.columns = append(w.columns, parquetio.Column{Name: name, Kind: k, Nullable: true})
		if w.rel.Schema == nil {
			w.rel.Schema = &txlog.Schema{}
		}
		w.rel.Schema.Fields = append(w.rel.Schema.Fields, txlog.Field{Name: name, Type: &txlog.DataType{Kind: kind, Name: typeName}, Nullable: true})
	}
	add(textFile, parquetio.KindInteger, txlog.KindInteger, "integer")
	add(textRow, parquetio.KindLong, txlog.KindLong, "long")
	for _, name := range []string{textWhy, textRaw, textExtra} {
		add(name, parquetio.KindString, txlog.KindString, "string")
	}
	for i := range known {
		add(textColumn(i), parquetio.KindString, txlog.KindString, "string")
	}
	return w
}

// textColumn names the text of the i-th known column.
func textColumn(i int) string { return fmt.Sprintf("c%d", i) }

func (w *textWriter) write(ctx context.Context, row []any) error {
	if w.w == nil {
		var err error
		w.buf.Reset()
		if w.w, err = parquetio.NewWriter(&w.buf, w.columns, parquetio.Options{Codec: "snappy", RowGroupRows: 50_000}); err != nil {
			return fmt.Errorf("stage text: %w", err)
		}
	}
	if err := w.w.WriteRow(row); err != nil {
		return fmt.Errorf("stage text: %w", err)
	}
	if w.w.Rows() >= partRows || w.buf.Len() > 64<<20 {
		return w.flush(ctx)
	}
	return nil
}

// flush puts the part that is open.
func (w *textWriter) flush(ctx context.Context) error {
	if w.w == nil {
		return nil
	}
	if err := w.w.Close(); err != nil {
		return fmt.Errorf("stage text: %w", err)
	}
	w.w = nil
	r := w.t.r
	key := fmt.Sprintf("%s%s-%d-%d.parquet", r.scratch, w.t.p.Model, w.t.p.N, w.parts)
	w.parts++
	// Two executions of one plan in one process must not meet: the name gets what the text writer alone knows.
	key = strings.TrimSuffix(key, ".parquet") + "-" + tokenOf(r) + ".parquet"
	info, err := r.o.Scratch.Put(ctx, key, objectstore.Bytes(bytes.Clone(w.buf.Bytes())), objectstore.Condition{})
	if err != nil {
		return fmt.Errorf("stage text: %w", err)
	}
	w.t.scratch = append(w.t.scratch, table.WrittenFile{Store: r.o.Scratch, Key: key})
	w.rel.Files = append(w.rel.Files, table.RelationFile{Store: r.o.Scratch, Key: key, Size: info.Size, ETag: info.ETag})
	return nil
}

// decode reads every file of the plan and keeps its text as relText. known names the columns that get a place of their
// own; other columns of the files go to textExtra.
func (t *task) decode(ctx context.Context, store objectstore.Store, known []string) (*decoded, error) {
	w := t.newTextWriter(len(known))
	d := &decoded{}
	for n, f := range t.p.Files {
		err := t.decodeFile(ctx, store, w, d, n, f, known)
		switch {
		case errors.Is(err, errPoison):
			if err := t.poison(ctx, store, d, n, f, known, err); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		}
		d.bytes += f.Size
	}
	if err := w.flush(ctx); err != nil {
		return nil, err
	}
	t.relations[relText] = w.rel
	return d, nil
}

// poison judges a file that could not be decoded: it is read again, because a transfer may have been bad without an
// error, and then given up.
func (t *task) poison(ctx context.Context, store objectstore.Store, d *decoded, n int, f PlanFile, known []string, cause error) error {
	for range t.s.m.ingest.attempts - 1 {
		err := t.decodeFile(ctx, store, nil, &decoded{}, n, f, known)
		if err == nil {
			return fmt.Errorf("read %s: %w: it was broken once and whole the next time", f.Key, objectstore.ErrUnavailable)
		}
		if !errors.Is(err, errPoison) {
			return err
		}
	}
	why := strings.TrimPrefix(cause.Error(), errPoison.Error()+": ")
	if t.s.m.ingest.poison == poisonFail {
		return fmt.Errorf("%w: %s %s", ErrContract, f.Key, why)
	}
	d.poison = append(d.poison, poisonFile{file: f, why: clipText(why, 200)})
	d.skipped = append(d.skipped, n)
	return nil
}

// decodeFile decodes one file into w; nil w only reads. What it wrote of a file that turns out to be broken is left
// out by the caller.
func (t *task) decodeFile(ctx context.Context, store objectstore.Store, w *textWriter, d *decoded, n int, f PlanFile, known []string) (err error) {
	defer func() {
		// A decoder that panics on the bytes of one file must not take the others with it.
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the decoder gave up: %v", errPoison, p)
		}
	}()
	spec := t.s.m.ingest
	l, err := t.r.openLanded(ctx, store, spec, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	place, err := l.places(spec, known, f.Key)
	if err != nil {
		return err
	}
	if l.header == nil && spec.csv.Header {
		return nil // an empty file
	}
	var rows int64
	for {
		rec, err := l.records.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return l.blame(f.Key, err)
		}
		if rows++; rows%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if w == nil {
			continue
		}
		if err := t.textRow(ctx, w, l, n, rows, rec, place); err != nil {
			return fmt.Errorf("read %s: record %d: %w", f.Key, rows, err)
		}
	}
	d.rows += rows
	return nil
}

// places tells where each field of a record goes: the index of a known column, -1 for an unknown one.
func (l *landedFile) places(spec *ingestSpec, known []string, key string) ([]int, error) {
	names := l.header
	if !spec.csv.Header {
		names = make([]string, len(spec.hints))
		for i, h := range spec.hints {
			names[i] = h.Name
		}
	}
	if names == nil {
		return nil, nil
	}
	place := make([]int, len(names))
	for i, name := range names {
		place[i] = slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
	}
	for _, name := range spec.required {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return nil, fmt.Errorf("%w: %s lacks the required column %q", ErrContract, key, name)
		}
	}
	return place, nil
}

// textRow writes one record.
func (t *task) textRow(ctx context.Context, w *textWriter, l *landedFile, n int, number int64, rec record, place []int) error {
	clear(w.row)
	w.row[0], w.row[1] = int64(n), number
	why := rec.why
	if why == "" && len(rec.fields) != len(place) {
		why = fmt.Sprintf("has %d values instead of %d", len(rec.fields), len(place))
	}
	if why != "" {
		w.row[2], w.row[3] = why, strings.ToValidUTF8(string(rec.raw[:min(len(rec.raw), rawBytesMax)]), "\ufffd")
		return w.write(ctx, w.row)
	}
	spec := t.s.m.ingest
	var extra []pair
	size := 0
	for i, text := range rec.fields {
		if slices.Contains(spec.csv.NullStrings, text) {
			continue
		}
		if place[i] >= 0 {
			w.row[5+place[i]] = text
			continue
		}
		size += len(text)
		extra = append(extra, pair{l.header[i], text})
	}
	if most := t.r.o.Project.Limits.RescuedBytes; int64(size) > most {
		clear(w.row[2:])
		w.row[2], w.row[3] = limits.Over("rescued_bytes", int64(size), most).Error(), strings.ToValidUTF8(string(rec.raw[:min(len(rec.raw), rawBytesMax)]), "\ufffd")
		return w.write(ctx, w.row)
	}
	if len(extra) > 0 {
		w.row[4] = pairsJSON(extra)
	}
	return w.write(ctx, w.row)
}
