package hostile

import (
	"bytes"
	"fmt"

	"github.com/lakectl/lakectl/internal/parquetio"
)

// checkpoints are tables whose log begins with a checkpoint that is not whole, or not one.
func checkpoints() map[string]func(f *fixture) {
	return map[string]func(f *fixture){
		"missing-part": func(f *fixture) {
			b := f.checkpoint(f.sound())
			f.put(fmt.Sprintf("_delta_log/%020d.checkpoint.0000000001.0000000002.parquet", 5), b)
			f.put("_delta_log/_last_checkpoint", []byte(`{"version":5,"size":3,"parts":2}`))
			f.commit(6, `{"txn":{"appId":"a","version":1}}`)
		},
		"wrong-schema": func(f *fixture) {
			f.put(fmt.Sprintf("_delta_log/%020d.checkpoint.parquet", 5), longs(1, 2, 3))
			f.commit(6, `{"txn":{"appId":"a","version":1}}`)
		},
		"newer-than-log": func(f *fixture) {
			f.put(fmt.Sprintf("_delta_log/%020d.checkpoint.parquet", 5), f.checkpoint(f.sound()))
			f.put("_delta_log/_last_checkpoint", []byte(`{"version":9000000000000000000,"size":3}`))
			f.start()
			f.want(1, 2)
		},
		"sidecar-loop": func(f *fixture) {
			const name = "00000000-0000-0000-0000-00000000000a.parquet"
			loop := f.sidecars(name, 0)
			for range 8 { // its size stands in it
				loop = f.sidecars(name, int64(len(loop)))
			}
			f.put("_delta_log/_sidecars/"+name, loop)
			f.v2(name, int64(len(loop)))
		},
		"sidecar-elsewhere": func(f *fixture) {
			f.v2("../../../canary.parquet", int64(len(longs(canaryValue))))
		},
		"sidecar-absolute": func(f *fixture) {
			f.v2("file://"+f.outside+"/canary.parquet", int64(len(longs(canaryValue))))
		},
		"null-path": func(f *fixture) {
			rows := f.sound()
			rows = append(rows, []any{nil, nil, []any{nil, int64(1)}})
			f.put(fmt.Sprintf("_delta_log/%020d.checkpoint.parquet", 5), f.checkpoint(rows))
			f.commit(6, `{"txn":{"appId":"a","version":1}}`)
		},
		"null-schema": func(f *fixture) {
			rows := f.sound()
			rows[1][1] = []any{"7f6e2c3a-0000-4000-8000-000000000001", nil}
			f.put(fmt.Sprintf("_delta_log/%020d.checkpoint.parquet", 5), f.checkpoint(rows))
			f.commit(6, `{"txn":{"appId":"a","version":1}}`)
		},
	}
}

// sound are the rows of a checkpoint of a table with two rows: protocol, metadata, one file.
func (f *fixture) sound() [][]any {
	b := longs(1, 2)
	f.put("part-0.parquet", b)
	return [][]any{
		{[]any{int64(1), int64(2)}, nil, nil},
		{nil, []any{"7f6e2c3a-0000-4000-8000-000000000001", schemaX}, nil},
		{nil, nil, []any{"part-0.parquet", int64(len(b))}},
	}
}

func (f *fixture) checkpoint(rows [][]any) []byte {
	return f.parquet(rows,
		group("protocol", leaf("minReaderVersion", parquetio.KindInteger), leaf("minWriterVersion", parquetio.KindInteger)),
		group("metaData", leaf("id", parquetio.KindString), leaf("schemaString", parquetio.KindString)),
		group("add", leaf("path", parquetio.KindString), leaf("size", parquetio.KindLong)))
}

// sidecars is a sidecar that names one.
func (f *fixture) sidecars(name string, size int64) []byte {
	return f.parquet([][]any{{[]any{name, size}}}, group("sidecar", leaf("path", parquetio.KindString), leaf("sizeInBytes", parquetio.KindLong)))
}

func (f *fixture) parquet(rows [][]any, columns ...parquetio.Column) []byte {
	var out bytes.Buffer
	w, err := parquetio.NewWriter(&out, columns, parquetio.Options{Codec: "uncompressed"})
	f.must(err)
	for _, r := range rows {
		f.must(w.WriteRow(r))
	}
	f.must(w.Close())
	return out.Bytes()
}

func group(name string, fields ...*parquetio.Column) parquetio.Column {
	return parquetio.Column{Name: name, Kind: parquetio.KindStruct, Nullable: true, Fields: fields}
}

func leaf(name string, kind parquetio.Kind) *parquetio.Column {
	return &parquetio.Column{Name: name, Kind: kind, Nullable: true}
}

// v2 is a V2 checkpoint in JSON that names one sidecar.
func (f *fixture) v2(sidecar string, size int64) {
	f.put(fmt.Sprintf("_delta_log/%020d.checkpoint.00000000-0000-0000-0000-000000000001.json", 5), []byte(
		`{"checkpointMetadata":{"version":5}}`+"\n"+protocolV2+"\n"+metadata(schemaX)+"\n"+
			fmt.Sprintf(`{"sidecar":{"path":%s,"sizeInBytes":%d,"modificationTime":1}}`, quote(sidecar), size)+"\n"))
	f.commit(6, `{"txn":{"appId":"a","version":1}}`)
}
