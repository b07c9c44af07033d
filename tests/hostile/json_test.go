package hostile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// jsons are tables whose commits are no JSON, or too much of it.
func jsons() map[string]func(f *fixture) {
	// second is a sound version 0 and these bytes as version 1.
	second := func(b func() string) func(f *fixture) {
		return func(f *fixture) {
			data := longs(1, 2)
			f.put("part-0.parquet", data)
			f.start(add("part-0.parquet", int64(len(data)), 2))
			f.put(commitName(1), []byte(b()))
		}
	}
	line := func(s string) func(f *fixture) { return second(func() string { return s + "\n" }) }
	return map[string]func(f *fixture){
		"gigabyte-line": func(f *fixture) {
			second(func() string { return `{"commitInfo":{"userMetadata":"` })(f)
			f.must(os.Truncate(filepath.Join(f.table, commitName(1)), 1<<30)) // a hole takes no disk
		},
		"over-a-gigabyte": func(f *fixture) {
			second(func() string { return `{"commitInfo":{}}` + "\n" })(f)
			f.must(os.Truncate(filepath.Join(f.table, commitName(1)), 1<<40))
		},
		"depth": second(func() string {
			return `{"commitInfo":{"x":` + strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000) + "}}\n"
		}),
		"million-actions": func(f *fixture) {
			second(func() string { return "" })(f)
			f.stream(commitName(1), func(w *bufio.Writer) error {
				for i := range 1_000_001 {
					if _, err := fmt.Fprintf(w, `{"add":{"path":"%d","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}`+"\n", i); err != nil {
						return err
					}
				}
				return nil
			})
		},
		"duplicate-keys": func(f *fixture) {
			data := longs(1, 2)
			f.put("part-0.parquet", data)
			f.put("part-1.parquet", longs(3, 4))
			f.start(strings.Replace(add("part-1.parquet", int64(len(data)), 2), `"path":`, `"path":"part-0.parquet","path":`, 1))
			f.want(3, 4) // the last one counts, as it does for Spark
		},
		"bad-utf8":     line("{\"add\":{\"path\":\"a\xff\xfe.parquet\",\"partitionValues\":{},\"size\":1,\"modificationTime\":1,\"dataChange\":true}}"),
		"bom":          line("\xef\xbb\xbf" + `{"txn":{"appId":"a","version":1}}`),
		"huge-numbers": line(`{"add":{"path":"a.parquet","partitionValues":{},"size":99999999999999999999999999,"modificationTime":1e400,"dataChange":true}}`),
		"gzip": second(func() string {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write([]byte(`{"txn":{"appId":"a","version":1}}`)) // a buffer takes everything
			_ = z.Close()
			return b.String()
		}),
		"two-actions": line(`{"txn":{"appId":"a","version":1},"remove":{"path":"part-0.parquet","dataChange":true}}`),
		"two-values":  line(`{"txn":{"appId":"a","version":1}}{"remove":{"path":"part-0.parquet","dataChange":true}}`),
		"empty":       second(func() string { return "" }),
		"nul-bytes":   second(func() string { return strings.Repeat("\x00", 4096) }),
		"wrong-types": line(`{"add":{"path":{"a":1},"partitionValues":[],"size":"1","modificationTime":true,"dataChange":"yes"}}`),
		"schema-depth": schemaOf(func() string {
			return strings.Repeat(`{"type":"array","containsNull":true,"elementType":`, 100_000) + `"long"` + strings.Repeat("}", 100_000)
		}),
		"schema-columns": schemaOf(manyColumns),
		"long-number":    line(`{"txn":{"appId":"a","version":` + strings.Repeat("9", 5_000_000) + `}}`),
	}
}

// schemaOf is a table with one column x of this type.
func schemaOf(kind func() string) func(f *fixture) {
	return func(f *fixture) {
		data := longs(1, 2)
		f.put("part-0.parquet", data)
		f.commit(0, protocolPlain, metadata(`{"type":"struct","fields":[{"name":"x","type":`+kind()+`,"nullable":true,"metadata":{}}]}`), add("part-0.parquet", int64(len(data)), 2))
	}
}

func manyColumns() string {
	var b strings.Builder
	b.WriteString(`{"type":"struct","fields":[`)
	for i := range 200_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"c%d","type":"long","nullable":true,"metadata":{}}`, i)
	}
	b.WriteString(`]}`)
	return b.String()
}
