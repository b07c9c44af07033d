package parquetio

import (
	"errors"
	"io"
)

// window serves reads from one loaded span of bytes, so that a column costs one request instead of one per page.
type window struct {
	base io.ReaderAt
	size int64
	at   int64
	buf  []byte
	err  error // the first error of base other than a short read
}

// load replaces the span. Nothing is allocated beyond the file's size.
func (w *window) load(at, length int64) error {
	if at < 0 || length < 0 || length > w.size-at {
		return io.ErrUnexpectedEOF
	}
	if at >= w.at && at+length <= w.at+int64(len(w.buf)) {
		return nil
	}
	if int64(cap(w.buf)) < length {
		w.buf = make([]byte, length)
	}
	w.buf = w.buf[:length]
	if err := w.read(w.buf, at); err != nil {
		w.drop()
		return err
	}
	w.at = at
	return nil
}

func (w *window) read(p []byte, at int64) error {
	n, err := w.base.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if w.err == nil {
		w.err = err
	}
	return err
}

// bytes returns a loaded part of the file.
func (w *window) bytes(at, length int64) ([]byte, bool) {
	if at < w.at || at+length > w.at+int64(len(w.buf)) {
		return nil, false
	}
	return w.buf[at-w.at : at-w.at+length], true
}

// drop lets the span go. Its memory serves the next one: nothing that was read points into it.
func (w *window) drop() { w.at, w.buf = 0, w.buf[:0] }

// ReadAt implements io.ReaderAt.
func (w *window) ReadAt(p []byte, at int64) (int, error) {
	if b, ok := w.bytes(at, int64(len(p))); ok {
		return copy(p, b), nil
	}
	if at < 0 || at >= w.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > w.size-at
	if short {
		p = p[:w.size-at]
	}
	if err := w.read(p, at); err != nil {
		return 0, err
	}
	if short {
		return len(p), io.EOF
	}
	return len(p), nil
}
