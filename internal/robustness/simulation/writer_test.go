package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// workKind is a kind of change.
type workKind uint8

// The kinds. Files of the counter and of the census hold one row, which is a number.
const (
	adds      workKind = iota // rows
	deletes                   // all rows of one file
	compacts                  // same rows in fewer files
	increases                 // the counter by one
	counts                    // all rows of the version that was read, into the census
	covers                    // slots of a schedule
)

const (
	counterFile = "counter-"
	censusFile  = "census-"
)

// write is the job of a writer.
func (p *process) write(ctx context.Context) {
	p.turns(ctx, func() {
		s, err := p.newest(ctx)
		if err != nil {
			return
		}
		switch d := p.n(100); {
		case d < 30:
			p.addOnce(ctx, s)
		case d < 50:
			_ = p.add(ctx, s, fmt.Sprintf("%s/%d", p.name, p.files))
		case d < 70:
			p.increase(ctx, s)
		case d < 78:
			p.census(ctx, s)
		case d < 88:
			p.delete(ctx, s)
		default:
			p.compact(ctx, s)
		}
	})
}

// addOnce adds the next batch of its job, under the application id that goes on after a crash.
func (p *process) addOnce(ctx context.Context, s *txlog.Snapshot) {
	for range 4 {
		last, _ := s.Txn(p.job)
		n := last.Version + 1
		err := p.add(ctx, s, fmt.Sprintf("%s/batch %d", p.job, n), &txlog.Txn{AppID: p.job, Version: n})
		if !errors.Is(err, txlog.ErrUnknown) && !errors.Is(err, txlog.ErrConcurrentTransaction) {
			return
		}
		// In doubt: look, and do it again unless it is there.
		if s, err = p.newest(ctx); err != nil {
			return
		}
		if done, _ := s.Txn(p.job); done.Version >= n {
			return
		}
	}
}

func (p *process) add(ctx context.Context, s *txlog.Snapshot, row string, more ...txlog.Action) error {
	f, err := p.file(ctx, "rows-", []string{row}, true)
	if err != nil {
		return err
	}
	x := s.Log().Begin(s, txlog.Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(append([]txlog.Action{f}, more...)...)
	return p.commit(ctx, mainTable, x, work{kind: adds, rows: []string{row}, base: int(s.Version())})
}

// increase reads the counter and writes it back, one higher.
func (p *process) increase(ctx context.Context, s *txlog.Snapshot) {
	x := s.Log().Begin(s, txlog.Operation{Name: "UPDATE"})
	value, err := 0, error(nil)
	if i, ok := find(s, counterFile); ok {
		if value, err = strconv.Atoi(p.lake.rowsOf(s.Files().Path(i))[0]); err != nil {
			p.wrong = append(p.wrong, err.Error())
			return
		}
		x.ReadFiles(i)
		x.Stage(s.Files().Remove(i, p.Now().UnixMilli(), true))
	} else {
		x.ReadPredicate(nil)
	}
	f, err := p.file(ctx, counterFile, []string{strconv.Itoa(value + 1)}, true)
	if err != nil {
		return
	}
	x.Stage(f)
	_ = p.commit(ctx, mainTable, x, work{kind: increases, base: int(s.Version())})
}

// census counts all rows and writes the sum down: a merge that reads the whole table.
func (p *process) census(ctx context.Context, s *txlog.Snapshot) {
	x := s.Log().Begin(s, txlog.Operation{Name: "MERGE"})
	sum := 0
	var all []int
	for i := range s.Files().Len() {
		all = append(all, i)
		switch path := s.Files().Path(i); {
		case strings.HasPrefix(path, censusFile):
			x.Stage(s.Files().Remove(i, p.Now().UnixMilli(), true))
		case !strings.HasPrefix(path, counterFile):
			sum += len(p.lake.rowsOf(path))
		}
	}
	x.ReadPredicate(nil, all...)
	f, err := p.file(ctx, censusFile, []string{strconv.Itoa(sum)}, true)
	if err != nil {
		return
	}
	x.Stage(f)
	_ = p.commit(ctx, mainTable, x, work{kind: counts, base: int(s.Version())})
}

// delete removes one file of rows.
func (p *process) delete(ctx context.Context, s *txlog.Snapshot) {
	plain := plainFiles(s)
	if len(plain) == 0 {
		return
	}
	i := plain[p.n(len(plain))]
	x := s.Log().Begin(s, txlog.Operation{Name: "DELETE"})
	if p.n(2) == 0 { // else nothing but that the file is still there matters
		x.ReadFiles(i)
	}
	x.Stage(s.Files().Remove(i, p.Now().UnixMilli(), true))
	_ = p.commit(ctx, mainTable, x, work{kind: deletes, rows: p.lake.rowsOf(s.Files().Path(i)), base: int(s.Version())})
}

// compact puts the rows of all files into one.
func (p *process) compact(ctx context.Context, s *txlog.Snapshot) {
	plain := plainFiles(s)
	if len(plain) < 3 {
		return
	}
	x := s.Log().Begin(s, txlog.Operation{Name: "OPTIMIZE"})
	x.ReadFiles(plain...)
	var rows []string
	for _, i := range plain {
		rows = append(rows, p.lake.rowsOf(s.Files().Path(i))...)
		x.Stage(s.Files().Remove(i, p.Now().UnixMilli(), false))
	}
	f, err := p.file(ctx, "rows-", rows, false)
	if err != nil {
		return
	}
	x.Stage(f)
	_ = p.commit(ctx, mainTable, x, work{kind: compacts, base: int(s.Version())})
}

// file writes a data file of the main table.
func (p *process) file(ctx context.Context, prefix string, rows []string, dataChange bool) (*txlog.Add, error) {
	return p.fileOf(ctx, mainTable, prefix, rows, dataChange)
}

func (p *process) fileOf(ctx context.Context, table, prefix string, rows []string, dataChange bool) (*txlog.Add, error) {
	p.files++
	name := fmt.Sprintf("%s%s-%d", prefix, p.name, p.files)
	p.lake.holds(name, rows)
	body := []byte(strings.Join(rows, "\n"))
	if _, err := p.store.Put(ctx, table+"/"+name, objectstore.Bytes(body), objectstore.CreateOnly); err != nil {
		return nil, err
	}
	a := logops.AddRows(name, len(rows))
	a.Size, a.ModificationTime, a.DataChange = int64(len(body)), p.Now().UnixMilli(), dataChange
	return a, nil
}

// find is the file with this prefix.
func find(s *txlog.Snapshot, prefix string) (int, bool) {
	for i := range s.Files().Len() {
		if strings.HasPrefix(s.Files().Path(i), prefix) {
			return i, true
		}
	}
	return 0, false
}

// plainFiles are the files that hold neither counter nor census.
func plainFiles(s *txlog.Snapshot) (out []int) {
	for i := range s.Files().Len() {
		if path := s.Files().Path(i); !strings.HasPrefix(path, counterFile) && !strings.HasPrefix(path, censusFile) {
			out = append(out, i)
		}
	}
	return out
}
