// Package parquetio owns Parquet: every decoder and encoder of it in Go lives here.
//
// It reads checkpoints column by column, streams the rows of a data file, and writes rows from Go. Bytes are hostile
// until proved otherwise: footers and page headers are measured before the library behind this package sees them,
// and a panic of that library becomes an error that matches [ErrMalformed].
package parquetio

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/lakectl/lakectl/internal/limits"
)

// ErrMalformed says that the bytes are no Parquet file that we can read. Terminal.
var ErrMalformed = errors.New("malformed parquet file")

// File is an open Parquet file. It is not safe for concurrent use.
type File struct {
	file   *parquet.File
	window *window
	root   *Column
	leaves []*Column
	bound  limits.Limits
}

// Open reads the footer. The caller keeps r open as long as the File is used.
// Errors: [ErrMalformed], *limits.Error, the errors of r.
func Open(r io.ReaderAt, size int64, bound limits.Limits) (f *File, err error) {
	defer recovered(&err)
	bound = bound.Filled()
	w := &window{base: r, size: size}
	footer, err := readFooter(w, size, bound, nil)
	if err != nil {
		return nil, err
	}
	p, err := parquet.OpenFile(w, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, malformed(w, err)
	}
	f = &File{file: p, window: w, bound: bound}
	f.root = describe(p.Root())
	f.root.leaves(func(c *Column) { f.leaves = append(f.leaves, c) })
	if len(f.leaves) != len(footer.Leaves) || p.NumRows() != footer.Rows || f.Groups() != footer.Groups {
		return nil, fmt.Errorf("%w: the footer can be read in two ways", ErrMalformed)
	}
	w.drop()
	return f, nil
}

func chunkSpan(c format.ColumnChunk) (start, length int64) {
	return chunkStart(c.MetaData.DataPageOffset, c.MetaData.DictionaryPageOffset), c.MetaData.TotalCompressedSize
}

// Rows is the number of rows of the file.
func (f *File) Rows() int64 { return f.file.NumRows() }

// Groups is the number of row groups.
func (f *File) Groups() int { return len(f.file.Metadata().RowGroups) }

// GroupRows is the number of rows of one row group.
func (f *File) GroupRows(g int) int64 { return f.file.Metadata().RowGroups[g].NumRows }

// Schema is the file's columns as the fields of one struct.
func (f *File) Schema() *Column { return f.root }

// Lookup finds a column by a path of exact names, nil when there is none.
func (f *File) Lookup(path ...string) *Column { return f.root.Lookup(path...) }

// Metadata returns a text of the footer by its key.
func (f *File) Metadata(key string) (string, bool) { return f.file.Lookup(key) }

// loadChunk brings the bytes of one column of a row group into memory and measures its pages.
func (f *File) loadChunk(g, leaf int) error {
	chunk := f.file.Metadata().RowGroups[g].Columns[leaf]
	start, length := chunkSpan(chunk)
	if err := f.window.load(start, length); err != nil {
		return err
	}
	b, _ := f.window.bytes(start, length)
	return f.checkPages(b, chunk.MetaData.NumValues)
}

// checkPages walks the page headers of a chunk: sizes within the chunk and the limit, values as many as claimed.
func (f *File) checkPages(b []byte, values int64) error {
	var protocol thrift.CompactProtocol
	var seen int64
	for pos := 0; pos < len(b) && seen < values; {
		r := protocol.NewReaderFromBytes(b[pos:])
		var h format.PageHeader
		if err := thrift.NewDecoder(r).Decode(&h); err != nil {
			return fmt.Errorf("%w: page header: %w", ErrMalformed, err)
		}
		pos += r.BytesRead()
		packed, plain := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
		if packed < 0 || plain < 0 || packed > int64(len(b)-pos) {
			return fmt.Errorf("%w: page of %d bytes, %d are left in its column", ErrMalformed, packed, len(b)-pos)
		}
		if plain > f.bound.ParquetPageBytes {
			return limits.Over("parquet_page_bytes", plain, f.bound.ParquetPageBytes)
		}
		var n int64
		switch {
		case h.Type == format.DataPage && h.DataPageHeader.Valid:
			n = int64(h.DataPageHeader.V.NumValues)
		case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
			n = int64(h.DataPageHeaderV2.V.NumValues)
		case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid:
			if d := int64(h.DictionaryPageHeader.V.NumValues); d < 0 || d > plain+1 {
				return fmt.Errorf("%w: dictionary of %d values in %d bytes", ErrMalformed, d, plain)
			}
		}
		if n < 0 || n > f.bound.ParquetPageValues {
			return limits.Over("parquet_page_values", n, f.bound.ParquetPageValues)
		}
		seen += n
		pos += int(packed)
	}
	if seen != values {
		return fmt.Errorf("%w: %d values in pages, %d in the footer", ErrMalformed, seen, values)
	}
	return nil
}

// recovered turns a panic of the Parquet library into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", ErrMalformed, p)
	}
}

// malformed marks an error of the library, unless the reader below it failed.
func malformed(w *window, err error) error {
	if w.err != nil {
		return w.err
	}
	if err == nil || errors.Is(err, ErrMalformed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

// Span is where the columns with all that is below them lie in a row group, from the first byte of the first to the last
// of the last. What has no bytes lies nowhere.
func (f *File) Span(g int, columns ...*Column) (at, length int64) {
	var end int64
	f.chunks(g, columns, func(start, n int64) {
		if end == 0 || start < at {
			at = start
		}
		end = max(end, start+n)
	})
	return at, end - at
}

// PackedBytes is how many bytes a column with all that is below it takes in a row group.
func (f *File) PackedBytes(g int, c *Column) (total int64) {
	f.chunks(g, []*Column{c}, func(_, n int64) { total += n })
	return total
}

func (f *File) chunks(g int, columns []*Column, visit func(start, length int64)) {
	for _, c := range columns {
		c.leaves(func(leaf *Column) {
			if start, n := chunkSpan(f.file.Metadata().RowGroups[g].Columns[leaf.leaf]); n > 0 {
				visit(start, n)
			}
		})
	}
}
