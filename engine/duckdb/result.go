package duckdb

import (
	"context"
	"errors"
	"iter"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// result is the open result of one statement. Rows are computed while they are read, a chunk at a time.
type result struct {
	session *session
	sql     string
	res     bindings.Result
	names   []string
	types   []*duckType
	columns []*column
	stream  bool
	ended   bool // all rows were read
	closed  bool
}

// init reads names and types of the columns.
func (r *result) init() {
	n := bindings.ColumnCount(&r.res)
	for i := range n {
		r.names = append(r.names, bindings.ColumnName(&r.res, i))
		t := bindings.ColumnLogicalType(&r.res, i)
		r.types = append(r.types, newDuckType(t))
		bindings.DestroyLogicalType(&t)
		r.columns = append(r.columns, newColumn(r.types[i]))
	}
}

// rows yields each row once, in a slice that is used again for the next. The first error ends it.
func (r *result) rows(ctx context.Context) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		row := make([]any, len(r.columns))
		for !r.closed {
			chunk, err := r.fetch(ctx)
			if err != nil {
				yield(nil, r.cause(ctx, err))
				return
			}
			if chunk.Ptr == nil {
				r.ended = true
				return
			}
			more := r.emit(chunk, row, yield)
			bindings.DestroyDataChunk(&chunk)
			if !more {
				return
			}
		}
	}
}

// fetch computes the next chunk; its Ptr is nil at the end.
func (r *result) fetch(ctx context.Context) (bindings.DataChunk, error) {
	if ctx.Err() != nil {
		return bindings.DataChunk{}, context.Cause(ctx)
	}
	defer r.session.watch(ctx)()
	chunk := bindings.FetchChunk(r.res)
	if chunk.Ptr == nil {
		if message := bindings.ResultError(&r.res); message != "" {
			return chunk, r.session.failure(ctx, r.sql, message)
		}
		if ctx.Err() != nil {
			return chunk, context.Cause(ctx)
		}
	}
	return chunk, nil
}

// cause finds the error that ended a stream where DuckDB has lost it, by reading the stream again without its rows.
func (r *result) cause(ctx context.Context, err error) error {
	for attempt := 0; attempt < 3 && r.stream && errors.Is(err, errInterrupted); attempt++ {
		r.close()
		if again := r.drain(ctx); again != nil {
			err = again
		}
	}
	return err
}

// drain runs the statement again to its end.
func (r *result) drain(ctx context.Context) error {
	p, err := r.session.prepare(ctx, r.sql)
	if err != nil {
		return err
	}
	defer p.close()
	again, err := p.run(ctx, true)
	if err != nil {
		return err
	}
	defer again.close()
	for {
		chunk, err := again.fetch(ctx)
		if err != nil || chunk.Ptr == nil {
			return err
		}
		bindings.DestroyDataChunk(&chunk)
	}
}

// emit yields the rows of a chunk and tells whether the reader wants more.
func (r *result) emit(chunk bindings.DataChunk, row []any, yield func([]any, error) bool) bool {
	for i, c := range r.columns {
		c.bind(bindings.DataChunkGetVector(chunk, bindings.IdxT(i)))
	}
	for n := range int(bindings.DataChunkGetSize(chunk)) { //nolint:gosec // at most bindings.VectorSize
		for i, c := range r.columns {
			row[i] = c.value(n)
		}
		if !yield(row, nil) {
			return false
		}
	}
	return true
}

func (r *result) close() {
	if !r.closed {
		r.closed = true
		bindings.DestroyResult(&r.res)
	}
}
