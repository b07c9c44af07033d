package txlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
)

// A commit that adds very many files is decoded in pieces side by side, and its adds go straight into columns: a struct
// and some strings for each of a million files would cost more than reading them. Adds of the usual form (plain fields
// in any order) are read without a reader of JSON; whatever else a line may hold goes through [DecodeLine], which also
// says what is wrong with it.

const (
	bulkLeast = 1 << 20 // bytes from which a commit is decoded so
	bulkChunk = 4 << 20 // bytes of one piece
)

// bulk is a decoded commit in pieces, in the order of the file.
type bulk struct{ pieces []*bulkPiece }

// bulkPiece is some lines.
type bulkPiece struct {
	text    []byte
	lines   int
	written bool // there was anything but space
	failed  int  // line of err
	err     error

	info  *CommitInfo // the first one
	adds  addColumns
	other []placedAction
}

// placedAction is an action that is no add.
type placedAction struct {
	after  int // so many adds come before it
	action Action
}

// told takes the commitInfo into c and tells whether the commit holds anything.
func (b *bulk) told(c *Commit) (written bool) {
	for _, p := range b.pieces {
		written = written || p.written
		if c.Info == nil {
			c.Info = p.info
		}
	}
	return written
}

// decodeBulk reads a whole commit. Errors as of decodeCommit.
func decodeBulk(body io.Reader, bound limits.Limits) (*bulk, error) {
	in := io.LimitReader(body, bound.CommitBytes)
	out := &bulk{}
	work := make(chan *bulkPiece)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			d := &bulkDecoder{bound: bound}
			for p := range work {
				d.decode(p)
			}
		})
	}
	var rest []byte
	var failed error
	var actions int64
	for last := false; !last && failed == nil; {
		var text []byte
		text, rest, last, failed = nextPiece(in, rest, bound.LogLineBytes)
		actions += actionLines(text)
		if failed == nil {
			failed = bound.Check("actions_per_commit", actions)
		}
		if len(text) > 0 {
			p := &bulkPiece{text: text}
			out.pieces = append(out.pieces, p)
			work <- p
		}
	}
	close(work)
	wg.Wait()
	return out, errorOf(out, failed)
}

// errorOf is the first thing that is wrong, in the order of the file. A read that broke off is all that is wrong.
func errorOf(b *bulk, read error) error {
	var over *limits.Error
	if read != nil && !errors.As(read, &over) {
		return read
	}
	lines := 0
	for _, p := range b.pieces {
		if p.err != nil {
			return fmt.Errorf("line %d: %w", lines+p.failed, p.err)
		}
		lines += p.lines
	}
	if over != nil && over.Limit == "log_line_bytes" {
		return fmt.Errorf("line %d: %w", lines+1, read)
	}
	return read
}

// actionLines counts the lines that hold an action, known or not, before any of them is decoded: a commit over the limit
// costs its text and no more.
func actionLines(text []byte) int64 {
	var n int64
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.HasPrefix(line, []byte(`{"commitInfo"`)) {
			n++
		}
	}
	return n
}

// countedText is a large commit that is to be decoded action by action, read whole and counted first. Each piece is let
// go once it was read.
func countedText(body io.Reader, bound limits.Limits) (io.Reader, error) {
	in := io.LimitReader(body, bound.CommitBytes)
	var pieces []io.Reader
	var rest []byte
	var actions int64
	for last := false; !last; {
		var text []byte
		var err error
		if text, rest, last, err = nextPiece(in, rest, bound.LogLineBytes); err != nil {
			return nil, err
		}
		actions += actionLines(text)
		if err := bound.Check("actions_per_commit", actions); err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(text)) > 0 {
			pieces = append(pieces, bytes.NewReader(text))
		} else {
			pieces = append(pieces, strings.NewReader("\n")) // a commit of nothing but space is damage, and is told as such
		}
	}
	return io.MultiReader(pieces...), nil
}

