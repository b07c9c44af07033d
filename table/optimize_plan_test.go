package table

import (
	"fmt"
	"strings"
	"testing"
)

// files builds plan files from "path:size[:rows:deleted]" texts; the order of the list is their age.
func plannedFiles(t *testing.T, texts ...string) []planFile {
	t.Helper()
	var out []planFile
	for i, text := range texts {
		f := planFile{index: i, modified: int64(i), rows: 100}
		name, rest, _ := strings.Cut(text, ":")
		f.path = name
		f.partition, _, _ = strings.Cut(name, "/")
		if !strings.Contains(name, "/") {
			f.partition = ""
		}
		var n int
		if strings.Contains(rest, ":") {
			f.vector = "v" + name
			n, _ = fmt.Sscanf(rest, "%d:%d:%d", &f.size, &f.rows, &f.deleted)
		} else {
			n, _ = fmt.Sscanf(rest, "%d", &f.size)
		}
		if n == 0 {
			t.Fatalf("bad file %q", text)
		}
		out = append(out, f)
	}
	return out
}

func planText(p *optimizePlan) string {
	var groups []string
	for _, g := range p.groups {
		var names []string
		for _, f := range g.files {
			names = append(names, f.path)
		}
		groups = append(groups, strings.Join(names, " "))
	}
	text := strings.Join(groups, " | ")
	if p.more {
		text += " …"
	}
	return text
}

func TestPlanOptimizePacksFiles(t *testing.T) {
	cases := []struct {
		name  string
		rules planRules
		files []string
		want  string
	}{
		{"nothing", planRules{target: 100}, nil, ""},
		{"one small file has no partner", planRules{target: 100}, []string{"a:10"}, ""},
		{"large files stay", planRules{target: 100}, []string{"a:80", "b:90", "c:500"}, ""},
		{"a file of three quarters is large", planRules{target: 100}, []string{"a:75", "b:10"}, ""},
		{"small ones together", planRules{target: 100}, []string{"a:30", "b:90", "c:30", "d:30"}, "a c d"},
		{"up to the target", planRules{target: 100}, []string{"a:60", "b:30", "c:30", "d:60"}, "a b | c d"},
		{"the first group with room", planRules{target: 100}, []string{"a:60", "b:60", "c:40", "d:40"}, "a c | b d"},
		{"the last one is left alone", planRules{target: 100}, []string{"a:50", "b:50", "c:50"}, "a b"},
		{"never across partitions", planRules{target: 100}, []string{"p/a:10", "q/b:10", "p/c:10", "q/d:10"}, "p/a p/c | q/b q/d"},
		{"a small file with deleted rows is rewritten alone", planRules{target: 100}, []string{"a:50:100:1"}, "a"},
		{"a large one with few deleted rows stays", planRules{target: 100}, []string{"a:90:100:4"}, ""},
		{"a large one with many is rewritten", planRules{target: 100}, []string{"a:1000:100:5"}, "a"},
		{"what is left after deletion counts", planRules{target: 100}, []string{"a:100:100:90", "b:100:100:50", "c:20"}, "a b c"},
		{"a bound stops between groups", planRules{target: 100, maxFiles: 3}, []string{"p/a:10", "p/b:10", "q/c:10", "q/d:10"}, "p/a p/b …"},
		{"a bound lets a smaller group pass", planRules{target: 100, maxFiles: 4}, []string{"p/a:10", "p/b:10", "q/c:10", "q/d:10", "q/e:10", "r/f:10", "r/g:10"}, "p/a p/b | r/f r/g …"},
		{"a bound never stops the first group", planRules{target: 100, maxFiles: 1}, []string{"p/a:10", "p/b:10"}, "p/a p/b"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := planText(planOptimize(plannedFiles(t, c.files...), c.rules)); got != c.want {
				t.Errorf("groups %q, want %q", got, c.want)
			}
		})
	}
}

func TestPlanOptimizeZOrder(t *testing.T) {
	by := []string{"a"}
	cube := func(id string, files []planFile, which ...int) []planFile {
		for _, i := range which {
			files[i].cube = id
		}
		return files
	}
	cases := []struct {
		name  string
		rules planRules
		files []planFile
		want  string
	}{
		{"a partition is taken whole", planRules{target: 100, zorder: by}, plannedFiles(t, "p/a:500", "p/b:10", "q/c:10", "q/d:99"), "p/a p/b | q/c q/d"},
		{"one file of the right size has no neighbours", planRules{target: 100, zorder: by}, plannedFiles(t, "a:120"), ""},
		{"one large file is cut", planRules{target: 100, zorder: by}, plannedFiles(t, "a:160"), "a"},
		{"done is done", planRules{target: 100, zorder: by}, cube("x", plannedFiles(t, "a:90", "b:90"), 0, 1), ""},
		{"a newer file joins in", planRules{target: 100, zorder: by}, cube("x", plannedFiles(t, "a:90", "b:90", "c:1"), 0, 1), "a b c"},
		{"two runs are not one order", planRules{target: 100, zorder: by}, cube("y", cube("x", plannedFiles(t, "a:90", "b:90"), 0), 1), "a b"},
		{"full does it again", planRules{target: 100, zorder: by, full: true}, cube("x", plannedFiles(t, "a:90", "b:90"), 0, 1), "a b"},
		{"few deleted rows are no reason", planRules{target: 100, zorder: by}, cube("x", plannedFiles(t, "a:90:100:1", "b:90"), 0, 1), ""},
		{"many are", planRules{target: 100, zorder: by}, cube("x", plannedFiles(t, "a:90:100:20", "b:90"), 0, 1), "a b"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := planText(planOptimize(c.files, c.rules)); got != c.want {
				t.Errorf("groups %q, want %q", got, c.want)
			}
		})
	}
}

// A plan that was made again after others wrote elsewhere must find its finished groups.
func TestPlanOptimizeIsStable(t *testing.T) {
	first := planOptimize(plannedFiles(t, "p/a:10", "p/b:10", "q/c:10", "q/d:10"), planRules{target: 100})
	files := plannedFiles(t, "q/x:5", "q/c:10", "q/d:10", "p/b:10", "p/a:10")
	for i, age := range []int64{9, 2, 3, 1, 0} {
		files[i].modified = age
	}
	second := planOptimize(files, planRules{target: 100})
	if got, want := planText(second), "p/a p/b | q/c q/d q/x"; got != want {
		t.Errorf("second plan %q, want %q", got, want)
	}
	if planText(first) != "p/a p/b | q/c q/d" {
		t.Errorf("first plan %q", planText(first))
	}
}
