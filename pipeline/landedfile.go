package pipeline

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
)

// errPoison says that the bytes of a landing file cannot be what its format promises. Terminal for the file.
var errPoison = errors.New("unreadable")

// landedFile reads one landing file, at the identity that the plan pins.
type landedFile struct {
	body    *watchedBody
	records *recordReader
	header  []string // nil without a header line
}

// watchedBody remembers an error of the store, so that a lost connection is not taken for a broken file.
type watchedBody struct {
	io.ReadCloser
	err error
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// openLanded opens a file and reads up to its header. Errors match errPoison when it is the file that is broken.
func (r *Runner) openLanded(ctx context.Context, store objectstore.Store, spec *ingestSpec, f PlanFile) (*landedFile, error) {
	rc, info, err := store.Get(ctx, f.Key, objectstore.Range{IfMatch: f.ETag})
	if errors.Is(err, objectstore.ErrNotFound) {
		err = fmt.Errorf("%w: %w", objectstore.ErrPrecondition, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Key, err)
	}
	if info.ETag != f.ETag {
		return nil, fmt.Errorf("read %s: %w", f.Key, errors.Join(objectstore.ErrPrecondition, rc.Close()))
	}
	l := &landedFile{body: &watchedBody{ReadCloser: rc}}
	if err := l.begin(r, spec, f.Key); err != nil {
		return nil, errors.Join(l.blame(f.Key, err), rc.Close())
	}
	return l, nil
}

func (l *landedFile) begin(r *Runner, spec *ingestSpec, key string) error {
	var in io.Reader = bufio.NewReaderSize(l.body, 1<<18)
	if spec.compression == "gzip" || spec.compression == "auto" && strings.HasSuffix(strings.ToLower(key), ".gz") {
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		in = z
	}
	peek := bufio.NewReaderSize(in, 1<<16)
	head, err := peek.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if looksLikeHTML(head) {
		return errors.New("is a web page")
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return errors.New("is not text")
	}
	l.records = newRecordReader(peek, spec.csv.Delimiter, r.o.Project.Limits.LineBytes)
	for range spec.csv.Skip {
		if _, _, err := l.records.line(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	if !spec.csv.Header {
		return nil
	}
	first, err := l.records.next()
	if errors.Is(err, io.EOF) {
		return nil // a file without a line has no rows
	}
	if err != nil {
		return err
	}
	if first.why != "" {
		return fmt.Errorf("the header %s", first.why)
	}
	return l.setHeader(first.fields, r.o.Project.Limits)
}

func (l *landedFile) setHeader(fields []string, most limits.Limits) error {
	if n := int64(len(fields)); n > most.Columns {
		// Text only: the file is broken, and the others of the plan go on.
		return errors.New(limits.Over("columns", n, most.Columns).Error())
	}
	seen := map[string]bool{}
	l.header = make([]string, len(fields))
	for i, name := range fields {
		name = strings.TrimSpace(name)
		if name == "" {
			name = fmt.Sprintf("column_%d", i+1)
		}
		if strings.Contains(name, "\r") {
			return fmt.Errorf("the header has a line end inside the column name %q: its lines end in different ways", clipText(name, 80))
		}
		lower := strings.ToLower(name)
		if seen[lower] {
			return fmt.Errorf("the header has the column %q twice", clipText(name, 80))
		}
		seen[lower] = true
		l.header[i] = name
	}
	return nil
}

func (l *landedFile) close() error { return l.body.Close() }

// blame tells the errors of the store from those of the file.
func (l *landedFile) blame(key string, err error) error {
	var over *limits.Error
	switch {
	case l.body.err != nil:
		return fmt.Errorf("read %s: %w", key, l.body.err)
	case errors.As(err, &over):
		return fmt.Errorf("read %s: %w", key, err)
	}
	return fmt.Errorf("%w: %s", errPoison, err.Error())
}

func looksLikeHTML(head []byte) bool {
	h := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n"))
	return bytes.HasPrefix(h, []byte("<!doctype html")) || bytes.HasPrefix(h, []byte("<html")) || bytes.HasPrefix(h, []byte("<?xml"))
}

// clipText keeps messages readable, at a rune's end.
func clipText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// pair is one unknown column of a row.
type pair struct{ name, text string }

// pairsJSON writes {"name": "text", …} in the order of the file.
func pairsJSON(pairs []pair) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(p.name) // strings always marshal
		text, _ := json.Marshal(p.text)
		b.Write(name)
		b.WriteByte(':')
		b.Write(text)
	}
	b.WriteByte('}')
	return b.String()
}
