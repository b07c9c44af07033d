package table

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table/parquetfolder"
	"github.com/lakectl/lakectl/txlog"
)

// Convert makes a table of a folder of Parquet files, where they are. No file is written but the log, and none is
// read but its footer.
type Convert struct {
	// PartitionBy names the columns of the folders (country=nz/), in their order; the type of one that has none is
	// found by its values. Without any, the folders say.
	PartitionBy []txlog.Field
	Properties  map[string]string
	Comment     string
	DryRun      bool
	Meta        ChangeMeta
}

// ConvertResult is what a Convert did.
type ConvertResult struct {
	Result
	Columns     *txlog.Schema `json:"-"`
	Schema      string        `json:"schema"` // of the table, as SQL
	PartitionBy []string      `json:"partition_by"`
	Rows        int64         `json:"rows"`
	Bytes       int64         `json:"bytes"` // of the data files
	DryRun      bool          `json:"dry_run"`
}

// operationConvert is the name of the operation in history, as Spark has it.
const operationConvert = "CONVERT"

// ConvertFolder makes a table of the Parquet files below path, in one commit, version 0.
//
// Protocol: "Add File": statistics are those of the footers as far as they can be relied on: the number of rows, and
// bounds of numbers, dates, times, and lower ones of texts.
// Errors:   ErrTableExists; parquetfolder.ErrFolder where the files are not one table; ErrProperty; ErrUnsupported for
// a property under which files must look another way; those of the commit. On an error the files are as before.
// Cost:     one listing, and the footer of each file.
func ConvertFolder(ctx context.Context, store objectstore.Store, path string, c Convert, o ...Options) (*ConvertResult, error) {
	begin := filled(o).Log.Clock.Now()
	res, err := convertFolder(ctx, store, path, c, filled(o))
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	res.Milliseconds = clock.Since(filled(o).Log.Clock, begin).Milliseconds()
	return res, nil
}

func convertFolder(ctx context.Context, store objectstore.Store, path string, c Convert, o Options) (*ConvertResult, error) {
	t, err := unopened(store, path, o)
	if err != nil {
		return nil, err
	}
	switch _, err := t.log.Latest(ctx); {
	case err == nil:
		return nil, fmt.Errorf("%s: %w", t.URL(), ErrTableExists)
	case !errors.Is(err, txlog.ErrNotATable):
		return nil, fmt.Errorf("%s: %w", t.URL(), err)
	}
	folder, err := parquetfolder.Read(ctx, store, t.prefix(), parquetfolder.Options{Partition: c.PartitionBy, Limits: o.limits()})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.URL(), err)
	}
	if odd := oddName(folder.Schema.Fields, ""); odd != "" { // under a mapping files would need other names, or ids
		return nil, fmt.Errorf("%s: %w: column name %q: files of a table without column mapping cannot have it", t.URL(), ErrUnsupported, odd)
	}
	meta := c.Meta
	if meta.Operation == "" {
		meta.Operation = operationConvert
	}
	ch, err := prepareCreate(ctx, store, path, Create{
		Schema: folder.Schema, PartitionBy: folder.PartitionBy, Properties: c.Properties, Comment: c.Comment, Meta: meta,
	}, o)
	if err != nil {
		return nil, err
	}
	if ch.shape.mapping != txlog.MappingNone || ch.shape.iceberg() {
		return nil, fmt.Errorf("%s: %w: column mapping or Iceberg compatibility of files that are there", t.URL(), ErrUnsupported)
	}
	if err := ch.takeOver(folder); err != nil {
		return nil, err
	}
	out := &ConvertResult{
		Columns: folder.Schema, Schema: columnsSQL(folder.Schema), PartitionBy: orEmpty(folder.PartitionBy), Rows: folder.Rows, Bytes: folder.Bytes, DryRun: c.DryRun,
	}
	if c.DryRun {
		out.Result = *ch.Result()
		return out, nil
	}
	done, err := ch.Commit(ctx)
	if errors.Is(err, txlog.ErrConflict) {
		err = fmt.Errorf("%w: %w", ErrTableExists, err)
	}
	if err != nil {
		return nil, err
	}
	out.Result = *done
	return out, nil
}

// takeOver names the files of the folder. They are actions as they stand, not staged files: nobody who gives this
// change up may delete them.
func (c *Change) takeOver(folder *parquetfolder.Folder) error {
	for _, f := range folder.Files {
		if f.Rows == 0 {
			continue // no reader misses it
		}
		leaves := f.Leaves[:0:0]
		for _, l := range f.Leaves {
			if c.shape.stats.Has(l.Path) {
				leaves = append(leaves, l)
			}
		}
		stats, err := txlog.BuildStats(f.Rows, leaves, true)
		if err != nil {
			return err
		}
		c.first = append(c.first, &txlog.Add{
			Path:             txlog.EncodePath(strings.TrimPrefix(f.Key, c.t.prefix())),
			PartitionValues:  physicalPartition(c.shape.schema, c.shape.mapping, c.shape.partitionBy, f.Partition),
			Size:             f.Size,
			ModificationTime: f.Modified.UnixMilli(),
			DataChange:       true,
			Stats:            stats,
		})
		c.result.FilesAdded++
	}
	c.result.RowsSource, c.result.RowsInserted = folder.Rows, folder.Rows
	c.parameter("numFiles", metric(int64(c.result.FilesAdded)))
	c.parameter("partitionedBy", jsonText(orEmpty(folder.PartitionBy)))
	c.parameter("collectStats", "true")
	c.parameter("sourceFormat", "parquet")
	c.metrics = func(c *Change) map[string]string {
		return map[string]string{"numConvertedFiles": metric(int64(c.result.FilesAdded))}
	}
	return nil
}

func columnsSQL(s *txlog.Schema) string {
	out := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		out[i] = f.Name + " " + f.Type.SQL()
	}
	return strings.Join(out, ", ")
}
