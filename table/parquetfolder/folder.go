// Package parquetfolder reads what a folder of Parquet files looks like as a table: its columns, its partitions in the
// manner of Hive, and what the footers of its files say. It changes nothing.
package parquetfolder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// ErrFolder says that the files of a folder do not make up one table. Terminal.
var ErrFolder = errors.New("not one table")

// Folder is a folder of Parquet files as a table.
type Folder struct {
	Schema      *txlog.Schema // partition columns last
	PartitionBy []string
	Files       []File // by key
	Rows, Bytes int64
}

// File is one of its files.
type File struct {
	Key       string // in the store
	Size      int64  // bytes
	Modified  time.Time
	Rows      int64
	Partition map[string]string // by column, in the form of the log; "" is NULL
	Leaves    []txlog.LeafStats // what the footer says of its columns

	folders []part
	columns []txlog.Field
}

// part is one level of a path: column=value.
type part struct{ column, value string }

// Options of Read.
type Options struct {
	// Partition names the partition columns, in the order of the folders; a Type that is nil is found by the values.
	// Without any they are those of the folders.
	Partition []txlog.Field
	Limits    limits.Limits
}

// readers bounds the footers that are read at a time.
const readers = 16

// nullFolder is how Hive writes NULL.
const nullFolder = "__HIVE_DEFAULT_PARTITION__"

// Read lists the folder below prefix ("landing/orders/") and reads the footer of each file. Names that begin with _ or
// a dot are left alone, and what is below them.
//
// Errors: ErrFolder with every file that does not fit, *limits.Error, those of the store.
func Read(ctx context.Context, store objectstore.Store, prefix string, o Options) (*Folder, error) {
	o.Limits = o.Limits.Filled()
	f := &Folder{}
	var odd []error
	for info, err := range store.List(ctx, prefix, "") {
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(info.Key, prefix)
		switch {
		case hidden(name):
			continue
		case !strings.HasSuffix(name, ".parquet") && !strings.HasSuffix(name, ".parq"):
			odd = append(odd, fmt.Errorf("%w: %s is no Parquet file by its name", ErrFolder, name))
			continue
		}
		f.Files = append(f.Files, File{Key: info.Key, Size: info.Size, Modified: info.Modified, folders: parts(name)})
		f.Bytes += info.Size
		if err := o.Limits.Check("actions_per_commit", int64(len(f.Files))+3); err != nil {
			return nil, err
		}
	}
	if err := few(odd); err != nil {
		return nil, err
	}
	if len(f.Files) == 0 {
		return nil, fmt.Errorf("%w: no Parquet file", ErrFolder)
	}
	if err := f.footers(ctx, store, prefix, o.Limits); err != nil {
		return nil, err
	}
	partition, err := f.partitions(prefix, o.Partition)
	if err != nil {
		return nil, err
	}
	return f, f.merge(prefix, partition)
}

func (f *Folder) footers(ctx context.Context, store objectstore.Store, prefix string, bound limits.Limits) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	wrong := make([]error, len(f.Files))
	for i := range f.Files {
		group.Go(func() error {
			file := &f.Files[i]
			err := file.footer(inner, store, bound)
			if errors.Is(err, ErrFolder) {
				wrong[i] = fmt.Errorf("%s: %w", strings.TrimPrefix(file.Key, prefix), err)
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, file := range f.Files {
		f.Rows += file.Rows
	}
	return few(wrong)
}

// shown bounds the files that an error names.
const shown = 5

// few joins the first errors.
func few(all []error) error {
	all = slices.DeleteFunc(all, func(e error) bool { return e == nil })
	if more := len(all) - shown; more > 0 {
		all = append(all[:shown:shown], fmt.Errorf("%w: and %d more files", ErrFolder, more))
	}
	return errors.Join(all...)
}

func hidden(name string) bool {
	for s := range strings.SplitSeq(name, "/") {
		if s == "" || (s[0] == '_' || s[0] == '.') && !strings.Contains(s, "=") {
			return true
		}
	}
	return false
}

// parts are the levels of a path below the folder.
func parts(name string) []part {
	var out []part
	levels := strings.Split(name, "/")
	for _, s := range levels[:len(levels)-1] {
		column, value, ok := strings.Cut(s, "=")
		if !ok {
			out = append(out, part{column: "", value: s})
			continue
		}
		value = unescaped(value)
		if value == nullFolder {
			value = ""
		}
		out = append(out, part{column: unescaped(column), value: value})
	}
	return out
}

// unescaped undoes the escapes of Hive: %2F.
func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if high, low := strings.IndexByte(hex, lower(s[i+1])), strings.IndexByte(hex, lower(s[i+2])); high >= 0 && low >= 0 {
				b.WriteByte(byte(high<<4 | low)) //nolint:gosec // two digits
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

const hex = "0123456789abcdef"

func lower(c byte) byte {
	if c >= 'A' && c <= 'F' {
		return c + 'a' - 'A'
	}
	return c
}

// merge makes one schema of those of all files and checks that they agree.
func (f *Folder) merge(prefix string, partition []txlog.Field) error {
	type seen struct {
		field txlog.Field
		in    string
	}
	var order []string
	columns := map[string]seen{}
	var wrong []error
	for _, file := range f.Files {
		name := strings.TrimPrefix(file.Key, prefix)
		for _, c := range file.columns {
			key := strings.ToLower(c.Name)
			if slices.ContainsFunc(partition, func(p txlog.Field) bool { return strings.EqualFold(p.Name, c.Name) }) {
				continue // the folder says it
			}
			before, known := columns[key]
			switch {
			case !known:
				order = append(order, key)
				columns[key] = seen{c, name}
			case before.field.Name != c.Name:
				wrong = append(wrong, fmt.Errorf("%w: column %s in %s is %s in %s", ErrFolder, before.field.Name, before.in, c.Name, name))
			case before.field.Type.SQL() != c.Type.SQL():
				wrong = append(wrong, fmt.Errorf("%w: column %s is %s in %s and %s in %s", ErrFolder, c.Name, before.field.Type.SQL(), before.in, c.Type.SQL(), name))
			}
		}
	}
	if err := few(wrong); err != nil {
		return err
	}
	fields := make([]txlog.Field, 0, len(order)+len(partition))
	for _, key := range order {
		fields = append(fields, columns[key].field)
	}
	for _, p := range partition {
		f.PartitionBy = append(f.PartitionBy, p.Name)
	}
	var err error
	if f.Schema, err = txlog.NewSchema(append(fields, partition...)...); err != nil {
		return fmt.Errorf("%w: %w", ErrFolder, err)
	}
	for i := range f.Files {
		f.Files[i].Leaves = slices.DeleteFunc(f.Files[i].Leaves, func(l txlog.LeafStats) bool {
			return slices.ContainsFunc(partition, func(p txlog.Field) bool { return strings.EqualFold(p.Name, l.Path[0]) })
		})
	}
	slices.SortFunc(f.Files, func(a, b File) int { return cmp.Compare(a.Key, b.Key) })
	return nil
}
