package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
)

// Write implements [table.Engine]: COPY into a staging folder, statistics out of what COPY returns, then uploads.
func (e *Engine) Write(ctx context.Context, q table.Query, w table.Write) ([]table.WrittenFile, error) {
	if w.Schema == nil {
		return nil, errors.New("write files: no schema")
	}
	if _, ok := codecs()[strings.ToLower(w.Codec)]; !ok {
		return nil, fmt.Errorf("write files: compression codec %q cannot be written", w.Codec)
	}
	if w.Store == nil {
		store, err := e.scratch()
		if err != nil {
			return nil, fmt.Errorf("open scratch space: %w", err)
		}
		w.Store = store
	}
	stage, clean, err := e.stage(w.Store)
	if err != nil {
		return nil, fmt.Errorf("create staging folder: %w", err)
	}
	defer clean()
	b, err := e.bind(ctx, q, kind{ordered: w.Ordered}, stage)
	if err != nil {
		return nil, err
	}
	defer b.session.close()
	if stage == "" {
		stage = b.session.stage()
	}
	c := &copier{bound: b, write: w, stage: stage}
	files, err := c.copy(ctx)
	if err != nil {
		return nil, err
	}
	return e.upload(ctx, w, files)
}

// stage makes a folder for finished files on the file system of a store of this machine, which can then link them
// into place instead of copying; "" where the folder of a session will do.
func (e *Engine) stage(store objectstore.Store) (dir string, clean func(), err error) {
	local, ok := store.(objectstore.Local)
	if !ok {
		return "", func() {}, nil
	}
	root, err := local.LocalPath("x") // the root has no key of its own
	if err != nil {
		return "", nil, err
	}
	if root = filepath.Dir(root); sameFileSystem(e.dir, root, clock.NewUUID(e.options.Rand)) {
		return "", func() {}, nil
	}
	claim, err := cache.NewClaim(filepath.Join(root, file.TempFolder), "stage-", e.options.Rand)
	if err != nil {
		return "", nil, err
	}
	return claim.Dir, func() {
		if err := claim.Close(); err != nil {
			e.options.Logger.Warn("staged files stay", "folder", claim.Dir, "error", err)
		}
	}, nil
}

// sameFileSystem tries whether a file in one folder can be linked into the other.
func sameFileSystem(from, to, id string) bool {
	probe := filepath.Join(from, "probe-"+id)
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return false
	}
	defer func() { _ = os.Remove(probe) }()
	target := filepath.Join(to, file.TempFolder, "probe-"+id)
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return false
	}
	if err := os.Link(probe, target); err != nil {
		return false
	}
	return os.Remove(target) == nil
}

// copier runs the COPY of one Write.
type copier struct {
	bound *bound
	write table.Write
	stage string

	from       string            // the statement in FROM, with columns c0, c1, …
	items      []string          // SELECT list of the files' columns, with the names they have in files
	parts      []string          // the partition columns as text
	long       map[string]string // partition values by what stands for them; nil: all stand for themselves
	conditions []string
	attempts   int
}

// staged is one file in the staging folder.
type staged struct {
	path  string
	rows  int64
	size  int64
	parts []*string                    // texts of partition values, in the order of PartitionBy; nil is NULL
	stats map[string]map[string]string // by DuckDB's path of the leaf: "a"."b"
}

func (c *copier) copy(ctx context.Context) ([]written, error) {
	if err := c.plan(ctx); err != nil {
		return nil, err
	}
	files, err := c.run(ctx, false)
	if err != nil && len(c.parts) > 0 && strings.Contains(err.Error(), "File name too long") {
		if err := c.findLong(ctx); err != nil {
			return nil, err
		}
		files, err = c.run(ctx, false)
	}
	var over *limits.Error
	if errors.As(err, &over) && over.Limit == "memory" && len(c.parts) > 0 {
		// Each thread holds rows of every partition it has met. Sorted by partition there are few at a time.
		files, err = c.run(ctx, true)
	}
	if err == nil && c.write.Ordered {
		files, err = c.order(ctx, files)
	} else if err == nil && len(c.parts) > 0 {
		files, err = c.split(ctx, files)
	}
	if err != nil {
		return nil, err
	}
	return c.describe(files)
}

