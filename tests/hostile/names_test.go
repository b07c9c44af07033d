package hostile

import (
	"os"
	"path/filepath"
	"strings"
)

// names are tables whose paths lead elsewhere, or mean something to whoever interprets them.
func names() map[string]func(f *fixture) {
	// asks is a table with one sound file and one that the log names by this text.
	asks := func(path func(f *fixture) string) func(f *fixture) {
		return func(f *fixture) {
			b := longs(1, 2)
			f.put("part-0.parquet", b)
			f.start(add("part-0.parquet", int64(len(b)), 2), add(path(f), int64(len(longs(canaryValue))), 1))
		}
	}
	text := func(path string) func(f *fixture) { return asks(func(*fixture) string { return path }) }
	// holds is a table whose only file has an odd name, beside others that a careless reader would take for it.
	holds := func(name, inLog string, beside ...string) func(f *fixture) {
		return func(f *fixture) {
			b := longs(1, 2)
			f.put(name, b)
			for _, n := range beside {
				f.put(n, longs(canaryValue))
			}
			f.start(add(inLog, int64(len(b)), 2))
			f.want(1, 2)
		}
	}
	return map[string]func(f *fixture){
		"dot-dot":         text("../canary.parquet"),
		"dot-dot-encoded": text("%2e%2e/canary.parquet"),
		"dot-dot-inside":  text("a/%2E%2E/../../canary.parquet"),
		"double-encoded":  holds("%2e%2e/canary.parquet", "%252e%252e/canary.parquet"),
		"absolute":        asks(func(f *fixture) string { return filepath.Join(f.outside, "canary.parquet") }),
		"file-url":        asks(func(f *fixture) string { return "file://" + filepath.Join(f.outside, "canary.parquet") }),
		"http-url":        asks(func(f *fixture) string { f.address = f.serve(); return "http://" + f.address + "/canary.parquet" }),
		"other-bucket":    text("s3://other-bucket/canary.parquet"),
		"nul":             text("part-0.parquet%00.txt"),
		"backslash":       text(`..\canary.parquet`),
		"symlink": func(f *fixture) {
			b := longs(canaryValue)
			f.must(os.Symlink(filepath.Join("..", "..", "canary.parquet"), filepath.Join(f.table, "part-0.parquet")))
			f.start(add("part-0.parquet", int64(len(b)), 1))
		},
		"symlink-folder": func(f *fixture) {
			b := longs(canaryValue)
			f.must(os.Symlink(f.outside, filepath.Join(f.table, "p=1")))
			f.start(add("p=1/canary.parquet", int64(len(b)), 1))
		},
		"over-long":         text(strings.Repeat("a/", 3000) + "x.parquet"),
		"over-long-segment": text(strings.Repeat("a", 300) + ".parquet"),
		"glob":              holds("[a]*b?.parquet", "%5Ba%5D*b%3F.parquet", "a-b1.parquet", "[a]xb1.parquet", "ab1.parquet"),
		"glob-deep":         holds("**/x.parquet", "**/x.parquet", "y/x.parquet", "z/z/x.parquet"),
		"quotes":            holds(`it's "x'); DROP TABLE t; --.parquet`, `it's%20%22x');%20DROP%20TABLE%20t;%20--.parquet`),
		"key-value":         holds("x=424242/part-0.parquet", "x=424242/part-0.parquet"),
		"url-inside":        holds("http:x.parquet", "http:x.parquet"),
		"vector-path": func(f *fixture) {
			b := longs(1, 2)
			f.put("part-0.parquet", b)
			f.commit(0, protocolDV, metadata(schemaX), withVector("part-0.parquet", int64(len(b)), 2,
				`{"storageType":"p","pathOrInlineDv":`+quote("file://"+filepath.Join(f.outside, "canary.parquet"))+`,"offset":1,"sizeInBytes":34,"cardinality":1}`))
		},
	}
}
