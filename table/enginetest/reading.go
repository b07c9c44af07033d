package enginetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// numbered writes n rows (id from first on, p = id % 3) as one file without partitions.
func (s *suite) numbered(first, n int, w table.Write) table.WrittenFile {
	s.Helper()
	files := s.write(fmt.Sprintf("SELECT i::INT id, (i %% 3)::INT p FROM range(%d, %d) r(i) ORDER BY i", first, first+n), w)
	if len(files) != 1 {
		s.Fatalf("%d files", len(files))
	}
	return files[0]
}

func bits(rows ...uint64) *roaring64.Bitmap { return roaring64.BitmapOf(rows...) }

func (s *suite) vectors() {
	w := table.Write{Schema: s.columns("id int, p int"), Ordered: true}
	var files []table.WrittenFile
	for i := range 6 {
		files = append(files, s.numbered(i*10, 10, w))
	}
	rel := relation(w, files...)
	rel.Files[1].Deleted = bits(0, 3, 4, 5, 9)
	rel.Files[2].Deleted = bits()
	rel.Files[3].Only = bits(1, 2, 7)
	rel.Files[4].Only, rel.Files[4].Deleted = bits(0, 1, 2), bits(1)
	rel.Files[5].Deleted = bits()
	rel.Files[5].Deleted.AddRange(0, 10)
	want := []string{"11", "12", "16", "17", "18", "31", "32", "37", "40", "42"}
	for i := range 10 {
		want = append(want, fmt.Sprint(i), fmt.Sprint(20+i))
	}
	s.want("SELECT id FROM t", relations{"t": rel}, want...)
	s.want("SELECT count(*) FROM t", relations{"t": rel}, fmt.Sprint(len(want)))
	s.want("SELECT id FROM t WHERE id BETWEEN 12 AND 17", relations{"t": rel}, "12", "16", "17")
	rel.Position = true
	s.want("SELECT _lake_file, _lake_row FROM t WHERE id IN (16, 31, 42)", relations{"t": rel}, "1 | 6", "3 | 1", "4 | 2")

	// a large vector of runs and single rows
	big := s.write("SELECT i::INT id, 0 p FROM range(300000) r(i) ORDER BY i", w)
	rel = relation(w, big...)
	rel.Files[0].Deleted = bits()
	rel.Files[0].Deleted.AddRange(1000, 200000)
	for i := uint64(200001); i < 300000; i += 2 {
		rel.Files[0].Deleted.Add(i)
	}
	s.want("SELECT count(*), sum(id) FROM t", relations{"t": rel}, "51000 | 12500449500")
}

func (s *suite) positions() {
	w := table.Write{Schema: s.columns("id int, p int"), PartitionBy: []string{"p"}, Ordered: true}
	var files []table.WrittenFile
	for range 3 {
		files = append(files, s.write("SELECT i::INT id, (i % 3)::INT p FROM range(9) r(i) ORDER BY i", w)...)
	}
	rel := relation(w, files...)
	rel.Position = true
	sql := "SELECT count(*), count(DISTINCT (_lake_file, _lake_row)), max(_lake_file), max(_lake_row), bool_and(id = _lake_row * 3 + p) FROM t"
	s.want(sql, relations{"t": rel}, "27 | 27 | 8 | 2 | true")
	for i, f := range files {
		s.want(fmt.Sprintf("SELECT DISTINCT p FROM t WHERE _lake_file = %d", i), relations{"t": rel}, f.Partition["p"])
	}
	rel.Files[4].Deleted = bits(1)
	s.want(sql, relations{"t": rel}, "26 | 26 | 8 | 2 | true")
	s.want("SELECT typeof(_lake_file), typeof(_lake_row) FROM t LIMIT 1", relations{"t": rel}, `"INTEGER" | "BIGINT"`)
}

// manyFiles reads a relation of thousands of files, which must not be quadratic.
func (s *suite) manyFiles() {
	w := table.Write{Schema: s.columns("id int, p int"), PartitionBy: []string{"p"}, Store: s.local}
	files := s.write("SELECT 1 id, i::INT p FROM range(3) r(i)", w)
	rel := relation(w, files...)
	for len(rel.Files) < 6000 {
		f := rel.Files[len(rel.Files)%3]
		f.Partition = map[string]string{"p": fmt.Sprint(len(rel.Files))}
		if len(rel.Files)%5 == 0 {
			f.Deleted = bits(0)
		}
		rel.Files = append(rel.Files, f)
	}
	s.want("SELECT count(*), count(DISTINCT p), sum(p) FROM t", relations{"t": rel}, "4801 | 4801 | 14400000")
}

