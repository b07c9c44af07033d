package objectstore

import (
	"context"
	"errors"
	"io"
)

// ReaderAt reads an object of size bytes piece by piece, one GET each. It lives no longer than ctx.
func ReaderAt(ctx context.Context, store Store, key string, size int64) io.ReaderAt {
	return &objectReader{ctx: ctx, store: store, key: key, size: size}
}

type objectReader struct {
	ctx   context.Context //nolint:containedctx // io.ReaderAt has no room for one
	store Store
	key   string
	size  int64
}

// ReadAt implements io.ReaderAt. An object that became shorter is io.ErrUnexpectedEOF.
func (r *objectReader) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at >= r.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	want, end := p, error(nil)
	if most := r.size - at; int64(len(p)) > most {
		want, end = p[:most], io.EOF
	}
	body, _, err := r.store.Get(r.ctx, r.key, Range{Offset: at, Length: int64(len(want))})
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(body, want)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err = errors.Join(err, body.Close()); err != nil {
		return n, err
	}
	return n, end
}
