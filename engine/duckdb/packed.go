package duckdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/lakectl/lakectl/table"
)

// How text files are compressed, in DuckDB's words.
const (
	packedNot  = "uncompressed"
	packedGzip = "gzip"
	packedZstd = "zstd"
)

// packing tells by its name how a file is compressed. In the cache names are lost, so that DuckDB cannot tell.
func packing(key string) string {
	key = strings.ToLower(key)
	switch {
	case strings.HasSuffix(key, ".gz"):
		return packedGzip
	case strings.HasSuffix(key, ".zst"):
		return packedZstd
	}
	return packedNot
}

// zstdWindowMax bounds the memory that a zstd stream may ask for, in bytes: the largest window of zstd's own tool
// without its option for long ones.
const zstdWindowMax = 128 << 20

// unpacked reads a file without its compression. Errors of the stream are *table.SourceFileError.
type unpacked struct {
	io.Reader
	file  *os.File
	close func()
}

func openUnpacked(path, packing string) (*unpacked, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open source file: %w", err)
	}
	u := &unpacked{file: f, close: func() {}}
	in := bufio.NewReaderSize(f, 256<<10)
	switch packing {
	case packedGzip:
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		u.Reader = z
	case packedZstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindowMax))
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		u.Reader, u.close = z, z.Close
	default:
		u.Reader = in
	}
	return u, nil
}

// Close ends the reading.
func (u *unpacked) Close() error {
	u.close()
	return u.file.Close()
}

// whole reads compressed files to their ends, checksums included: DuckDB takes a stream that is cut off, or whose
// checksum is wrong, for one that ends there, and rows would be missing without a word. A file is read once in the
// life of the engine, as long as its size and time stay as they are.
func (s *session) whole(ctx context.Context, rel table.Relation, paths []string) error {
	for i, path := range paths {
		kind := packing(rel.Files[i].Key)
		if kind == packedNot {
			continue
		}
		st, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("look at source file: %w", err)
		}
		id := path + "\x00" + strconv.FormatInt(st.Size(), 10) + "\x00" + st.ModTime().String()
		if s.engine.seen(id) {
			continue
		}
		if err := readThrough(ctx, path, kind); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &table.SourceFileError{File: s.names[path], Reason: kind + " stream: " + streamError(err)}
		}
		s.engine.saw(id)
	}
	return nil
}

func readThrough(ctx context.Context, path, packing string) error {
	u, err := openUnpacked(path, packing)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, untilDone{ctx, u})
	return errors.Join(err, u.Close())
}

// streamError says of a stream what is wrong with it.
func streamError(err error) string {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "it is cut off"
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, zstd.ErrCRCMismatch):
		return "its checksum is wrong"
	}
	return err.Error()
}

// untilDone reads until ctx is done.
type untilDone struct {
	ctx context.Context //nolint:containedctx // of one call of readThrough, for io.Copy
	in  io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(p)
}

// seenMax bounds how many files the engine remembers as read to their ends.
const seenMax = 10_000

// seen tells whether the compressed file of that name, size and time was read to its end.
func (e *Engine) seen(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.wholeFiles[id]
}

func (e *Engine) saw(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wholeFiles == nil || len(e.wholeFiles) >= seenMax {
		e.wholeFiles = map[string]bool{}
	}
	e.wholeFiles[id] = true
}