// nextPiece reads some whole lines; what follows them is the beginning of the next piece.
func nextPiece(in io.Reader, rest []byte, lineMost int64) (text, next []byte, last bool, err error) {
	buf := make([]byte, len(rest), len(rest)+bulkChunk)
	copy(buf, rest)
	for {
		n, err := io.ReadFull(in, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return buf, nil, true, nil
		case err != nil:
			return nil, nil, true, err
		}
		if end := bytes.LastIndexByte(buf, '\n') + 1; end > 0 {
			return buf[:end], buf[end:], false, nil
		}
		if int64(len(buf)) > lineMost {
			return nil, nil, true, limits.Over("log_line_bytes", int64(len(buf)), lineMost)
		}
		most := max(int64(len(buf))+1, min(2*int64(cap(buf)), lineMost+1))
		buf = append(make([]byte, 0, most), buf...)
	}
}

// bulkDecoder decodes one piece after the other and keeps its buffers.
type bulkDecoder struct {
	bound  limits.Limits
	piece  *bulkPiece
	arena  []byte           // texts of the piece
	ends   []int            // of path and statistics of each add, in arena
	intern map[string]int32 // JSON of partition values to their index

	// The add that is being read.
	b                   []byte
	pos                 int
	pathEnd             int
	size, modified      int64
	partition           int32
	statsFrom, statsEnd int
}

func (d *bulkDecoder) decode(p *bulkPiece) {
	d.piece = p
	d.arena, d.ends, d.intern = d.arena[:0], d.ends[:0], map[string]int32{}
	p.adds.files = newFilesBuilder(nil, len(p.text)/256).build()
	build := &filesBuilder{files: p.adds.files, intern: map[string]int32{}}
	most := min(d.bound.LogLineBytes, 1<<30)
	for rest := p.text; len(rest) > 0; {
		line := rest
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			line, rest = rest[:end], rest[end+1:]
		} else {
			rest = nil
		}
		p.lines++
		if int64(len(line)) >= most {
			p.fail(limits.Over("log_line_bytes", d.bound.LogLineBytes+1, d.bound.LogLineBytes))
			return
		}
		if d.plainAdd(line, build) {
			p.written = true
			continue
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		p.written = true
		a, err := DecodeLine(line)
		if err == nil {
			d.take(a, build)
		}
		if err != nil {
			p.fail(err)
			return
		}
	}
	d.finish()
	p.text = nil
}

func (p *bulkPiece) fail(err error) { p.failed, p.err, p.text = p.lines, err, nil }

// take files an action away that was decoded as others are.
func (d *bulkDecoder) take(a Action, build *filesBuilder) {
	p := d.piece
	switch a := a.(type) {
	case nil:
	case *CommitInfo:
		if p.info == nil {
			p.info = a
		}
	case *Add:
		key, err := fileKey(a.Path, a.DeletionVector)
		if err != nil { // replay will say so, once it comes to it
			p.other = append(p.other, placedAction{len(p.adds.files.sizes), a})
			return
		}
		p.adds.setKey(len(p.adds.files.sizes), key, a.Path)
		d.arena = append(d.arena, a.Path...)
		d.ends = append(d.ends, len(d.arena))
		d.arena = append(d.arena, a.Stats...)
		d.ends = append(d.ends, len(d.arena))
		build.add(a) // its texts come from the arena, in finish
	default:
		p.other = append(p.other, placedAction{len(p.adds.files.sizes), a})
	}
}

// finish tells where the texts are, which share one allocation.
func (d *bulkDecoder) finish() {
	f := d.piece.adds.files
	f.paths, f.stats = fileTexts{}, fileTexts{}
	text, from := string(d.arena), 0
	path, stats := f.paths.block(text), f.stats.block(text)
	f.paths.grow(f.Len())
	f.stats.grow(f.Len())
	for i := range f.Len() {
		pathEnd, statsEnd := d.ends[2*i], d.ends[2*i+1]
		f.paths.set(i, path, spanOf(from, pathEnd))
		f.stats.set(i, stats, spanOf(pathEnd, statsEnd))
		from = statsEnd
	}
}

// spanOf is a part of the text of a piece, whose lines are bounded.
func spanOf(from, to int) parquetio.Span {
	return parquetio.Span{From: uint32(from), To: uint32(to)} //nolint:gosec // below 2^31
}