func (s *suite) evolved() {
	old := table.Write{Schema: s.columns("id smallint, n int, f float, d date, dc decimal(5,2), st struct<a:int>, l array<struct<x:int>>")}
	recent := table.Write{Schema: s.columns("extra string, ID bigint, n bigint, f double, d timestamp_ntz, dc decimal(12,4), " +
		"st struct<b:string,a:bigint>, l array<struct<x:bigint,y:string>>, gone int")}
	files := s.write("SELECT 1 id, 2 n, 0.5 f, DATE '2020-01-02' d, 1.25 dc, {'a': 3} st, [{'x': 4}] l", old)
	files = append(files, s.write("SELECT 'e' extra, 5 id, 6 n, 0.1 f, TIMESTAMP '2020-01-02 03:04:05' d, 7.1234 dc, "+
		"{'a': 8, 'b': 'b'} st, [{'x': 9, 'y': 'y'}] l, 1 gone", recent)...)
	recent.Schema.Fields = recent.Schema.Fields[:len(recent.Schema.Fields)-1] // a column of files that the table has not
	r := relations{"t": relation(recent, files...)}
	s.want("SELECT * FROM t", r,
		`NULL | 1 | 2 | 0.5d | 2020-01-02T00:00:00.000000Z | 1.2500 | [NULL, 3] | [[4, NULL]]`,
		`"e" | 5 | 6 | 0.1d | 2020-01-02T03:04:05.000000Z | 7.1234 | ["b", 8] | [[9, "y"]]`)
	s.want("SELECT id FROM t WHERE extra IS NULL AND dc < 2", r, "1")
	s.want("SELECT id FROM t WHERE n > 2", r, "5")
	// columns whose names are those of DuckDB's own
	w := table.Write{Schema: s.columns("filename string, file_row_number int, file_index int, rowid int")}
	odd := relation(w, s.write("SELECT 'f' filename, 7 file_row_number, 8 file_index, 9 rowid", w)...)
	odd.Position = true
	s.want("SELECT * FROM t", relations{"t": odd}, `"f" | 7 | 8 | 9 | 0 | 0`)
}

// mapped gives every field of a schema an id and a physical name.
func mapped(fields []txlog.Field, next *int) {
	for i := range fields {
		f := &fields[i]
		*next++
		f.Metadata = map[string]json.RawMessage{
			txlog.FieldIDKey:      json.RawMessage(fmt.Sprint(*next)),
			txlog.PhysicalNameKey: json.RawMessage(fmt.Sprintf(`"col-%d"`, *next)),
		}
		mappedType(f.Type, next)
	}
}

func mappedType(t *txlog.DataType, next *int) {
	switch t.Kind {
	case txlog.KindStruct:
		mapped(t.Fields, next)
	case txlog.KindArray:
		mappedType(t.Element, next)
	case txlog.KindMap:
		mappedType(t.Key, next)
		mappedType(t.Value, next)
	}
}

func (s *suite) mapping() {
	const columns = "id int, p string, st struct<a:int,b:struct<c:string>>, l array<struct<x:int>>, m map<string,struct<y:date>>, ts timestamp"
	for _, m := range []txlog.ColumnMapping{txlog.MappingName, txlog.MappingID} {
		schema := s.columns(columns)
		next := 0
		mapped(schema.Fields, &next)
		w := table.Write{Schema: schema, Mapping: m, PartitionBy: []string{"p"}, Prefix: "m" + m.String() + "/"}
		files := s.write("SELECT 1 id, 'x' p, {'b': {'c': 'q'}, 'a': 2} st, [{'x': 3}] l, MAP {'k': {'y': DATE '2020-01-01'}} m, "+
			"TIMESTAMPTZ '2020-01-01 00:00:00+00' ts UNION ALL BY NAME SELECT 2 id, 'x' p, NULL st, NULL l, NULL m, NULL ts", w)
		for _, f := range files {
			for _, name := range []string{`"col-1"`, `"col-3":{"col-4"`} {
				if !strings.Contains(f.Stats, name) {
					s.Errorf("statistics %s are not by physical name %s", f.Stats, name)
				}
			}
		}
		rel := relation(w, files...)
		want := []string{
			`1 | "x" | [2, ["q"]] | [[3]] | {"k": [2020-01-01]} | 2020-01-01T00:00:00.000000Z`,
			`2 | "x" | NULL | NULL | NULL | NULL`,
		}
		s.want("SELECT * FROM t", relations{"t": rel}, want...)
		s.want("SELECT id FROM t WHERE st.a = 2 AND st.b.c = 'q'", relations{"t": rel}, "1")
		// renamed: physical names and ids stay
		renamed := *rel.Schema
		renamed.Fields = slices.Clone(rel.Schema.Fields)
		renamed.Fields[0].Name = "number"
		rel.Schema = &renamed
		s.want("SELECT number, st.a FROM t", relations{"t": rel}, "1 | 2", "2 | NULL")
	}
	plain := table.Write{Schema: s.columns("id int")}
	files := s.write("SELECT 1 id", plain)
	schema := s.columns("id int")
	next := 0
	mapped(schema.Fields, &next)
	rel := relation(table.Write{Schema: schema, Mapping: txlog.MappingID}, files...)
	if _, err := s.tryQuery(table.Query{SQL: "SELECT * FROM t", Relations: relations{"t": rel}}); err == nil {
		s.Error("a file without field ids was read by id")
	}
}

