package parquetfolder

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// partitions reads the partition columns from the folders, or checks those that were asked for against them.
func (f *Folder) partitions(prefix string, asked []txlog.Field) ([]txlog.Field, error) {
	columns := slices.Clone(asked)
	if len(columns) == 0 {
		for _, p := range f.Files[0].folders {
			if p.column != "" {
				columns = append(columns, txlog.Field{Name: p.column})
			}
		}
	}
	var wrong []error
	for i := range f.Files {
		if !f.Files[i].assign(columns) {
			wrong = append(wrong, fmt.Errorf("%w: %s is not partitioned by %s", ErrFolder, strings.TrimPrefix(f.Files[i].Key, prefix), names(columns)))
		}
	}
	if err := few(wrong); err != nil {
		return nil, err
	}
	for n := range columns {
		columns[n].Nullable = true
		if columns[n].Type == nil {
			columns[n].Type = f.guess(columns[n].Name)
		}
		if err := f.spell(prefix, columns[n]); err != nil {
			return nil, err
		}
	}
	return columns, nil
}

// assign reads the values of the partition columns from the path; false where it has others.
func (file *File) assign(columns []txlog.Field) bool {
	file.Partition = map[string]string{}
	if len(columns) == 0 { // folders may mean nothing
		return !slices.ContainsFunc(file.folders, func(p part) bool { return p.column != "" })
	}
	if len(file.folders) != len(columns) {
		return false
	}
	for i, p := range file.folders {
		if !strings.EqualFold(columns[i].Name, p.column) {
			return false
		}
		file.Partition[columns[i].Name] = p.value
	}
	return true
}

func names(columns []txlog.Field) string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.Name
	}
	if len(out) == 0 {
		return "nothing, like the first file"
	}
	return strings.Join(out, ", ")
}

// guess is the narrowest of these types that every value of a partition column has.
func (f *Folder) guess(column string) *txlog.DataType {
	for _, name := range []string{"int", "bigint", "date"} {
		t, err := txlog.ParseType(name)
		if err != nil {
			continue
		}
		fits, some := true, false
		for _, file := range f.Files {
			text := file.Partition[column]
			if text == "" {
				continue
			}
			l, err := txlog.ParsePartition(t, text)
			if err == nil { // as it stands: 007 is no number here, or it would come back as 7
				var back string
				back, err = txlog.PartitionText(t, l)
				fits = fits && back == text
			}
			fits, some = fits && err == nil, true
		}
		if fits && some {
			return t
		}
	}
	return &txlog.DataType{Kind: txlog.KindString, Name: "string"}
}

// spell checks that each value has the type, and writes it as the log does.
func (f *Folder) spell(prefix string, column txlog.Field) error {
	var wrong []error
	for i := range f.Files {
		values := f.Files[i].Partition
		if values[column.Name] == "" {
			continue
		}
		l, err := txlog.ParsePartition(column.Type, values[column.Name])
		if err == nil {
			values[column.Name], err = txlog.PartitionText(column.Type, l)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%w: %s: column %s: %w", ErrFolder, strings.TrimPrefix(f.Files[i].Key, prefix), column.Name, err))
		}
	}
	return few(wrong)
}