// plainAdd reads a line that is an add of the usual form. False leaves everything as it was.
func (d *bulkDecoder) plainAdd(line []byte, build *filesBuilder) bool {
	const open = `{"add":{`
	if len(line) < len(open) || string(line[:len(open)]) != open {
		return false
	}
	mark := len(d.arena)
	if !d.fields(line, len(open)) || d.pathEnd == mark {
		d.arena = d.arena[:mark]
		return false
	}
	if d.statsEnd > d.statsFrom && d.statsFrom != d.pathEnd { // it came before the path
		d.arena = d.arena[:mark]
		return false
	}
	f := build.files
	d.ends = append(d.ends, d.pathEnd, len(d.arena))
	f.sizes, f.modified = append(f.sizes, d.size), append(f.modified, d.modified)
	f.partition = append(f.partition, d.partition)
	return true
}

// fields reads the members of the add and the end of the line. Path and statistics go to the arena.
func (d *bulkDecoder) fields(line []byte, pos int) bool {
	d.b, d.pos = line, pos
	d.pathEnd, d.statsFrom, d.statsEnd = len(d.arena), 0, 0
	d.size, d.modified, d.partition = 0, 0, -1
	seen := 0
	for {
		key, ok := d.plainString()
		if !ok || !d.next(':') {
			return false
		}
		bit := 0
		switch string(key) {
		case "path":
			bit = 1
			ok = d.path()
		case "partitionValues":
			bit = 2
			ok = d.partitionValues()
		case "size":
			bit = 4
			d.size, ok = d.whole()
			ok = ok && d.size >= 0
		case "modificationTime":
			bit = 8
			d.modified, ok = d.whole()
		case "dataChange":
			bit = 16
			ok = d.word("true") || d.word("false")
		case "stats":
			bit = 32
			ok = d.stats()
		case "tags", "deletionVector", "baseRowId", "defaultRowCommitVersion", "clusteringProvider":
			ok = d.word("null")
		default:
			return false
		}
		if !ok || seen&bit != 0 {
			return false
		}
		seen |= bit
		if d.next(',') {
			continue
		}
		const all = 1 | 2 | 4
		return seen&all == all && d.next('}') && d.next('}') && d.pos == len(d.b)
	}
}

func (d *bulkDecoder) next(c byte) bool {
	if d.pos < len(d.b) && d.b[d.pos] == c {
		d.pos++
		return true
	}
	return false
}

func (d *bulkDecoder) word(w string) bool {
	if len(d.b)-d.pos < len(w) || string(d.b[d.pos:d.pos+len(w)]) != w {
		return false
	}
	d.pos += len(w)
	return true
}

// plainString reads a string of ASCII without escapes; it is a part of the line.
func (d *bulkDecoder) plainString() ([]byte, bool) {
	if !d.next('"') {
		return nil, false
	}
	from := d.pos
	d.pos += plainText(d.b[from:])
	if !d.next('"') {
		return nil, false
	}
	return d.b[from : d.pos-1], true
}

// path reads a path that is its own canonical form.
func (d *bulkDecoder) path() bool {
	p, ok := d.plainString()
	if !ok || !plainPath(p) {
		return false
	}
	d.arena = append(d.arena, p...)
	d.pathEnd = len(d.arena)
	return true
}

// plainPath tells whether a path is relative, without escapes, and one that a store accepts: see DecodePath.
func plainPath(p []byte) bool {
	if len(p) == 0 || len(p) > pathBytesMax || p[0] == '/' || bytes.IndexByte(p, '%') >= 0 || bytes.Contains(p, []byte(":/")) {
		return false
	}
	for {
		end := bytes.IndexByte(p, '/')
		if end < 0 {
			end = len(p)
		}
		if s := p[:end]; len(s) == 0 || s[0] == '.' && len(s) <= 2 {
			return false
		}
		if end == len(p) {
			return true
		}
		p = p[end+1:]
	}
}

