package table

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	nullFolder  = "__HIVE_DEFAULT_PARTITION__"
	folderBytes = 200 // of one level: file systems allow 255
)

// Folder is the path of a partition below Prefix in the manner of Hive, with its slash; for people only, since values
// come from the log. partition is as in WrittenFile.
func (w Write) Folder(partition map[string]string) string {
	var path strings.Builder
	for _, name := range w.PartitionBy {
		f, err := w.Schema.Lookup(name)
		if err != nil {
			continue // the log will say so
		}
		value := escapeFolder(partition[f.Name])
		if value == "" {
			value = nullFolder
		}
		folder := escapeFolder(f.PhysicalName(w.Mapping)) + "=" + value
		if len(folder) > folderBytes {
			folder = folder[:folderBytes]
			for !utf8.ValidString(folder) {
				folder = folder[:len(folder)-1]
			}
		}
		path.WriteString(folder + "/")
	}
	return path.String()
}

// escapeFolder escapes what Hive and Spark escape in folder names.
func escapeFolder(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c == 0x7f || strings.IndexByte(`"#%'*/:=?\{[]^`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