// run writes the rows of the statement and returns the files that have any.
func (c *copier) run(ctx context.Context, sorted bool) ([]staged, error) {
	items := append(append([]string{}, c.items...), c.partitionItems()...)
	from := c.from
	options := c.format()
	switch {
	case len(c.parts) > 0:
		options += ", PARTITION_BY (" + strings.Join(c.partitionNames(), ", ") + ")"
		if c.write.Ordered {
			items = append(items, orderColumn)
			from = "(SELECT *, row_number() OVER () AS " + orderColumn + " FROM " + from + ")"
		}
	case !c.write.Ordered:
		options += c.sizeOption()
	}
	sql := "SELECT " + strings.Join(items, ", ") + " FROM " + from
	if len(c.conditions) > 0 {
		sql += " WHERE " + strings.Join(c.conditions, " AND ")
	}
	if sorted {
		sql += " ORDER BY " + strings.Join(c.partitionNames(), ", ")
	}
	return c.copyTo(ctx, c.bound.session, sql, options)
}

// orderColumn numbers the rows of the statement in staged files, where COPY would lose their order.
const orderColumn = "_lakectl_n"

// copyTo runs one COPY into a new folder below the staging folder.
func (c *copier) copyTo(ctx context.Context, s *session, sql, options string) ([]staged, error) {
	c.attempts++
	folder := filepath.Join(c.stage, strconv.Itoa(c.attempts))
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, fmt.Errorf("create staging folder: %w", err)
	}
	target := folder
	if !strings.Contains(options, "PARTITION_BY") && !strings.Contains(options, "FILE_SIZE_BYTES") {
		target = filepath.Join(folder, "all.parquet") // one file, for which COPY keeps the order of rows
	}
	copySQL := "COPY (" + sql + ") TO " + table.QuoteString(target) + " (" + options + ")"
	rows, err := s.all(ctx, copySQL)
	if errors.Is(err, errInterrupted) { // once more, for the error behind it
		if err = errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o700)); err == nil {
			rows, err = s.all(ctx, copySQL)
		}
	}
	if err != nil {
		if e := os.RemoveAll(folder); e != nil {
			s.engine.options.Logger.Warn("staged files stay", "folder", folder, "error", e)
		}
		return nil, c.failure(err)
	}
	var files []staged
	for _, r := range rows {
		f, err := c.stagedFile(r)
		if err != nil {
			return nil, err
		}
		if f.rows > 0 { // splitting by size leaves a last file without rows
			files = append(files, f)
		}
	}
	return files, nil
}

// stagedFile reads one row of RETURN_STATS: file name, rows, bytes, bytes of the footer, statistics, partition keys.
func (c *copier) stagedFile(row []any) (staged, error) {
	if len(row) != 6 {
		return staged{}, fmt.Errorf("%w: COPY returned %d columns", errEngine, len(row))
	}
	var f staged
	f.path, _ = row[0].(string)
	f.rows, f.size = count(row[1]), count(row[2])
	f.stats = map[string]map[string]string{}
	leaves, _ := row[4].([]table.MapEntry)
	for _, leaf := range leaves {
		path, _ := leaf.Key.(string)
		values := map[string]string{}
		entries, _ := leaf.Value.([]table.MapEntry)
		for _, e := range entries {
			key, _ := e.Key.(string)
			if value, ok := e.Value.(string); ok {
				values[key] = value
			}
		}
		f.stats[path] = values
	}
	keys, _ := row[5].([]table.MapEntry)
	f.parts = make([]*string, len(c.parts))
	for _, e := range keys {
		name, _ := e.Key.(string)
		i, err := strconv.Atoi(strings.TrimPrefix(name, partitionPrefix))
		if err != nil || i >= len(f.parts) {
			return staged{}, fmt.Errorf("%w: COPY returned the partition key %q", errEngine, name)
		}
		if value, ok := e.Value.(string); ok {
			value = strings.TrimPrefix(value, valueMark)
			if text, is := c.long[value]; is {
				value = text
			}
			f.parts[i] = &value
		}
	}
	return f, nil
}