// partitionValues reads an object of plain strings. Equal texts are equal values.
func (d *bulkDecoder) partitionValues() bool {
	from := d.pos
	if !d.next('{') {
		return false
	}
	for first := true; !d.next('}'); first = false {
		if !first && !d.next(',') {
			return false
		}
		if _, ok := d.plainString(); !ok || !d.next(':') {
			return false
		}
		if d.word("null") {
			continue
		}
		if _, ok := d.plainString(); !ok {
			return false
		}
	}
	raw := d.b[from:d.pos]
	i, known := d.intern[string(raw)]
	if !known {
		r := newJSONReader(raw)
		values := r.textMap()
		if r.end() != nil {
			return false
		}
		f := d.piece.adds.files
		i = int32(len(f.partitions)) //nolint:gosec // bounded by the size of a piece
		f.partitions = append(f.partitions, cloneTexts(values))
		d.intern[string(raw)] = i
	}
	d.partition = i
	return true
}

// whole reads a number of up to 18 digits.
func (d *bulkDecoder) whole() (n int64, ok bool) {
	from, negative := d.pos, d.next('-')
	digits := d.pos
	for d.pos < len(d.b) && d.b[d.pos] >= '0' && d.b[d.pos] <= '9' && d.pos-digits < 19 {
		n = n*10 + int64(d.b[d.pos]-'0')
		d.pos++
	}
	count := d.pos - digits
	if count == 0 || count > 18 || count > 1 && d.b[digits] == '0' || d.pos == len(d.b) || d.pos-from > 19 {
		return 0, false
	}
	if c := d.b[d.pos]; c != ',' && c != '}' {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}

// stats reads a string with the two escapes that statistics are full of.
func (d *bulkDecoder) stats() bool {
	if d.word("null") {
		return true
	}
	if !d.next('"') {
		return false
	}
	d.statsFrom = len(d.arena)
	ascii := true
	for d.pos < len(d.b) {
		n := plainText(d.b[d.pos:])
		d.arena = append(d.arena, d.b[d.pos:d.pos+n]...)
		d.pos += n
		if d.pos+1 >= len(d.b) {
			return false
		}
		switch c := d.b[d.pos]; {
		case c == '"':
			d.pos++
			d.statsEnd = len(d.arena)
			return ascii || utf8.Valid(d.arena[d.statsFrom:])
		case c == '\\' && (d.b[d.pos+1] == '"' || d.b[d.pos+1] == '\\'):
			d.arena = append(d.arena, d.b[d.pos+1])
			d.pos += 2
		case c >= utf8.RuneSelf:
			d.arena = append(d.arena, c)
			d.pos++
			ascii = false
		default:
			return false
		}
	}
	return false
}

// cloneTexts copies a map and its texts, which may be parts of something large.
func cloneTexts(values map[string]string) map[string]string {
	own := make(map[string]string, len(values))
	for name, value := range values {
		own[strings.Clone(name)] = strings.Clone(value)
	}
	return own
}

// bulk replays a commit in pieces, the last action first.
func (r *replay) bulk(b *bulk) error {
	n := 0
	for _, p := range b.pieces {
		n += p.adds.files.Len()
	}
	r.seen.grow(len(r.seen.keys) + n)
	r.live.grow(n)
	var single map[string]Action
	for i := len(b.pieces) - 1; i >= 0; i-- {
		p := b.pieces[i]
		to := p.adds.files.Len()
		for k := len(p.other) - 1; k >= 0; k-- {
			o := p.other[k]
			if err := r.adds(p, o.after, to); err != nil {
				return err
			}
			to = o.after
			if err := onlyOne(o.action, &single); err != nil {
				return err
			}
			if err := r.action(o.action, true); err != nil {
				return err
			}
		}
		if err := r.adds(p, 0, to); err != nil {
			return err
		}
		b.pieces[i] = nil
	}
	return nil
}

// adds takes in the adds from..to of a piece, the last first.
func (r *replay) adds(p *bulkPiece, from, to int) error {
	for i := to - 1; i >= from; i-- {
		if r.seen.add(p.adds.key(i)) {
			r.live.copyFrom(p.adds.files, i)
		}
	}
	if n, most := int64(r.live.files.Len()), r.log.options.Limits.CheckpointRows; n > min(most, math.MaxInt32) {
		return limits.Over("checkpoint_rows", n, most)
	}
	return nil
}
