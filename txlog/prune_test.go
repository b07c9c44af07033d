package txlog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPruneIsMayMatchForEveryFile: what is shared between files, and read of their statistics in part, changes nothing.
func TestPruneIsMayMatchForEveryFile(t *testing.T) {
	l, _ := testLog(t)
	s := createTable(t, l, "id bigint, name string, f double, s struct<x: int>, p string", []string{"p"}, nil)
	r := rand.New(rand.NewPCG(3, 4))
	build := newFilesBuilder(l, 0)
	for i := range 3*pruneLeast + 7 {
		low := r.Int64N(1000)
		stats := fmt.Sprintf(`{"numRecords":10,"minValues":{"id":%d,"name":"%c","s":{"x":%d}},"maxValues":{"id":%d,"name":"z","s":{"x":%d}},"nullCount":{"id":%d,"name":0,"s":{"x":10}}}`,
			low, 'a'+rune(low%26), low, low+r.Int64N(50), low+3, r.Int64N(2)*10)
		switch r.IntN(20) {
		case 0:
			stats = ""
		case 1:
			stats = stats[:len(stats)/2]
		case 2:
			stats = `{"numRecords":0}`
		case 3:
			stats = `{"minValues":[],"maxValues":{"id":1},"maxValues":null}`
		}
		a := &Add{Path: fmt.Sprint("f", i), Size: 1, PartitionValues: map[string]string{"p": string('a' + rune(i%5))}, Stats: stats}
		if r.IntN(10) == 0 {
			a.DeletionVector = &DeletionVectorDescriptor{StorageType: "i", Cardinality: 1}
		}
		build.add(a)
	}
	one := *s
	one.live = newLiveFiles(build.build(), nil)
	long := func(op Op, n int64, column ...string) *Predicate {
		return &Predicate{Op: op, Column: column, Values: []Literal{{Kind: KindLong, Int: n}}}
	}
	text := func(op Op, v, column string) *Predicate {
		return &Predicate{Op: op, Column: []string{column}, Values: []Literal{{Kind: KindString, String: v}}}
	}
	all := []*Predicate{
		nil, long(OpEq, 500, "id"), And(long(OpGe, 100, "ID"), long(OpLe, 120, "id")), long(OpLt, 300, "s", "x"),
		{Op: OpNot, Args: []*Predicate{long(OpGt, 40, "id")}},
		{Op: OpIsNull, Column: []string{"id"}},
		{Op: OpIsNotNull, Column: []string{"s", "x"}},
		text(OpEq, "b", "p"), And(text(OpStartsWith, "q", "name"), text(OpNe, "c", "p")), long(OpEq, 1, "unknown"),
		{Op: OpOr, Args: []*Predicate{text(OpEq, "a", "p"), long(OpEq, 7, "id"), text(OpLt, "c", "name")}},
		{Op: OpIn, Column: []string{"id"}, Values: []Literal{{Kind: KindLong, Int: 5}, {Kind: KindLong, Int: 900}}},
	}
	schema, err := one.Schema()
	if err != nil {
		t.Fatal(err)
	}
	files := one.Files()
	for n, p := range all {
		got, err := one.Prune(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		var want []int
		for i := range files.Len() {
			stats, err := files.Stats(i)
			if err != nil {
				stats = nil
			}
			if MayMatch(p, schema, one.mapping, one.PartitionColumns(), files.Partition(i), stats, files.DeletionVector(i) != nil) {
				want = append(want, i)
			}
		}
		if !slices.Equal(got.Kept, want) || len(got.Kept)+got.ByPartition+got.ByStats != files.Len() {
			t.Errorf("predicate %d keeps %d files, one by one it is %d; %d and %d were left out", n, len(got.Kept), len(want), got.ByPartition, got.ByStats)
		}
	}
}
