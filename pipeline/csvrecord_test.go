package pipeline

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// records reads text to its end: fields joined by "|", broken lines as "!why: raw".
func records(t *testing.T, text string, lineMax int64) []string {
	t.Helper()
	r := newRecordReader(strings.NewReader(text), ',', lineMax)
	var out []string
	for {
		rec, err := r.next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec.why != "" {
			out = append(out, "!"+rec.why+": "+string(rec.raw))
			continue
		}
		out = append(out, strings.Join(rec.fields, "|"))
	}
}

func TestRecordReader(t *testing.T) {
	long := strings.Repeat("x", 100)
	tests := []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"plain", "a,b\nc,d\n", []string{"a|b", "c|d"}},
		{"no line end at the end", "a,b\nc,d", []string{"a|b", "c|d"}},
		{"windows", "\ufeffa,b\r\nc,\"d\"\r\n", []string{"a|b", "c|d"}},
		{"old mac", "\ufeffa,b\r\rc,\"d\re\"\rf,g", []string{"a|b", "c|d\re", "f|g"}},
		{"a lone carriage return is part of its value", "a,b\nc\rd,e\n", []string{"a|b", "c\rd|e"}},
		{"empty lines", "\n\na,b\n\r\n\nc,d\n\n", []string{"a|b", "c|d"}},
		{"empty values", ",\n\"\",\n", []string{"|", "|"}},
		{"quotes", `"a,b","c ""d"""` + "\n", []string{`a,b|c "d"`}},
		{"over two lines", "\"a\nb\",c\nd,e\n", []string{"a\nb|c", "d|e"}},
		{"quote never closed", "\"a,b\nc,d\ne,f\n", []string{`!a quoted value is broken: "a,b`, "c|d", "e|f"}},
		{"two quotes never closed", "\"a,b\nc,d\n\"e,f\ng,h\n", []string{`!a quoted value is broken: "a,b`, "c|d", `!a quoted value is broken: "e,f`, "g|h"}},
		{"bare quotes", "5\" x 3\",a\nb,c\n", []string{`!a quoted value is broken: 5" x 3",a`, "b|c"}},
		{"text after a quote", "\"a\"b,c\nd,e\n", []string{`!a quoted value is broken: "a"b,c`, "d|e"}},
		{"not UTF-8", "a,\xff\nb,c\n", []string{"!is not UTF-8: a,\xff", "b|c"}},
		{"too long", long + "\na,b\n", []string{"!is longer than limits.line_bytes: " + long[:50], "a|b"}},
		{"just not too long", long[:50] + "\na,b\n", []string{long[:50], "a|b"}},
		{
			"quoted value too long", "\"" + long[:30] + "\n" + long[:30] + "\"\na,b\n",
			[]string{`!a quoted value is broken: "` + long[:30], "!a quoted value is broken: " + long[:30] + `"`, "a|b"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, records(t, tt.text, 50)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzRecordReader: every byte of a file ends up in a record or in a broken line, and good lines without quotes are
// what splitting gives.
func FuzzRecordReader(f *testing.F) {
	for _, s := range []string{"a,b\nc,d\n", "\"a\nb\",c\n", "\"a,b\nc,d", "a\"b\n\"\"\"\n", "\r\n\r\n,\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<12 {
			t.Skip("longer texts show nothing more")
		}
		got := records(t, text, 1<<10)
		if !strings.Contains(text, `"`) {
			lines, end := 0, "\n"
			if !strings.Contains(text, end) {
				end = "\r" // a file of lines that end so
			}
			for _, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), end) {
				if strings.TrimSuffix(line, "\r") != "" {
					lines++
				}
			}
			if lines != len(got) {
				t.Errorf("%d lines, %d records: %q", lines, len(got), text)
			}
		}
	})
}