// split writes files of partitions again that came out too large: COPY can split by partition or by size, not both.
func (c *copier) split(ctx context.Context, files []staged) ([]staged, error) {
	var all []staged
	for _, f := range files {
		if !c.large(f) {
			all = append(all, f)
			continue
		}
		pieces, err := c.rewrite(ctx, c.bound.session, []staged{f}, "SELECT *", c.sizeOption())
		if err != nil {
			return nil, err
		}
		all = append(all, pieces...)
	}
	return all, nil
}

// order brings files into the order of the statement and to their size. Where COPY splits its output, by partition
// or by size, it keeps the order of rows only with a single thread, and of rows of a partition not even then. So
// rows were numbered, or written to one file, and are now taken in turn.
func (c *copier) order(ctx context.Context, files []staged) ([]staged, error) {
	if len(c.parts) == 0 && (len(files) == 0 || !c.large(files[0])) {
		return files, nil
	}
	var single *session // with one thread
	defer func() {
		if single != nil {
			single.close()
		}
	}()
	list := "SELECT *"
	if len(c.parts) > 0 {
		list = "SELECT * EXCLUDE (" + orderColumn + ")"
	}
	var all []staged
	for _, same := range byPartition(files) {
		s, size := c.bound.session, ""
		if c.large(same...) {
			if single == nil {
				var err error
				if single, err = s.engine.openAlone(ctx, kind{ordered: true, threads: 1}, nil, []string{c.stage}); err != nil {
					return nil, err
				}
			}
			s, size = single, c.sizeOption()
		}
		pieces, err := c.rewrite(ctx, s, same, list, size)
		if err != nil {
			return nil, err
		}
		all = append(all, pieces...)
	}
	return all, nil
}

// byPartition gathers the files of each partition.
func byPartition(files []staged) [][]staged {
	var groups [][]staged
	index := map[string]int{}
	for _, f := range files {
		var key strings.Builder
		for _, p := range f.parts {
			if p == nil {
				key.WriteString("-,")
			} else {
				fmt.Fprintf(&key, "%d:%s,", len(*p), *p)
			}
		}
		i, ok := index[key.String()]
		if !ok {
			i = len(groups)
			index[key.String()] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

// rewrite replaces staged files of one partition by files of a size, or by one file without.
func (c *copier) rewrite(ctx context.Context, s *session, files []staged, list, size string) ([]staged, error) {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.path
	}
	sql := list + " FROM read_parquet(" + s.fileList(paths) + ", hive_partitioning = false)"
	if c.write.Ordered && len(c.parts) > 0 {
		sql += " ORDER BY " + orderColumn
	}
	pieces, err := c.copyTo(ctx, s, sql, c.format()+size)
	if err != nil {
		return nil, err
	}
	for i := range pieces {
		pieces[i].parts = files[0].parts
	}
	for _, p := range paths {
		if err := os.Remove(p); err != nil {
			return nil, fmt.Errorf("remove staged file: %w", err)
		}
	}
	return pieces, nil
}

// large tells whether files together are so large that two make more sense than one.
func (c *copier) large(files ...staged) bool {
	var size int64
	for _, f := range files {
		size += f.size
	}
	return size > c.targetSize()+c.targetSize()/2
}

func (c *copier) targetSize() int64 {
	if c.write.TargetFileSize > 0 {
		return c.write.TargetFileSize
	}
	return table.DefaultTargetFileSize
}

func (c *copier) sizeOption() string {
	return ", FILE_SIZE_BYTES " + strconv.FormatInt(c.targetSize(), 10)
}

// count reads an unsigned count of RETURN_STATS.
func count(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case interface{ String() string }: // UBIGINT
		n, err := strconv.ParseInt(v.String(), 10, 64)
		if err == nil {
			return n
		}
	}
	return 0
}
