package limits

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// TestEveryFieldHasANameAndADefault walks the struct: a new field without an entry fails here.
func TestEveryFieldHasANameAndADefault(t *testing.T) {
	l := Default()
	v := reflect.ValueOf(&l).Elem()
	addresses := map[*int64]string{}
	for _, e := range entries() {
		p := l.field(e.name)
		if other, twice := addresses[p]; twice {
			t.Errorf("%s and %s set one field", e.name, other)
		}
		addresses[p] = e.name
		if e.bytes != strings.HasSuffix(e.name, "_bytes") {
			t.Errorf("%s: sizes, and only sizes, end in _bytes", e.name)
		}
	}
	for i := range v.NumField() {
		p := v.Field(i).Addr().Interface().(*int64)
		name, ok := addresses[p]
		if !ok {
			t.Errorf("field %s has no entry", v.Type().Field(i).Name)
			continue
		}
		if *p <= 0 {
			t.Errorf("field %s has no default", v.Type().Field(i).Name)
		}
		if got := strings.ReplaceAll(name, "_", ""); got != strings.ToLower(v.Type().Field(i).Name) {
			t.Errorf("field %s is called %s", v.Type().Field(i).Name, name)
		}
		var set Limits
		if err := set.Set(name, "7"); err != nil || reflect.ValueOf(set).Field(i).Int() != 7 {
			t.Errorf("set %s: %v, %d", name, err, reflect.ValueOf(set).Field(i).Int())
		}
		var over *Error
		if err := set.Check(name, 8); !errors.As(err, &over) || over.Limit != name || over.Max != 7 || over.Value != 8 || over.Setting != "limits."+name {
			t.Errorf("check %s: %v", name, err)
		}
		if err := set.Check(name, 7); err != nil {
			t.Errorf("at the limit of %s: %v", name, err)
		}
	}
	if len(Names()) != v.NumField() {
		t.Errorf("%d names, %d fields", len(Names()), v.NumField())
	}
}

func TestSetReadsSizesAndCounts(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       int64
	}{
		{"log_line_bytes", "16MB", 16 << 20},
		{"log_line_bytes", "16 mib", 16 << 20},
		{"log_line_bytes", "2gb", 2 << 30},
		{"log_line_bytes", "900", 900},
		{"log_line_bytes", "900b", 900},
		{"models", "12", 12},
		{"models", "12MB", 0},
		{"models", "-1", 0},
		{"models", "0", 0},
		{"log_line_bytes", "9999999999999GB", 0},
		{"log_line_bytes", "MB", 0},
		{"nonsense", "1", 0},
	} {
		var l Limits
		err := l.Set(tc.name, tc.text)
		got, _ := l.Value(tc.name)
		if got != tc.want || (err == nil) != (tc.want > 0) {
			t.Errorf("%s: %q gives %d, %v; want %d", tc.name, tc.text, got, err, tc.want)
		}
	}
}

func TestErrorNamesLimitAndSetting(t *testing.T) {
	for _, tc := range []struct {
		err  *Error
		want string
	}{
		{Over("log_line_bytes", 20<<20, 16<<20), "limit log_line_bytes: 20 MB is over 16 MB; raise limits.log_line_bytes in lake.yml"},
		{Over("models", 5001, 5000), "limit models: 5001 is over 5000; raise limits.models in lake.yml"},
		{Over("line_bytes", 1000, 900), "limit line_bytes: 1000 bytes is over 900 bytes; raise limits.line_bytes in lake.yml"},
		{Over("commit_bytes", 3<<29, 1<<10), "limit commit_bytes: 1.5 GB is over 1 KB; raise limits.commit_bytes in lake.yml"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

func TestFilledKeepsWhatWasSet(t *testing.T) {
	l := Limits{Models: 3}.Filled()
	if l.Models != 3 || l.Columns != Default().Columns {
		t.Fatalf("models %d, columns %d", l.Models, l.Columns)
	}
}