func (s *suite) oddNames() {
	for _, store := range []objectstore.Store{s.local, s.remote} {
		w := table.Write{Schema: s.columns("id int"), Store: store}
		first := s.write("SELECT 1 id", w)[0]
		body := s.object(first)
		var files []table.RelationFile
		for i, name := range []string{"a*b", "aXb", "a?b", "a[X]b", "a[!X]b", "[a-z]", "k=v", "it's", "ä ö", "#x", "**", "{a,b}"} {
			key := "odd/" + name + ".parquet"
			if i%2 == 1 {
				key = "odd/" + name + "/part.parquet"
			}
			info, err := store.Put(s.Context(), key, objectstore.Bytes(body), objectstore.CreateOnly)
			if err != nil {
				s.Fatal(err)
			}
			files = append(files, table.RelationFile{Store: store, Key: key, Size: int64(len(body)), ETag: info.ETag})
		}
		for _, f := range files {
			rel := table.Relation{Schema: w.Schema, Files: []table.RelationFile{f}}
			s.want("SELECT count(*) FROM t", relations{"t": rel}, "1")
		}
		all := table.Relation{Schema: w.Schema, Files: files, Position: true}
		s.want("SELECT count(*), count(DISTINCT _lake_file) FROM t", relations{"t": all}, fmt.Sprintf("%d | %d", len(files), len(files)))
	}
}

// object is the content of a written file.
func (s *suite) object(f table.WrittenFile) []byte {
	s.Helper()
	r, info, err := f.Store.Get(s.Context(), f.Key, objectstore.Range{})
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	b := make([]byte, info.Size)
	for n := 0; n < len(b); {
		m, err := r.Read(b[n:])
		if n += m; err != nil && n < len(b) {
			s.Fatal(err)
		}
	}
	return b
}

func (s *suite) changedFiles() {
	for _, store := range []objectstore.Store{s.local, s.remote} {
		w := table.Write{Schema: s.columns("id int"), Store: store}
		f := relation(w, s.write("SELECT 1 id", w)...)
		read := func(change func(*table.RelationFile)) error {
			rel := table.Relation{Schema: w.Schema, Files: []table.RelationFile{f.Files[0]}}
			change(&rel.Files[0])
			_, err := s.tryQuery(table.Query{SQL: "SELECT * FROM t", Relations: relations{"t": rel}})
			return err
		}
		if err := read(func(f *table.RelationFile) { f.Size++ }); !errors.Is(err, objectstore.ErrPrecondition) {
			s.Errorf("other size: %v", err)
		}
		if err := read(func(f *table.RelationFile) { f.Key = "t/nothing.parquet" }); !errors.Is(err, objectstore.ErrNotFound) {
			s.Errorf("missing file: %v", err)
		}
		broken := s.object(s.write("SELECT 1 id", w)[0])
		for i := range broken[:len(broken)/2] {
			broken[i] ^= 0x55
		}
		info, err := store.Put(s.Context(), "t/broken.parquet", objectstore.Bytes(broken), objectstore.CreateOnly)
		if err != nil {
			s.Fatal(err)
		}
		err = read(func(f *table.RelationFile) { f.Key, f.Size, f.ETag = info.Key, info.Size, info.ETag })
		if err == nil {
			s.Error("a broken file was read")
		}
		if err := read(func(*table.RelationFile) {}); err != nil {
			s.Errorf("whole file: %v", err)
		}
	}
}
