package objectstore

import (
	"context"
	"fmt"
	"io"
)

// Span returns the part of an object of size bytes that r selects, cut to the object: first byte and length.
func (r Range) Span(size int64) (offset, length int64) {
	offset = r.Offset
	if offset < 0 {
		offset = max(size+offset, 0)
	}
	offset = min(offset, size)
	length = size - offset
	if r.Length > 0 {
		length = min(length, r.Length)
	}
	return offset, length
}

// Check returns nil for a usable range, else an error that wraps [ErrBadRequest].
func (r Range) Check() error {
	if r.Length < 0 {
		return fmt.Errorf("%w: range of %d bytes", ErrBadRequest, r.Length)
	}
	return nil
}

// Check returns nil for a usable condition, else an error that wraps [ErrBadRequest].
func (c Condition) Check() error {
	if c.IfNoneMatch && c.IfMatch != "" {
		return fmt.Errorf("%w: two conditions on one put", ErrBadRequest)
	}
	return nil
}

// Conditional tells whether the put is guarded. Such a put is never repeated by a [Store].
func (c Condition) Conditional() bool { return c.IfNoneMatch || c.IfMatch != "" }

// Exactly reads want bytes from r and then says io.EOF; an r that ends earlier gives io.ErrUnexpectedEOF, a done ctx
// its error. Close closes r. Every Get returns one.
func Exactly(ctx context.Context, r io.ReadCloser, want int64) io.ReadCloser {
	return &exactly{ctx: ctx, r: r, left: want}
}

type exactly struct {
	ctx  context.Context //nolint:containedctx // the reader belongs to one Get
	r    io.ReadCloser
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read object: %w", err)
	}
	if e.left <= 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.r.Read(p)
	e.left -= int64(n)
	switch {
	case err == io.EOF && e.left > 0:
		return n, fmt.Errorf("read object: %d bytes missing: %w", e.left, io.ErrUnexpectedEOF)
	case err == io.EOF:
		return n, nil
	}
	return n, err
}

func (e *exactly) Close() error { return e.r.Close() }
